/**
 * Memory that sockets read into. A block is filled from its start; what was received in it stays
 * where it is until the last view of it is let go, then it is filled from the start again. So a
 * write's payload reaches the back end without a copy, and the same few blocks stay in the
 * processor's cache.
 */
import { assert } from "../common/assert.ts";
import type { AllocateBytes } from "./reply-slab.ts";

const KIB = 1024;
/** Each connection's own block: enough for bursts of small requests. */
const SMALL_BYTES = 64 * KIB;
/**
 * Blocks for connections that receive a lot; a whole 1 MiB write has at most two pieces in them.
 */
const LARGE_BYTES = 1024 * KIB;
/** A read is not begun with less room than this, nor with more than LARGEST_READ. */
const SMALLEST_READ = 16 * KIB;
const LARGEST_READ = 256 * KIB;
/** Large blocks kept for later use; more are left to the garbage collector. */
const IDLE_BLOCKS_MAX = 8;

export class InputBlock {
  readonly bytes: Uint8Array;
  /** First byte not yet received into. */
  cursor = 0;
  /** Chunks not yet consumed and pieces of writes under way. */
  references = 0;
  /** True while a socket reads into it. */
  isCurrent = false;
  readonly #pool: InputBlockPool;

  constructor(bytes: Uint8Array, pool: InputBlockPool) {
    this.bytes = bytes;
    this.#pool = pool;
  }

  /** One more view of it is kept. */
  retain(): void {
    this.references += 1;
  }

  /** A view of it is let go. */
  release(): void {
    this.references -= 1;
    assert(this.references >= 0, "an input block was released too often");
    if (this.references > 0) return;
    this.cursor = 0;
    if (!this.isCurrent) this.#pool.give(this);
  }
}

export class InputBlockPool {
  readonly #allocate: AllocateBytes;
  readonly #idle: InputBlock[] = [];

  constructor(allocate: AllocateBytes) {
    this.#allocate = allocate;
  }

  makeSmall(): InputBlock {
    return new InputBlock(this.#allocate(SMALL_BYTES), this);
  }

  takeLarge(): InputBlock {
    return this.#idle.pop() ?? new InputBlock(this.#allocate(LARGE_BYTES), this);
  }

  /** Takes back a large block that nothing refers to; others are dropped. */
  give(block: InputBlock): void {
    assert(block.references === 0 && !block.isCurrent, "an input block in use was given back");
    if (block.bytes.length !== LARGE_BYTES || this.#idle.length >= IDLE_BLOCKS_MAX) return;
    block.cursor = 0;
    this.#idle.push(block);
  }
}

/** The blocks of one socket: tells where the next read goes and turns it into a chunk. */
export class InputBuffer {
  readonly #pool: InputBlockPool;
  readonly #small: InputBlock;
  #current: InputBlock;
  #region: Uint8Array;
  /** The last read filled its region, so there is probably more. */
  #isBusy = false;

  constructor(pool: InputBlockPool) {
    this.#pool = pool;
    this.#small = pool.makeSmall();
    this.#current = this.#small;
    this.#current.isCurrent = true;
    this.#region = this.#current.bytes;
  }

  /** The block that the next chunk lies in. */
  get block(): InputBlock {
    return this.#current;
  }

  /** Where the next read goes. Valid until the next call. */
  nextRegion(): Uint8Array {
    this.#chooseBlock();
    const { bytes, cursor } = this.#current;
    const size = Math.min(LARGEST_READ, bytes.length - cursor);
    const start = bytes.byteOffset + cursor;
    const region = this.#region;
    if (region.buffer !== bytes.buffer || region.byteOffset !== start || region.length !== size) {
      this.#region = new Uint8Array(bytes.buffer, start, size);
    }
    return this.#region;
  }

  /** `length` bytes were read into the region; who keeps the chunk retains `block`. */
  take(length: number): Uint8Array {
    const { buffer, byteOffset } = this.#region;
    this.#isBusy = length === this.#region.length;
    // Not from the cursor: it went back if the block became free after the region was given out.
    this.#current.cursor = byteOffset - this.#current.bytes.byteOffset + length;
    return new Uint8Array(buffer, byteOffset, length);
  }

  /** The socket is closed: nothing is read any more. */
  close(): void {
    this.#leave();
  }

  #chooseBlock(): void {
    if (this.#current.references === 0) this.#current.cursor = 0;
    const isSmall = this.#current === this.#small;
    const left = this.#current.bytes.length - this.#current.cursor;
    if (left < SMALLEST_READ || (isSmall && this.#isBusy)) this.#enter(this.#pool.takeLarge());
    else if (!isSmall && !this.#isBusy && this.#isQuiet()) this.#enter(this.#small);
  }

  /** Nothing of either block is in use, so the large one can serve others. */
  #isQuiet(): boolean {
    return this.#current.references === 0 && this.#small.references === 0;
  }

  #enter(block: InputBlock): void {
    this.#leave();
    this.#current = block;
    block.isCurrent = true;
  }

  #leave(): void {
    this.#current.isCurrent = false;
    if (this.#current.references === 0) this.#pool.give(this.#current);
  }
}
