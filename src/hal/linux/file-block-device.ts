/**
 * A regular file or a Linux block device as a BlockDevice: page cache, `pread`/`pwrite`, durable by
 * `fdatasync`. The file's size is taken when it is opened, and when it is measured; one that has
 * shrunk since reads short, which is an I/O error like any other.
 */

import * as fs from "node:fs";
import { release } from "node:os";
import { CodedError } from "../../common/errors.ts";
import { piecesLength } from "../../common/pieces.ts";
import type { AllocationRun, BlockDevice, SyncCalls } from "../block-device.ts";
import { type BlockQueue, readBlockQueue } from "./block-queue.ts";
import { checkCall, errnoOf, ioError, shortError } from "./file-errors.ts";
import { FileReads } from "./file-reads.ts";
import { FileSpace } from "./file-space.ts";
import { FileTransfers } from "./file-transfers.ts";
import { claimFile, claimFlags, type MemberClaim } from "./member-claim.ts";
import { loadNativeCalls, type NativeCalls } from "./native-calls.ts";
import { loadNativeIo, type NativeIo } from "./native-io.ts";
import { POOL_CALLS_MAX, Turnstile } from "./turnstile.ts";
import { UncachedReads } from "./uncached-reads.ts";

/** What zeroes are written from where the store cannot zero by itself. */
const ZEROES = new Uint8Array(1024 * 1024);

const zeroPieces = (length: number): readonly Uint8Array[] => {
  const whole = Array<Uint8Array>(Math.floor(length / ZEROES.length)).fill(ZEROES);
  return [...whole, ZEROES.subarray(0, length % ZEROES.length)];
};

export interface OpenFileOptions {
  readonly mode: "read" | "write";
  /** Who may use it besides, refused while others do; none: it is not claimed. */
  readonly claim?: MemberClaim;
  /** Asynchronous reads leave nothing behind in the page cache, where the kernel has such reads. */
  readonly isUncached?: boolean;
  /** Where the native calls come from; `loadNativeCalls` unless told otherwise. */
  readonly nativeCalls?: () => Promise<NativeCalls | null>;
  /** Likewise the native reads; `loadNativeIo` unless told otherwise. */
  readonly nativeIo?: () => Promise<NativeIo | null>;
}

export class FileBlockDevice implements BlockDevice {
  readonly name: string;
  readonly logicalBlockSize: number;
  readonly readOnly: boolean;
  readonly sync: SyncCalls;
  readonly #fd: number;
  readonly #turnstile = new Turnstile(POOL_CALLS_MAX);
  readonly #native: NativeIo | null;
  readonly #reads: FileReads;
  readonly #transfers: FileTransfers;
  readonly #queue: BlockQueue | null;
  readonly #space: FileSpace;
  #sizeBytes: number;
  #open = true;

  private constructor(
    path: string,
    fd: number,
    stat: fs.Stats,
    options: OpenFileOptions,
    native: NativeIo | null,
  ) {
    this.name = path;
    this.#fd = fd;
    this.#native = native?.use() ?? null;
    const uncached = options.isUncached === true ? new UncachedReads(release()) : null;
    const transfers = new FileTransfers(fd, native, this.#turnstile, uncached);
    this.#transfers = transfers;
    this.#reads = new FileReads(fd, native, transfers);
    this.#queue = stat.isBlockDevice() ? readBlockQueue(stat.rdev) : null;
    this.#sizeBytes = this.#queue?.sizeBytes ?? stat.size;
    this.logicalBlockSize = this.#queue?.logicalBlockSize ?? 512;
    this.readOnly = options.mode === "read";
    const load = options.nativeCalls ?? loadNativeCalls;
    this.#space = new FileSpace(fd, this.#sizeBytes, this.#queue, load);
    this.sync = {
      read: (target, offset) => this.#readSync(target, offset),
      write: (source, offset) => this.#writeSync(source, offset),
      flush: () => this.#flushSync(),
    };
  }

  /** Errors: HAL_OPEN_FAILED, HAL_NOT_A_BLOCK_DEVICE, HAL_DEVICE_CLAIMED, each naming the path. */
  static async open(path: string, options: OpenFileOptions): Promise<FileBlockDevice> {
    const { O_RDONLY, O_RDWR } = fs.constants;
    const { claim = null } = options;
    let fd: number;
    let isBlock: boolean;
    try {
      const found = fs.statSync(path);
      // Looked at before it is opened: opening a FIFO would wait for its other end.
      if (!found.isFile() && !found.isBlockDevice()) throw notABlockDevice(path);
      isBlock = found.isBlockDevice();
      const flags = claim === null ? 0 : await claimFlags(path, isBlock, claim);
      fd = fs.openSync(path, (options.mode === "read" ? O_RDONLY : O_RDWR) | flags);
    } catch (error) {
      if (error instanceof CodedError) throw error;
      throw new CodedError("HAL_OPEN_FAILED", `${path}: cannot be opened (${errnoOf(error)})`, {
        remedy: "check that it exists, that nothing else uses it, and its permissions",
        cause: error,
      });
    }
    if (claim !== null) {
      try {
        await claimFile(fd, path, isBlock, claim);
      } catch (error) {
        fs.closeSync(fd);
        throw error;
      }
    }
    const native = await (options.nativeIo ?? loadNativeIo)();
    const device = new FileBlockDevice(path, fd, fs.fstatSync(fd), options, native);
    if (!device.readOnly) await device.#space.learn();
    return device;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  measure(): void {
    if (!this.#open) return;
    const stat = fs.fstatSync(this.#fd);
    const now = stat.isBlockDevice() ? readBlockQueue(stat.rdev).sizeBytes : stat.size;
    this.#sizeBytes = Math.max(this.#sizeBytes, now);
  }

  /** Another descriptor of the same file, its owner's to close. Errors: errno. */
  openAgain(flags: number): number {
    const { O_RDONLY, O_RDWR } = fs.constants;
    return fs.openSync(`/proc/self/fd/${this.#fd}`, (this.readOnly ? O_RDONLY : O_RDWR) | flags);
  }

  get punches(): boolean {
    return this.#space.punches;
  }

  get zeroesFast(): boolean {
    return this.#space.zeroesFast;
  }

  async read(target: Uint8Array, offset: number): Promise<void> {
    this.#check(target.length, offset, false);
    let isWhole: boolean;
    try {
      isWhole = await this.#reads.read(target, offset);
    } catch (error) {
      throw ioError("read", this.name, error);
    }
    if (!isWhole) throw shortError(this.name);
  }

  async write(source: readonly Uint8Array[], offset: number): Promise<void> {
    const length = piecesLength(source);
    this.#check(length, offset, true);
    await this.#turnstile.run(() => this.#writeAll(source, offset, length));
  }

  writeBeside(source: readonly Uint8Array[], offset: number): Promise<void> | null {
    this.#check(piecesLength(source), offset, true);
    const written = this.#native?.beside.write(this.#transfers, source, offset) ?? null;
    return written === null ? null : this.#ended(written);
  }

  writeDurable(source: Uint8Array, offset: number): Promise<void> | null {
    this.#check(source.length, offset, true);
    const written = this.#transfers.writeDurable(source, offset);
    return written === null ? null : this.#endedDurable(written, source, offset);
  }

  /** A kernel or a file without such writes gets a write and a flush. */
  async #endedDurable(
    written: Promise<boolean>,
    source: Uint8Array,
    offset: number,
  ): Promise<void> {
    let isDone: boolean;
    try {
      isDone = await written;
    } catch (error) {
      throw ioError("write", this.name, error);
    }
    if (isDone) return;
    await this.write([source], offset);
    await this.flush();
  }

  async #ended(written: Promise<boolean>): Promise<void> {
    let isWhole: boolean;
    try {
      isWhole = await written;
    } catch (error) {
      throw ioError("write", this.name, error);
    }
    if (!isWhole) throw shortError(this.name);
  }

  async #writeAll(source: readonly Uint8Array[], offset: number, length: number): Promise<void> {
    let left = source;
    let at = offset;
    while (at < offset + length) {
      const put = await new Promise<number>((resolve, reject) => {
        fs.writev(this.#fd, left as Uint8Array[], at, (error, bytes) =>
          error === null ? resolve(bytes) : reject(ioError("write", this.name, error)),
        );
      });
      at += put;
      if (at < offset + length) left = dropBytes(left, put);
    }
  }

  async zero(offset: number, length: number, mayUnmap: boolean): Promise<void> {
    this.#check(length, offset, true);
    const end = offset + length;
    for (let at = offset; at < end; ) {
      const from = at;
      const piece = this.#space.pieceLength(at, end);
      await this.#turnstile.run(() => this.#zeroPiece(from, piece, mayUnmap));
      at += piece;
    }
  }

  async #zeroPiece(offset: number, length: number, mayUnmap: boolean): Promise<void> {
    this.#check(length, offset, true);
    try {
      if (await this.#space.zero(offset, length, mayUnmap)) {
        // A hole beyond the end of a file that has shrunk is none.
        await this.#expectBytes(offset + length);
        return;
      }
    } catch (error) {
      throw error instanceof CodedError ? error : ioError("zero", this.name, error);
    }
    await this.#writeAll(zeroPieces(length), offset, length);
  }

  async allocation(offset: number, length: number): Promise<readonly AllocationRun[]> {
    this.#check(length, offset, false);
    return this.#turnstile.run(async () => {
      try {
        const runs = await this.#space.runs(offset, length);
        await this.#expectBytes(runs.reduce((end, run) => end + run.length, offset));
        return runs;
      } catch (error) {
        throw error instanceof CodedError ? error : ioError("allocation", this.name, error);
      }
    });
  }

  /** Errors: HAL_IO_ERROR when the file has shrunk to less. */
  async #expectBytes(bytes: number): Promise<void> {
    if (this.#queue !== null) return;
    const { size } = await new Promise<fs.Stats>((resolve, reject) => {
      fs.fstat(this.#fd, (error, stat) => (error === null ? resolve(stat) : reject(error)));
    });
    if (size < bytes) throw shortError(this.name);
  }

  async flush(): Promise<void> {
    this.#check(0, 0, false);
    await this.#turnstile.run(
      () =>
        new Promise<void>((resolve, reject) => {
          fs.fdatasync(this.#fd, (error) =>
            error === null ? resolve() : reject(ioError("flush", this.name, error)),
          );
        }),
    );
  }

  async close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    this.#native?.release();
    fs.closeSync(this.#fd);
  }

  #readSync(target: Uint8Array, offset: number): boolean {
    this.#check(target.length, offset, false);
    let outcome: "done" | "not-at-hand" | "short";
    try {
      outcome = this.#reads.readNow(target, offset);
    } catch (error) {
      throw ioError("read", this.name, error);
    }
    if (outcome === "short") throw shortError(this.name);
    return outcome === "done";
  }

  #writeSync(source: readonly Uint8Array[], offset: number): void {
    const length = piecesLength(source);
    this.#check(length, offset, true);
    try {
      const [only] = source;
      let at = offset;
      if (source.length === 1 && only !== undefined) {
        at += fs.writeSync(this.#fd, only, 0, length, offset);
      }
      while (at < offset + length) {
        at += fs.writevSync(this.#fd, dropBytes(source, at - offset) as Uint8Array[], at);
      }
    } catch (error) {
      throw ioError("write", this.name, error);
    }
  }

  #flushSync(): void {
    this.#check(0, 0, false);
    try {
      fs.fdatasyncSync(this.#fd);
    } catch (error) {
      throw ioError("flush", this.name, error);
    }
  }

  #check(length: number, offset: number, writing: boolean): void {
    checkCall(this, this.#open, length, offset, writing);
  }
}

const notABlockDevice = (path: string): CodedError =>
  new CodedError("HAL_NOT_A_BLOCK_DEVICE", `${path}: neither a file nor a block device`, {
    remedy: "name a regular file or a block device",
  });

/** The pieces without their first `bytes` bytes; the same list when there is nothing to drop. */
const dropBytes = (pieces: readonly Uint8Array[], bytes: number): readonly Uint8Array[] => {
  if (bytes === 0) return pieces;
  const rest: Uint8Array[] = [];
  let skip = bytes;
  for (const piece of pieces) {
    if (skip >= piece.length) skip -= piece.length;
    else {
      rest.push(piece.subarray(skip));
      skip = 0;
    }
  }
  return rest;
};
