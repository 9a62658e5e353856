/** An array as the NBD server's back end: the I/O path of one worker, with NBD's words for it. */

import { NBD_STATE_HOLE, NBD_STATE_ZERO, SATSUMA_STATE_DIRTY } from "../nbd/constants.ts";
import {
  type BlockExtent,
  type Completion,
  type ExportBackend,
  type ExtentsCompletion,
  type MetadataContext,
  NBD_ENOTSUP,
} from "../nbd/export-backend.ts";
import { ExtentList } from "../nbd/extent-list.ts";
import type { ArrayIo } from "../raid/io-driver.ts";
import { BIT_CLEAN } from "../raid/shared-state.ts";

/** Ranges are prefetched in pieces of this size. */
const PIECE_BYTES = 1024 * 1024;
/**
 * Ranges are zeroed in pieces that meet at multiples of this, so that every page in between gives
 * its space back whole. A piece holds its regions no longer than a big write does.
 */
const ZERO_PIECE_BYTES = 32 * PIECE_BYTES;
/**
 * Questions to the array for one answer about its allocation, of up to 64 runs each. Choice: an
 * answer is a few milliseconds away even when the members are shredded; the client asks on.
 */
const ALLOCATION_ASKS_MAX = 4;
/** A prefetch hint reads at most this much. Choice: a hint must not flood the members. */
const PREFETCH_MAX_BYTES = 8 * PIECE_BYTES;

/** Where an export finds its array: another I/O path after each change of the array. */
export interface ExportedArray {
  readonly io: ArrayIo;
  /** The I/O path when requests may go to it at once, else null: use `submit`. */
  readonly ready: ArrayIo | null;
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
    const { ready } = this.#array;
    if (ready !== null) ready.read(target, offset, complete);
    else this.#array.submit((io) => io.read(target, offset, complete));
  }

  write(source: readonly Uint8Array[], offset: number, fua: boolean, complete: Completion): void {
    const { ready } = this.#array;
    if (ready !== null) ready.write(source, offset, fua, complete);
    else this.#array.submit((io) => io.write(source, offset, fua, complete));
  }

  flush(complete: Completion): void {
    this.#array.submit((io) => io.flush(complete));
  }

  /**
   * The range reads as zeroes afterwards where every member can give its space back; elsewhere the
   * hint is not taken, and the content stays.
   */
  trim(offset: number, lengthBytes: number, fua: boolean, complete: Completion): void {
    this.#array.submit((io) => {
      if (io.punches) this.#zero(offset, lengthBytes, { mayUnmap: true, fua }, complete);
      else if (fua) io.flush(complete);
      else complete(0);
    });
  }

  writeZeroes(
    offset: number,
    lengthBytes: number,
    options: { readonly fua: boolean; readonly mayPunch: boolean; readonly fast: boolean },
    complete: Completion,
  ): void {
    const { fua, mayPunch, fast } = options;
    this.#array.submit((io) => {
      if (fast && !io.zeroesFast(mayPunch)) complete(NBD_ENOTSUP);
      else this.#zero(offset, lengthBytes, { mayUnmap: mayPunch, fua }, complete);
    });
  }

  /** One piece after the other; the flush after the last one covers them all. */
  #zero(
    offset: number,
    lengthBytes: number,
    options: { readonly mayUnmap: boolean; readonly fua: boolean },
    complete: Completion,
  ): void {
    const end = offset + lengthBytes;
    const step = (at: number): void => {
      const length = Math.min(ZERO_PIECE_BYTES - (at % ZERO_PIECE_BYTES), end - at);
      const fua = options.fua && at + length === end;
      this.#array.submit((io) =>
        io.zero(at, length, { mayUnmap: options.mayUnmap, fua }, (errno) => {
          if (errno !== 0 || at + length === end) complete(errno);
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
    complete: ExtentsCompletion,
  ): void {
    const end = offset + lengthBytes;
    if (context === "base:allocation") this.#allocation(offset, end, extentsMax, complete);
    else if (this.#array.hasBitmap) complete(0, this.#dirtyExtents(offset, end, extentsMax));
    // Without a bitmap nothing is known to be dirty.
    else complete(0, [{ lengthBytes, flags: 0 }]);
  }

  /** Asks on until the answer is full, the range ends or enough was asked. */
  #allocation(offset: number, end: number, extentsMax: number, complete: ExtentsCompletion): void {
    const extents = new ExtentList(extentsMax);
    const ask = (at: number, asksLeft: number): void => {
      this.#array.submit((io) =>
        io.allocation(at, end - at, (errno, runs) => {
          if (errno !== 0 && at === offset) return complete(errno, []);
          let to = at;
          for (const { length, isHole } of runs) {
            const flags = isHole ? NBD_STATE_HOLE | NBD_STATE_ZERO : 0;
            if (!extents.add(length, flags)) return complete(0, extents.list);
            to += length;
          }
          if (to === at || to === end || asksLeft === 1) complete(0, extents.list);
          else ask(to, asksLeft - 1);
        }),
      );
    };
    ask(offset, ALLOCATION_ASKS_MAX);
  }

  /** Runs of chunks whose write-intent bit is set (flag 1) or clear (0). */
  #dirtyExtents(offset: number, end: number, extentsMax: number): readonly BlockExtent[] {
    const { state } = this.#array.io;
    const { chunkBytes } = state.shape;
    const extents = new ExtentList(extentsMax);
    for (let at = offset; at < end; ) {
      const chunk = Math.floor(at / chunkBytes);
      const next = Math.min((chunk + 1) * chunkBytes, end);
      const flags = state.bit(chunk) === BIT_CLEAN ? 0 : SATSUMA_STATE_DIRTY;
      if (!extents.add(next - at, flags)) break;
      at = next;
    }
    return extents.list;
  }
}
