/**
 * Long writes that a thread of the kernel makes while this thread goes on: copying a MiB into the
 * page cache takes a third of a millisecond, in which the thread can write another leg.
 *
 * The kernel makes the writes to one regular file one after the other, and those to files whose
 * inodes have the same hash, and it has few threads for them. So that a drive which hangs holds up
 * nobody's writes but its own, only one handle has such writes under way at a time, and few.
 * Source: io_uring/io-wq.c io_wq_hash_work, io_init_wq_offload; IOSQE_ASYNC in io_uring_enter(2).
 */

import { joinPieces } from "../../common/pieces.ts";
import type { IoRing } from "./io-ring.ts";

/** Writes under way at once. Choice: as many as a batch of 64 KiB requests brings. */
const WRITES_MAX = 4;
/** Of one write, each a call of the ring. Choice: a write of 32 MiB as sockets deliver it. */
const PIECES_MAX = 40;

/** A handle's own writes through the ring, whole ones; false when the file takes no more. */
export interface PieceWrites {
  run(call: "write", piece: Uint8Array, offset: number, isBeside: true): Promise<boolean>;
}

export class BesideWrites {
  readonly #ring: () => IoRing | null;
  /** Whose writes are under way, and how many. */
  #owner: PieceWrites | null = null;
  #count = 0;

  /** `ring`: that of the thread, which the handles use too. */
  constructor(ring: () => IoRing | null) {
    this.#ring = ring;
  }

  /**
   * Begins to write all of `source` at `offset`; null when it cannot just now: nothing was begun.
   * False when the file takes no more. Rejects with Node's errors.
   */
  write(
    handle: PieceWrites,
    source: readonly Uint8Array[],
    offset: number,
  ): Promise<boolean> | null {
    const isFree = this.#owner === null || this.#owner === handle;
    if (!isFree || this.#count >= WRITES_MAX) return null;
    const ring = this.#ring();
    const pieces = joinPieces(source);
    if (ring === null || pieces.length > PIECES_MAX) return null;
    this.#owner = handle;
    this.#count += 1;
    const written = this.#writePieces(handle, pieces, offset);
    ring.submitNow();
    return written;
  }

  async #writePieces(
    handle: PieceWrites,
    pieces: readonly Uint8Array[],
    offset: number,
  ): Promise<boolean> {
    let at = offset;
    const moves = pieces.map((piece) => {
      const move = handle.run("write", piece, at, true);
      at += piece.length;
      return move;
    });
    // All of them: the memory is the caller's again afterwards.
    const ends = await Promise.allSettled(moves);
    this.#count -= 1;
    if (this.#count === 0) this.#owner = null;
    let isWhole = true;
    for (const end of ends) {
      if (end.status === "rejected") throw end.reason;
      isWhole &&= end.value;
    }
    return isWhole;
  }
}
