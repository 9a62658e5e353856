/**
 * How an open file is read: at once what lies in the page cache, the rest by the thread's ring, and
 * through Node where there is neither.
 */

import * as fs from "node:fs";
import type { NativeReads } from "./native-reads.ts";
import { Turnstile } from "./turnstile.ts";

/** Reads of one handle in the ring at once. Choice: leaves room for a second drive that is slow. */
const RING_READS_MAX = 128;
/** The ring did not take the read. */
const NOT_TAKEN = -1;

export class FileReads {
  readonly #fd: number;
  readonly #native: NativeReads | null;
  readonly #turnstile: Turnstile;
  readonly #ringTurnstile = new Turnstile(RING_READS_MAX);
  #hasReady: boolean;

  /** `turnstile`: bounds the handle's calls on the threads of Node's pool. */
  constructor(fd: number, native: NativeReads | null, turnstile: Turnstile) {
    this.#fd = fd;
    this.#native = native?.use() ?? null;
    this.#hasReady = native !== null;
    this.#turnstile = turnstile;
  }

  /** AFTER the last read ended. */
  close(): void {
    this.#native?.release();
  }

  /**
   * Fills `target` if it is at hand; without native reads, however long it takes. Throws Node's
   * errors.
   */
  readNow(target: Uint8Array, offset: number): "done" | "not-at-hand" | "short" {
    if (this.#hasReady && this.#native !== null) {
      const outcome = this.#native.ready.read(this.#fd, target, offset);
      if (outcome !== "unsupported") return outcome;
      this.#hasReady = false;
    }
    let at = 0;
    while (at < target.length) {
      const got = fs.readSync(this.#fd, target, at, target.length - at, offset + at);
      if (got === 0) return "short";
      at += got;
    }
    return "done";
  }

  /** Fills `target`; false when the file ends before. Rejects with Node's errors. */
  async read(target: Uint8Array, offset: number): Promise<boolean> {
    const ring = this.#native?.ring ?? null;
    if (ring === null) return this.#turnstile.run(() => this.#readByPool(target, offset));
    return this.#ringTurnstile.run(() => this.#readByRing(target, offset));
  }

  async #readByRing(target: Uint8Array, offset: number): Promise<boolean> {
    let at = 0;
    while (at < target.length) {
      const rest = at === 0 ? target : target.subarray(at);
      const from = offset + at;
      const got = await new Promise<number>((resolve) => {
        const isTaken = this.#native?.ring?.read(this.#fd, rest, from, resolve) ?? false;
        if (!isTaken) resolve(NOT_TAKEN);
      });
      if (got === 0) return false;
      // No room, or an error: the pool has the room, or tells the error.
      if (got < 0) return this.#turnstile.run(() => this.#readByPool(rest, from));
      at += got;
    }
    return true;
  }

  async #readByPool(target: Uint8Array, offset: number): Promise<boolean> {
    let at = 0;
    while (at < target.length) {
      const got = await new Promise<number>((resolve, reject) => {
        fs.read(this.#fd, target, at, target.length - at, offset + at, (error, bytes) =>
          error === null ? resolve(bytes) : reject(error),
        );
      });
      if (got === 0) return false;
      at += got;
    }
    return true;
  }
}
