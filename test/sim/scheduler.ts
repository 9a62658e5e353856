/**
 * A deterministic scheduler: everything that would take time in the real world waits for its turn,
 * and the seed decides whose turn is next. Between two turns all promise callbacks run to rest.
 */

import type { Prng } from "../../src/common/prng.ts";

export class Scheduler {
  readonly #prng: Prng;
  #waiting: (() => void)[] = [];
  #dead = false;
  /** Simulated time in milliseconds since the epoch. */
  now = 1_700_000_000_000;
  /** Turns taken. */
  turns = 0;

  constructor(prng: Prng) {
    this.#prng = prng;
  }

  /** Resolves at a turn of the scheduler's choice; never again after `kill`. */
  readonly turn = (): Promise<void> =>
    new Promise((resolve) => {
      if (!this.#dead) this.#waiting.push(resolve);
    });

  get idle(): boolean {
    return this.#waiting.length === 0;
  }

  /** Lets one waiter go on, if there is one, and everything that follows from it settle. */
  async step(): Promise<void> {
    this.turns++;
    if (this.#waiting.length > 0) {
      const [resolve] = this.#waiting.splice(this.#prng.below(this.#waiting.length), 1);
      resolve?.();
    }
    await settle();
  }

  /** The power is gone: whatever waits never goes on. */
  kill(): void {
    this.#dead = true;
    this.#waiting = [];
  }
}

/** Runs promise callbacks until none is left. */
export const settle = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });

/** Messages from one thread to another: each waits for its turn, none overtakes the one before. */
export class Channel {
  readonly #turn: () => Promise<void>;
  readonly #queue: (() => void)[] = [];

  constructor(turn: () => Promise<void>) {
    this.#turn = turn;
  }

  post(act: () => void): void {
    this.#queue.push(act);
    if (this.#queue.length === 1) this.#deliver();
  }

  #deliver(): void {
    void this.#turn().then(() => {
      this.#queue[0]?.();
      this.#queue.shift();
      if (this.#queue.length > 0) this.#deliver();
    });
  }
}

/** Runs a story; `onBroken` hears of every promise that was rejected and that nobody awaited. */
export const withRejections = async (
  story: () => Promise<void>,
  onBroken: (error: unknown) => void,
): Promise<void> => {
  process.on("unhandledRejection", onBroken);
  try {
    await story();
  } finally {
    process.off("unhandledRejection", onBroken);
  }
};
