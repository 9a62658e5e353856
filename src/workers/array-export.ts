/** An array as the NBD server's back end: the I/O path of one worker, with NBD's words for it. */

import {
  type BlockExtent,
  type Completion,
  type ExportBackend,
  type MetadataContext,
  NBD_ENOTSUP,
} from "../nbd/export-backend.ts";
import type { ArrayIo } from "../raid/io-driver.ts";
import { BIT_DURABLE } from "../raid/shared-state.ts";

/** Ranges are prefetched in pieces of this size. */
const PIECE_BYTES = 1024 * 1024;
/** Ranges are zeroed in pieces of this size: they hold their regions no longer than a big write. */
const ZERO_PIECE_BYTES = 32 * PIECE_BYTES;
/** A prefetch hint reads at most this much. Choice: a hint must not flood the members. */
const PREFETCH_MAX_BYTES = 8 * PIECE_BYTES;

/** Where an export finds its array: another I/O path after each change of the array. */
export interface ExportedArray {
  readonly io: ArrayIo;
  readonly hasBitmap: boolean;
  /** Runs the request, now or once a change under way is done. */
  submit(request: (io: ArrayIo) => void): void;
}

export class ArrayExport implements ExportBackend {
  readonly readOnly: boolean;
  readonly #array: ExportedArray;
  #scratch: Uint8Array | null = null;

  constructor(array: ExportedArray, options: { readonly readOnly: boolean }) {
    this.#array = array;
    this.readOnly = options.readOnly;
  }

  get sizeBytes(): number {
    return this.#array.io.sizeBytes;
  }

  read(target: Uint8Array, offset: number, complete: Completion): void {
    this.#array.submit((io) => io.read(target, offset, complete));
  }

  write(source: readonly Uint8Array[], offset: number, fua: boolean, complete: Completion): void {
    this.#array.submit((io) => io.write(source, offset, fua, complete));
  }

  flush(complete: Completion): void {
    this.#array.submit((io) => io.flush(complete));
  }

  /**
   * The range reads as zeroes afterwards where every member can give its space back; elsewhere the
   * hint is not taken, and the content stays.
   */
  trim(offset: number, lengthBytes: number, fua: boolean, complete: Completion): void {
    if (this.#array.io.punches)
      return this.#zero(offset, lengthBytes, { mayUnmap: true, fua }, complete);
    if (fua) this.flush(complete);
    else complete(0);
  }

  writeZeroes(
    offset: number,
    lengthBytes: number,
    options: { readonly fua: boolean; readonly mayPunch: boolean; readonly fast: boolean },
    complete: Completion,
  ): void {
    const { fua, mayPunch, fast } = options;
    if (fast && !(mayPunch && this.#array.io.punches)) return complete(NBD_ENOTSUP);
    this.#zero(offset, lengthBytes, { mayUnmap: mayPunch, fua }, complete);
  }

  #zero(
    offset: number,
    lengthBytes: number,
    options: { readonly mayUnmap: boolean; readonly fua: boolean },
    complete: Completion,
  ): void {
    const end = offset + lengthBytes;
    const step = (at: number): void => {
      const length = Math.min(ZERO_PIECE_BYTES, end - at);
      const fua = options.fua && at + length >= end;
      this.#array.submit((io) =>
        io.zero(at, length, { mayUnmap: options.mayUnmap, fua }, (errno) => {
          if (errno !== 0 || at + length >= end) complete(errno);
          else queueMicrotask(() => step(at + length));
        }),
      );
    };
    step(offset);
  }

  cache(offset: number, lengthBytes: number, complete: Completion): void {
    const end = offset + Math.min(lengthBytes, PREFETCH_MAX_BYTES);
    this.#scratch ??= new Uint8Array(PIECE_BYTES);
    const scratch = this.#scratch;
    const step = (at: number): void => {
      const length = Math.min(PIECE_BYTES, end - at);
      this.read(scratch.subarray(0, length), at, (errno) => {
        if (errno !== 0 || at + length >= end) complete(errno);
        else queueMicrotask(() => step(at + length));
      });
    };
    step(offset);
  }

  blockStatus(
    context: MetadataContext,
    offset: number,
    lengthBytes: number,
    extentsMax: number,
  ): readonly BlockExtent[] {
    if (context === "base:allocation" || !this.#array.hasBitmap) {
      // Every sector of a mirror is allocated; without a bitmap nothing is known to be dirty.
      return [{ lengthBytes, flags: 0 }];
    }
    return this.#dirtyExtents(offset, lengthBytes, extentsMax);
  }

  /** Runs of chunks whose write-intent bit is set (flag 1) or clear (0). */
  #dirtyExtents(offset: number, lengthBytes: number, extentsMax: number): readonly BlockExtent[] {
    const { state } = this.#array.io;
    const { chunkBytes } = state.shape;
    const end = offset + lengthBytes;
    const extents: BlockExtent[] = [];
    let from = offset;
    let flags = state.bit(Math.floor(from / chunkBytes)) === BIT_DURABLE ? 1 : 0;
    for (let at = from; at < end; ) {
      const next = Math.min((Math.floor(at / chunkBytes) + 1) * chunkBytes, end);
      const following =
        next < end && state.bit(Math.floor(next / chunkBytes)) === BIT_DURABLE ? 1 : 0;
      if (next === end || following !== flags) {
        extents.push({ lengthBytes: next - from, flags });
        if (extents.length === extentsMax) return extents;
        from = next;
        flags = following;
      }
      at = next;
    }
    return extents;
  }
}
