/**
 * The block-device port: what a member file, a block device, a peer's member, a fault layer and an
 * array look like to the code above them. Bytes in, bytes out; positions and lengths are bytes.
 *
 * The contract every implementation keeps (test/conformance/block-device.ts proves it):
 * - `read` fills the whole target or fails; `write` stores every byte or fails. Nothing is short.
 * - A completed `write` or `zero` is seen by every later `read`; it survives power loss only AFTER
 *   a `flush` that began after it completed. A `zero` that fails has zeroed any part of its range.
 * - Requests outside `[0, sizeBytes)` fail with `HAL_OUT_OF_RANGE` and touch nothing.
 * - Buffers belong to the device until the call completes.
 * - After `close` every call fails with `HAL_DEVICE_CLOSED`.
 */

import { assert } from "../common/assert.ts";
import type { CodedError } from "../common/errors.ts";

/**
 * Synchronous calls of a device whose backing store answers at once (a file in the page cache).
 * Each throws `CodedError` on failure. They block the calling thread for as long as the I/O takes.
 */
export interface SyncCalls {
  /**
   * False when the bytes are not at hand (a cold page cache): nothing was waited for, the target
   * holds anything, and the asynchronous `read` is the way to them.
   */
  read(target: Uint8Array, offset: number): boolean;
  /** Writes the pieces one after the other at consecutive positions starting at `offset`. */
  write(source: readonly Uint8Array[], offset: number): void;
  flush(): void;
}

/** A stretch of a device as its store tells it. */
export interface AllocationRun {
  /** Bytes, more than 0. */
  readonly length: number;
  /**
   * True only where every read finds zeroes and no write is stored. False says nothing: the content
   * may be zeroes too.
   */
  readonly isHole: boolean;
}

/** Runs that one `allocation` call tells at most. Choice: bounds its time on a shredded file. */
export const ALLOCATION_RUNS_MAX = 64;

export interface BlockDevice {
  /** Path or label, for messages. */
  readonly name: string;
  /** As it was when the device was opened, or measured last. */
  readonly sizeBytes: number;
  /** Smallest unit the store writes without read-modify-write: 512 or 4096. */
  readonly logicalBlockSize: number;
  readonly readOnly: boolean;
  /**
   * True when `zero` with `mayUnmap` gives space back and writes no data. Ask again before each
   * use: a store that refuses the first time is not asked again.
   */
  readonly punches: boolean;
  /**
   * True when `zero` without `mayUnmap` is known to write no data: the range keeps or gets its
   * space and reads as zeroes. Ask again before each use: some stores have to show it first.
   */
  readonly zeroesFast: boolean;
  /** Resolves when every call fails from then on, with why. Without it a device may recover. */
  readonly gone?: Promise<CodedError> | null;
  /**
   * The synchronous calls, or null when a call may block for long just now (a peer's member, a
   * stalled device). Ask again before each use: the answer may change.
   */
  readonly sync: SyncCalls | null;
  read(target: Uint8Array, offset: number): Promise<void>;
  /** Writes the pieces one after the other at consecutive positions starting at `offset`. */
  write(source: readonly Uint8Array[], offset: number): Promise<void>;
  /**
   * As `write`, begun before it returns and made on another core while the thread goes on: worth it
   * for long writes. Null when it cannot be had just now: nothing was begun. A device without it
   * never can. Throws what `write` rejects with before it begins.
   */
  writeBeside?(source: readonly Uint8Array[], offset: number): Promise<void> | null;
  /**
   * As `write`, and these bytes survive power loss once it has completed: for a few bytes of a
   * store that owes much, whose `flush` waits for all of it. Null when it cannot be had just now.
   */
  writeDurable?(source: Uint8Array, offset: number): Promise<void> | null;
  /**
   * Makes the range read as zeroes. `mayUnmap`: space goes back to the store where it can; without
   * it, or where it cannot, the range keeps or gets space, so later writes there need none.
   * May take long for a long range, but the calling thread goes on. Errors: those of `write`.
   */
  zero(offset: number, length: number, mayUnmap: boolean): Promise<void>;
  /**
   * What the store holds from `offset` on: at most ALLOCATION_RUNS_MAX runs, one after the other,
   * neighbours unlike; together at least one byte and at most `length`, so ask again for the rest.
   * Empty for a `length` of 0. A write or zero under way may or may not show. Errors: those of
   * `read`.
   */
  allocation(offset: number, length: number): Promise<readonly AllocationRun[]>;
  /** Makes all that completed before this call durable (PREFLUSH, fdatasync). */
  flush(): Promise<void>;
  /**
   * Takes the size anew of a store that may have grown since; one that has shrunk keeps its size,
   * and its I/O errors. A device without it has one size for good. What is asked over a network is
   * known once the promise has resolved.
   */
  measure?(): void | Promise<void>;
  close(): Promise<void>;
}

/** The synchronous calls of a device that has just been seen to have them. */
export const syncCallsOf = (device: BlockDevice): SyncCalls => {
  const { sync } = device;
  assert(sync !== null, "a device has no synchronous calls just now");
  return sync;
};

/** Opens the device at `path`; the thread that uses a device opens it itself. */
export type OpenBlockDevice = (path: string, mode: "read" | "write") => Promise<BlockDevice>;
