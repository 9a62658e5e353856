/**
 * The write-intent bitmap of one array as its array thread keeps it: the image of the bitmap area
 * (superblock and bits, exactly as on the members), which chunks need a resync, and the ages that
 * decide when a bit may be cleared. The workers see only the chunk states in the shared state.
 *
 * A chunk's bit goes through: clean -> set (page written and flushed on every leg) -> durable ->
 * two sweeps without a write -> withdrawn (workers may no longer use it) -> every leg flushed ->
 * cleared in the image -> page written. Bits of a degraded array, and of chunks that still need a
 * resync, are never cleared.
 * Source: drivers/md/md-bitmap.c (counters NEEDED, RESYNC and the daemon's sweeps).
 */

import { assert } from "../common/assert.ts";
import type { BitmapSuperblock } from "./bitmap-superblock.ts";
import {
  BITMAP_SUPERBLOCK_BYTES,
  bitmapSlotBytes,
  decodeBitmapSuperblock,
  encodeBitmapSuperblock,
} from "./bitmap-superblock.ts";
import { BIT_CLEAN, BIT_DURABLE, BIT_FOUND, type SharedArrayState } from "./shared-state.ts";

/** Unit in which the bitmap is written. Source: md writes 4 KiB pages. */
export const BITMAP_PAGE_BYTES = 4096;
/** Sweeps without a write before a bit is cleared. Source: md-bitmap.c, counter 2, 1, 0. */
const SWEEPS_TO_CLEAR = 2;

const isSetIn = (area: Uint8Array, chunk: number): boolean =>
  ((area[BITMAP_SUPERBLOCK_BYTES + (chunk >> 3)] ?? 0) & (1 << (chunk & 7))) !== 0;

/** A run of bytes of the bitmap area that must be written to every leg. */
export interface BitmapWrite {
  /** Bytes from the start of the bitmap area. */
  readonly offset: number;
  readonly data: Uint8Array;
}

export class WriteIntentBitmap {
  readonly chunks: number;
  readonly #shared: SharedArrayState;
  readonly #image: Uint8Array;
  readonly #needed: Uint8Array;
  readonly #age: Uint8Array;
  readonly #lastStarted: Int32Array;
  readonly #dirtyPages = new Set<number>();
  #superblock: BitmapSuperblock;
  #neededCount = 0;
  #setCount = 0;

  constructor(superblock: BitmapSuperblock, shared: SharedArrayState) {
    this.chunks = shared.shape.chunks;
    this.#shared = shared;
    this.#superblock = superblock;
    this.#image = new Uint8Array(bitmapSlotBytes(this.chunks));
    this.#needed = new Uint8Array(this.chunks);
    this.#age = new Uint8Array(this.chunks);
    this.#lastStarted = new Int32Array(this.chunks);
    this.#image.set(encodeBitmapSuperblock(superblock), 0);
  }

  get superblock(): BitmapSuperblock {
    return this.#superblock;
  }

  get areaBytes(): number {
    return this.#image.length;
  }

  /** Chunks that still need a resync. */
  get neededChunks(): number {
    return this.#neededCount;
  }

  /** Bits set in the image. */
  get setChunks(): number {
    return this.#setCount;
  }

  /** Something changed that is on no member yet. */
  get hasDirtyPages(): boolean {
    return this.#dirtyPages.size > 0;
  }

  isSet(chunk: number): boolean {
    return isSetIn(this.#image, chunk);
  }

  isNeeded(chunk: number): boolean {
    return this.#needed[chunk] === 1;
  }

  /** Whether an area read from a member has these chunks: bits of another size mean nothing. */
  fits(area: Uint8Array): boolean {
    const decoded = decodeBitmapSuperblock(area, this.#superblock.uuid);
    return (
      decoded.ok &&
      decoded.value.chunkBytes === this.#superblock.chunkBytes &&
      area.length >= this.#image.length
    );
  }

  /**
   * Takes over the bits read from the legs (whole areas that fit): set where any leg has it. No
   * write goes on by them before they are written again: who wrote them may have died before it had
   * flushed them, and what a drive's cache answers a power cut takes away.
   */
  load(areas: readonly Uint8Array[]): void {
    for (const area of areas) assert(area.length >= this.#image.length, "bitmap area is short");
    // The legs' headers may differ too: the first update brings them in line.
    this.#dirtyPages.add(0);
    for (let chunk = 0; chunk < this.chunks; chunk++) {
      const isFound = areas.some((area) => isSetIn(area, chunk));
      if (isFound) this.#setImage(chunk);
      this.#shared.setBit(chunk, isFound ? BIT_FOUND : BIT_CLEAN);
    }
  }

  /** Sets every bit that is set in another leg's area. Returns how many were new. */
  merge(area: Uint8Array): number {
    let added = 0;
    for (let chunk = 0; chunk < this.chunks; chunk++) {
      if (!isSetIn(area, chunk) || this.isSet(chunk)) continue;
      this.#setImage(chunk);
      added++;
    }
    return added;
  }

  /** Whether any chunk's bit is set in this area. Bits behind the last chunk mean nothing. */
  hasBits(area: Uint8Array): boolean {
    for (let chunk = 0; chunk < this.chunks; chunk++) if (isSetIn(area, chunk)) return true;
    return false;
  }

  /** The same for another node's area; every chunk with a bit there needs a resync. */
  mergeNeeded(area: Uint8Array): void {
    this.merge(area);
    for (let chunk = 0; chunk < this.chunks; chunk++) if (isSetIn(area, chunk)) this.need(chunk);
  }

  /** Sets every bit: a stale or fresh bitmap. */
  fill(): void {
    for (let chunk = 0; chunk < this.chunks; chunk++) if (!this.isSet(chunk)) this.#setImage(chunk);
  }

  /** Every set bit's chunk needs a resync: the array was not stopped cleanly. */
  needSetChunks(): void {
    for (let chunk = 0; chunk < this.chunks; chunk++) if (this.isSet(chunk)) this.need(chunk);
  }

  need(chunk: number): void {
    if (this.#needed[chunk] === 1) return;
    this.#needed[chunk] = 1;
    this.#neededCount++;
  }

  /** The chunk's copies are equal again; its bit ages from now on. */
  settle(chunk: number): void {
    if (this.#needed[chunk] !== 1) return;
    this.#needed[chunk] = 0;
    this.#neededCount--;
    this.#age[chunk] = 0;
  }

  /** Sets the bits of chunks [first, last] in the image; durable once the pages are. */
  set(first: number, last: number): void {
    for (let chunk = first; chunk <= last; chunk++) if (!this.isSet(chunk)) this.#setImage(chunk);
  }

  /** AFTER the pages with these bits are durable on every leg: lets writes go on. */
  markDurable(first: number, last: number): void {
    for (let chunk = first; chunk <= last; chunk++) {
      assert(this.isSet(chunk), "durable bit is not set");
      this.#age[chunk] = 0;
      this.#shared.setBit(chunk, BIT_DURABLE);
    }
  }

  /** Updates the header; page 0 is then due to be written. */
  setHeader(events: number, eventsCleared: number): void {
    const now = this.#superblock;
    if (now.events === events && now.eventsCleared === eventsCleared) return;
    this.#superblock = { ...now, events, eventsCleared };
    this.#image.set(encodeBitmapSuperblock(this.#superblock), 0);
    this.#dirtyPages.add(0);
  }

  /** One sweep: ages untouched bits, and returns the chunks whose bit may now be cleared. */
  sweep(): number[] {
    const candidates: number[] = [];
    for (let chunk = 0; chunk < this.chunks; chunk++) {
      if (!this.isSet(chunk) || this.#needed[chunk] === 1) continue;
      const { started, underWay } = this.#shared.chunkWrites(chunk);
      if (underWay || started !== this.#lastStarted[chunk]) {
        this.#lastStarted[chunk] = started;
        this.#age[chunk] = 0;
        continue;
      }
      const age = (this.#age[chunk] ?? 0) + 1;
      this.#age[chunk] = Math.min(age, SWEEPS_TO_CLEAR);
      if (age >= SWEEPS_TO_CLEAR) candidates.push(chunk);
    }
    return candidates;
  }

  /**
   * Takes the permission to write away from these chunks; returns those that no write used
   * meanwhile. BEFORE the legs are flushed. Who writes there next asks for the bit, also when it
   * was not cleared after all.
   */
  withdraw(candidates: readonly number[]): number[] {
    return candidates.filter((chunk) => {
      const before = this.#shared.bit(chunk);
      this.#shared.setBit(chunk, BIT_CLEAN);
      const { started, underWay } = this.#shared.chunkWrites(chunk);
      if (!underWay && started === this.#lastStarted[chunk]) return true;
      this.#shared.setBit(chunk, before);
      return false;
    });
  }

  /** Clears withdrawn chunks in the image, AFTER the flush; skips those in use again. */
  clear(candidates: readonly number[]): void {
    for (const chunk of candidates) {
      if (this.#shared.bit(chunk) !== BIT_CLEAN || this.#needed[chunk] === 1) continue;
      if (this.isSet(chunk)) this.#setCount--;
      const at = BITMAP_SUPERBLOCK_BYTES + (chunk >> 3);
      this.#image[at] = (this.#image[at] ?? 0) & ~(1 << (chunk & 7));
      this.#dirtyPages.add(Math.floor(at / BITMAP_PAGE_BYTES));
    }
  }

  /** Writes for all pages changed since the last call, adjacent pages in one. Copies the bytes. */
  takeDirtyPages(): BitmapWrite[] {
    const pages = [...this.#dirtyPages].sort((a, b) => a - b);
    this.#dirtyPages.clear();
    const writes: BitmapWrite[] = [];
    for (let index = 0; index < pages.length; ) {
      const first = pages[index] ?? 0;
      let count = 1;
      while (pages[index + count] === first + count) count++;
      index += count;
      const offset = first * BITMAP_PAGE_BYTES;
      writes.push({ offset, data: this.#image.slice(offset, offset + count * BITMAP_PAGE_BYTES) });
    }
    return writes;
  }

  /** The whole area, for a leg that gets its first copy; copied. */
  wholeArea(): BitmapWrite {
    return { offset: 0, data: this.#image.slice() };
  }

  /** Every page is due to be written: a member that gets bits from now on needs them all. */
  markAllDirty(): void {
    for (let page = 0; page * BITMAP_PAGE_BYTES < this.#image.length; page++)
      this.#dirtyPages.add(page);
  }

  /** Writes that did not become durable everywhere are due again. */
  markPagesDirty(writes: readonly BitmapWrite[]): void {
    for (const { offset, data } of writes) {
      const first = offset / BITMAP_PAGE_BYTES;
      for (let page = 0; page * BITMAP_PAGE_BYTES < data.length; page++)
        this.#dirtyPages.add(first + page);
    }
  }

  #setImage(chunk: number): void {
    if (!this.isSet(chunk)) this.#setCount++;
    const at = BITMAP_SUPERBLOCK_BYTES + (chunk >> 3);
    this.#image[at] = (this.#image[at] ?? 0) | (1 << (chunk & 7));
    this.#dirtyPages.add(Math.floor(at / BITMAP_PAGE_BYTES));
  }
}
