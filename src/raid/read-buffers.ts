/**
 * Buffers of reads that are waited for, kept for the next ones. A buffer comes back only from a
 * read that succeeded: what a leg still owes may be written into it at any time.
 */

/** Smallest and largest buffer that is kept, bytes; sizes are powers of two. */
const SMALLEST = 4096;
const LARGEST = 1024 * 1024;
/** Bytes kept of each size. Choice: a full queue of small reads, a few large ones. */
const KEPT_BYTES = 2 * 1024 * 1024;

export class ReadBuffers {
  readonly #free = new Map<number, Uint8Array[]>();

  /** A buffer of exactly `length` bytes; holds anything. */
  take(length: number): Uint8Array {
    if (length > LARGEST) return new Uint8Array(length);
    const size = Math.max(SMALLEST, 2 ** Math.ceil(Math.log2(length)));
    const whole = this.#free.get(size)?.pop() ?? new Uint8Array(size);
    return whole.length === length ? whole : new Uint8Array(whole.buffer, 0, length);
  }

  /** AFTER the last use of a buffer that `take` gave. */
  give(buffer: Uint8Array): void {
    const size = buffer.buffer.byteLength;
    if (size > LARGEST) return;
    const free = this.#free.get(size) ?? [];
    this.#free.set(size, free);
    if (free.length * size < KEPT_BYTES) free.push(new Uint8Array(buffer.buffer));
  }
}
