/** The last events of a simulation, put into words only when somebody wants to read them. */

/** A text, or how to make it from values that do not change. */
export type TraceText = string | (() => string);

/** Whose it is, when it happens. */
interface Who {
  readonly node: number;
  readonly slot: number;
}

interface Entry {
  readonly at: number;
  readonly node: number;
  readonly slot: number;
  readonly text: TraceText;
}

const NOBODY: Who = { node: -1, slot: -1 };

export class TraceLog {
  readonly #kept: Entry[] = [];
  readonly #most: number;
  #next = 0;
  onLine: ((line: string) => void) | null = null;

  constructor(most: number) {
    this.#most = most;
  }

  /** `who`: null is nobody. */
  add(at: number, who: Who | null, text: TraceText): void {
    const { node, slot } = who ?? NOBODY;
    const entry = { at, node, slot, text };
    this.#kept[this.#next] = entry;
    this.#next = (this.#next + 1) % this.#most;
    this.onLine?.(lineOf(entry));
  }

  /** The oldest first. */
  get lines(): readonly string[] {
    return [...this.#kept.slice(this.#next), ...this.#kept.slice(0, this.#next)].map(lineOf);
  }
}

const lineOf = ({ at, node, slot, text }: Entry): string => {
  const who = node < 0 ? "" : `node ${node}/${slot}: `;
  return `${at.toFixed(2).padStart(10)} ${who}${typeof text === "string" ? text : text()}`;
};
