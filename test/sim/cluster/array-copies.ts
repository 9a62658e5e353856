/**
 * Where the copies of the array's bytes lie on the media of a simulated cluster, for raid1 and
 * every raid10 layout. The array may have become larger than it was: what lies behind its end has
 * never been written, and is the same on all copies.
 */

import { ArrayMap } from "../../../src/raid/array-map.ts";
import {
  type ArrayShape,
  CLUSTER_GEOMETRY,
  type MediaRoles,
  mapShape,
  sectorOn,
} from "./cluster-media.ts";
import type { SharedMedium } from "./shared-medium.ts";

const { dataAt } = CLUSTER_GEOMETRY;
const SECTOR = 512;

/** One copy of a piece of the array. */
export interface Copy {
  readonly medium: SharedMedium;
  /** Bytes behind the medium's data offset. */
  readonly position: number;
}

interface Piece {
  readonly offset: number;
  readonly length: number;
  readonly copies: readonly Copy[];
}

export class ArrayCopies {
  /** Null: every medium holds every byte at the array's own offset. */
  readonly #map: ArrayMap | null;
  readonly #shape: ArrayShape;
  /** Bytes of the array when it is as large as it can be. */
  readonly #sizeMax: number;
  /** Bytes of the array by the size of its members, sectors. */
  readonly #sizes = new Map<number, number>();

  constructor(shape: ArrayShape) {
    const map = new ArrayMap(mapShape({ ...shape, size: shape.sizeMax }));
    this.#map = shape.level === 1 ? null : map;
    this.#shape = shape;
    this.#sizeMax = map.sizeBytes;
  }

  /** What lies behind it on a member was another array's: one that was larger, and ran apart. */
  #sizeOf({ size }: MediaRoles): number {
    const known = this.#sizes.get(size);
    if (known !== undefined) return known;
    const { sizeBytes } = new ArrayMap(mapShape({ ...this.#shape, size }));
    this.#sizes.set(size, sizeBytes);
    return sizeBytes;
  }

  /** The in-sync copies of bytes of the array, in runs that lie in one piece on each. */
  pieces(roles: MediaRoles, offset: number, length: number): readonly Piece[] {
    const size = Math.min(length, this.#sizeMax - offset);
    if (size <= 0) return [];
    if (this.#map === null) {
      const copies = roles.inSync.map((medium) => ({ medium, position: offset }));
      return [{ offset, length: size, copies }];
    }
    return this.#map.extents(offset, size).map(({ places, ...run }) => ({
      offset: run.offset,
      length: run.length,
      copies: places.flatMap(({ slot, position }) => {
        const medium = roles.slots.get(slot);
        return medium === undefined ? [] : [{ medium, position }];
      }),
    }));
  }

  /** The array's bytes that lie in these of a raid slot's data. */
  ranges(slot: number, position: number, length: number): readonly (readonly [number, number])[] {
    if (this.#map === null) return [[position, position + length]];
    return this.#map
      .memberRuns(slot, position, length)
      .map((run) => [run.offset, run.offset + run.length]);
  }

  /** Whether every byte has an in-sync copy on one of the media that are whole. */
  survives({ inSync, slots }: MediaRoles, isWhole: (medium: SharedMedium) => boolean): boolean {
    if (this.#map === null) return inSync.some(isWhole);
    return (
      this.#map.copiesLeft((slot) => {
        const medium = slots.get(slot);
        return medium !== undefined && isWhole(medium);
      }) > 0
    );
  }

  /** What each in-sync copy of a sector of the array holds. */
  sector(roles: MediaRoles, sector: number): readonly (Copy & { readonly id: number })[] {
    return this.pieces(roles, sector * SECTOR, SECTOR).flatMap(({ copies }) =>
      copies.map((copy) => ({ ...copy, id: sectorOn(copy.medium.current, copy.position) })),
    );
  }

  /** Which in-sync copies differ in these bytes of the array, in words; null: they are equal. */
  difference(
    roles: MediaRoles,
    of: "current" | "durable",
    offset: number,
    length: number,
  ): string | null {
    const end = Math.min(offset + length, this.#sizeOf(roles));
    for (const piece of this.pieces(roles, offset, end - offset)) {
      const [first, ...others] = piece.copies;
      for (const other of others) {
        const at = first === undefined ? -1 : firstDifference(first, other, of, piece.length);
        if (at !== -1)
          return `${first?.medium.path} and ${other.medium.path} differ from byte ${piece.offset + at} on`;
      }
    }
    return null;
  }
}

/** The first byte in which they differ, or -1. */
const firstDifference = (
  one: Copy,
  other: Copy,
  of: "current" | "durable",
  length: number,
): number => {
  const bytes = ({ medium, position }: Copy): Uint8Array =>
    medium[of].subarray(dataAt + position, dataAt + position + length);
  const [ours, theirs] = [bytes(one), bytes(other)];
  return Buffer.compare(ours, theirs) === 0
    ? -1
    : ours.findIndex((byte, at) => byte !== theirs[at]);
};
