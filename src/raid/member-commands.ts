/**
 * mdadm's manage verbs on a running array: fail, remove, add, re-add. Each answers its command
 * once the change is durable on every member that is left, or at once with a coded refusal.
 * Source: mdadm Manage.c, drivers/md/md.c (add_new_disk, hot_remove_disk, state_store).
 */

import { assert } from "../common/assert.ts";
import { equalBytes } from "../common/bytes.ts";
import type { ArrayCommand, CommandOutcome, Newcomer } from "./array-messages.ts";
import {
  type ArrayState,
  degradedCount,
  emit,
  freeLeg,
  happen,
  isLastInSync,
  type Member,
  memberAt,
  memberByPath,
  nextToken,
  publishLeg,
  replacementAt,
  SECTOR,
} from "./array-state.ts";
import { bitmapOps, memberSuperblock } from "./metadata-phases.ts";
import { failMember } from "./metadata-update.ts";
import { newMember } from "./new-member.ts";
import { withRole } from "./role-changes.ts";
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

const refuse = (code: string, message: string): CommandOutcome => ({ ok: false, code, message });

type MemberCommand = Extract<
  ArrayCommand,
  { type: "fail" | "remove" | "add" | "re-add" | "replace" | "member-flags" }
>;

/** Runs a manage verb; null = the answer comes with the metadata update that carries it. */
export const runMemberCommand = (
  state: ArrayState,
  id: number,
  command: MemberCommand,
): CommandOutcome | null => {
  if (state.readOnly) return refuse("RAID_READ_ONLY", "the array is read-only");
  switch (command.type) {
    case "fail":
      return failCommand(state, id, command.path, command.reason);
    case "remove":
      return removeCommand(state, id, command.path);
    case "add":
    case "re-add":
      return joinCommand(state, id, command.newcomer, command.type);
    case "replace":
      return replaceCommand(state, id, command.path, command.withPath);
    case "member-flags":
      return flagsCommand(state, id, command);
  }
};

const notAMember = (path: string): CommandOutcome =>
  refuse("RAID_NOT_A_MEMBER", `${path} is not a member of this array`);

const failCommand = (
  state: ArrayState,
  id: number,
  path: string,
  reason: string,
): CommandOutcome | null => {
  const member = memberByPath(state, path);
  if (member === null) return notAMember(path);
  if (member.state === "faulty") return { ok: true };
  // Its first metadata is on the way: first it is a member, then it may fail.
  if (isJoining(state, member)) return busy(path);
  if (isLastInSync(state, member)) {
    const what = state.map.isMirror
      ? "is the last in-sync member"
      : "alone has some of the content";
    const text = `${path} ${what}: failing it would lose the array`;
    return refuse("RAID_LAST_IN_SYNC_MEMBER", text);
  }
  failMember(state, member, reason);
  state.pending.commands.push(id);
  return null;
};

/** The member's first metadata is being written. */
const isJoining = (state: ArrayState, member: Member): boolean =>
  [...state.joining.values()].some((entry) => entry.member === member.id);

/** The same, or the workers are opening it. */
const isComing = (state: ArrayState, member: Member): boolean =>
  isJoining(state, member) ||
  [...state.opening.values()].some((entry) => entry.member === member.id);

const busy = (path: string): CommandOutcome =>
  refuse("RAID_MEMBER_BUSY", `${path} is being activated`);

const removeCommand = (state: ArrayState, id: number, path: string): CommandOutcome | null => {
  const member = memberByPath(state, path);
  if (member === null) return notAMember(path);
  if (member.state !== "faulty" && member.state !== "spare") {
    return refuse("RAID_MEMBER_NOT_FAULTY", `${path} is in use`);
  }
  if (isComing(state, member)) return busy(path);
  const number = member.superblock.devNumber;
  const reused = [...state.members.values()].some(
    (other) => other.id !== member.id && other.superblock.devNumber === number,
  );
  if (!reused) state.devRoles = withRole(state.devRoles, number, MD_DISK_ROLE_SPARE);
  state.members.delete(member.id);
  state.pending.rolesChanged = true;
  state.pending.commands.push(id);
  const details = { path, device_number: number };
  state.pending.happenings.push(
    happen(state, "member.removed", "info", `Member ${path} removed.`, details),
  );
  emit(state, { type: "close-member", member: member.id });
  return null;
};

// --- replace and flags ------------------------------------------------------------------------

/**
 * Marks the member as one to be replaced: a spare is written beside it as soon as there is one.
 * Source: mdadm --replace, --with; md.c state_store "want_replacement".
 */
const replaceCommand = (
  state: ArrayState,
  id: number,
  path: string,
  withPath: string | null,
): CommandOutcome | null => {
  const member = memberByPath(state, path);
  if (member === null) return notAMember(path);
  if (member.state !== "in_sync" || member.raidSlot === null) {
    const text = `${path} is not in sync: there is nothing to replace`;
    return refuse("RAID_MEMBER_NOT_IN_SYNC", text);
  }
  const under = replacementAt(state, member.raidSlot);
  if (under !== null)
    return refuse("RAID_MEMBER_BUSY", `${under.path} is being written to replace ${path} already`);
  const spare = withPath === null ? null : memberByPath(state, withPath);
  if (withPath !== null && spare?.state !== "spare") {
    const text = `${withPath} is not a spare of this array`;
    return refuse("RAID_NOT_A_SPARE", text);
  }
  member.wantReplacement = true;
  member.replaceWith = spare?.id ?? null;
  emit(state, { type: "status-changed" });
  state.pending.commands.push(id);
  return null;
};

/** Source: md.c state_store "writemostly", "failfast" and their opposites. */
const flagsCommand = (
  state: ArrayState,
  id: number,
  command: Extract<ArrayCommand, { type: "member-flags" }>,
): CommandOutcome | null => {
  const member = memberByPath(state, command.path);
  if (member === null) return notAMember(command.path);
  if (member.state === "faulty")
    return refuse("RAID_MEMBER_FAULTY", `${command.path} is faulty: its flags are not kept`);
  if (command.writeMostly === true && (state.bitmap?.superblock.nodes ?? 0) > 0) {
    const text = "a clustered array has no write-mostly members";
    return refuse("RAID_UNSUPPORTED_ON_CLUSTERED", text);
  }
  const before = member.superblock.devFlags;
  const withFlag = (flags: number, flag: number, value: boolean | null): number =>
    value === null ? flags : value ? flags | flag : flags & ~flag;
  const mostly = withFlag(before, WRITE_MOSTLY, command.writeMostly);
  const devFlags = withFlag(mostly, FAIL_FAST, command.failfast);
  state.pending.commands.push(id);
  if (devFlags === before) return null;
  member.superblock = { ...member.superblock, devFlags };
  publishLeg(state, member);
  state.pending.rolesChanged = true;
  return null;
};

// --- add and re-add ---------------------------------------------------------------------------

const isOurs = (state: ArrayState, superblock: Superblock): boolean =>
  equalBytes(superblock.setUuid, state.template.setUuid);

/**
 * Why a member cannot be re-added, or null when it can.
 * Source: mdadm Manage.c attempt_re_add; md.c md_add_new_disk; events_cleared: md-bitmap.c.
 */
const reAddProblem = (state: ArrayState, newcomer: Newcomer): string | null => {
  const { superblock, bitmapArea } = newcomer;
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
  const cleared = bitmap.superblock.eventsCleared;
  if (superblock.events > state.events) return "its event count is ahead of the array's";
  if (bitmapArea === null || !bitmap.fits(bitmapArea)) return "its own bitmap cannot be used";
  return superblock.events >= cleared
    ? null
    : `bits were cleared since it left (its events ${superblock.events}, events_cleared ${cleared})`;
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

const joinCommand = (
  state: ArrayState,
  id: number,
  newcomer: Newcomer,
  verb: "add" | "re-add",
): CommandOutcome | null => {
  const known = memberByPath(state, newcomer.path);
  if (known !== null && known.state !== "faulty") {
    return refuse("RAID_ALREADY_A_MEMBER", `${newcomer.path} is a member of this array already`);
  }
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
  const problem = reAddProblem(state, newcomer);
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
    return reAdd(state, id, newcomer, newcomer.superblock);
  }
  return addFresh(state, id, newcomer, like);
};

/** The member takes its old place; only chunks whose bit is set, here or on it, are copied. */
const reAdd = (state: ArrayState, id: number, newcomer: Newcomer, superblock: Superblock): null => {
  const role = memberRole(superblock, superblock.devNumber);
  const slot = role.type === "slot" ? role.raidSlot : 0;
  if (newcomer.bitmapArea !== null) state.bitmap?.merge(newcomer.bitmapArea);
  const member = newMember(newcomer, superblock, {
    guided: state.bitmap !== null,
    state: "rebuilding",
    reason: "re-add",
  });
  state.members.set(member.id, member);
  const writes = state.bitmap === null ? [] : [state.bitmap.wholeArea()];
  writeFirstMetadata(state, id, member, bitmapOps(state, member, writes), slot);
  const text = `Member ${newcomer.path} re-added to raid slot ${slot}.`;
  state.pending.happenings.push(
    happen(state, "member.readded", "info", text, { path: newcomer.path, raid_slot: slot }),
  );
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
): CommandOutcome | null => {
  const number = freeDeviceNumber(state);
  if (number >= state.devRoles.length) {
    return refuse(
      "RAID_TOO_MANY_DEVICES",
      `the superblock has room for ${state.devRoles.length} device numbers`,
    );
  }
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
  const writes = state.bitmap === null ? [] : [state.bitmap.wholeArea()];
  const own = { ...memberSuperblock(state, member), events: 0 };
  const ops = [
    ...bitmapOps(state, member, writes).slice(0, -1),
    { type: "write", offset: superOffset * SECTOR, data: encodeSuperblock(own) } as const,
    { type: "flush" } as const,
  ];
  writeFirstMetadata(state, id, member, ops, null);
  const details = { path: newcomer.path, device_number: number, degraded: degradedCount(state) };
  state.pending.happenings.push(
    happen(state, "member.added", "info", `Member ${newcomer.path} added as a spare.`, details),
  );
  return null;
};

/** The member's own metadata is durable BEFORE any other superblock names it. */
const writeFirstMetadata = (
  state: ArrayState,
  command: number,
  member: Member,
  ops: Extract<Parameters<typeof emit>[1], { type: "member-io" }>["ops"],
  slot: number | null,
): void => {
  const token = nextToken(state);
  state.joining.set(token, { member: member.id, command, slot });
  emit(state, { type: "member-io", token, member: member.id, ops });
};

/** First metadata written. Returns false when the token is not a joining member's. */
export const onJoinIo = (state: ArrayState, token: number, error: string | null): boolean => {
  const joining = state.joining.get(token);
  if (joining === undefined) return false;
  state.joining.delete(token);
  const member = state.members.get(joining.member);
  assert(member !== undefined, "a member that joins is kept until it has");
  if (error !== null) {
    state.members.delete(member.id);
    emit(state, { type: "close-member", member: member.id });
    const outcome = refuse("RAID_MEMBER_IO_ERROR", `${member.path} could not be written: ${error}`);
    emit(state, { type: "command-done", id: joining.command, outcome });
    return true;
  }
  state.pending.commands.push(joining.command);
  state.pending.rolesChanged = true;
  if (joining.slot === null) return true;
  const { slot } = joining;
  const leg = freeLeg(state, slot);
  assert(leg !== null, "the raid slot was empty");
  const opened = nextToken(state);
  state.opening.set(opened, { member: member.id, slot, leg, isReplacement: false });
  emit(state, { type: "open-leg", token: opened, leg, member: member.id });
  return true;
};
