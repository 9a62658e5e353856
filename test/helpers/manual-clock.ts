/** A clock that stands until a test moves it. */
import type { StoreClock } from "../../src/cluster/store/store-clock.ts";
import { settle } from "../sim/scheduler.ts";

interface Waiting {
  readonly at: number;
  readonly act: () => void;
}

export class ManualClock implements StoreClock {
  #now = 1000;
  readonly #waiting = new Set<Waiting>();

  now(): number {
    return this.#now;
  }

  after(ms: number, act: () => void): () => void {
    const waiting = { at: this.#now + ms, act };
    this.#waiting.add(waiting);
    return () => this.#waiting.delete(waiting);
  }

  /** Time passes; what waited for it happens in order, and what follows from it. */
  async pass(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      const [next] = [...this.#waiting].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.#waiting.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.act();
      await settle();
    }
    this.#now = end;
    await settle();
  }
}
