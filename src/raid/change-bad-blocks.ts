/**
 * Giving every member a bad-block list, or taking them away. Source: mdadm super1.c update_super1,
 * "bbl", "no-bbl", "force-no-bbl"; measured with mdadm 4.2.
 */

import { bitmapChunks, bitmapSlotBytes } from "./bitmap-superblock.ts";
import { type ArrayDraft, type BitmapDraft, isInSync, type MemberDraft } from "./change-draft.ts";
import { membersAreEnough } from "./change-survival.ts";
import { type ChangeRefusal, refuseChange } from "./change-types.ts";
import { BAD_BLOCK_LOG_SECTORS } from "./sizing.ts";
import { superblockIsAtStart } from "./superblock.ts";
import {
  MD_FEATURE_BAD_BLOCKS,
  MD_FEATURE_RECOVERY_OFFSET,
  SECTOR_BYTES,
  type Superblock,
} from "./superblock-fields.ts";

/** Sectors that stay free behind the superblock for a bitmap of 32 KiB to come. */
const BITMAP_ROOM_SECTORS = 72;
const STEP_SECTORS = 8;

/** The array with a list on every member. */
export function addBadBlockLists(draft: ArrayDraft): ArrayDraft | ChangeRefusal | null {
  if (draft.members.every(({ superblock }) => superblock.bblogSize !== 0)) return null;
  if ((draft.bitmap?.slots[0]?.superblock.nodes ?? 0) > 0) {
    return refuseChange(
      "RAID_BAD_CLUSTER",
      "a clustered array keeps no bad-block lists",
      "leave it without, or give the array another bitmap first",
    );
  }
  const members: MemberDraft[] = [];
  for (const member of draft.members) {
    const { superblock } = member;
    const bblogOffset = superblock.bblogSize === 0 ? placeList(superblock, draft.bitmap) : 0;
    if (bblogOffset === null) {
      return refuseChange(
        "RAID_NO_METADATA_ROOM",
        `${member.member.path} has no room for a bad-block list beside its bitmap and data`,
        "do without, or give the array a smaller bitmap first",
      );
    }
    const list = { bblogSize: BAD_BLOCK_LOG_SECTORS, bblogShift: 0, bblogOffset };
    const changed = superblock.bblogSize === 0 ? { ...superblock, ...list } : superblock;
    members.push({ ...member, superblock: changed });
  }
  return { ...draft, members };
}

/**
 * The array without lists. A list with entries stays unless forced; its member then is recovered
 * whole, as long as the others hold everything.
 */
export function removeBadBlockLists(
  draft: ArrayDraft,
  force: boolean,
): ArrayDraft | ChangeRefusal | null {
  if (draft.members.every(({ superblock }) => superblock.bblogSize === 0)) return null;
  const bad = draft.members.filter(({ superblock }) => hasEntries(superblock));
  const [first] = bad;
  if (first !== undefined && !force) {
    return refuseChange(
      "RAID_BAD_BLOCKS_RECORDED",
      `the bad-block list of ${first.member.path} has entries`,
      "replace the member, or force it: the member is then recovered whole",
    );
  }
  const left = draft.members.filter((member) => isInSync(member) && !bad.includes(member));
  if (bad.some(isInSync) && !membersAreEnough(draft, left)) {
    return refuseChange(
      "RAID_BAD_BLOCKS_RECORDED",
      "the members without bad blocks do not hold everything",
      "add a member and let it recover first",
    );
  }
  const members = draft.members.map((member): MemberDraft => {
    const { superblock } = member;
    const without = { ...superblock, bblogSize: 0, bblogShift: 0, bblogOffset: 0 };
    return {
      ...member,
      superblock: hasEntries(superblock) ? toBeRecovered(without, member.raidSlot) : without,
    };
  });
  return { ...draft, members };
}

function hasEntries({ featureMap }: Superblock): boolean {
  return (featureMap & MD_FEATURE_BAD_BLOCKS) !== 0;
}

function toBeRecovered(superblock: Superblock, raidSlot: number | null): Superblock {
  const featureMap = superblock.featureMap & ~MD_FEATURE_BAD_BLOCKS;
  if (raidSlot === null) return { ...superblock, featureMap };
  return { ...superblock, featureMap: featureMap | MD_FEATURE_RECOVERY_OFFSET, recoveryOffset: 0 };
}

/** Sectors from the superblock, or null when there is no room. */
function placeList(sb: Superblock, bitmap: BitmapDraft | null): number | null {
  const first = bitmap?.slots[0];
  const bitmapSectors =
    first === undefined
      ? 0
      : bitmapSlotBytes(bitmapChunks(first.superblock.syncSize, first.superblock.chunkBytes)) /
        SECTOR_BYTES;
  const bitmapOffset = bitmap?.offset ?? 0;
  if (!superblockIsAtStart(sb)) {
    const free =
      bitmapOffset < 0
        ? -bitmapOffset - bitmapSectors
        : sb.superOffset - sb.dataOffset - sb.dataSize;
    return free >= BAD_BLOCK_LOG_SECTORS ? -BAD_BLOCK_LOG_SECTORS : null;
  }
  const room = sb.dataOffset - sb.superOffset;
  // mdadm counts from the device's start here, though the field counts from the superblock.
  let at = Math.max(sb.superOffset + bitmapOffset + bitmapSectors, STEP_SECTORS);
  const comfortable = BITMAP_ROOM_SECTORS + sb.superOffset;
  while (at < comfortable && at + STEP_SECTORS + BAD_BLOCK_LOG_SECTORS <= room) at += STEP_SECTORS;
  return at + BAD_BLOCK_LOG_SECTORS <= room ? at : null;
}
