/**
 * What the steps of a metadata transaction write on each member: bitmap pages, bad-block lists,
 * superblocks. Built when the step before is durable everywhere.
 * Source: drivers/md/md.c super_1_sync, md-bitmap.c write_sb_page.
 */

import type { MemberOp } from "./array-messages.ts";
import { type ArrayState, isClustered, type Member, type Phase, SECTOR } from "./array-state.ts";
import { badBlockPage } from "./bad-block-list.ts";
import { isReturning } from "./member-arrival.ts";
import { encodeSuperblock } from "./superblock.ts";
import {
  MD_FEATURE_BAD_BLOCKS,
  MD_FEATURE_BITMAP_OFFSET,
  MD_FEATURE_CLUSTERED,
  MD_FEATURE_RECOVERY_BITMAP,
  MD_FEATURE_RECOVERY_OFFSET,
  MD_FEATURE_REPLACEMENT,
  type Superblock,
} from "./superblock-fields.ts";
import type { BitmapWrite } from "./write-intent-bitmap.ts";

/** Members whose bitmap must be right: in sync or rebuilding. Source: md-bitmap.c write_sb_page. */
export const bitmapMembers = (state: ArrayState): Member[] =>
  [...state.members.values()].filter((m) => m.state === "in_sync" || m.state === "rebuilding");

/**
 * One offset holds for all members; the bitmaps of a cluster's nodes lie one behind the other.
 * Source: drivers/md/md.c mddev.bitmap_info.offset; md-bitmap.c md_bitmap_read_sb.
 */
const bitmapBase = (state: ArrayState, member: Member, slot: number): number =>
  (member.superblock.superOffset + state.template.bitmapOffset) * SECTOR +
  slot * (state.bitmap?.areaBytes ?? 0);

/** A node's bitmap on one member: where it lies, bytes from the start. */
export interface SlotBitmap {
  readonly member: number;
  readonly offset: number;
  readonly bytes: number;
}

/** The bitmap of a node on each leg. Source: md-bitmap.c get_bitmap_from_slot. */
export const slotBitmaps = (state: ArrayState, slot: number): SlotBitmap[] =>
  bitmapMembers(state).map((member) => ({
    member: member.id,
    offset: bitmapBase(state, member, slot),
    bytes: state.bitmap?.areaBytes ?? 0,
  }));

/** The ops that put these writes of a bitmap on a member, and make them durable. */
export const bitmapOps = (
  state: ArrayState,
  member: Member,
  writes: readonly BitmapWrite[],
  slot = state.cluster.slot,
): MemberOp[] => {
  const base = bitmapBase(state, member, slot);
  const ops = writes.map(
    ({ offset, data }): MemberOp => ({ type: "write", offset: base + offset, data }),
  );
  return [...ops, { type: "flush", isOwn: true }];
};

export const flushPhase = (state: ArrayState): Phase => ({
  ios: bitmapMembers(state).map((member) => ({ member: member.id, ops: [{ type: "flush" }] })),
});

/** The flush before this phase is done: its claims hold from now on. */
export const claimPhase = (state: ArrayState): Phase => {
  state.claims = state.transaction?.claims ?? state.claims;
  return { ios: [] };
};

export const bitmapPhase = (state: ArrayState): Phase => {
  const writes = state.bitmap?.takeDirtyPages() ?? [];
  if (state.transaction !== null)
    state.transaction.writes = [...state.transaction.writes, ...writes];
  if (writes.length === 0) return { ios: [] };
  return {
    ios: bitmapMembers(state).map((member) => ({
      member: member.id,
      ops: bitmapOps(state, member, writes),
    })),
  };
};

/** The superblock of one member as the array stands. Source: drivers/md/md.c super_1_sync. */
export const memberSuperblock = (state: ArrayState, member: Member): Superblock => {
  const rebuilding = member.state === "rebuilding";
  let featureMap = state.bitmap === null ? 0 : MD_FEATURE_BITMAP_OFFSET;
  if (isClustered(state)) featureMap |= MD_FEATURE_CLUSTERED;
  if (rebuilding) featureMap |= MD_FEATURE_RECOVERY_OFFSET;
  if (rebuilding && member.guided && state.bitmap !== null)
    featureMap |= MD_FEATURE_RECOVERY_BITMAP;
  if (member.isReplacement) featureMap |= MD_FEATURE_REPLACEMENT;
  if (member.badBlocks.length > 0) featureMap |= MD_FEATURE_BAD_BLOCKS;
  const seconds = Math.floor(state.now / 1000);
  return {
    ...member.superblock,
    featureMap,
    setUuid: state.template.setUuid,
    setName: state.template.setName,
    ctime: state.template.ctime,
    level: state.template.level,
    layout: state.template.layout,
    size: state.template.size,
    chunkSize: state.template.chunkSize,
    raidDisks: state.template.raidDisks,
    bitmapOffset: (state.bitmap === null ? member.superblock : state.template).bitmapOffset,
    recoveryOffset: rebuilding
      ? Math.floor((state.claims.recovered.get(member.id) ?? 0) / SECTOR)
      : 0,
    cntCorrectedRead: member.superblock.cntCorrectedRead + member.correctedSectors,
    utime: { seconds, microseconds: (state.now % 1000) * 1000 },
    events: state.events,
    resyncOffset: storedResyncOffset(state),
    // Roles are held back where members must agree; a spare never claims one that was meant for it.
    devRoles: member.state === "in_sync" && state.heldRoles ? state.heldRoles : state.devRoles,
  };
};

/** 0 while dirty, else the checkpoint. Source: drivers/md/md.c super_1_sync. */
const storedResyncOffset = (state: ArrayState): number | "none" => {
  if (!state.clean) return 0;
  const { resyncFrom } = state.claims;
  return resyncFrom === "none" ? "none" : Math.floor(resyncFrom / SECTOR);
};

/**
 * Who takes the place of another says so BEFORE anybody forgets that one: the two may hold what
 * nobody else has.
 */
export const promotedSuperblockPhase = (state: ArrayState): Phase =>
  superblockPhase(state, (member) => isPromoted(state, member));

/** In-sync members have the update BEFORE the others: whoever is freshest can be believed alone. */
export const inSyncSuperblockPhase = (state: ArrayState): Phase =>
  superblockPhase(state, (member) => member.state === "in_sync" && !isPromoted(state, member));

const isPromoted = (state: ArrayState, { id, state: word }: Member): boolean =>
  word === "in_sync" && state.transaction?.work.promoted.includes(id) === true;

/**
 * One that comes back keeps its own until an update names it in its raid slot: if it is refused, it
 * still says which place it had, and up to when.
 */
export const otherSuperblockPhase = (state: ArrayState): Phase =>
  superblockPhase(
    state,
    (member) => (member.state === "rebuilding" && !isReturning(member)) || member.state === "spare",
  );

const superblockPhase = (state: ArrayState, wanted: (member: Member) => boolean): Phase => {
  if (state.transaction !== null) state.transaction.roles = state.heldRoles ?? state.devRoles;
  return superblocks(state, wanted);
};

const superblocks = (state: ArrayState, wanted: (member: Member) => boolean): Phase => ({
  ios: [...state.members.values()].filter(wanted).map((member) => {
    const superblock = memberSuperblock(state, member);
    const data = encodeSuperblock(superblock);
    const offset = superblock.superOffset * SECTOR;
    const ops: MemberOp[] = [{ type: "write", offset, data }, { type: "flush" }];
    return { member: member.id, ops: [...badBlockOps(member), ...ops] };
  }),
});

/**
 * A list that changed is on the member BEFORE the superblock that says there is one; also when it
 * changed after this update began. What was written where the list no longer has a bad block is
 * durable BEFORE the list. Source: md.c md_super_write, REQ_PREFLUSH.
 */
const badBlockOps = (member: Member): MemberOp[] => {
  if (member.storedBadBlocks === member.badBlocks) return [];
  member.storedBadBlocks = member.badBlocks;
  const page = badBlockPage(member.badBlocks, member.superblock);
  return page === null ? [] : [{ type: "flush" }, { type: "write", ...page }, { type: "flush" }];
};
