/** Bits of a write-intent bitmap carried into one of another size or chunk. None is ever lost. */

import { bitmapChunks } from "./bitmap-superblock.ts";

/** What bits cover: array sectors, in chunks of so many bytes. */
export interface BitGeometry {
  readonly syncSize: number;
  readonly chunkBytes: number;
}

const SECTOR_BYTES = 512;

/** The union of bit arrays; missing bytes count as zeros. */
export function joinBits(parts: readonly Uint8Array[], bytes: number): Uint8Array {
  const all = new Uint8Array(bytes);
  for (const part of parts) {
    const length = Math.min(part.length, bytes);
    for (let at = 0; at < length; at += 1) all[at] = (all[at] ?? 0) | (part[at] ?? 0);
  }
  return all;
}

/** Bits for a geometry, all set. Those behind the last chunk are 0. */
export function allBits(geometry: BitGeometry): Uint8Array {
  const bits = noBits(geometry);
  setBits(bits, geometry, 0, geometry.syncSize);
  return bits;
}

/** Bits for a geometry, none set. */
export function noBits({ syncSize, chunkBytes }: BitGeometry): Uint8Array {
  return new Uint8Array(Math.ceil(bitmapChunks(syncSize, chunkBytes) / 8));
}

/** Sets every bit of `to` whose chunk touches the sectors `[lo, hi)`. */
export function setBits(bits: Uint8Array, to: BitGeometry, lo: number, hi: number): void {
  const chunkSectors = to.chunkBytes / SECTOR_BYTES;
  const end = Math.min(hi, to.syncSize);
  for (let chunk = Math.floor(lo / chunkSectors); chunk * chunkSectors < end; chunk += 1) {
    bits[chunk >> 3] = (bits[chunk >> 3] ?? 0) | (1 << (chunk & 7));
  }
}

/**
 * Bits of `from` in the geometry `to`: set when any old bit over the chunk was, and for everything
 * that `from` did not cover when `tail` says so.
 */
export function carryBits(
  bits: Uint8Array,
  from: BitGeometry,
  to: BitGeometry,
  tail: "set" | "clear",
): Uint8Array {
  const carried = noBits(to);
  const chunkSectors = from.chunkBytes / SECTOR_BYTES;
  for (let chunk = 0; chunk < bitmapChunks(from.syncSize, from.chunkBytes); chunk += 1) {
    if (((bits[chunk >> 3] ?? 0) & (1 << (chunk & 7))) === 0) continue;
    setBits(carried, to, chunk * chunkSectors, (chunk + 1) * chunkSectors);
  }
  if (tail === "set" && from.syncSize < to.syncSize) {
    setBits(carried, to, from.syncSize, to.syncSize);
  }
  return carried;
}

/** First sector under a set bit, or null when none is set. */
export function firstSetSector(bits: Uint8Array, geometry: BitGeometry): number | null {
  const { syncSize, chunkBytes } = geometry;
  for (let chunk = 0; chunk < bitmapChunks(syncSize, chunkBytes); chunk += 1) {
    if (((bits[chunk >> 3] ?? 0) & (1 << (chunk & 7))) !== 0) {
      return chunk * (chunkBytes / SECTOR_BYTES);
    }
  }
  return null;
}
