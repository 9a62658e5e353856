/** Comparing the copies of one run of array bytes: what differs, where, and what stands. */

import { assert } from "../common/assert.ts";
import type { ArrayRange } from "./array-messages.ts";

/** Differences are counted in whole units of this size. Source: md counts 64 KiB sync requests. */
const COUNT_BYTES = 64 * 1024;
/** Differing ranges are told in units of this size, and votes are taken by it. Choice: a page. */
const RANGE_BYTES = 4096;

/** Whether two runs of bytes are equal: the caller's fastest way to tell. */
export type SameBytes = (a: Uint8Array, b: Uint8Array) => boolean;

export class CopyComparison {
  readonly #same: SameBytes;
  /** Every copy that could be read, in md's order; of one length. */
  readonly #copies: readonly Uint8Array[];
  #isDiffering: boolean | null = null;

  constructor(copies: readonly Uint8Array[], same: SameBytes) {
    this.#copies = copies;
    this.#same = same;
  }

  get #first(): Uint8Array {
    const [first] = this.#copies;
    assert(first !== undefined, "a comparison needs a copy");
    return first;
  }

  get isDiffering(): boolean {
    this.#isDiffering ??= this.#copies.some((copy) => !this.#same(copy, this.#first));
    return this.#isDiffering;
  }

  /** Bytes of the 64 KiB units that differ from the first copy, for each of the others. */
  get differingBytes(): number {
    if (!this.isDiffering) return 0;
    const { length } = this.#first;
    let differing = 0;
    for (const copy of this.#copies) {
      if (this.#same(copy, this.#first)) continue;
      for (let at = 0; at < length; at += COUNT_BYTES) {
        const end = Math.min(at + COUNT_BYTES, length);
        if (!this.#sameAt(copy, this.#first, at, end)) differing += end - at;
      }
    }
    return differing;
  }

  /** Where any copy differs from the first, in pages, neighbours joined; from the run's start. */
  get differingRanges(): ArrayRange[] {
    if (!this.isDiffering) return [];
    const { length } = this.#first;
    const ranges: { offset: number; length: number }[] = [];
    for (let at = 0; at < length; at += RANGE_BYTES) {
      const end = Math.min(at + RANGE_BYTES, length);
      if (this.#copies.every((copy) => this.#sameAt(copy, this.#first, at, end))) continue;
      const last = ranges.at(-1);
      if (last !== undefined && last.offset + last.length === at) last.length += end - at;
      else ranges.push({ offset: at, length: end - at });
    }
    return ranges;
  }

  /**
   * Page by page what most copies hold; of equals the earliest copy, which is md's choice. The
   * first copy itself when all agree, or there are but two.
   */
  majority(): Uint8Array {
    const ranges = this.#copies.length < 3 ? [] : this.differingRanges;
    if (ranges.length === 0) return this.#first;
    const winner = this.#first.slice();
    for (const range of ranges) {
      for (let at = range.offset; at < range.offset + range.length; at += RANGE_BYTES) {
        const end = Math.min(at + RANGE_BYTES, range.offset + range.length);
        winner.set(this.#favourite(at, end).subarray(at, end), at);
      }
    }
    return winner;
  }

  #favourite(from: number, end: number): Uint8Array {
    let best = this.#first;
    let bestVotes = 0;
    for (const candidate of this.#copies) {
      const votes = this.#copies.filter((copy) => this.#sameAt(candidate, copy, from, end)).length;
      if (votes <= bestVotes) continue;
      best = candidate;
      bestVotes = votes;
    }
    return best;
  }

  #sameAt(a: Uint8Array, b: Uint8Array, from: number, end: number): boolean {
    return this.#same(a.subarray(from, end), b.subarray(from, end));
  }
}
