/**
 * The bad blocks of one leg as all threads see them: ranges in bytes behind the member's data
 * offset, in shared memory. The array thread writes it; readers take a copy of a moment.
 *
 * A sequence word makes a moment out of many words: odd while the writer is at work, changed by
 * every change; a reader that saw it change reads again.
 */

import { BAD_BLOCKS_MAX } from "./bad-blocks.ts";

/** `[from, to)` in bytes behind the data offset. */
export type BadRange = readonly [from: number, to: number];

const SEQUENCE = 0;
const COUNT = 1;
const HEAD_BYTES = 64;
/** Bytes of one table in the shared buffer. */
export const BAD_BLOCK_TABLE_BYTES = HEAD_BYTES + BAD_BLOCKS_MAX * 16;

export class BadBlockTable {
  readonly #head: Int32Array;
  readonly #bounds: Float64Array;

  constructor(buffer: SharedArrayBuffer, at: number) {
    this.#head = new Int32Array(buffer, at, 2);
    this.#bounds = new Float64Array(buffer, at + HEAD_BYTES, BAD_BLOCKS_MAX * 2);
  }

  /** Entries; nearly always 0, which is all that the fast path asks. */
  get count(): number {
    return Atomics.load(this.#head, COUNT);
  }

  /** Array thread only: at most 512 ranges, ascending, apart from each other. */
  set(ranges: readonly BadRange[]): void {
    Atomics.add(this.#head, SEQUENCE, 1);
    ranges.forEach(([from, to], index) => {
      this.#bounds[index * 2] = from;
      this.#bounds[index * 2 + 1] = to;
    });
    Atomics.store(this.#head, COUNT, ranges.length);
    Atomics.add(this.#head, SEQUENCE, 1);
  }

  /** The ranges that touch `[from, from + length)`, clipped to it, ascending. */
  within(from: number, length: number): BadRange[] {
    if (this.count === 0) return [];
    for (;;) {
      const before = Atomics.load(this.#head, SEQUENCE);
      const found: BadRange[] = [];
      const count = this.count;
      for (let index = 0; index < count; index++) {
        const start = this.#bounds[index * 2] ?? 0;
        const end = this.#bounds[index * 2 + 1] ?? 0;
        if (start < from + length && from < end)
          found.push([Math.max(start, from), Math.min(end, from + length)]);
      }
      if ((before & 1) === 0 && Atomics.load(this.#head, SEQUENCE) === before) return found;
    }
  }

  touches(from: number, length: number): boolean {
    return this.count > 0 && this.within(from, length).length > 0;
  }
}
