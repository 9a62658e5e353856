/**
 * Exclusive regions of an array, shared by all its threads: whoever changes member data (a write,
 * a resync copy, a read repair) holds the regions it touches, so that overlapping writes reach
 * every leg in the same order and a copy never races a write.
 *
 * One Int32 word per region slot; region r uses slot r modulo the table size (two far regions may
 * share a word, which costs waiting, never correctness). A word is 0 when free, else
 * `(owner + 1) << 20 | CONTENDED? | holds`. An owner that orders its own overlapping requests may
 * hold a region several times. A waiter sets CONTENDED, which stops the owner from entering again,
 * so nobody starves. Nobody waits while holding: `tryAcquire` takes all or nothing.
 */

import { assert } from "../common/assert.ts";

/** Bytes of one region. Choice: as large as a resync piece, small against a bitmap chunk. */
export const REGION_BYTES = 1024 * 1024;
/** Words in the table. Choice: a 32 MiB request covers 33 regions, all of distinct words. */
export const REGION_SLOTS = 1024;

const OWNER_SHIFT = 20;
const CONTENDED = 1 << 19;
const HOLDS_MASK = CONTENDED - 1;

const firstRegion = (offset: number): number => Math.floor(offset / REGION_BYTES);
const lastRegion = (offset: number, length: number): number =>
  Math.floor((offset + Math.max(length, 1) - 1) / REGION_BYTES);

export class RegionLocks {
  readonly #words: Int32Array;
  readonly #owner: number;
  readonly #ordersItself: boolean;

  /**
   * `words`: REGION_SLOTS shared words; `owner`: this thread's number, `0 <= owner < 1000`;
   * `ordersItself`: its own overlapping requests may hold a region together.
   */
  constructor(words: Int32Array, owner: number, ordersItself: boolean) {
    assert(words.length === REGION_SLOTS, "region table size");
    this.#words = words;
    this.#owner = (owner + 1) << OWNER_SHIFT;
    this.#ordersItself = ordersItself;
  }

  /**
   * Takes every region of `[offset, offset + length)`. Returns -1 when taken, else the slot that
   * is held by somebody else (marked CONTENDED, nothing is held): wait for it, then try again.
   */
  tryAcquire(offset: number, length: number): number {
    const first = firstRegion(offset);
    const last = lastRegion(offset, length);
    assert(last - first < REGION_SLOTS, "request spans more regions than the table has");
    for (let region = first; region <= last; region++) {
      const slot = region % REGION_SLOTS;
      if (!this.#enter(slot)) {
        for (let held = first; held < region; held++) this.#leave(held % REGION_SLOTS);
        return slot;
      }
    }
    return -1;
  }

  /** Gives back what `tryAcquire` with the same range took. */
  release(offset: number, length: number): void {
    const last = lastRegion(offset, length);
    for (let region = firstRegion(offset); region <= last; region++) {
      this.#leave(region % REGION_SLOTS);
    }
  }

  /** The shared words, for waiting on them. */
  get words(): Int32Array {
    return this.#words;
  }

  #enter(slot: number): boolean {
    for (;;) {
      const word = Atomics.load(this.#words, slot);
      if (word === 0) {
        if (Atomics.compareExchange(this.#words, slot, 0, this.#owner | 1) === 0) return true;
        continue;
      }
      const mine = word >> OWNER_SHIFT === this.#owner >> OWNER_SHIFT;
      if (mine && this.#ordersItself && (word & CONTENDED) === 0) {
        assert((word & HOLDS_MASK) < HOLDS_MASK - 1, "region hold count overflow");
        if (Atomics.compareExchange(this.#words, slot, word, word + 1) === word) return true;
        continue;
      }
      if ((word & CONTENDED) !== 0) return false;
      if (Atomics.compareExchange(this.#words, slot, word, word | CONTENDED) === word) return false;
    }
  }

  #leave(slot: number): void {
    for (;;) {
      const word = Atomics.load(this.#words, slot);
      assert(word >> OWNER_SHIFT === this.#owner >> OWNER_SHIFT, "release of a region not held");
      const next = (word & HOLDS_MASK) === 1 ? 0 : word - 1;
      if (Atomics.compareExchange(this.#words, slot, word, next) !== word) continue;
      if (next === 0 && (word & CONTENDED) !== 0) Atomics.notify(this.#words, slot);
      return;
    }
  }
}
