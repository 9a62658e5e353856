/** Bounds the asynchronous calls that one handle has under way. */

/**
 * Calls of one handle on the threads of the pool at once. Choice: enough to keep a drive busy; a
 * drive that hangs holds this many threads of the process's pool and no more.
 */
export const POOL_CALLS_MAX = 8;

/** Lets so many through at a time, the others in order of arrival. */
export class Turnstile {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  /** `callsMax`: calls under way at once. */
  constructor(callsMax: number) {
    this.#free = callsMax;
  }

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
