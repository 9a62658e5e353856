/**
 * Keeps the thread awake for a moment after it has answered. A client that has one request under
 * way sends the next one some ten microseconds later, and putting the thread to sleep and waking it
 * again costs more than that, most of all in a virtual machine. The event loop turns without
 * waiting meanwhile, so that everything else on the thread goes on; a client that takes its time is
 * not waited for.
 */

/** A client that takes longer between an answer and its next request is not waited for. */
const GAP_MAX_MS = 0.1;
/** A gap counts as this at most, so that a pause is forgotten after some quick requests. */
const GAP_COUNTED_MS = 0.4;
/** Weight of the newest gap in the average. */
const NEWEST = 1 / 8;

export class BusyPoll {
  readonly #now: () => number;
  readonly #nextTurn: (run: () => void) => void;
  readonly #spin = (): void => this.#turn();
  #averageGapMs = GAP_COUNTED_MS;
  #restedAt = 0;
  #until = 0;
  #isSpinning = false;

  /** `now`: milliseconds of a monotonic clock; `nextTurn`: runs it in the loop's next turn. */
  constructor(now: () => number, nextTurn: (run: () => void) => void = setImmediate) {
    this.#now = now;
    this.#nextTurn = nextTurn;
  }

  /** Requests came in at `now`. */
  arrived(now: number): void {
    const gap = Math.min(now - this.#restedAt, GAP_COUNTED_MS);
    this.#averageGapMs += (gap - this.#averageGapMs) * NEWEST;
  }

  /** Everything there was is answered, at `now`. */
  rest(now: number): void {
    this.#restedAt = now;
    if (this.#averageGapMs > GAP_MAX_MS) return;
    this.#until = now + GAP_MAX_MS;
    if (this.#isSpinning) return;
    this.#isSpinning = true;
    this.#nextTurn(this.#spin);
  }

  #turn(): void {
    if (this.#now() < this.#until) this.#nextTurn(this.#spin);
    else this.#isSpinning = false;
  }
}
