/**
 * How an open file is read: at once what lies in the page cache, the rest by the thread's ring, and
 * through Node where there is neither.
 */

import * as fs from "node:fs";
import type { FileTransfers } from "./file-transfers.ts";
import type { NativeIo } from "./native-io.ts";

export class FileReads {
  readonly #fd: number;
  readonly #native: NativeIo | null;
  readonly #transfers: FileTransfers;
  #hasReady: boolean;

  /** `transfers`: of the same descriptor. */
  constructor(fd: number, native: NativeIo | null, transfers: FileTransfers) {
    this.#fd = fd;
    this.#native = native;
    this.#hasReady = native !== null;
    this.#transfers = transfers;
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
  read(target: Uint8Array, offset: number): Promise<boolean> {
    return this.#transfers.run("read", target, offset);
  }
}
