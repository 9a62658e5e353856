/**
 * Reads a stream of server-sent events from text as it arrives, however it is cut.
 *
 * Source: HTML Standard, "Server-sent events", "Interpreting an event stream".
 */

/** Longest unfinished frame that is kept, in UTF-16 units; a longer one breaks the connection. */
export const FRAME_LENGTH_MAX = 4 * 1024 * 1024;

/** One event. `id` is the last event id as of this event, null before there was one. */
export interface SseFrame {
  readonly id: string | null;
  readonly event: string;
  readonly data: string;
}

/** The parser of one connection. */
export class SseParser {
  #pending = "";
  #isFirst = true;
  #event = "";
  #data: string[] = [];
  #length = 0;
  #lastId: string | null = null;
  #retryMs: number | null = null;

  /** Milliseconds the server asks clients to wait before they come back; null: not said. */
  get retryMs(): number | null {
    return this.#retryMs;
  }

  /** The events that `text` completes. Errors: a frame longer than FRAME_LENGTH_MAX. */
  push(text: string): SseFrame[] {
    let input = this.#pending + text;
    if (this.#isFirst && input !== "") {
      this.#isFirst = false;
      input = input.replace(/^\uFEFF/, "");
    }
    const frames: SseFrame[] = [];
    let at = 0;
    for (let end = lineEnd(input, at); end !== null; end = lineEnd(input, at)) {
      const frame = this.#line(input.slice(at, end.from));
      if (frame !== null) {
        frames.push(frame);
      }
      at = end.to;
    }
    this.#pending = input.slice(at);
    if (this.#pending.length + this.#length > FRAME_LENGTH_MAX) {
      throw new Error(`a frame of the event stream is longer than ${FRAME_LENGTH_MAX}`);
    }
    return frames;
  }

  #line(line: string): SseFrame | null {
    if (line === "") {
      return this.#dispatch();
    }
    const colon = line.indexOf(":");
    const field = colon === -1 ? line : line.slice(0, colon);
    const rest = colon === -1 ? "" : line.slice(colon + 1);
    this.#field(field, rest.startsWith(" ") ? rest.slice(1) : rest);
    return null;
  }

  #field(field: string, value: string): void {
    if (field === "data") {
      this.#data.push(value);
      this.#length += value.length;
    } else if (field === "event") {
      this.#event = value;
    } else if (field === "id" && !value.includes("\0")) {
      this.#lastId = value;
    } else if (field === "retry" && /^[0-9]{1,9}$/.test(value)) {
      this.#retryMs = Number(value);
    }
  }

  #dispatch(): SseFrame | null {
    const frame: SseFrame | null =
      this.#data.length === 0
        ? null
        : { id: this.#lastId, event: this.#event || "message", data: this.#data.join("\n") };
    this.#event = "";
    this.#data = [];
    this.#length = 0;
    return frame;
  }
}

/**
 * Where the line that begins at `at` ends and the next begins; null while that cannot be told. A
 * carriage return at the very end waits: a line feed that belongs to it may follow.
 */
const lineEnd = (input: string, at: number): { from: number; to: number } | null => {
  for (let index = at; index < input.length; index += 1) {
    const char = input[index];
    if (char === "\n") {
      return { from: index, to: index + 1 };
    }
    if (char === "\r") {
      if (index + 1 === input.length) {
        return null;
      }
      return { from: index, to: index + (input[index + 1] === "\n" ? 2 : 1) };
    }
  }
  return null;
};
