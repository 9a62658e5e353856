/**
 * Reads server-sent events from a reply.
 *
 * Source: HTML Standard, "Interpreting an event stream".
 */

/** One frame. `id` is null when the frame had none. */
export interface StreamFrame {
  readonly id: number | null;
  readonly event: string;
  readonly text: string;
}

const FRAME_CHARS_MAX = 4 * 1024 * 1024;

/** The fields of one frame's lines. */
const frameOf = (lines: readonly string[]): StreamFrame | null => {
  let id: number | null = null;
  let event = "message";
  const parts: string[] = [];
  for (const line of lines) {
    const colon = line.indexOf(":");
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "id" && /^[0-9]+$/.test(value)) {
      id = Number(value);
    } else if (field === "event") {
      event = value;
    } else if (field === "data") {
      parts.push(value);
    }
  }
  return parts.length === 0 ? null : { id, event, text: parts.join("\n") };
};

/** The frames of `body` until it ends. Errors: the body's; RangeError for an endless frame. */
export async function* readFrames(body: ReadableStream<Uint8Array>): AsyncGenerator<StreamFrame> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true });
    for (let end = rest.indexOf("\n\n"); end !== -1; end = rest.indexOf("\n\n")) {
      const frame = frameOf(rest.slice(0, end).split("\n"));
      rest = rest.slice(end + 2);
      if (frame !== null) {
        yield frame;
      }
    }
    if (rest.length > FRAME_CHARS_MAX) {
      throw new RangeError("a frame of the event stream has no end");
    }
  }
}
