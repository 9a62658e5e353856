/** The last events of a node, for people. */
import type { TraceEntry } from "./cluster-view.ts";

/** Most entries kept. Choice: some dozens of messages with their locks. */
export const TRACE_MAX = 400;

export class Trace {
  readonly #entries: TraceEntry[] = [];

  add(at: number, what: TraceEntry["what"], text: string): void {
    this.#entries.push({ at, what, text });
    if (this.#entries.length > TRACE_MAX) this.#entries.shift();
  }

  /** The newest last. */
  get entries(): readonly TraceEntry[] {
    return [...this.#entries];
  }
}
