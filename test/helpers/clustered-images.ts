/** Members of a clustered raid1 or raid10 as whole images: their bitmaps, their content. */
import { createHash } from "node:crypto";
import * as assert from "uvu/assert";
import { ArrayMap } from "../../src/raid/array-map.ts";
import {
  type BitmapSuperblock,
  bitmapChunks,
  bitmapSlotBytes,
  decodeBitmapSuperblock,
} from "../../src/raid/bitmap-superblock.ts";
import { decodeSuperblock } from "../../src/raid/superblock.ts";
import type { Superblock } from "../../src/raid/superblock-fields.ts";

const SECTOR = 512;
/** What `tear` writes. */
export const TORN = 0x5a;

/** Where things lie on a member, all of them alike. */
export interface ClusteredLayout {
  readonly superblock: Superblock;
  readonly bitmap: BitmapSuperblock;
  readonly chunks: number;
  /** Bytes from the start of the member to a slot's bitmap. */
  slotAt(slot: number): number;
}

/** Of an image with metadata 1.2 and a sound bitmap in slot 0. */
export function layoutOf(image: Uint8Array): ClusteredLayout {
  const decoded = decodeSuperblock(image.subarray(4096, 8192), 8, image.length / SECTOR);
  assert.ok(decoded.ok);
  if (!decoded.ok) throw new Error("no superblock");
  const superblock = decoded.value;
  const start = (superblock.superOffset + superblock.bitmapOffset) * SECTOR;
  const bitmap = decodeBitmapSuperblock(image.subarray(start, start + 256), superblock.setUuid);
  if (!bitmap.ok) throw new Error("no bitmap");
  const chunks = bitmapChunks(bitmap.value.syncSize, bitmap.value.chunkBytes);
  const step = bitmapSlotBytes(chunks);
  return { superblock, bitmap: bitmap.value, chunks, slotAt: (slot) => start + slot * step };
}

/** Chunks whose bit is set in a slot. */
export function bitsOf(
  image: Uint8Array,
  { chunks, slotAt }: ClusteredLayout,
  slot: number,
): number[] {
  const bits = image.subarray(slotAt(slot) + 256);
  return Array.from({ length: chunks }, (_, chunk) => chunk).filter(
    (chunk) => ((bits[chunk >> 3] ?? 0) & (1 << (chunk & 7))) !== 0,
  );
}

/** All slots. */
export const slotsOf = ({ bitmap: { nodes } }: ClusteredLayout): number[] =>
  Array.from({ length: nodes }, (_, slot) => slot);

/**
 * Makes the last copy differ under every bit that any node has set, and at one place under none.
 * Returns the place that nothing may change (of a mirror; -1 when every chunk is dirty).
 */
export function tear(images: readonly Uint8Array[], layout: ClusteredLayout): number {
  const last = images.at(-1) ?? new Uint8Array();
  const dirty = new Set(slotsOf(layout).flatMap((slot) => bitsOf(last, layout, slot)));
  const at = (chunk: number): number =>
    layout.superblock.dataOffset * SECTOR + chunk * layout.bitmap.chunkBytes;
  for (const chunk of dirty) last.fill(TORN, at(chunk), at(chunk) + 4096);
  const spared = Array.from({ length: layout.chunks }, (_, c) => c).find((c) => !dirty.has(c));
  if (spared === undefined) return -1;
  last.fill(TORN, at(spared) + 4096, at(spared) + 4608);
  return at(spared) + 4096;
}

/** The array's content as the first copy of each place has it. */
export function contentHash(
  images: readonly Uint8Array[],
  { superblock }: ClusteredLayout,
): string {
  const { raidDisks, size, level, layout, chunkSize } = superblock;
  const raid10 = level === 10 ? { layout, chunkSectors: chunkSize } : null;
  const map = new ArrayMap({ raidSlots: raidDisks, componentSectors: size, raid10 });
  const hash = createHash("sha256");
  for (const { length, places } of map.extents(0, map.sizeBytes)) {
    const [{ slot, position } = { slot: 0, position: 0 }] = places;
    const from = superblock.dataOffset * SECTOR + position;
    hash.update((images[slot] ?? new Uint8Array()).subarray(from, from + length));
  }
  return hash.digest("hex");
}
