/** Which member's bitmap an assembled array goes on with, and whether it can be believed. */

import type { AssemblyBitmap, AssemblyCandidate, AssemblyMember } from "./assembly-types.ts";
import type { BitmapSuperblock } from "./bitmap-superblock.ts";
import { BITMAP_STALE, bitmapChunks, bitmapSlotBytes } from "./bitmap-superblock.ts";
import { raid10ArraySectors, raid10Geometry } from "./raid10-layout.ts";
import { superblockSectors } from "./superblock.ts";
import type { Superblock } from "./superblock-fields.ts";
import { MD_FEATURE_BITMAP_OFFSET, SECTOR_BYTES } from "./superblock-fields.ts";

/**
 * The bitmap of the first in-sync member that has a sound one, those that missed updates of the
 * array last: such a bitmap is stale. In a cluster the slots of other nodes always lag. Source:
 * drivers/md/md-bitmap.c md_bitmap_read_sb.
 */
export function chooseBitmap(
  candidates: readonly AssemblyCandidate[],
  members: readonly AssemblyMember[],
  freshest: Superblock,
): AssemblyBitmap {
  if ((freshest.featureMap & MD_FEATURE_BITMAP_OFFSET) === 0) return { state: "none" };
  let second: AssemblyBitmap = { state: "absent", reason: "unreadable" };
  for (const [source, { placement, superblock: sb }] of members.entries()) {
    const bitmap = candidates[source]?.bitmap ?? null;
    if (placement.type !== "in-sync" || sb === null || bitmap === null) continue;
    if (bitmap === "unreadable") continue;
    if (!bitmap.ok) {
      if (second.state === "absent") second = { state: "absent", reason: bitmap.reason };
      continue;
    }
    const superblock = bitmap.value;
    if (!bitmapFits(sb, superblock, syncSizeOf(freshest))) {
      if (second.state === "absent") second = { state: "absent", reason: "misplaced" };
      continue;
    }
    const lags = superblock.nodes === 0 && superblock.events < freshest.events;
    const isStale = lags || (superblock.state & BITMAP_STALE) !== 0;
    if (!isStale) return { state: "usable", superblock, source };
    if (second.state === "absent") second = { state: "stale", superblock, source };
  }
  return second;
}

/** Sectors that the bitmap's bits cover: the component (raid1) or the array (raid10). */
export function syncSizeOf(sb: Superblock): number {
  const geometry = sb.level === 10 ? raid10Geometry(sb.layout, sb.raidDisks, sb.chunkSize) : null;
  return geometry === null ? sb.size : raid10ArraySectors(geometry, sb.size);
}

/**
 * True when all slots of a bitmap for `syncSize` sectors lie clear of this member's superblock and
 * data. A hostile chunk size cannot ask for more bits than this allows.
 */
export function bitmapFits(sb: Superblock, bitmap: BitmapSuperblock, syncSize: number): boolean {
  const slots = Math.max(bitmap.nodes, 1);
  const slotBytes = bitmapSlotBytes(bitmapChunks(syncSize, bitmap.chunkBytes));
  const lo = sb.superOffset + sb.bitmapOffset;
  const hi = lo + (slots * slotBytes) / SECTOR_BYTES;
  const clearOf = (start: number, length: number): boolean => hi <= start || lo >= start + length;
  return (
    lo >= 0 && clearOf(sb.superOffset, superblockSectors(sb)) && clearOf(sb.dataOffset, sb.size)
  );
}
