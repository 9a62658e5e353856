/** Reads the write-intent bitmap of a member, all slots of it, for a report. */

import { CodedError } from "../common/errors.ts";
import type { BlockDevice } from "../hal/block-device.ts";
import {
  BITMAP_SUPERBLOCK_BYTES,
  type BitmapReason,
  bitmapChunks,
  bitmapSlotBytes,
  decodeBitmapSuperblock,
} from "../raid/bitmap-superblock.ts";
import { readRange } from "../raid/content-driver.ts";
import { BITMAP_SECTOR_090, hasBitmap090 } from "../raid/examine-090.ts";
import { bitmapSlotRanges, countDirtyChunks, type ExaminedSlot } from "../raid/examine-bitmap.ts";
import { bitmapPosition, type ProbedMember } from "../raid/probe.ts";
import { superblock090Sector } from "../raid/superblock-090.ts";
import { SECTOR_BYTES } from "../raid/superblock-fields.ts";

/** Where a member's bitmap lies, and the array it must belong to. */
export interface BitmapPlace {
  readonly offset: number;
  /** Undefined: not checked. */
  readonly setUuid: Uint8Array | undefined;
  readonly is090: boolean;
}

/** Most bytes of one bitmap slot that are read to count its bits. */
const SLOT_BYTES_MAX = 64 * 1024 * 1024;

const DAMAGE: Readonly<Record<BitmapReason, string>> = {
  truncated: "is cut off",
  "no-magic": "has no magic number",
  version: "has an unknown version",
  "chunk-size": "has an impossible chunk size",
  "daemon-sleep": "has an impossible flush period",
  "write-behind": "has an impossible number of writes behind",
  nodes: "has an impossible number of nodes",
  "out-of-range": "holds a count beyond 2^53",
  uuid: "belongs to another array",
};

/** The place its superblock names. Errors: RAID_NO_BITMAP. */
export function findBitmap(path: string, probe: ProbedMember): BitmapPlace {
  const sb = probe.superblock?.parsed?.value;
  const offset = sb === undefined ? null : bitmapPosition(sb);
  if (sb !== undefined && offset !== null) return { offset, setUuid: sb.setUuid, is090: false };
  const sector = superblock090Sector(Math.floor(probe.sizeBytes / SECTOR_BYTES));
  const old = probe.superblock090;
  if (sb !== undefined || old === null || sector === null || !hasBitmap090(old)) {
    throw new CodedError("RAID_NO_BITMAP", `${path} has no write-intent bitmap`);
  }
  const position = (sector + BITMAP_SECTOR_090) * SECTOR_BYTES;
  return { offset: position, setUuid: undefined, is090: true };
}

/** Every slot, at least one. Errors: RAID_BITMAP_DAMAGED. */
export async function readSlots(
  path: string,
  device: BlockDevice,
  place: BitmapPlace,
): Promise<readonly ExaminedSlot[]> {
  const { offset, setUuid } = place;
  const head = await readRange(device, offset, BITMAP_SUPERBLOCK_BYTES);
  if (head === null) throw damaged(path, "cannot be read");
  const decoded = decodeBitmapSuperblock(head, setUuid);
  if (!decoded.ok) throw damaged(path, DAMAGE[decoded.reason]);
  const chunks = bitmapChunks(decoded.value.syncSize, decoded.value.chunkBytes);
  if (bitmapSlotBytes(chunks) > SLOT_BYTES_MAX) throw damaged(path, `would have ${chunks} bits`);
  const slots: ExaminedSlot[] = [];
  for (const [index, range] of bitmapSlotRanges(decoded.value, offset).entries()) {
    const bytes = await readRange(device, range.offset, range.length);
    if (bytes === null) throw damaged(path, `cannot be read in slot ${index}`);
    const slot = decodeBitmapSuperblock(bytes, setUuid);
    if (!slot.ok) throw damaged(path, `${DAMAGE[slot.reason]} in slot ${index}`);
    slots.push({ superblock: slot.value, chunks, dirty: countDirtyChunks(bytes, chunks) });
  }
  return slots;
}

function damaged(path: string, what: string): CodedError {
  return new CodedError("RAID_BITMAP_DAMAGED", `the bitmap of ${path} ${what}`, {
    remedy: "use another member; an array without a sound bitmap resyncs in full",
  });
}
