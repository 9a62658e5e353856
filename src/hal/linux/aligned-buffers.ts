/**
 * Memory for direct I/O: each buffer begins on a page. Kept for the next call, because new memory
 * has to be cleared and faulted in first.
 */

import type { NativeLibrary } from "./native-library.ts";

/** Largest buffer there is, bytes; sizes are powers of two from a page up. */
export const ALIGNED_BYTES_MAX = 1024 * 1024;
/** Bytes kept of each size. Choice: a full queue of small calls, a few large ones. */
const KEPT_BYTES = 2 * 1024 * 1024;

export class AlignedBuffers {
  /** What every buffer begins at a multiple of, bytes. */
  readonly pageBytes: number;
  readonly #addressOf: NativeLibrary["addressOf"];
  readonly #free = new Map<number, Uint8Array<ArrayBuffer>[]>();

  constructor({ addressOf, pageBytes }: NativeLibrary) {
    this.#addressOf = addressOf;
    this.pageBytes = pageBytes;
  }

  /** A buffer of `length` bytes, at most ALIGNED_BYTES_MAX; holds anything. */
  take(length: number): Uint8Array<ArrayBuffer> {
    const size = Math.max(this.pageBytes, 2 ** Math.ceil(Math.log2(length)));
    const whole = this.#free.get(size)?.pop() ?? this.#make(size);
    return whole.length === length ? whole : whole.subarray(0, length);
  }

  /** AFTER the last use of a buffer that `take` gave, by the kernel too. */
  give({ buffer, byteOffset }: Uint8Array<ArrayBuffer>): void {
    const size = buffer.byteLength - this.pageBytes;
    const free = this.#free.get(size) ?? [];
    this.#free.set(size, free);
    if (free.length * size < KEPT_BYTES) free.push(new Uint8Array(buffer, byteOffset, size));
  }

  #make(size: number): Uint8Array<ArrayBuffer> {
    const memory = new ArrayBuffer(size + this.pageBytes);
    const over = this.#addressOf(memory) % this.pageBytes;
    return new Uint8Array(memory, over === 0 ? 0 : this.pageBytes - over, size);
  }
}
