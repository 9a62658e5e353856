/**
 * Reads that never wait: what lies in the page cache is read at once, what does not is left to
 * others. So a cold or hung drive never holds the thread, and the drive sees many reads at a time.
 * Source: preadv2(2), RWF_NOWAIT.
 */

import type { NativeLibrary } from "./native-library.ts";

/** Source: include/uapi/linux/fs.h. */
const RWF_NOWAIT = 0x08;
/** Source: asm-generic/errno.h: what says that the kernel or the file system has no such reads. */
const EINVAL = 22;
const ENOSYS = 38;
const EOPNOTSUPP = 95;

/** What `read` found. */
export type ReadyRead = "done" | "not-at-hand" | "unsupported";

const WORD = 2 ** 32;

/** One thread's reads that never wait. */
export class ReadyReads {
  readonly #library: NativeLibrary;
  readonly #preadv2: (...args: readonly number[]) => number;
  /** One struct iovec: address and length, 64 bits each, low word first. */
  readonly #vector = new Uint32Array(4);
  readonly #vectorAt: number;

  constructor(library: NativeLibrary) {
    this.#library = library;
    this.#preadv2 = library.program.func(
      "int64_t preadv2(int fd, intptr_t vector, int count, int64_t offset, int flags)",
    );
    this.#vectorAt = library.addressOf(this.#vector.buffer);
  }

  /**
   * Fills `target` from `offset` if all of it is in the page cache. An I/O error counts as not at
   * hand: whoever reads it then meets the error.
   */
  read(fd: number, target: Uint8Array, offset: number): ReadyRead {
    const address = this.#library.addressOf(target.buffer) + target.byteOffset;
    this.#vector[0] = address % WORD;
    this.#vector[1] = Math.floor(address / WORD);
    this.#vector[2] = target.length;
    const got = this.#preadv2(fd, this.#vectorAt, 1, offset, RWF_NOWAIT);
    if (got === target.length) return "done";
    if (got >= 0) return "not-at-hand";
    const errno = this.#library.errno();
    const isUnsupported = errno === EOPNOTSUPP || errno === EINVAL || errno === ENOSYS;
    return isUnsupported ? "unsupported" : "not-at-hand";
  }
}
