/**
 * Roles that another node's update gives the members: one is faulty from now on, a spare has a raid
 * slot, a member is rebuilt, a device has been added. What this node has begun and not recorded yet
 * stays its own affair, as far as it fits what was told.
 * Source: drivers/md/md.c check_sb_changes, read_rdev.
 */

import { assert } from "../common/assert.ts";
import type { ReadSuperblock } from "./array-messages.ts";
import {
  type ArrayState,
  blockLeg,
  type Candidate,
  emit,
  freeLeg,
  happen,
  type Member,
  nextToken,
  publishLeg,
  SECTOR,
} from "./array-state.ts";
import { FAILED_ELSEWHERE } from "./fault-reason-status.ts";
import { isJoining, isReturning } from "./member-arrival.ts";
import { newMember } from "./new-member.ts";
import { markFaulty, withRole } from "./role-changes.ts";
import { LEG_BLOCKED, LEG_IN_SYNC } from "./shared-state.ts";
import { memberRole } from "./superblock.ts";
import {
  MD_DISK_ROLE_FAULTY,
  MD_DISK_ROLE_SPARE,
  MD_FEATURE_RECOVERY_BITMAP,
  MD_FEATURE_RECOVERY_OFFSET,
  type Superblock,
} from "./superblock-fields.ts";

const isActive = ({ state }: Member): boolean => state === "in_sync" || state === "rebuilding";

/** A raid slot that this node gave the member, and that no superblock tells yet. */
const isUnrecorded = (state: ArrayState, member: Member): boolean =>
  member.state === "rebuilding" &&
  member.raidSlot !== null &&
  state.durableRoles[member.superblock.devNumber] !== member.raidSlot;

const hasLostRole = (state: ArrayState, member: Member, told: Superblock): boolean => {
  if (isJoining(state, member) || isReturning(member)) return false;
  const { type } = memberRole(told, member.superblock.devNumber);
  if (type === "slot" || member.state === "faulty") return false;
  if (type === "faulty") return true;
  return isActive(member) && !isUnrecorded(state, member);
};

/** Nobody here waits for, reads or writes a member that is lost: at once, also in a transaction. */
export const yieldLostMembers = (state: ArrayState, told: Superblock): void => {
  for (const member of state.members.values()) {
    if (!hasLostRole(state, member, told)) continue;
    blockLeg(state, member);
    emit(state, { type: "give-up-member", member: member.id, reason: FAILED_ELSEWHERE });
  }
};

/** True when a leg is new or counts for more: this node's bits must be on it. */
export const takeOverRoles = (
  state: ArrayState,
  told: Superblock,
  notice: number,
  found: readonly ReadSuperblock[],
): boolean => {
  const fresh = new Map<number, Superblock>();
  for (const { member, superblock } of found) {
    if (superblock !== null && superblock.events === told.events) fresh.set(member, superblock);
  }
  takeCandidates(state, fresh);
  takeFailures(state, told);
  const unrecorded = [...state.members.values()].filter((member) => isUnrecorded(state, member));
  state.devRoles = told.devRoles.slice();
  state.durableRoles = told.devRoles;
  keepUnrecorded(state, told, unrecorded);
  const tokens = new Set<number>();
  let isNew = false;
  for (const member of [...state.members.values()]) {
    const role = memberRole(told, member.superblock.devNumber);
    if (role.type !== "slot" || unrecorded.includes(member)) continue;
    if (isJoining(state, member) || isReturning(member)) continue;
    const superblock = fresh.get(member.id) ?? null;
    if (member.state === "spare") tokens.add(openToldLeg(state, member, role.raidSlot, superblock));
    if (member.state === "rebuilding" && followRebuild(state, member, superblock)) isNew = true;
  }
  failStrangers(state, told);
  if (tokens.size > 0) state.clusterMetadata.joiningLegs = { notice, tokens };
  return isNew || tokens.size > 0;
};

// --- failures ---------------------------------------------------------------------------------

/** Out of use here until all nodes know: then the legs are dropped, and who waits is answered. */
const takeFailures = (state: ArrayState, told: Superblock): void => {
  for (const member of state.members.values()) {
    if (!hasLostRole(state, member, told)) continue;
    blockLeg(state, member);
    const reason = state.pending.failing.get(member.id) ?? FAILED_ELSEWHERE;
    markFaulty(state, member.id, reason, state.pending);
    state.pending.failing.delete(member.id);
    state.pending.confirm = true;
  }
};

/**
 * A member with a role that this node never saw, or that has failed here: it cannot write it, so
 * nobody may go on counting on it. It is listed, and failed by an update of this node.
 */
const failStrangers = (state: ArrayState, told: Superblock): void => {
  const working = [...state.members.values()].filter(({ state: word }) => word !== "faulty");
  const known = new Set(working.map((member) => member.superblock.devNumber));
  for (let number = 0; number < told.devRoles.length; number++) {
    const role = memberRole(told, number);
    if (role.type !== "slot" || known.has(number)) continue;
    const superblock = { ...told, devNumber: number, deviceUuid: new Uint8Array(16) };
    const path = `device ${number}`;
    const member = newMember({ member: -1 - number, path, badBlocks: [] }, superblock, {});
    state.members.set(member.id, member);
    failUnopened(state, member, role.raidSlot, freeLeg(state, role.raidSlot), "it is not here");
  }
};

/** Writes wait from now on, until all nodes do without the member. */
export const failUnopened = (
  state: ArrayState,
  member: Member,
  raidSlot: number,
  leg: number | null,
  reason: string,
): void => {
  assert(leg !== null, "a raid slot has two legs, and one member");
  member.state = "rebuilding";
  member.raidSlot = raidSlot;
  member.leg = leg;
  state.shared.setLeg(leg, LEG_BLOCKED);
  state.pending.failing.set(member.id, reason);
};

// --- raid slots -------------------------------------------------------------------------------

/** A spare that this node was about to use, whose raid slot another one has by now, stays one. */
const keepUnrecorded = (
  state: ArrayState,
  told: Superblock,
  unrecorded: readonly Member[],
): void => {
  for (const member of unrecorded) {
    const { devNumber } = member.superblock;
    const slot = member.raidSlot;
    const isTaken = told.devRoles.some(
      (role, number) => role === slot && number !== devNumber && number < told.devRoles.length,
    );
    if (slot !== null && !isTaken) {
      state.devRoles = withRole(state.devRoles, devNumber, slot);
      continue;
    }
    if (member.leg !== null) state.lostLegs.push({ leg: member.leg, reason: null });
    member.state = "spare";
    member.raidSlot = null;
    member.leg = null;
    state.pending.confirm = true;
    state.pending.promoted = state.pending.promoted.filter((id) => id !== member.id);
  }
};

const openToldLeg = (
  state: ArrayState,
  member: Member,
  slot: number,
  superblock: Superblock | null,
): number => {
  const leg = freeLeg(state, slot);
  assert(leg !== null, "a raid slot has two legs, and one member");
  member.guided = ((superblock?.featureMap ?? 0) & MD_FEATURE_RECOVERY_BITMAP) !== 0;
  const token = nextToken(state);
  state.opening.set(token, { member: member.id, slot, leg, isReplacement: false, isTold: true });
  emit(state, { type: "open-leg", token, leg, member: member.id });
  return token;
};

/** True when it is rebuilt: this node's bits must be on it from now on. */
const followRebuild = (
  state: ArrayState,
  member: Member,
  superblock: Superblock | null,
): boolean => {
  if (superblock === null || state.pending.failing.has(member.id)) return false;
  const { featureMap, recoveryOffset } = superblock;
  if ((featureMap & MD_FEATURE_RECOVERY_OFFSET) !== 0 && recoveryOffset !== "none") {
    const isOurs = state.sync?.targets.includes(member.id) === true;
    if (!isOurs) member.recoveredBytes = recoveryOffset * SECTOR;
    return false;
  }
  member.state = "in_sync";
  member.recoveredBytes = state.map.memberBytes;
  publishLeg(state, member);
  if (member.leg !== null) state.shared.setLeg(member.leg, LEG_IN_SYNC);
  const details = { path: member.path, raid_slot: member.raidSlot };
  const text = `Member ${member.path} is in sync.`;
  state.pending.happenings.push(happen(state, "spare.active", "info", text, details));
  return true;
};

// --- devices that were added ------------------------------------------------------------------

/** Whoever still looks for a device that another node adds is late: nobody waits for that. */
export const noteAddsOver = ({ clusterMetadata: own }: ArrayState): void => {
  own.look++;
  own.lookAgain = null;
};

/** What the adder's update wrote on a device tells that it was added: else it is let go. */
const takeCandidates = (state: ArrayState, fresh: ReadonlyMap<number, Superblock>): void => {
  const { candidates } = state.clusterMetadata;
  noteAddsOver(state);
  for (const [id, candidate] of [...candidates]) {
    candidates.delete(id);
    const superblock = fresh.get(id);
    if (superblock?.devNumber === candidate.deviceNumber && !isTaken(state, candidate))
      takeCandidate(state, candidate, superblock);
    else emit(state, { type: "close-member", member: id });
  }
};

/**
 * Two nodes have added it at the same time: it is a member already. A device that this node is
 * about to offer under the same number gives way.
 */
const isTaken = (state: ArrayState, { newcomer, deviceNumber }: Candidate): boolean =>
  [...state.members.values()].some((member) => {
    if (member.state === "faulty") return false;
    const isSameNumber = member.superblock.devNumber === deviceNumber && !isJoining(state, member);
    return isSameNumber || member.path === newcomer.path;
  });

const takeCandidate = (
  state: ArrayState,
  { newcomer, deviceNumber }: Candidate,
  superblock: Superblock,
): void => {
  for (const old of [...state.members.values()]) {
    if (old.superblock.devNumber !== deviceNumber && old.path !== newcomer.path) continue;
    if (old.state !== "faulty") continue;
    state.members.delete(old.id);
    emit(state, { type: "close-member", member: old.id });
  }
  const member = newMember(newcomer, superblock, {});
  state.members.set(member.id, member);
  const details = { path: newcomer.path, device_number: deviceNumber };
  const text = `Member ${newcomer.path} was added by another node.`;
  state.pending.happenings.push(happen(state, "member.added", "info", text, details));
};

/** The member is let go: its device number is nobody's. */
export const releaseNumber = (state: ArrayState, { superblock }: Member): void => {
  const role = state.devRoles[superblock.devNumber];
  if (role === MD_DISK_ROLE_FAULTY)
    state.devRoles = withRole(state.devRoles, superblock.devNumber, MD_DISK_ROLE_SPARE);
};
