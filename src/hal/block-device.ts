/**
 * The block-device port: what a member file, a block device, a peer's member, a fault layer and an
 * array look like to the code above them. Bytes in, bytes out; positions and lengths are bytes.
 *
 * The contract every implementation keeps (test/conformance/block-device.ts proves it):
 * - `read` fills the whole target or fails; `write` stores every byte or fails. Nothing is short.
 * - A completed `write` is seen by every later `read`; it survives power loss only AFTER a `flush`
 *   that began after the write completed.
 * - Requests outside `[0, sizeBytes)` fail with `HAL_OUT_OF_RANGE` and touch nothing.
 * - Buffers belong to the device until the call completes.
 * - After `close` every call fails with `HAL_DEVICE_CLOSED`.
 */

import { assert } from "../common/assert.ts";

/**
 * Synchronous calls of a device whose backing store answers at once (a file in the page cache).
 * Each throws `CodedError` on failure. They block the calling thread for as long as the I/O takes.
 */
export interface SyncCalls {
  read(target: Uint8Array, offset: number): void;
  /** Writes the pieces one after the other at consecutive positions starting at `offset`. */
  write(source: readonly Uint8Array[], offset: number): void;
  flush(): void;
}

export interface BlockDevice {
  /** Path or label, for messages. */
  readonly name: string;
  readonly sizeBytes: number;
  /** Smallest unit the store writes without read-modify-write: 512 or 4096. */
  readonly logicalBlockSize: number;
  readonly readOnly: boolean;
  /**
   * The synchronous calls, or null when a call may block for long just now (a peer's member, a
   * stalled device). Ask again before each use: the answer may change.
   */
  readonly sync: SyncCalls | null;
  read(target: Uint8Array, offset: number): Promise<void>;
  /** Writes the pieces one after the other at consecutive positions starting at `offset`. */
  write(source: readonly Uint8Array[], offset: number): Promise<void>;
  /** Makes every write that completed before this call durable (PREFLUSH, fdatasync). */
  flush(): Promise<void>;
  close(): Promise<void>;
}

/** The synchronous calls of a device that has just been seen to have them. */
export const syncCallsOf = (device: BlockDevice): SyncCalls => {
  const { sync } = device;
  assert(sync !== null, `${device.name} has no synchronous calls just now`);
  return sync;
};

/** Opens the device at `path`; the thread that uses a device opens it itself. */
export type OpenBlockDevice = (path: string, mode: "read" | "write") => Promise<BlockDevice>;
