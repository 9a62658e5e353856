/**
 * Reads that leave in the page cache what lay there before, and nothing else: for sync actions,
 * which read each byte once. Without that a check fills the memory with what nobody asks for, and
 * from Linux 6.16 on with folios as large as its reads: a client's write of 4 KiB into one of them
 * costs 45 us on ext4 instead of 4, and the reads themselves three times the CPU (measured).
 * Source: preadv2(2), RWF_DONTCACHE.
 */

/** Source: include/uapi/linux/fs.h. */
const RWF_DONTCACHE = 0x80;
/** Source: asm-generic/errno.h, negative as io_uring gives it. */
const REFUSALS: readonly number[] = [-22 /* EINVAL */, -95 /* EOPNOTSUPP */];
/** Choice: the first kernel with large folios in ext4; those that had the flag earlier were new. */
const KERNEL: readonly [number, number] = [6, 16];

export class UncachedReads {
  #flags: number;

  /** `release`: the kernel's, as `uname -r`. */
  constructor(release: string) {
    const [major = 0, minor = 0] = release.split(".").map((part) => Number.parseInt(part, 10));
    const isNew = major > KERNEL[0] || (major === KERNEL[0] && minor >= KERNEL[1]);
    this.#flags = isNew ? RWF_DONTCACHE : 0;
  }

  /** Of the next read; 0 where it is not to be asked for. */
  get flags(): number {
    return this.#flags;
  }

  /**
   * True when a read ended because the file system or the driver has no such reads: it is to be
   * made again, and none of this handle asks for that any more.
   */
  isRefusal(result: number): boolean {
    if (this.#flags === 0 || !REFUSALS.includes(result)) return false;
    this.#flags = 0;
    return true;
  }
}
