/**
 * Keeps the panel's picture of the board live: opens the event stream, reads a snapshot, then turns
 * frames into changes. Comes back by itself with growing pauses, with Last-Event-ID and a fresh
 * snapshot, because state frames are not replayed.
 */

import { backOffMs } from "./back-off.ts";
import { type SseFrame, SseParser } from "./sse-parser.ts";

/** Silence after which the stream counts as lost; the board sends a comment every 15 s. */
const SILENCE_MS = 40_000;

/** How the picture stands. `since`: when it was last known to be true; times are Date.now(). */
export type Liveness =
  | { readonly state: "connecting" }
  | { readonly state: "live" }
  | { readonly state: "lost"; readonly since: number; readonly retryAt: number };

/** What the connection works with. */
export interface LiveOptions {
  /** Opens the stream; rejects when the board refuses or does not answer. */
  readonly open: (lastEventId: string | null, signal: AbortSignal) => Promise<Response>;
  /** Reads and shows everything anew. */
  readonly loadSnapshot: () => Promise<void>;
  readonly onFrames: (frames: readonly SseFrame[]) => void;
  readonly onLiveness: (liveness: Liveness) => void;
  /** Told of each failure; true ends the connection for good. */
  readonly isFinal: (error: unknown) => boolean;
}

/** One connection, from `start` to `stop`. */
export class LiveConnection {
  readonly #options: LiveOptions;
  readonly #ended = new AbortController();
  #lastEventId: string | null = null;
  #lastHeard: number | null = null;
  #attempt = 0;
  #wake: (() => void) | null = null;

  constructor(options: LiveOptions) {
    this.#options = options;
  }

  /** Runs until `stop` or a final failure. */
  async start(): Promise<void> {
    this.#options.onLiveness({ state: "connecting" });
    while (!this.#ended.signal.aborted) {
      try {
        await this.#listen();
      } catch (error) {
        if (this.#ended.signal.aborted || this.#options.isFinal(error)) {
          return;
        }
      }
      await this.#pause();
    }
  }

  stop(): void {
    this.#ended.abort();
    this.#wake?.();
  }

  /** Tries again at once instead of at the end of the pause. */
  retryNow(): void {
    this.#wake?.();
  }

  /** The newest event the panel knows of: the stream goes on after it. */
  sawEvent(id: number): void {
    if (this.#lastEventId === null || id > Number(this.#lastEventId)) {
      this.#lastEventId = String(id);
    }
  }

  async #listen(): Promise<void> {
    const broken = new AbortController();
    const signal = AbortSignal.any([this.#ended.signal, broken.signal]);
    let watchdog = 0;
    const heard = (): void => {
      clearTimeout(watchdog);
      watchdog = window.setTimeout(() => broken.abort(), SILENCE_MS);
    };
    heard();
    try {
      const response = await this.#options.open(this.#lastEventId, signal);
      const reader = response.body?.getReader();
      if (reader === undefined) {
        return;
      }
      await this.#options.loadSnapshot();
      this.#attempt = 0;
      this.#options.onLiveness({ state: "live" });
      await this.#read(reader, heard);
    } finally {
      clearTimeout(watchdog);
      broken.abort();
    }
  }

  async #read(reader: ReadableStreamDefaultReader<Uint8Array>, heard: () => void): Promise<void> {
    const parser = new SseParser();
    const decoder = new TextDecoder();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) {
        return;
      }
      heard();
      this.#lastHeard = Date.now();
      const frames = parser.push(decoder.decode(value, { stream: true }));
      for (const frame of frames) {
        this.#lastEventId = frame.id ?? this.#lastEventId;
      }
      if (frames.length > 0) {
        this.#options.onFrames(frames);
      }
    }
  }

  async #pause(): Promise<void> {
    const delay = backOffMs(this.#attempt, Math.random());
    this.#attempt += 1;
    const now = Date.now();
    this.#lastHeard ??= now;
    this.#options.onLiveness({ state: "lost", since: this.#lastHeard, retryAt: now + delay });
    await new Promise<void>((resolve) => {
      const timer = window.setTimeout(resolve, delay);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
      window.addEventListener("online", () => this.#wake?.(), {
        once: true,
        signal: this.#ended.signal,
      });
    });
    this.#wake = null;
  }
}
