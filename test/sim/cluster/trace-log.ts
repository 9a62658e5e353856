/** The last events of a simulation, put into words only when somebody wants to read them. */

/** A text, or how to make it from values that do not change. */
export type TraceText = string | (() => string);

interface Entry {
  readonly at: number;
  /** Whose it is; empty: nobody's. */
  readonly who: string;
  readonly text: TraceText;
}

export class TraceLog {
  readonly #kept: Entry[] = [];
  readonly #most: number;
  #next = 0;
  onLine: ((line: string) => void) | null = null;

  constructor(most: number) {
    this.#most = most;
  }

  add(at: number, who: string, text: TraceText): void {
    const entry = { at, who, text };
    this.#kept[this.#next] = entry;
    this.#next = (this.#next + 1) % this.#most;
    this.onLine?.(lineOf(entry));
  }

  /** The oldest first. */
  get lines(): readonly string[] {
    return [...this.#kept.slice(this.#next), ...this.#kept.slice(0, this.#next)].map(lineOf);
  }
}

const lineOf = ({ at, who, text }: Entry): string =>
  `${at.toFixed(2).padStart(10)} ${who}${typeof text === "string" ? text : text()}`;
