/**
 * Asynchronous reads and writes of one descriptor, whole ones: by the thread's ring, else on the
 * threads of Node's pool.
 */

import * as fs from "node:fs";
import { constants } from "node:os";
import { getSystemErrorName } from "node:util";
import type { RingCall } from "./io-ring.ts";
import type { NativeIo } from "./native-io.ts";
import type { Turnstile } from "./turnstile.ts";
import type { UncachedReads } from "./uncached-reads.ts";

/** Source: pwritev2(2). */
const RWF_DSYNC = 0x02;
/** What a kernel or file system answers that has no such write. */
const REFUSALS = new Set([constants.errno.EINVAL, constants.errno.EOPNOTSUPP]);
/** Calls of one handle in the ring at once. Choice: leaves room for a second drive that is slow. */
const RING_CALLS_MAX = 128;
type PoolCall = (
  fd: number,
  buffer: Uint8Array,
  at: number,
  length: number,
  offset: number,
  done: (error: NodeJS.ErrnoException | null, bytes: number) => void,
) => void;

const POOL_CALLS: Readonly<Record<RingCall, PoolCall>> = { read: fs.read, write: fs.write };

/** Gets Node's error, or null and whether all was moved: the file may end before. */
export type TransferDone = (error: Error | null, isWhole: boolean) => void;

export class FileTransfers {
  readonly #fd: number;
  readonly #native: NativeIo | null;
  readonly #turnstile: Turnstile;
  readonly #uncached: UncachedReads | null;
  #inRing = 0;

  /**
   * `turnstile`: bounds the handle's calls on the threads of Node's pool. `uncached`: how reads
   * leave nothing behind in the page cache, where they can.
   */
  constructor(
    fd: number,
    native: NativeIo | null,
    turnstile: Turnstile,
    uncached: UncachedReads | null = null,
  ) {
    this.#fd = fd;
    this.#native = native;
    this.#turnstile = turnstile;
    this.#uncached = uncached;
  }

  /** Moves all of `buffer`; false when the file ends before. Rejects with Node's errors. */
  run(call: RingCall, buffer: Uint8Array, offset: number, isBeside = false): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const done: TransferDone = (error, isWhole) =>
        error === null ? resolve(isWhole) : reject(error);
      this.start(call, buffer, offset, done, isBeside);
    });
  }

  /**
   * As `run`, without a promise. `done` is never called before this returns. `isBeside`: by a
   * thread of the kernel, as `IoRing.start` has it.
   */
  start(
    call: RingCall,
    buffer: Uint8Array,
    offset: number,
    done: TransferDone,
    isBeside = false,
  ): void {
    const ring = this.#inRing < RING_CALLS_MAX ? (this.#native?.ring ?? null) : null;
    const ended = (moved: number): void => {
      this.#inRing -= 1;
      if (moved === buffer.length || moved === 0) return done(null, moved === buffer.length);
      if (moved > 0)
        return this.start(call, buffer.subarray(moved), offset + moved, done, isBeside);
      if (flags !== 0 && this.#uncached?.isRefusal(moved) === true)
        return this.start(call, buffer, offset, done);
      this.#startInPool(call, buffer, offset, done);
    };
    const flags = call === "read" ? (this.#uncached?.flags ?? 0) : 0;
    const isTaken = ring?.start(call, this.#fd, buffer, offset, ended, flags, isBeside);
    if (isTaken === true) this.#inRing += 1;
    else this.#startInPool(call, buffer, offset, done);
  }

  /**
   * Writes all of `buffer`, which alone is durable then; null without a ring that has room. False
   * when it was not done so: some of it may be written. Rejects with an error that has a `code`,
   * also when the store could not keep what was written there before.
   */
  writeDurable(buffer: Uint8Array, offset: number): Promise<boolean> | null {
    const ring = this.#inRing < RING_CALLS_MAX ? (this.#native?.ring ?? null) : null;
    const { promise, resolve, reject } = Promise.withResolvers<boolean>();
    const ended = (moved: number): void => {
      this.#inRing -= 1;
      if (moved >= 0 || REFUSALS.has(-moved)) return resolve(moved === buffer.length);
      reject(Object.assign(new Error("write"), { code: getSystemErrorName(moved) }));
    };
    if (ring?.start("write", this.#fd, buffer, offset, ended, RWF_DSYNC, true) !== true)
      return null;
    this.#inRing += 1;
    return promise;
  }

  /** What the ring has no room for; and what failed there: Node tells the error. */
  #startInPool(call: RingCall, buffer: Uint8Array, offset: number, done: TransferDone): void {
    this.#turnstile
      .run(() => this.#byPool(call, buffer, offset))
      .then(
        (isWhole) => done(null, isWhole),
        (error: Error) => done(error, false),
      );
  }

  async #byPool(call: RingCall, buffer: Uint8Array, offset: number): Promise<boolean> {
    let at = 0;
    while (at < buffer.length) {
      const moved = await new Promise<number>((resolve, reject) => {
        POOL_CALLS[call](this.#fd, buffer, at, buffer.length - at, offset + at, (error, bytes) =>
          error === null ? resolve(bytes) : reject(error),
        );
      });
      if (moved === 0) return false;
      at += moved;
    }
    return true;
  }
}
