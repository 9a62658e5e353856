/** Time for whoever waits: the machine's in the product, a simulated one in tests. */

export interface StoreClock {
  /** Milliseconds on a clock that nobody sets; its zero means nothing. */
  now(): number;
  /** Calls `act` once, `ms` milliseconds from now or later. What it returns takes that back. */
  after(ms: number, act: () => void): () => void;
}
