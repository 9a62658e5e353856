/**
 * Where the bytes of an array lie on its members: raid1 and every raid10 layout behind one
 * interface. An extent is a run of array bytes that lies in one piece on each of its copies; a
 * place is a raid slot and a position there, in bytes behind the member's data offset.
 * Source: raid10-layout.ts; for raid1 every raid slot holds every byte at its own position.
 */

import { assert } from "../common/assert.ts";
import {
  type Raid10Geometry,
  raid10ArraySectors,
  raid10Copies,
  raid10Geometry,
  raid10UsedSectors,
} from "./raid10-layout.ts";

const SECTOR = 512;

/** What defines the mapping; plain values that can be sent to another thread. */
export interface ArrayMapShape {
  readonly raidSlots: number;
  /** Component size in sectors: the superblock's `size`. */
  readonly componentSectors: number;
  /** Null for raid1. */
  readonly raid10: { readonly layout: number; readonly chunkSectors: number } | null;
}

/** One copy of an extent. */
export interface Place {
  readonly slot: number;
  /** Bytes behind the member's data offset. */
  readonly position: number;
}

export interface Extent {
  /** Bytes of the array. */
  readonly offset: number;
  readonly length: number;
  /** Every copy, in md's order: the first one is what stable reads and repair go by. */
  readonly places: readonly Place[];
}

/** A run of one member's bytes and the array bytes it holds. */
export interface MemberRun {
  readonly position: number;
  readonly length: number;
  /** Bytes of the array. */
  readonly offset: number;
}

export class ArrayMap {
  readonly raidSlots: number;
  /** Bytes of array content. */
  readonly sizeBytes: number;
  /** Bytes that the array uses of each member. */
  readonly memberBytes: number;
  /** Every raid slot holds every byte at the array's own offset. */
  readonly isMirror: boolean;
  /** Bytes up to which an extent may run: the raid10 chunk; Infinity for a mirror. */
  readonly chunkBytes: number;
  /** Reads are best served from the lowest position: far copies lie behind. */
  readonly readsLowest: boolean;
  readonly #shape: ArrayMapShape;
  readonly #geometry: Raid10Geometry | null;
  /** For each far copy: which raid slot's first copy a raid slot holds there. */
  readonly #origins: readonly (readonly number[])[];
  readonly #strideBytes: number;

  /** The shape must be one that assembly accepted. */
  constructor(shape: ArrayMapShape) {
    const { raidSlots, componentSectors, raid10 } = shape;
    const geometry =
      raid10 === null ? null : raid10Geometry(raid10.layout, raidSlots, raid10.chunkSectors);
    assert(raid10 === null || geometry !== null, "the layout is one that md accepts");
    this.#shape = shape;
    this.#geometry = geometry;
    this.raidSlots = raidSlots;
    this.isMirror = geometry === null || geometry.nearCopies === raidSlots;
    if (geometry === null) {
      this.sizeBytes = componentSectors * SECTOR;
      this.memberBytes = this.sizeBytes;
    } else {
      this.sizeBytes = raid10ArraySectors(geometry, componentSectors) * SECTOR;
      this.memberBytes = raid10UsedSectors(geometry, componentSectors) * SECTOR;
    }
    this.chunkBytes =
      geometry === null || this.isMirror ? Infinity : geometry.chunkSectors * SECTOR;
    this.readsLowest = geometry !== null && geometry.farCopies > 1 && !geometry.isOffset;
    this.#origins = geometry === null ? [] : farOrigins(geometry, componentSectors);
    this.#strideBytes = geometry === null ? 0 : strideBytes(geometry, this.memberBytes);
  }

  /** The extents that cover `[offset, offset + length)` of the array, in order. */
  extents(offset: number, length: number): Extent[] {
    if (this.isMirror || this.#geometry === null) return [this.#mirrored(offset, length)];
    const extents: Extent[] = [];
    const end = offset + length;
    for (let at = offset; at < end; ) {
      const chunkEnd = (Math.floor(at / this.chunkBytes) + 1) * this.chunkBytes;
      const upTo = Math.min(chunkEnd, end);
      extents.push({ offset: at, length: upTo - at, places: this.#places(this.#geometry, at) });
      at = upTo;
    }
    return extents;
  }

  /**
   * What raid slot `slot` holds in `[position, position + length)` of its data, in order of
   * position. Bytes behind the array's end hold nothing and are left out.
   */
  memberRuns(slot: number, position: number, length: number): MemberRun[] {
    if (this.isMirror || this.#geometry === null) {
      const end = Math.min(position + length, this.sizeBytes);
      return end <= position ? [] : [{ position, length: end - position, offset: position }];
    }
    const runs: MemberRun[] = [];
    const end = Math.min(position + length, this.memberBytes);
    for (let at = position; at < end; ) {
      const chunkEnd = (Math.floor(at / this.chunkBytes) + 1) * this.chunkBytes;
      const upTo = Math.min(chunkEnd, end);
      const offset = this.#arrayOffset(this.#geometry, slot, at);
      if (offset < this.sizeBytes) runs.push({ position: at, length: upTo - at, offset });
      at = upTo;
    }
    return runs;
  }

  /**
   * The fewest copies that any byte has on the raid slots `has` names; 0 = something is lost.
   * Source: drivers/md/raid10.c _enough.
   */
  copiesLeft(has: (slot: number) => boolean): number {
    const { raidSlots } = this;
    const step = this.#geometry?.nearCopies ?? raidSlots;
    const copies = step * (this.#geometry?.farCopies ?? 1);
    let fewest = copies;
    let first = 0;
    do {
      let found = 0;
      for (let copy = 0; copy < copies; copy++) if (has((first + copy) % raidSlots)) found++;
      fewest = Math.min(fewest, found);
      first = (first + step) % raidSlots;
    } while (first !== 0);
    return fewest;
  }

  #mirrored(offset: number, length: number): Extent {
    const places = Array.from({ length: this.raidSlots }, (_, slot) => ({
      slot,
      position: offset,
    }));
    return { offset, length, places };
  }

  #places(geometry: Raid10Geometry, offset: number): Place[] {
    const sector = Math.floor(offset / SECTOR);
    const within = offset % SECTOR;
    return raid10Copies(geometry, this.#shape.componentSectors, sector).map((copy) => ({
      slot: copy.raidSlot,
      position: copy.sector * SECTOR + within,
    }));
  }

  /** Source: drivers/md/raid10.c raid10_find_virt, by the forward mapping's own tables. */
  #arrayOffset(geometry: Raid10Geometry, slot: number, position: number): number {
    const { chunkBytes } = this;
    const { raidDisks, nearCopies, farCopies, isOffset } = geometry;
    const memberChunk = Math.floor(position / chunkBytes);
    let far = 0;
    let row = memberChunk;
    if (isOffset) {
      far = memberChunk % farCopies;
      row = Math.floor(memberChunk / farCopies);
    } else if (farCopies > 1) {
      const strideChunks = this.#strideBytes / chunkBytes;
      far = Math.floor(memberChunk / strideChunks);
      row = memberChunk % strideChunks;
    }
    const origin = this.#origins[far]?.[slot];
    if (origin === undefined) return Infinity;
    const chunk = Math.floor((row * raidDisks + origin) / nearCopies);
    return chunk * chunkBytes + (position % chunkBytes);
  }
}

const strideBytes = (geometry: Raid10Geometry, memberBytes: number): number => {
  const chunk = geometry.chunkSectors * SECTOR;
  const chunks = memberBytes / chunk;
  return (geometry.isOffset ? 1 : Math.floor(chunks / geometry.farCopies)) * chunk;
};

/** Far copy `f` of what lies first on raid slot `d` is on slot `s`: the table gives d for f, s. */
const farOrigins = (geometry: Raid10Geometry, size: number): number[][] => {
  const { raidDisks, nearCopies, farCopies, chunkSectors } = geometry;
  const origins = Array.from({ length: farCopies }, () => new Array<number>(raidDisks).fill(-1));
  // Near copy 0 of the array's first chunks starts on every nearCopies-th raid slot only, so the
  // rotation is taken from copies of enough chunks to have begun on each.
  for (let chunk = 0; chunk < raidDisks; chunk++) {
    const copies = raid10Copies(geometry, size, chunk * chunkSectors);
    for (let near = 0; near < nearCopies; near++) {
      const first = copies[near * farCopies];
      for (let far = 0; far < farCopies; far++) {
        const copy = copies[near * farCopies + far];
        const row = origins[far];
        if (first !== undefined && copy !== undefined && row !== undefined)
          row[copy.raidSlot] = first.raidSlot;
      }
    }
  }
  return origins;
};
