/**
 * Simulated time: everything that takes time is an event at a time of its own, and the seed decides
 * how long each thing takes. Between two events all promise callbacks run to rest.
 *
 * An event may belong to a life, one start of a node: it waits while the node is frozen, and never
 * comes when the node has died. What a disk or a store does with a request belongs to nobody: it
 * happens whatever becomes of the sender.
 */

import type { StoreClock } from "../../../src/cluster/store/store-clock.ts";
import { assert } from "../../../src/common/assert.ts";
import type { Prng } from "../../../src/common/prng.ts";

/** One start of a node, from its boot to its death. */
export interface Life {
  isDead: boolean;
  /** Nothing happens on the node before. */
  frozenUntil: number;
}

interface Event {
  at: number;
  readonly order: number;
  readonly life: Life | null;
  readonly act: () => void;
  isCancelled: boolean;
}

/** How long things take, milliseconds: mostly the first, one in so many times up to the last. */
export interface Delay {
  readonly usual: number;
  readonly oneIn: number;
  readonly most: number;
}

/** The event loop is heard once in so many events: time limits and rejections come through it. */
const TURNS_AT_ONCE = 256;

export class Timeline {
  readonly #prng: Prng;
  readonly #heap: Event[] = [];
  #order = 0;
  now = 0;
  /** Events that have happened. */
  turns = 0;

  constructor(prng: Prng) {
    this.#prng = prng;
  }

  /** Acts after so many milliseconds; what it returns takes that back. */
  after(ms: number, life: Life | null, act: () => void): () => void {
    const event = { at: this.now + ms, order: this.#order++, life, act, isCancelled: false };
    this.#push(event);
    return () => {
      event.isCancelled = true;
    };
  }

  /** A time that something takes. */
  draw({ usual, oneIn, most }: Delay): number {
    const part = this.#prng.below(1000) / 1000;
    return this.#prng.below(oneIn) === 0 ? usual + part * (most - usual) : part * usual;
  }

  /** Resolves after a time drawn; never when the life ends before. */
  turn(delay: Delay, life: Life | null): Promise<void> {
    return new Promise((resolve) => void this.after(this.draw(delay), life, resolve));
  }

  /**
   * Events one after the other, each with all that follows from it at once, until `isOver` says so,
   * which is asked between them. Rejects with what an event or `isOver` throws.
   */
  run(isOver: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const next = (): void => {
        try {
          if (isOver()) return resolve();
          this.#step();
        } catch (error) {
          return reject(error);
        }
        if (this.turns % TURNS_AT_ONCE === 0) setImmediate(later);
        else process.nextTick(later);
      };
      // Ticks come after all promise callbacks have run, but before those that ticks have added:
      // so the next event is one of these, and nothing that is simulated waits for anything else.
      const later = (): void => queueMicrotask(next);
      later();
    });
  }

  #step(): void {
    for (;;) {
      const event = this.#pop();
      assert(event !== null, "something is always to come");
      if (event.isCancelled || event.life?.isDead === true) continue;
      this.now = Math.max(this.now, event.at);
      if (event.life !== null && event.life.frozenUntil > this.now) {
        event.at = event.life.frozenUntil;
        this.#push(event);
        continue;
      }
      this.turns++;
      event.act();
      return;
    }
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const other = heap[parent] as Event;
      if (!isBefore(event, other)) break;
      heap[at] = other;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): Event | null {
    const heap = this.#heap;
    const [first] = heap;
    const last = heap.pop();
    if (first === undefined || last === undefined) return null;
    if (heap.length > 0) this.#sink(last);
    return first;
  }

  #sink(event: Event): void {
    const heap = this.#heap;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      const right = heap[child + 1];
      if (right !== undefined && isBefore(right, heap[child] as Event)) child++;
      if (!isBefore(heap[child] as Event, event)) break;
      heap[at] = heap[child] as Event;
      at = child;
    }
    heap[at] = event;
  }
}

const isBefore = (one: Event, other: Event): boolean =>
  one.at < other.at || (one.at === other.at && one.order < other.order);

/** A node's monotonic clock: it runs a little too fast or too slow. */
export class NodeClock implements StoreClock {
  readonly #timeline: Timeline;
  readonly #life: Life;
  readonly #rate: number;
  readonly #zero: number;

  constructor(timeline: Timeline, life: Life, rate: number, zero: number) {
    this.#timeline = timeline;
    this.#life = life;
    this.#rate = rate;
    this.#zero = zero;
  }

  now(): number {
    return this.#zero + this.#timeline.now * this.#rate;
  }

  after(ms: number, act: () => void): () => void {
    return this.#timeline.after(ms / this.#rate, this.#life, act);
  }
}
