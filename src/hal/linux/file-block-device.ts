/**
 * A regular file or a Linux block device as a BlockDevice: page cache, `pread`/`pwrite`, durable by
 * `fdatasync`. The file's size is taken when it is opened; one that has shrunk since reads short,
 * which is an I/O error like any other.
 */

import * as fs from "node:fs";
import { CodedError } from "../../common/errors.ts";
import type { AllocationRun, BlockDevice, SyncCalls } from "../block-device.ts";
import { checkRange } from "../device-range.ts";
import { readBlockQueue } from "./block-queue.ts";
import { Turnstile } from "./turnstile.ts";

const errnoOf = (error: unknown): string =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "EIO";

const NO_SPACE: readonly string[] = ["ENOSPC", "EDQUOT", "EFBIG"];

const ioError = (verb: string, path: string, error: unknown): CodedError =>
  NO_SPACE.includes(errnoOf(error))
    ? new CodedError("HAL_NO_SPACE", `${path}: no space left for its data`, {
        remedy: "free space on the file system that holds it",
        cause: error,
      })
    : new CodedError("HAL_IO_ERROR", `${path}: ${verb} failed (${errnoOf(error)})`, {
        cause: error,
      });

/** What zeroes are written from where the store cannot zero by itself. */
const ZEROES = new Uint8Array(1024 * 1024);

export interface OpenFileOptions {
  readonly mode: "read" | "write";
  /** Claim a block device (O_EXCL): fails while a file system or md of the kernel uses it. */
  readonly exclusive?: boolean;
}

export class FileBlockDevice implements BlockDevice {
  readonly name: string;
  readonly sizeBytes: number;
  readonly logicalBlockSize: number;
  readonly readOnly: boolean;
  readonly punches = false;
  readonly sync: SyncCalls;
  readonly #fd: number;
  readonly #turnstile = new Turnstile();
  #open = true;

  private constructor(path: string, fd: number, stat: fs.Stats, readOnly: boolean) {
    this.name = path;
    this.#fd = fd;
    const queue = stat.isBlockDevice() ? readBlockQueue(stat.rdev) : null;
    this.sizeBytes = queue?.sizeBytes ?? stat.size;
    this.logicalBlockSize = queue?.logicalBlockSize ?? 512;
    this.readOnly = readOnly;
    this.sync = {
      read: (target, offset) => this.#readSync(target, offset),
      write: (source, offset) => this.#writeSync(source, offset),
      flush: () => this.#flushSync(),
    };
  }

  /** Errors: HAL_OPEN_FAILED, HAL_NOT_A_BLOCK_DEVICE, each naming the path. */
  static async open(path: string, options: OpenFileOptions): Promise<FileBlockDevice> {
    const { O_RDONLY, O_RDWR, O_EXCL } = fs.constants;
    let fd: number;
    try {
      const found = fs.statSync(path);
      // Looked at before it is opened: opening a FIFO would wait for its other end.
      if (!found.isFile() && !found.isBlockDevice()) throw notABlockDevice(path);
      const claim = found.isBlockDevice() && options.exclusive === true ? O_EXCL : 0;
      fd = fs.openSync(path, (options.mode === "read" ? O_RDONLY : O_RDWR) | claim);
    } catch (error) {
      if (error instanceof CodedError) throw error;
      throw new CodedError("HAL_OPEN_FAILED", `${path}: cannot be opened (${errnoOf(error)})`, {
        remedy: "check that it exists, that nothing else uses it, and its permissions",
        cause: error,
      });
    }
    const stat = fs.fstatSync(fd);
    return new FileBlockDevice(path, fd, stat, options.mode === "read");
  }

  async read(target: Uint8Array, offset: number): Promise<void> {
    this.#check(target.length, offset, false);
    await this.#turnstile.run(() => this.#readAll(target, offset));
  }

  async #readAll(target: Uint8Array, offset: number): Promise<void> {
    let at = 0;
    while (at < target.length) {
      const got = await new Promise<number>((resolve, reject) => {
        fs.read(this.#fd, target, at, target.length - at, offset + at, (error, bytes) =>
          error === null ? resolve(bytes) : reject(ioError("read", this.name, error)),
        );
      });
      if (got === 0) throw this.#short();
      at += got;
    }
  }

  async write(source: readonly Uint8Array[], offset: number): Promise<void> {
    const length = totalLength(source);
    this.#check(length, offset, true);
    await this.#turnstile.run(() => this.#writeAll(source, offset, length));
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

  async zero(offset: number, length: number, _mayUnmap: boolean): Promise<void> {
    this.#check(length, offset, true);
    const end = offset + length;
    for (let at = offset; at < end; ) {
      const piece = ZEROES.subarray(0, Math.min(ZEROES.length, end - at));
      const from = at;
      await this.#turnstile.run(() => this.#writeAll([piece], from, piece.length));
      at += piece.length;
    }
  }

  async allocation(offset: number, length: number): Promise<readonly AllocationRun[]> {
    this.#check(length, offset, false);
    return length === 0 ? [] : [{ length, isHole: false }];
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
    fs.closeSync(this.#fd);
  }

  #readSync(target: Uint8Array, offset: number): void {
    this.#check(target.length, offset, false);
    let at = 0;
    try {
      while (at < target.length) {
        const got = fs.readSync(this.#fd, target, at, target.length - at, offset + at);
        if (got === 0) throw this.#short();
        at += got;
      }
    } catch (error) {
      throw error instanceof CodedError ? error : ioError("read", this.name, error);
    }
  }

  #writeSync(source: readonly Uint8Array[], offset: number): void {
    const length = totalLength(source);
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

  #short(): CodedError {
    return new CodedError("HAL_IO_ERROR", `${this.name}: shorter than when it was opened`, {
      remedy: "somebody truncated the file; restore or replace the member",
    });
  }

  #check(length: number, offset: number, writing: boolean): void {
    if (!this.#open) throw new CodedError("HAL_DEVICE_CLOSED", `${this.name}: closed`);
    if (writing && this.readOnly) {
      throw new CodedError("HAL_READ_ONLY", `${this.name}: opened read-only`);
    }
    checkRange(this, offset, length);
  }
}

const notABlockDevice = (path: string): CodedError =>
  new CodedError("HAL_NOT_A_BLOCK_DEVICE", `${path}: neither a file nor a block device`, {
    remedy: "name a regular file or a block device",
  });

const totalLength = (pieces: readonly Uint8Array[]): number => {
  let total = 0;
  for (const piece of pieces) total += piece.length;
  return total;
};

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
