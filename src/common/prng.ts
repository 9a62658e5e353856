/**
 * A seeded generator of pseudo-random integers: the same seed gives the same run on every machine.
 * For tests, simulation and fault layers; not for keys or tokens.
 *
 * xoshiro128** 1.1 with its state filled by splitmix32 from one 32-bit seed.
 * Source: https://prng.di.unimi.it/ (xoshiro128starstar.c); splitmix32: measured, by the
 * bit-balance and distinct-seed tests of test/unit/common/prng.test.ts.
 */
import { assert } from "./assert.ts";

const U32_RANGE = 0x1_0000_0000;
const SAFE_RANGE = Number.MAX_SAFE_INTEGER;

export class Prng {
  readonly seed: number;
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  /** `seed` is an integer in [0, 2^32). */
  constructor(seed: number) {
    assert(Number.isInteger(seed) && seed >= 0 && seed < U32_RANGE, `seed ${seed} is not a u32`);
    this.seed = seed;
    this.#a = splitmix32(seed, 1);
    this.#b = splitmix32(seed, 2);
    this.#c = splitmix32(seed, 3);
    this.#d = splitmix32(seed, 4);
    // All zero is the one state that xoshiro never leaves; splitmix32 gives zero once in 2^32.
    assert((this.#a | this.#b | this.#c | this.#d) !== 0, "the state of a generator is all zero");
  }

  /** An integer in [0, 2^32). */
  u32(): number {
    const result = Math.imul(rotateLeft(Math.imul(this.#b, 5), 7), 9) >>> 0;
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = rotateLeft(this.#d, 11);
    return result;
  }

  /** An integer in [0, n), each equally likely; n in [1, 2^53 - 1]. */
  below(n: number): number {
    assert(Number.isSafeInteger(n) && n >= 1, `below(${n}) has no values`);
    const wide = n > U32_RANGE;
    // 2^53 itself is not a safe integer, so the wide draw has 2^53 - 1 values: its top is redrawn.
    const range = wide ? SAFE_RANGE : U32_RANGE;
    const limit = range - (range % n);
    for (;;) {
      const draw = wide ? (this.u32() >>> 11) * U32_RANGE + this.u32() : this.u32();
      if (draw < limit) return draw % n;
    }
  }

  /** An integer in [lo, hi). */
  between(lo: number, hi: number): number {
    return lo + this.below(hi - lo);
  }

  /** True in `numerator` of `denominator` cases. */
  chance(numerator: number, denominator: number): boolean {
    return this.below(denominator) < numerator;
  }

  /** One of the items, each equally likely; there must be one. */
  pick<T>(items: readonly T[]): T {
    assert(items.length > 0, "pick from an empty list");
    return items[this.below(items.length)] as T;
  }

  /** Shuffles `items` in place, every order equally likely, and returns it. */
  shuffle<T>(items: T[]): T[] {
    for (let last = items.length - 1; last > 0; last -= 1) {
      const other = this.below(last + 1);
      const item = items[last] as T;
      items[last] = items[other] as T;
      items[other] = item;
    }
    return items;
  }

  /** Fills `target` with random bytes and returns it. */
  fill(target: Uint8Array): Uint8Array {
    let word = 0;
    for (let at = 0; at < target.length; at += 1) {
      word = at % 4 === 0 ? this.u32() : word >>> 8;
      target[at] = word & 0xff;
    }
    return target;
  }

  /** `length` random bytes. */
  bytes(length: number): Uint8Array {
    return this.fill(new Uint8Array(length));
  }

  /** A generator of its own, seeded from this one: drawing from it does not disturb this one. */
  fork(): Prng {
    return new Prng(this.u32());
  }
}

/** The `step`-th output of splitmix32 from `seed`; different steps of one seed differ. */
function splitmix32(seed: number, step: number): number {
  const mix = (seed + Math.imul(step, 0x9e37_79b9)) >>> 0;
  let word = Math.imul(mix ^ (mix >>> 16), 0x21f0_aaad);
  word = Math.imul(word ^ (word >>> 15), 0x735a_2d97);
  return word ^ (word >>> 15);
}

function rotateLeft(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}
