/**
 * Bytes received and not yet consumed, as the list of chunks they came in. Payloads are taken as
 * views of those chunks, so nothing is copied; only a fixed-size message that lies across a chunk
 * boundary is put together in a scratch buffer.
 */
import { assert } from "../common/assert.ts";
import type { InputBlock } from "./input-block.ts";

const NO_CHUNK = new Uint8Array(0);
const NO_VIEW = new DataView(new ArrayBuffer(0));
/** Consumed chunks are cut off the list when this many have gathered. Picked by eye. */
const CONSUMED_CHUNKS_MAX = 64;
/** Room for the longest fixed-size message, a request. */
const SCRATCH_BYTES = 32;

export class ReceiveQueue {
  readonly #chunks: Uint8Array[] = [];
  /** The block that each chunk lies in, null when its memory is its own. */
  readonly #blocks: (InputBlock | null)[] = [];
  /** Index of the chunk that the next byte is in. */
  #first = 0;
  #head: Uint8Array = NO_CHUNK;
  #headView: DataView = NO_VIEW;
  #headAt = 0;
  #available = 0;
  #scratch: Uint8Array | null = null;

  /** Where `locate` found the message: `view` and the position in it. */
  view: DataView = NO_VIEW;
  viewAt = 0;

  /** Bytes that can be taken. */
  get available(): number {
    return this.#available;
  }

  /** Appends `chunk`. It keeps `block`, which the chunk lies in, until the chunk is consumed. */
  push(chunk: Uint8Array, block: InputBlock | null): void {
    if (chunk.length === 0) return;
    block?.retain();
    this.#chunks.push(chunk);
    this.#blocks.push(block);
    this.#available += chunk.length;
    if (this.#first === this.#chunks.length - 1) this.#enter(chunk);
  }

  /** Sets `view` and `viewAt` to the next `length` bytes, at most 32, without consuming them. */
  locate(length: number): void {
    assert(length <= this.#available, "more bytes were located than received");
    if (this.#headAt + length <= this.#head.length) {
      this.view = this.#headView;
      this.viewAt = this.#headAt;
      return;
    }
    assert(length <= SCRATCH_BYTES, "a message does not fit the scratch buffer");
    this.#scratch ??= new Uint8Array(SCRATCH_BYTES);
    this.#copy(this.#scratch, length);
    this.view = new DataView(this.#scratch.buffer);
    this.viewAt = 0;
  }

  /** Drops up to `length` bytes and returns how many there were. */
  drop(length: number): number {
    const dropped = Math.min(length, this.#available);
    let left = dropped;
    while (left > 0) left -= this.#step(left);
    return dropped;
  }

  /**
   * Appends the next `length` bytes to `into` as views of the chunks, and to `kept` the blocks that
   * they lie in, each to be released once per piece.
   */
  takePieces(length: number, into: Uint8Array[], kept: InputBlock[]): void {
    assert(length <= this.#available, "more bytes were taken than received");
    let left = length;
    while (left > 0) {
      const head = this.#head;
      const size = Math.min(left, head.length - this.#headAt);
      into.push(new Uint8Array(head.buffer, head.byteOffset + this.#headAt, size));
      const block = this.#blocks[this.#first];
      if (block !== null && block !== undefined) {
        block.retain();
        kept.push(block);
      }
      left -= this.#step(size);
    }
  }

  /** The next `length` bytes as one array of their own. */
  take(length: number): Uint8Array {
    assert(length <= this.#available, `${length} bytes of ${this.#available} taken`);
    const bytes = new Uint8Array(length);
    this.#copy(bytes, length);
    this.drop(length);
    return bytes;
  }

  /** Moves up to `length` bytes into `target` from `at` on and returns how many there were. */
  moveInto(target: Uint8Array, at: number, length: number): number {
    const moved = Math.min(length, this.#available);
    for (let done = 0; done < moved; ) {
      const { buffer, byteOffset, length: headLength } = this.#head;
      const size = Math.min(moved - done, headLength - this.#headAt);
      target.set(new Uint8Array(buffer, byteOffset + this.#headAt, size), at + done);
      done += this.#step(size);
    }
    return moved;
  }

  /** Forgets everything. */
  clear(): void {
    while (this.#available > 0) this.drop(this.#available);
  }

  #copy(target: Uint8Array, length: number): void {
    let filled = 0;
    let at = this.#headAt;
    for (let index = this.#first; filled < length; index += 1) {
      const chunk = this.#chunks[index] ?? NO_CHUNK;
      const size = Math.min(length - filled, chunk.length - at);
      target.set(chunk.subarray(at, at + size), filled);
      filled += size;
      at = 0;
    }
  }

  /** Consumes up to `length` bytes of the head chunk and returns how many. */
  #step(length: number): number {
    const size = Math.min(length, this.#head.length - this.#headAt);
    this.#headAt += size;
    this.#available -= size;
    if (this.#headAt === this.#head.length) this.#leave();
    return size;
  }

  #leave(): void {
    this.#blocks[this.#first]?.release();
    this.#first += 1;
    if (this.#first === this.#chunks.length) {
      this.#chunks.length = 0;
      this.#blocks.length = 0;
      this.#first = 0;
    } else if (this.#first === CONSUMED_CHUNKS_MAX) {
      this.#chunks.splice(0, this.#first);
      this.#blocks.splice(0, this.#first);
      this.#first = 0;
    }
    this.#enter(this.#chunks[this.#first] ?? NO_CHUNK);
  }

  #enter(chunk: Uint8Array): void {
    this.#head = chunk;
    this.#headAt = 0;
    this.#headView =
      chunk.length === 0 ? NO_VIEW : new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  }
}
