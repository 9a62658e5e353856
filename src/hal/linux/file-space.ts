/**
 * The space of an open file or block device: zeroing without data, and where its holes are. What
 * the store cannot do it is asked for once; the caller then writes zeroes as data.
 *
 * Zeroing is fallocate(2) on files and on block devices: on these it drops the page cache of the
 * range as well, which the ioctls BLKDISCARD and BLKZEROOUT do on some kernels only.
 * A discard is not used: what is read afterwards is up to the drive. Source: block/fops.c
 * blkdev_fallocate; block/blk-lib.c blkdev_issue_zeroout.
 */

import { allData, appendRun } from "../allocation-runs.ts";
import { ALLOCATION_RUNS_MAX, type AllocationRun } from "../block-device.ts";
import type { BlockQueue } from "./block-queue.ts";
import type { NativeCalls } from "./native-calls.ts";

/**
 * Bytes zeroed by one call. Choice: bounds the time it holds a thread of the pool (16 MiB out of
 * stored data: 5 to 30 ms, measured), and costs nothing beside the work itself.
 */
const PIECE_BYTES = 16 * 1024 * 1024;

/** Of the page cache. */
const PAGE = 4096;

/** The store, or this range of it, cannot do that; anything else is an I/O error. */
const REFUSALS: readonly unknown[] = ["ENOTSUP", "ENOSYS", "EINVAL", "ENODEV"];

/** False when the call was refused; rejects when it failed otherwise. */
const isDone = async (call: Promise<void>): Promise<boolean> => {
  try {
    await call;
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && REFUSALS.includes(error.code)) return false;
    throw error;
  }
};

export class FileSpace {
  readonly #fd: number;
  readonly #sizeBytes: number;
  readonly #queue: BlockQueue | null;
  /** Calls take whole units of this many bytes; the edges of a range are written as data. */
  readonly #unit: number;
  readonly #load: () => Promise<NativeCalls | null>;
  #native: NativeCalls | null = null;
  #punches = false;
  #zeroesRanges = false;
  #zeroesFast = false;

  /** `queue`: of a block device; null for a file. Knows nothing BEFORE the first `learn`. */
  constructor(
    fd: number,
    sizeBytes: number,
    queue: BlockQueue | null,
    load: () => Promise<NativeCalls | null>,
  ) {
    this.#fd = fd;
    this.#sizeBytes = sizeBytes;
    this.#queue = queue;
    this.#unit = queue === null ? 1 : Math.max(PAGE, queue.logicalBlockSize);
    this.#load = load;
  }

  /**
   * Finds out what the store can, once. A file is asked by punching beyond its end, which may set
   * the time of its last change and nothing else.
   */
  async learn(): Promise<void> {
    if (this.#native !== null) return;
    const native = await this.#load();
    if (native === null) return;
    const beyond = Math.ceil(this.#sizeBytes / PAGE) * PAGE;
    const punches =
      this.#queue?.hasWriteZeroes ??
      (await native.punchHole(this.#fd, beyond, PAGE).then(
        () => true,
        () => false,
      ));
    this.#native = native;
    this.#punches = punches;
    this.#zeroesRanges = true;
    this.#zeroesFast = this.#queue?.hasWriteZeroes ?? false;
  }

  get punches(): boolean {
    return this.#punches;
  }

  /** A file shows it by the first range that it zeroes: asking it beforehand would take space. */
  get zeroesFast(): boolean {
    return this.#zeroesFast;
  }

  /**
   * Bytes of the next piece of `[at, end)` to zero. Pieces meet at multiples of their size: a page
   * that is zeroed in two parts keeps its space.
   */
  pieceLength(at: number, end: number): number {
    const most = Math.min(PIECE_BYTES - (at % PIECE_BYTES), end - at);
    const edge = at % this.#unit;
    if (edge !== 0) return Math.min(most, this.#unit - edge);
    return most < this.#unit ? most : most - (most % this.#unit);
  }

  /** Zeroes a piece; false when zeroes must be written instead. Rejects with a system error. */
  async zero(offset: number, length: number, mayUnmap: boolean): Promise<boolean> {
    const native = this.#native;
    if (native === null || length % this.#unit !== 0) return false;
    if (mayUnmap && this.#punches) {
      if (await isDone(native.punchHole(this.#fd, offset, length))) return true;
      this.#punches = false;
    }
    if (this.#zeroesRanges) {
      if (await isDone(native.zeroRange(this.#fd, offset, length))) {
        this.#zeroesFast = this.#queue?.hasWriteZeroes ?? true;
        return true;
      }
      this.#zeroesRanges = false;
      this.#zeroesFast = false;
    }
    return false;
  }

  /** As `BlockDevice.allocation`. Rejects with a system error. */
  async runs(offset: number, length: number): Promise<readonly AllocationRun[]> {
    if (this.#queue !== null || length === 0) return allData(length);
    await this.learn();
    if (this.#native === null) return allData(length);
    const runs: AllocationRun[] = [];
    const known = await isDone(this.#seekRuns(this.#native, runs, offset, offset + length));
    return known && runs.length > 0 ? runs : allData(length);
  }

  async #seekRuns(
    native: NativeCalls,
    runs: AllocationRun[],
    offset: number,
    end: number,
  ): Promise<void> {
    let at = offset;
    for (let round = 0; round < ALLOCATION_RUNS_MAX && at < end; round++) {
      const data = Math.min(end, (await native.seekData(this.#fd, at)) ?? end);
      if (!appendRun(runs, data - at, true)) return;
      at = data;
      if (at === end) return;
      // Punched since, it is in a hole now: data of no length, which is passed over.
      const hole = Math.min(end, (await native.seekHole(this.#fd, at)) ?? end);
      if (!appendRun(runs, hole - at, false)) return;
      at = hole;
    }
  }
}
