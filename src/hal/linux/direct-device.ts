/**
 * A member read and written past the page cache (O_DIRECT), by a second descriptor of its file.
 * Everything else is the file's own: zeroing, holes, flushes. A direct write is durable AFTER a
 * flush, like any other: the drive has a cache, and the file system a journal.
 *
 * The kernel takes whole blocks in memory that begins on a page: every call goes through a buffer
 * of ours, and a write of part of a block reads that block first (block-turns.ts).
 *
 * Other threads use the same member through the page cache. The kernel keeps both in step as long
 * as nobody writes a page through the cache while a part of it is written directly; so what is
 * opened for direct I/O is a range that shares no page with anything else, and whoever writes in it
 * holds the array's regions, which are whole pages too.
 * Source: open(2), O_DIRECT; mm/filemap.c kiocb_invalidate_pages.
 */

import * as fs from "node:fs";
import { CodedError } from "../../common/errors.ts";
import { gatherPieces, piecesLength } from "../../common/pieces.ts";
import type { AllocationRun, BlockDevice } from "../block-device.ts";
import { ALIGNED_BYTES_MAX } from "./aligned-buffers.ts";
import { type BlockTurn, BlockTurns } from "./block-turns.ts";
import type { FileBlockDevice } from "./file-block-device.ts";
import { checkCall, errnoOf, ioError, shortError } from "./file-errors.ts";
import { FileTransfers } from "./file-transfers.ts";
import { loadNativeIo, type NativeIo } from "./native-io.ts";
import { POOL_CALLS_MAX, Turnstile } from "./turnstile.ts";

export interface DirectOptions {
  /**
   * Bytes of the device that only whoever holds the array's regions writes. Nothing else may be
   * read or written by the device.
   */
  readonly range: { readonly from: number; readonly to: number };
  /** Where the native calls come from; `loadNativeIo` unless told otherwise. */
  readonly nativeIo?: () => Promise<NativeIo | null>;
}

const notDirect = (path: string, why: string, remedy: string): CodedError =>
  new CodedError("HAL_NOT_DIRECT", `${path}: used through the page cache, ${why}`, {
    remedy,
    details: { path },
  });

/** The smallest blocks that the descriptor takes directly, found by reading one; null: none. */
const findBlockBytes = async (
  fd: number,
  smallest: number,
  native: NativeIo,
): Promise<number | null> => {
  const buffer = native.buffers.take(native.buffers.pageBytes);
  try {
    for (let bytes = smallest; bytes <= buffer.length; bytes *= 2) {
      const errno = await new Promise<string | null>((resolve) => {
        fs.read(fd, buffer, 0, bytes, bytes, (error) =>
          resolve(error === null ? null : errnoOf(error)),
        );
      });
      // Another error is the device's, for whoever reads it.
      if (errno !== "EINVAL") return bytes;
    }
    return null;
  } finally {
    native.buffers.give(buffer);
  }
};

/** Opens it and finds its block size. Errors: HAL_NOT_DIRECT. */
const openDirectly = async (
  file: FileBlockDevice,
  native: NativeIo,
): Promise<{ readonly fd: number; readonly blockBytes: number }> => {
  const remedy = "put the member on a file system or device that has O_DIRECT";
  let fd: number;
  try {
    fd = file.openAgain(fs.constants.O_DIRECT);
  } catch (error) {
    throw notDirect(file.name, `it cannot be opened with O_DIRECT (${errnoOf(error)})`, remedy);
  }
  const blockBytes = await findBlockBytes(fd, file.logicalBlockSize, native);
  if (blockBytes !== null) return { fd, blockBytes };
  fs.closeSync(fd);
  throw notDirect(file.name, "it takes no blocks of a page with O_DIRECT", remedy);
};

export class DirectDevice implements BlockDevice {
  readonly sync = null;
  readonly #file: FileBlockDevice;
  readonly #fd: number;
  readonly #native: NativeIo;
  readonly #blockBytes: number;
  readonly #transfers: FileTransfers;
  readonly #turns = new BlockTurns();
  #isOpen = true;

  private constructor(file: FileBlockDevice, fd: number, blockBytes: number, native: NativeIo) {
    this.#file = file;
    this.#fd = fd;
    this.#native = native.use();
    this.#blockBytes = blockBytes;
    this.#transfers = new FileTransfers(fd, native, new Turnstile(POOL_CALLS_MAX));
  }

  /** Takes the file over, which closes with it. Errors: HAL_NOT_DIRECT; the file is kept. */
  static async over(file: FileBlockDevice, options: DirectOptions): Promise<DirectDevice> {
    const native = await (options.nativeIo ?? loadNativeIo)();
    if (native === null) {
      const remedy = "install the optional package koffi";
      throw notDirect(file.name, "the native addon cannot be loaded", remedy);
    }
    const { pageBytes } = native.buffers;
    const { from, to } = options.range;
    if (from % pageBytes !== 0 || to % pageBytes !== 0 || to > file.sizeBytes) {
      const why = `its data does not begin and end at multiples of ${pageBytes} bytes`;
      throw notDirect(file.name, why, "make the member anew, with another data offset or size");
    }
    const { fd, blockBytes } = await openDirectly(file, native);
    return new DirectDevice(file, fd, blockBytes, native);
  }

  get name(): string {
    return this.#file.name;
  }

  get sizeBytes(): number {
    return this.#file.sizeBytes;
  }

  get logicalBlockSize(): number {
    return this.#file.logicalBlockSize;
  }

  get readOnly(): boolean {
    return this.#file.readOnly;
  }

  get punches(): boolean {
    return this.#file.punches;
  }

  get zeroesFast(): boolean {
    return this.#file.zeroesFast;
  }

  async read(target: Uint8Array, offset: number): Promise<void> {
    checkCall(this, this.#isOpen, target.length, offset, false);
    for (let at = 0; at < target.length; ) {
      const length = pieceLength(offset + at, target.length - at);
      const piece = length === target.length ? target : target.subarray(at, at + length);
      await this.#readPiece(piece, offset + at);
      at += length;
    }
  }

  async #readPiece(target: Uint8Array, offset: number): Promise<void> {
    const from = this.#blockBefore(offset);
    const buffer = this.#native.buffers.take(this.#blockAfter(offset + target.length) - from);
    try {
      await this.#move("read", buffer, from);
      target.set(
        buffer.length === target.length
          ? buffer
          : buffer.subarray(offset - from, offset - from + target.length),
      );
    } finally {
      this.#native.buffers.give(buffer);
    }
  }

  async write(source: readonly Uint8Array[], offset: number): Promise<void> {
    const total = piecesLength(source);
    checkCall(this, this.#isOpen, total, offset, true);
    for (let at = 0; at < total; ) {
      const length = pieceLength(offset + at, total - at);
      const start = offset + at;
      const turn = this.#turns.enter(this.#blockBefore(start), this.#blockAfter(start + length));
      try {
        if (turn.comes !== null) await turn.comes;
        await this.#writePiece(source, at, { start, end: start + length }, turn);
      } finally {
        this.#turns.leave(turn);
      }
      at += length;
    }
  }

  /** Writes bytes of the device, the source's from its byte `skip` on, in these blocks. */
  async #writePiece(
    source: readonly Uint8Array[],
    skip: number,
    { start, end }: { readonly start: number; readonly end: number },
    { from, to }: BlockTurn,
  ): Promise<void> {
    const last = to - this.#blockBytes;
    const buffer = this.#native.buffers.take(to - from);
    try {
      if (from < start) await this.#move("read", buffer.subarray(0, this.#blockBytes), from);
      const hasLast = from < start && last === from;
      if (end < to && !hasLast) await this.#move("read", buffer.subarray(last - from), last);
      const isAligned = from === start && to === end;
      gatherPieces(source, skip, isAligned ? buffer : buffer.subarray(start - from, end - from));
      await this.#move("write", buffer, from);
    } finally {
      this.#native.buffers.give(buffer);
    }
  }

  #move(call: "read" | "write", buffer: Uint8Array, offset: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#transfers.start(call, buffer, offset, (error, isWhole) => {
        if (error !== null) reject(ioError(call, this.name, error));
        else if (isWhole) resolve();
        else reject(shortError(this.name));
      });
    });
  }

  /** The file zeroes whole pages; what is left of a page at either end is written. */
  async zero(offset: number, length: number, mayUnmap: boolean): Promise<void> {
    checkCall(this, this.#isOpen, length, offset, true);
    const { pageBytes } = this.#native.buffers;
    const end = offset + length;
    const from = Math.min(Math.ceil(offset / pageBytes) * pageBytes, end);
    const to = Math.max(Math.floor(end / pageBytes) * pageBytes, from);
    if (offset < from) await this.write([new Uint8Array(from - offset)], offset);
    if (from < to) await this.#file.zero(from, to - from, mayUnmap);
    if (to < end) await this.write([new Uint8Array(end - to)], to);
  }

  allocation(offset: number, length: number): Promise<readonly AllocationRun[]> {
    return this.#file.allocation(offset, length);
  }

  flush(): Promise<void> {
    return this.#file.flush();
  }

  measure(): void {
    this.#file.measure();
  }

  async close(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#native.release();
    fs.closeSync(this.#fd);
    await this.#file.close();
  }

  #blockBefore(offset: number): number {
    return offset - (offset % this.#blockBytes);
  }

  #blockAfter(offset: number): number {
    return Math.ceil(offset / this.#blockBytes) * this.#blockBytes;
  }
}

/** Up to where buffers end: at multiples of their largest size. */
const pieceLength = (offset: number, length: number): number =>
  Math.min(ALIGNED_BYTES_MAX - (offset % ALIGNED_BYTES_MAX), length);
