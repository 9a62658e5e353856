/**
 * Growing the component size. What is new is resynced: resync_offset goes back to the old size, and
 * the bits over it are set. Source: drivers/md/md.c update_size, raid1.c raid1_resize, raid10.c
 * raid10_resize, md-bitmap.c md_bitmap_resize; measured with mdadm 4.2 on Linux 6.1.
 */

import { syncSizeOf } from "./assembly-bitmap.ts";
import { BITMAP_SUPERBLOCK_BYTES, bitmapChunks } from "./bitmap-superblock.ts";
import { type BitGeometry, carryBits } from "./change-bits.ts";
import type { ArrayDraft, BitmapDraft, MemberDraft } from "./change-draft.ts";
import { type ChangeRefusal, refuseChange } from "./change-types.ts";
import { raid10Geometry, raid10UsedSectors } from "./raid10-layout.ts";
import { BAD_BLOCK_LOG_SECTORS, bitmapSpaceSectors } from "./sizing.ts";
import { superblockIsAtStart } from "./superblock.ts";
import { SECTOR_BYTES } from "./superblock-fields.ts";

/** Largest chunk that the bitmap superblock can hold, a power of two. */
const CHUNK_BYTES_MAX = 2 ** 31;
/** Sizes that the array chooses itself are multiples of 4 KiB, for devices of that sector size. */
const ROUNDING_SECTORS = 8;
const KIB_SECTORS = 2;

/** The array with a larger component; null when it has that size. */
export function growSize(
  draft: ArrayDraft,
  sizeBytes: number | "max",
): ArrayDraft | ChangeRefusal | null {
  const { template } = draft;
  const rooms = draft.members.map((member) => ({ member, room: dataRoom(member, draft.bitmap) }));
  const smallest = rooms.reduce((least, one) => (one.room < least.room ? one : least));
  const size = roundSize(draft, sizeBytes === "max" ? smallest.room : sizeBytes / SECTOR_BYTES);
  if (typeof size !== "number") return size;
  const wanted = { ...template, size };
  const [before, after] = [syncSizeOf(template), syncSizeOf(wanted)];
  if (size === template.size || after === before) return null;
  if (after < before) {
    return refuseChange(
      "RAID_SHRINK_REFUSED",
      `${describe(size)} of each member is less than the ${describe(template.size)} in use: what ` +
        "lies behind would be lost",
      "choose a larger size; to shrink, copy the content to a smaller array",
    );
  }
  if (size > smallest.room) {
    return refuseChange(
      "RAID_MEMBER_TOO_SMALL",
      `${smallest.member.member.path} has room for ${describe(smallest.room)} of data, ` +
        `${describe(size)} are asked for`,
      "choose a smaller size, or replace the member by a larger one first",
    );
  }
  const { resyncOffset } = template;
  return {
    template: {
      ...wanted,
      resyncOffset: resyncOffset === "none" ? before : Math.min(resyncOffset, before),
    },
    bitmap: draft.bitmap === null ? null : growBitmap(draft.bitmap, before, after),
    members: rooms.map(({ member, room }): MemberDraft => {
      const { superblock } = member;
      const dataSize = Math.max(superblock.dataSize, room);
      return { ...member, superblock: { ...superblock, dataSize } };
    }),
  };
}

/** Sectors for data on a member, its metadata where it is. Source: super_1_rdev_size_change. */
function dataRoom({ member, superblock: sb }: MemberDraft, bitmap: BitmapDraft | null): number {
  if (superblockIsAtStart(sb)) return member.deviceSectors - sb.dataOffset;
  const offsets = [bitmap?.offset ?? 0, sb.bblogSize === 0 ? 0 : sb.bblogOffset];
  const firstTaken = sb.superOffset + Math.min(0, ...offsets);
  const reserved = bitmapSpaceSectors(member.deviceSectors) + BAD_BLOCK_LOG_SECTORS;
  return Math.min(firstTaken, Math.max(sb.dataSize, sb.superOffset - reserved));
}

function roundSize({ template }: ArrayDraft, sectors: number): number | ChangeRefusal {
  if (template.level !== 10) {
    const rounding = sectors % ROUNDING_SECTORS === 0 ? ROUNDING_SECTORS : KIB_SECTORS;
    return Math.floor(sectors / rounding) * rounding;
  }
  const { layout, raidDisks, chunkSize } = template;
  const geometry = raid10Geometry(layout, raidDisks, chunkSize);
  if (geometry === null || (geometry.farCopies > 1 && !geometry.isOffset)) {
    return refuseChange(
      "RAID_CHANGE_UNSUPPORTED",
      "the far copies of a raid10 array lie behind the near ones, so its size cannot be changed",
      "make a new array and copy the content",
    );
  }
  return raid10UsedSectors(geometry, sectors);
}

/** The chunk stays where the bits still fit the sectors the bitmap has, else it doubles. */
function growBitmap(bitmap: BitmapDraft, before: number, after: number): BitmapDraft {
  const bytesFor = (syncSize: number, chunkBytes: number): number =>
    BITMAP_SUPERBLOCK_BYTES + Math.ceil(bitmapChunks(syncSize, chunkBytes) / 8);
  return {
    ...bitmap,
    slots: bitmap.slots.map(({ superblock, bits }, slot) => {
      const { sectorsReserved } = superblock;
      let { chunkBytes } = superblock;
      const now = Math.ceil(bytesFor(before, chunkBytes) / SECTOR_BYTES);
      const room = sectorsReserved === 0 ? now : sectorsReserved;
      while (bytesFor(after, chunkBytes) > room * SECTOR_BYTES && chunkBytes < CHUNK_BYTES_MAX) {
        chunkBytes *= 2;
      }
      const from: BitGeometry = { syncSize: before, chunkBytes: superblock.chunkBytes };
      const to: BitGeometry = { syncSize: after, chunkBytes };
      return {
        superblock: { ...superblock, ...to, sectorsReserved: room },
        bits: carryBits(bits, from, to, slot === 0 ? "set" : "clear"),
      };
    }),
  };
}

function describe(sectors: number): string {
  return `${sectors / KIB_SECTORS} KiB`;
}
