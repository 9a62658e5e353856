/**
 * Asynchronous reads and writes of one descriptor, whole ones: by the thread's ring, else on the
 * threads of Node's pool.
 */

import * as fs from "node:fs";
import { type IoRing, NOT_TAKEN, type RingCall } from "./io-ring.ts";
import type { NativeIo } from "./native-io.ts";
import { Turnstile } from "./turnstile.ts";

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

export class FileTransfers {
  readonly #fd: number;
  readonly #native: NativeIo | null;
  readonly #turnstile: Turnstile;
  readonly #ringTurnstile = new Turnstile(RING_CALLS_MAX);

  /** `turnstile`: bounds the handle's calls on the threads of Node's pool. */
  constructor(fd: number, native: NativeIo | null, turnstile: Turnstile) {
    this.#fd = fd;
    this.#native = native;
    this.#turnstile = turnstile;
  }

  /** Moves all of `buffer`; false when the file ends before. Rejects with Node's errors. */
  async run(call: RingCall, buffer: Uint8Array, offset: number): Promise<boolean> {
    const ring = this.#native?.ring ?? null;
    if (ring === null) return this.#turnstile.run(() => this.#byPool(call, buffer, offset));
    return this.#ringTurnstile.run(() => this.#byRing(ring, call, buffer, offset));
  }

  async #byRing(
    ring: IoRing,
    call: RingCall,
    buffer: Uint8Array,
    offset: number,
  ): Promise<boolean> {
    let at = 0;
    while (at < buffer.length) {
      const rest = at === 0 ? buffer : buffer.subarray(at);
      const from = offset + at;
      const moved = await new Promise<number>((resolve) => {
        if (!ring.start(call, this.#fd, rest, from, resolve)) resolve(NOT_TAKEN);
      });
      if (moved === 0) return false;
      // No room, or an error: the pool has the room, or tells the error.
      if (moved < 0) return this.#turnstile.run(() => this.#byPool(call, rest, from));
      at += moved;
    }
    return true;
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
