/**
 * The replies of one connection on their way out: placed in a slab, filled by the back end, ready,
 * handed to the socket, sent. Ready replies that lie behind one another become one segment.
 */
import { assert } from "../common/assert.ts";
import type { Slab, SlabPool } from "./reply-slab.ts";

/** Sent segments are cut off the list when this many have gathered. Picked by eye. */
const SENT_SEGMENTS_MAX = 64;

/** A run of bytes of one slab that goes to the socket as one piece. */
export interface Segment {
  readonly slab: Slab;
  readonly start: number;
  end: number;
}

export class ReplyQueue {
  readonly #pool: SlabPool;
  #current: Slab | null = null;
  #ready: Segment[] = [];
  #readyBytes = 0;
  readonly #handed: Segment[] = [];
  #handedFirst = 0;
  #handedBytes = 0;

  /** Start of the reply placed last, in the slab that `place` returned. */
  placedAt = 0;

  constructor(pool: SlabPool) {
    this.#pool = pool;
  }

  /** Bytes ready and not yet handed to the socket. */
  get readyBytes(): number {
    return this.#readyBytes;
  }

  /** Bytes ready or handed to the socket and not yet sent. */
  get unsentBytes(): number {
    return this.#readyBytes + this.#handedBytes;
  }

  /** Reserves `size` bytes; returns their slab and sets `placedAt`. */
  place(size: number): Slab {
    let slab = this.#current;
    if (slab === null || slab.cursor + size > slab.bytes.length) {
      slab = this.#pool.take(size);
      // A slab left behind returns to the pool with its last reference.
      this.#current = slab;
    }
    this.placedAt = slab.cursor;
    slab.cursor += size;
    slab.references += 1;
    return slab;
  }

  /** Marks `[start, end)` of a reservation ready to be sent; takes over its reference. */
  commit(slab: Slab, start: number, end: number): void {
    this.#readyBytes += end - start;
    const last = this.#ready.at(-1);
    if (last !== undefined && last.slab === slab && last.end === start) {
      last.end = end;
      slab.references -= 1;
      return;
    }
    this.#ready.push({ slab, start, end });
  }

  /** Gives a reservation up. */
  cancel(slab: Slab): void {
    this.#release(slab);
  }

  /**
   * The ready segments in order. They count as handed over; call `sent` once for each, in order.
   */
  handOver(): readonly Segment[] {
    const segments = this.#ready;
    this.#ready = [];
    this.#handedBytes += this.#readyBytes;
    this.#readyBytes = 0;
    for (const segment of segments) this.#handed.push(segment);
    return segments;
  }

  /** The oldest segment handed over was sent; returns its length in bytes. */
  sent(): number {
    const segment = this.#handed[this.#handedFirst];
    assert(segment !== undefined, "a segment was sent that was not handed over");
    this.#handedFirst += 1;
    if (this.#handedFirst === this.#handed.length || this.#handedFirst === SENT_SEGMENTS_MAX) {
      this.#handed.splice(0, this.#handedFirst);
      this.#handedFirst = 0;
    }
    const bytes = segment.end - segment.start;
    this.#handedBytes -= bytes;
    this.#release(segment.slab);
    return bytes;
  }

  /**
   * The socket is gone: what is ready or handed over is dropped. The slabs of those never return to
   * the pool, because a write that is being cancelled may still use them.
   */
  abandon(): void {
    this.#current = null;
    this.#ready = [];
    this.#readyBytes = 0;
    this.#handed.length = 0;
    this.#handedFirst = 0;
    this.#handedBytes = 0;
  }

  #release(slab: Slab): void {
    slab.references -= 1;
    assert(slab.references >= 0, "a slab was released too often");
    if (slab.references > 0) return;
    if (slab === this.#current) this.#current = null;
    this.#pool.give(slab);
  }
}
