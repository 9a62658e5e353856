/** Bounds the asynchronous calls that one handle has under way. */

/**
 * Asynchronous calls of one handle under way at once. Choice: enough to keep a drive busy; a drive
 * that hangs holds this many threads of the process's pool and no more.
 */
const CALLS_MAX = 8;

/** Lets so many through at a time, the others in order of arrival. */
export class Turnstile {
  #free = CALLS_MAX;
  readonly #waiting: (() => void)[] = [];

  async run<T>(call: () => Promise<T>): Promise<T> {
    if (this.#free === 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#free--;
    try {
      return await call();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}
