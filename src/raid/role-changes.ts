/**
 * What a metadata update makes of members before it is written: one is faulty, one is rebuilt and
 * counts, one was replaced and leaves.
 */

import {
  type ArrayState,
  degradedCount,
  happen,
  type Member,
  memberAt,
  type Pending,
  replacementAt,
} from "./array-state.ts";
import { LEG_IN_SYNC } from "./shared-state.ts";
import { MD_DISK_ROLE_FAULTY, MD_DISK_ROLE_SPARE } from "./superblock-fields.ts";

/** A rebuilt member counts from now on; the one that it replaces leaves. */
export const promote = (state: ArrayState, id: number, work: Pending): void => {
  const member = state.members.get(id);
  if (member?.state !== "rebuilding" || member.recoveredBytes < state.map.memberBytes) return;
  const replaced = member.isReplacement ? memberAt(state, member.raidSlot ?? -1) : null;
  member.state = "in_sync";
  member.isReplacement = false;
  // Reads may use it from now on: the one that it stands in for may fail before this is durable.
  if (member.leg !== null) state.shared.setLeg(member.leg, LEG_IN_SYNC);
  const details = { path: member.path, raid_slot: member.raidSlot };
  const text = `Member ${member.path} is in sync.`;
  work.happenings.push(happen(state, "spare.active", "info", text, details));
  if (replaced !== null) retire(state, replaced, member, work);
};

/** The replaced member leaves its raid slot to the one that holds everything now. */
const retire = (state: ArrayState, old: Member, by: Member, work: Pending): void => {
  const { raidSlot } = old;
  dropRole(state, old, `replaced by ${by.path}`, null);
  const text = `Member ${old.path} was replaced by ${by.path}; it can be removed.`;
  const details = { path: old.path, replacement: by.path, raid_slot: raidSlot };
  work.happenings.push(happen(state, "member.replaced", "info", text, details));
};

/**
 * Faulty from the next superblock on; its leg goes out of use once that is durable. `failure`: why
 * nobody is to wait for what it owes; null when it only leaves.
 */
const dropRole = (
  state: ArrayState,
  member: Member,
  reason: string,
  failure: string | null,
): void => {
  const { leg } = member;
  member.state = "faulty";
  member.faultReason = reason;
  member.raidSlot = null;
  member.leg = null;
  member.isReplacement = false;
  member.wantReplacement = false;
  state.devRoles = state.devRoles.slice();
  state.devRoles[member.superblock.devNumber] = MD_DISK_ROLE_FAULTY;
  if (leg !== null) state.lostLegs.push({ leg, reason: failure });
};

/** The member is faulty from the next superblock on. */
export const markFaulty = (state: ArrayState, id: number, reason: string, work: Pending): void => {
  const member = state.members.get(id);
  if (member === undefined || member.state === "faulty") return;
  const slot = member.raidSlot;
  // Whoever was being written beside it goes on as the raid slot's own.
  const beside = slot === null || member.isReplacement ? null : replacementAt(state, slot);
  dropRole(state, member, reason, reason);
  if (beside !== null) beside.isReplacement = false;
  if (state.sync !== null) state.sync.aborted = true;
  work.happenings.push(
    happen(state, "member.failed", "critical", `Member ${member.path} failed: ${reason}.`, {
      path: member.path,
      raid_slot: slot,
      reason,
      degraded: degradedCount(state),
    }),
  );
};

/** dev_roles with one entry changed, longer if need be. */
export const withRole = (roles: Uint16Array, deviceNumber: number, role: number): Uint16Array => {
  const length = Math.max(roles.length, deviceNumber + 1);
  const next = new Uint16Array(length).fill(MD_DISK_ROLE_SPARE);
  next.set(roles);
  next[deviceNumber] = role;
  return next;
};
