/** How much of a member its own bitmap marks: read from the device, with nothing written. */

import type { BlockDevice } from "../hal/block-device.ts";
import { bitmapFits } from "./assembly-bitmap.ts";
import { bitmapChunks } from "./bitmap-superblock.ts";
import { readCandidate } from "./candidate-driver.ts";
import { readRange } from "./content-driver.ts";
import { bitmapSlotRanges, countDirtyChunks } from "./examine-bitmap.ts";
import { bitmapPosition } from "./probe.ts";
import { SECTOR_BYTES } from "./superblock-fields.ts";

/**
 * Bytes whose bit is set in any slot of the member's bitmap: where it may be unlike others. Null
 * when it has no bitmap, or none that can be read.
 */
export const readMarkedBytes = async (device: BlockDevice): Promise<number | null> => {
  const { probe, bitmap } = await readCandidate("", device);
  const sb = probe.superblock?.parsed?.value;
  const position = sb === undefined ? null : bitmapPosition(sb);
  if (sb === undefined || position === null) return null;
  if (bitmap === null || bitmap === "unreadable" || !bitmap.ok) return null;
  const { syncSize, chunkBytes } = bitmap.value;
  if (!bitmapFits(sb, bitmap.value, syncSize)) return null;
  let union: Uint8Array | null = null;
  for (const { offset, length } of bitmapSlotRanges(bitmap.value, position)) {
    const slot = await readRange(device, offset, length);
    if (slot === null) return null;
    union = union === null ? slot : union.map((byte, at) => byte | (slot[at] ?? 0));
  }
  const dirty = union === null ? 0 : countDirtyChunks(union, bitmapChunks(syncSize, chunkBytes));
  return Math.min(dirty * chunkBytes, syncSize * SECTOR_BYTES);
};
