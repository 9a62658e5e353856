/**
 * mdadm's add and re-add on a running array: a device becomes a spare, or takes its old place.
 * Each answers its command once the change is durable on every member and known to every node.
 * Source: mdadm Manage.c, drivers/md/md.c add_new_disk.
 */

import { assert } from "../common/assert.ts";
import { equalBytes } from "../common/bytes.ts";
import type { CommandOutcome, MemberOp, Newcomer } from "./array-messages.ts";
import {
  type ArrayState,
  degradedCount,
  emit,
  freeLeg,
  happen,
  isInCluster,
  type Joining,
  type Member,
  memberAt,
  memberByPath,
  nextToken,
  SECTOR,
} from "./array-state.ts";
import { decodeBitmapSuperblock } from "./bitmap-superblock.ts";
import { askDriver } from "./cluster-calls.ts";
import { letGo, lookAgain, type Offered, offerDevice } from "./cluster-members.ts";
import { busy, isComing } from "./member-arrival.ts";
import { bitmapOps, memberSuperblock } from "./metadata-phases.ts";
import { newMember } from "./new-member.ts";
import { withRole } from "./role-changes.ts";
import {
  markedBytes,
  NO_OTHER_SLOTS,
  type OtherSlots,
  otherSlotNumbers,
  otherSlots,
} from "./slot-areas.ts";
import { encodeSuperblock, memberRole, superblockIsAtStart } from "./superblock.ts";
import {
  FAIL_FAST,
  MD_DISK_ROLE_FAULTY,
  MD_DISK_ROLE_SPARE,
  MD_FEATURE_RECOVERY_BITMAP,
  MD_FEATURE_RECOVERY_OFFSET,
  type Superblock,
  WRITE_MOSTLY,
} from "./superblock-fields.ts";
import type { WriteIntentBitmap } from "./write-intent-bitmap.ts";

const refuse = (code: string, message: string): CommandOutcome => ({ ok: false, code, message });

const isOurs = (state: ArrayState, superblock: Superblock): boolean =>
  equalBytes(superblock.setUuid, state.template.setUuid);

/**
 * Why a member cannot be re-added, or null when it can.
 * Source: mdadm Manage.c attempt_re_add; md.c md_add_new_disk; events_cleared: md-bitmap.c.
 */
const reAddProblem = (state: ArrayState, newcomer: Newcomer, others: OtherSlots): string | null => {
  const { superblock } = newcomer;
  if (superblock === null) return "it holds no md superblock";
  if (!isOurs(state, superblock)) return "its superblock is of another array";
  const role = memberRole(superblock, superblock.devNumber);
  if (role.type !== "slot") return "its superblock does not say that it was an active member";
  if (memberAt(state, role.raidSlot) !== null || isSlotPromised(state, role.raidSlot))
    return `raid slot ${role.raidSlot} is taken by another member`;
  const { featureMap } = superblock;
  const guided = (featureMap & MD_FEATURE_RECOVERY_BITMAP) !== 0;
  if ((featureMap & MD_FEATURE_RECOVERY_OFFSET) !== 0 && !guided)
    return "it was being rebuilt when it left";
  if (role.raidSlot >= state.template.raidDisks) return "its raid slot no longer exists";
  if (numberInUse(state, superblock.devNumber))
    return "its device number is another member's by now";
  if (superblock.dataSize < state.template.size) return "its data area is too small by now";
  const { bitmap } = state;
  if (bitmap === null) {
    return superblock.events === state.events
      ? null
      : "the array has no bitmap and went on without it";
  }
  // Any node may have cleared bits of what it alone had written.
  const cleared = Math.max(bitmap.superblock.eventsCleared, others.eventsCleared);
  if (superblock.events > state.events) return "its event count is ahead of the array's";
  const own = ownBits(newcomer, bitmap);
  if (own === null) return "its own bitmap cannot be used";
  if (superblock.events < cleared)
    return `bits were cleared since it left (its events ${superblock.events}, events_cleared ${cleared})`;
  return apartProblem(newcomer, own, cleared);
};

/**
 * The bits of both sides tell where they differ ONLY if neither has cleared any since they were
 * equal: one may have been made whole by other members, on its own.
 */
const apartProblem = (
  { apartSince = null }: Newcomer,
  own: readonly Uint8Array[],
  cleared: number,
): string | null => {
  const decoded = own.map((area) => decodeBitmapSuperblock(area));
  const ownCleared = Math.max(...decoded.map((one) => (one.ok ? one.value.eventsCleared : 0)));
  if (apartSince !== null && Math.max(cleared, ownCleared) > apartSince)
    return `it went on apart from the array from ${apartSince} events on, and bits were cleared since`;
  return ownCleared > cleared
    ? `its own bitmap has cleared bits that the array has not (events_cleared ${ownCleared}, here ${cleared})`
    : null;
};

/**
 * What its own bitmap says, of every node: a write that reached no other member in time is told by
 * it alone. Null when a part of it cannot be used: then anything may have been written there.
 */
const ownBits = (
  { bitmapAreas }: Newcomer,
  bitmap: WriteIntentBitmap,
): readonly Uint8Array[] | null => {
  const fitting = bitmapAreas.filter((area) => area !== null && bitmap.fits(area));
  const isWhole = fitting.length === bitmapAreas.length;
  return isWhole && fitting.length === Math.max(1, bitmap.superblock.nodes)
    ? (fitting as Uint8Array[])
    : null;
};

/** A member is on its way into the raid slot. */
const isSlotPromised = (state: ArrayState, slot: number): boolean =>
  [...state.opening.values(), ...state.joining.values()].some((entry) => entry.slot === slot);

const numberInUse = (state: ArrayState, number: number): boolean =>
  [...state.members.values()].some(
    (member) => member.state !== "faulty" && member.superblock.devNumber === number,
  );

/** Too small, or with blocks larger than those the array was made for. */
const unfitReason = (
  state: ArrayState,
  newcomer: Newcomer,
  template: Superblock,
): CommandOutcome | null => {
  if (newcomer.logicalBlockBytes > state.logicalBlockBytes) {
    const text = `${newcomer.path} has logical blocks of ${newcomer.logicalBlockBytes} bytes, the array was made for ${state.logicalBlockBytes}`;
    return refuse("RAID_SECTOR_SIZE_MISMATCH", text);
  }
  return roomProblem(newcomer, template);
};

const roomProblem = (newcomer: Newcomer, template: Superblock): CommandOutcome | null => {
  const sectors = Math.floor(newcomer.sizeBytes / SECTOR);
  const room = superblockIsAtStart(template)
    ? sectors - template.dataOffset
    : newcomerSuperOffset(template, sectors) +
      Math.min(template.bitmapOffset, template.bblogOffset, 0);
  if (room >= template.size) return null;
  const need = newcomer.sizeBytes + (template.size - room) * SECTOR;
  return refuse(
    "RAID_DEVICE_TOO_SMALL",
    `${newcomer.path} has ${newcomer.sizeBytes} bytes, the array needs ${need}`,
  );
};

/** Metadata 1.0 lies near the end of the device. Source: md.c super_1_load. */
const newcomerSuperOffset = (template: Superblock, sectors: number): number =>
  superblockIsAtStart(template) ? template.superOffset : (sectors - 16) & ~7;

/** The working member that says it is the same device: one file under two names, or a clone. */
const twinOf = (state: ArrayState, { superblock }: Newcomer): Member | null => {
  if (superblock === null) return null;
  const same = (other: Uint8Array): boolean => equalBytes(other, superblock.deviceUuid);
  const members = [...state.members.values()];
  return members.find((m) => m.state !== "faulty" && same(m.superblock.deviceUuid)) ?? null;
};

/** Another node has offered it, and has not told yet what came of it. */
const isOffered = ({ clusterMetadata: { candidates } }: ArrayState, path: string): boolean =>
  [...candidates.values()].some(({ newcomer }) => newcomer.path === path);

/** In a cluster AFTER a look at the bitmaps of all other slots: the newcomer gets them, too. */
export const joinCommand = (
  state: ArrayState,
  id: number,
  newcomer: Newcomer,
  verb: "add" | "re-add",
): CommandOutcome | null => {
  const slots = otherSlotNumbers(state);
  if (slots.length === 0) return join(state, id, newcomer, verb, NO_OTHER_SLOTS);
  const token = nextToken(state);
  state.joining.set(token, { member: newcomer.member, command: id, slot: null });
  askDriver(state, { type: "read-slot-bitmaps", slots }, (now, { areas }) => {
    now.joining.delete(token);
    const outcome = join(now, id, newcomer, verb, otherSlots(now, areas, slots));
    if (outcome !== null) emit(now, { type: "command-done", id, outcome });
  });
  return null;
};

const join = (
  state: ArrayState,
  id: number,
  newcomer: Newcomer,
  verb: "add" | "re-add",
  others: OtherSlots,
): CommandOutcome | null => {
  const known = memberByPath(state, newcomer.path);
  if (known !== null && known.state !== "faulty") {
    return refuse("RAID_ALREADY_A_MEMBER", `${newcomer.path} is a member of this array already`);
  }
  if (isOffered(state, newcomer.path))
    return refuse("RAID_MEMBER_BUSY", `another node is adding ${newcomer.path} just now`);
  const twin = twinOf(state, newcomer);
  if (twin !== null) {
    const text = `${newcomer.path} carries the device UUID of ${twin.path}: it is that member, or a copy`;
    return refuse("RAID_ALREADY_A_MEMBER", text);
  }
  if (known !== null && isComing(state, known)) return busy(newcomer.path);
  if (state.lostLegs.length > 0) {
    const text = "a failed member is just being recorded";
    return refuse("RAID_MEMBER_BUSY", text);
  }
  const problem = reAddProblem(state, newcomer, others);
  if (verb === "re-add" && problem !== null) {
    return refuse("RAID_RE_ADD_REFUSED", `${newcomer.path} cannot be re-added: ${problem}`);
  }
  const reference = [...state.members.values()].find((member) => member.state === "in_sync");
  if (reference === undefined)
    return refuse("RAID_ARRAY_BROKEN", "the array has no in-sync member");
  // What it has on it may be older than the array: a change may have reached it last.
  const like = memberSuperblock(state, reference);
  const unfit = unfitReason(state, newcomer, like);
  if (unfit !== null) return unfit;
  if (known !== null) {
    state.members.delete(known.id);
    emit(state, { type: "close-member", member: known.id });
  }
  if (problem === null && newcomer.superblock !== null) {
    return reAdd(state, id, newcomer, newcomer.superblock, others);
  }
  return addFresh(state, id, newcomer, like, others);
};

/**
 * The member takes its old place; only chunks whose bit is set, here or on it, are copied. What its
 * own bitmaps say is in this node's on it BEFORE they are written over: whoever begins anew after a
 * crash finds it in one or the other.
 */
const reAdd = (
  state: ArrayState,
  id: number,
  newcomer: Newcomer,
  superblock: Superblock,
  others: OtherSlots,
): null => {
  const role = memberRole(superblock, superblock.devNumber);
  const slot = role.type === "slot" ? role.raidSlot : 0;
  const { bitmap } = state;
  for (const area of bitmap === null ? [] : (ownBits(newcomer, bitmap) ?? [])) bitmap?.merge(area);
  const member = newMember(newcomer, superblock, {
    guided: state.bitmap !== null,
    state: "rebuilding",
    reason: "re-add",
  });
  state.members.set(member.id, member);
  const rest = otherAreas(state, member, others);
  const last: MemberOp[] = rest.length === 0 ? [] : [...rest, { type: "flush", isOwn: true }];
  const joining = { member: member.id, command: id, slot, markedBytes: markedBytes(state, others) };
  writeFirstMetadata(state, joining, [...ownArea(state, member), ...last]);
  return null;
};

const freeDeviceNumber = (state: ArrayState): number => {
  const used = new Set([...state.members.values()].map((member) => member.superblock.devNumber));
  for (let number = 0; ; number++) {
    const role = state.devRoles[number];
    if (
      !used.has(number) &&
      (role === undefined || role === MD_DISK_ROLE_SPARE || role === MD_DISK_ROLE_FAULTY) &&
      number >= state.template.raidDisks
    )
      return number;
  }
};

/** A new member: a spare with a whole bitmap and a superblock of its own, then it joins. */
const addFresh = (
  state: ArrayState,
  id: number,
  newcomer: Newcomer,
  like: Superblock,
  others: OtherSlots,
): CommandOutcome | null => {
  const number = freeDeviceNumber(state);
  if (number >= state.devRoles.length) return tooManyDevices(state);
  const sectors = Math.floor(newcomer.sizeBytes / SECTOR);
  const superOffset = newcomerSuperOffset(like, sectors);
  const superblock: Superblock = {
    ...like,
    deviceUuid: newcomer.freshUuid,
    devNumber: number,
    superOffset,
    dataSize: superblockIsAtStart(like)
      ? sectors - like.dataOffset
      : superOffset + Math.min(like.bitmapOffset, like.bblogOffset, 0),
    cntCorrectedRead: 0,
    devFlags: (newcomer.writeMostly ? WRITE_MOSTLY : 0) | (newcomer.failfast ? FAIL_FAST : 0),
  };
  // A device that joins as new has no list of its own yet: what it cannot take is noted anew.
  const member = newMember({ ...newcomer, badBlocks: [] }, superblock, {});
  state.members.set(member.id, member);
  state.devRoles = withRole(state.devRoles, number, MD_DISK_ROLE_SPARE);
  const areas = [...otherAreas(state, member, others), ...ownArea(state, member).slice(0, -1)];
  const joining = { member: member.id, command: id, slot: null };
  writeFirstMetadata(state, joining, [...areas, ...firstSuperblock(state, member)]);
  return null;
};

const tooManyDevices = (state: ArrayState): CommandOutcome =>
  refuse(
    "RAID_TOO_MANY_DEVICES",
    `the superblock has room for ${state.devRoles.length} device numbers`,
  );

/** This node's bitmap, durably. */
const ownArea = (state: ArrayState, member: Member): MemberOp[] =>
  bitmapOps(state, member, state.bitmap === null ? [] : [state.bitmap.wholeArea()]);

/** The bitmaps of all other slots, as the other members hold them. */
const otherAreas = (state: ArrayState, member: Member, others: OtherSlots): MemberOp[] =>
  others.areas.flatMap(({ slot, area }) =>
    bitmapOps(state, member, [{ offset: 0, data: area }], slot).slice(0, -1),
  );

/** Until an update names it, its events say that it knows nothing. */
const firstSuperblock = (state: ArrayState, member: Member): MemberOp[] => {
  const own = { ...memberSuperblock(state, member), events: 0 };
  const offset = own.superOffset * SECTOR;
  return [{ type: "write", offset, data: encodeSuperblock(own) }, { type: "flush" }];
};

/** The member's own metadata is durable BEFORE any other superblock names it. */
const writeFirstMetadata = (
  state: ArrayState,
  joining: Joining,
  ops: readonly MemberOp[],
): void => {
  const token = nextToken(state);
  state.joining.set(token, joining);
  emit(state, { type: "member-io", token, member: joining.member, ops });
};

/** First metadata written. Returns false when the token is not a joining member's. */
export const onJoinIo = (state: ArrayState, token: number, error: string | null): boolean => {
  const joining = state.joining.get(token);
  if (joining === undefined) return false;
  state.joining.delete(token);
  const member = state.members.get(joining.member);
  assert(member !== undefined, "a member that joins is kept until it has");
  if (error !== null) {
    letGo(state, member, false);
    const outcome = refuse("RAID_MEMBER_IO_ERROR", `${member.path} could not be written: ${error}`);
    emit(state, { type: "command-done", id: joining.command, outcome });
  } else if (!isInCluster(state)) becomeMember(state, joining, member);
  else offerDevice(state, joining, (now, offered) => onOffered(now, joining, member, offered));
  lookAgain(state);
  return true;
};

const onOffered = (state: ArrayState, joining: Joining, member: Member, offered: Offered): void => {
  const { slot, command } = joining;
  if (offered.type === "seen" && (slot === null || memberAt(state, slot) === null))
    return becomeMember(state, joining, member);
  const isFresh = slot === null;
  if (offered.type === "number-taken" && isFresh) return renumber(state, joining, member);
  const text = `${member.path} cannot be re-added: its place is another member's by now`;
  const outcome =
    offered.type === "refused" ? offered.outcome : refuse("RAID_RE_ADD_REFUSED", text);
  letGo(state, member, isFresh);
  state.pending.rolesChanged = true;
  state.pending.commands.push(command);
  state.clusterMetadata.refusals.set(command, outcome);
};

/** Two nodes added devices at once: the second one takes another number. */
const renumber = (state: ArrayState, { command }: Joining, member: Member): void => {
  const devNumber = freeDeviceNumber(state);
  member.superblock = { ...member.superblock, devNumber };
  state.devRoles = withRole(state.devRoles, devNumber, MD_DISK_ROLE_SPARE);
  const joining = { member: member.id, command, slot: null };
  writeFirstMetadata(state, joining, firstSuperblock(state, member));
};

const joined = (state: ArrayState, { path, superblock }: Member, { slot, ...how }: Joining) => {
  if (slot !== null) {
    const text = `Member ${path} re-added to raid slot ${slot}.`;
    const bytes = { marked_bytes: how.markedBytes ?? null, member_bytes: state.map.memberBytes };
    return happen(state, "member.readded", "info", text, { path, raid_slot: slot, ...bytes });
  }
  const details = { path, device_number: superblock.devNumber, degraded: degradedCount(state) };
  return happen(state, "member.added", "info", `Member ${path} added as a spare.`, details);
};

/** A spare with the next update; who returns takes its old place once all workers opened it. */
const becomeMember = (state: ArrayState, joining: Joining, member: Member): void => {
  const { slot, command } = joining;
  const isShared = isInCluster(state);
  state.pending.happenings.push(joined(state, member, joining));
  if (slot === null || !isShared) {
    state.pending.commands.push(command);
    state.pending.rolesChanged = true;
  }
  if (slot === null) return;
  const leg = freeLeg(state, slot);
  assert(leg !== null, "the raid slot was empty");
  const opened = nextToken(state);
  const opening = { member: member.id, slot, leg, isReplacement: false };
  state.opening.set(opened, isShared ? { ...opening, command } : opening);
  emit(state, { type: "open-leg", token: opened, leg, member: member.id });
};
