/**
 * mdadm's manage verbs on a running array: fail, remove, add, re-add. Each answers its command
 * once the change is durable on every member that is left, or at once with a coded refusal.
 * Source: mdadm Manage.c, drivers/md/md.c (add_new_disk, hot_remove_disk, state_store).
 */

import type { ArrayCommand, CommandOutcome } from "./array-messages.ts";
import {
  type ArrayState,
  emit,
  happen,
  isClustered,
  isInCluster,
  isLastInSync,
  type Member,
  memberByPath,
  publishLeg,
  replacementAt,
} from "./array-state.ts";
import { tellRemoval } from "./cluster-members.ts";
import { busy, isComing, isJoining } from "./member-arrival.ts";
import { joinCommand } from "./member-join.ts";
import { failMember } from "./metadata-update.ts";
import { withRole } from "./role-changes.ts";
import { FAIL_FAST, MD_DISK_ROLE_SPARE, WRITE_MOSTLY } from "./superblock-fields.ts";

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
  state.clusterMetadata.failCommands.set(id, member.id);
  state.pending.commands.push(id);
  return null;
};

const removeCommand = (state: ArrayState, id: number, path: string): CommandOutcome | null => {
  const member = memberByPath(state, path);
  if (member === null) return notAMember(path);
  const problem = removalProblem(state, member);
  if (problem !== null) return problem;
  if (!isInCluster(state)) {
    removeMember(state, id, member);
    return null;
  }
  // Who is told may use it by then: only what still has no raid slot leaves.
  tellRemoval(state, member, (now, refusal) => {
    const isSame = now.members.get(member.id) === member;
    const outcome = refusal ?? (isSame ? removalProblem(now, member) : { ok: true });
    if (outcome === null) removeMember(now, id, member);
    else emit(now, { type: "command-done", id, outcome });
  });
  return null;
};

const removalProblem = (state: ArrayState, member: Member): CommandOutcome | null => {
  if (member.state !== "faulty" && member.state !== "spare")
    return refuse("RAID_MEMBER_NOT_FAULTY", `${member.path} is in use`);
  return isComing(state, member) ? busy(member.path) : null;
};

const removeMember = (state: ArrayState, id: number, member: Member): void => {
  const { path } = member;
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
  if (isInCluster(state)) {
    const text = "a clustered array has no replacements: other nodes would not write them";
    return refuse("RAID_UNSUPPORTED_ON_CLUSTERED", text);
  }
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
  if (command.writeMostly === true && isClustered(state)) {
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
