/**
 * Judges one candidate of an array against the freshest member: fresh enough, agreeing, fitting,
 * and in which role. Part of assembly.ts. Source: drivers/md/md.c super_1_validate; mdadm
 * Assemble.c.
 */

import { equalBytes } from "../common/bytes.ts";
import type { AssemblyPlacement, AssemblyReason } from "./assembly-types.ts";
import { memberRole, superblockIsAtStart } from "./superblock.ts";
import type { MemberRole, Superblock } from "./superblock-fields.ts";
import { MD_FEATURE_RECOVERY_BITMAP, MD_FEATURE_RECOVERY_OFFSET } from "./superblock-fields.ts";

/** A candidate with a sound superblock. */
export interface Sound {
  readonly index: number;
  readonly path: string;
  readonly sb: Superblock;
}

/** Placement, reason and text of one candidate while the decision is under way. */
export interface Judgement {
  readonly placement: AssemblyPlacement;
  readonly reason: AssemblyReason;
  readonly text: string;
}

/** A member this many updates behind the freshest is still good. Source: mdadm Assemble.c. */
const EVENTS_TOLERANCE = 1;
const RE_ADD = "re-add it after the start";

/** Placement of one candidate, before rivals for the same raid slot are settled. */
export function judge(member: Sound, freshest: Sound, ours: readonly Sound[]): Judgement {
  const { sb } = member;
  const newer = ours.find((other) => sameDevice(member, other) && other.sb.events > sb.events);
  if (newer !== undefined) return duplicateDevice(newer.path);
  const own = ownRole(sb);
  if (own.type === "journal") return unusable("journal", "is a journal device");
  if (own.type === "faulty") return faulty("is faulty by its own superblock");
  const fit = checkFit(member, freshest.sb);
  if (own.type === "spare") return fit ?? judged({ type: "spare" }, "spare", "is a spare");
  if (believesFailed(sb, freshest.sb)) {
    const text = `calls ${freshest.path}, which is as new or newer, failed; ${RE_ADD}`;
    return judged({ type: "kicked" }, "split-brain", text);
  }
  if (sb.events + EVENTS_TOLERANCE < freshest.sb.events) {
    const behind = freshest.sb.events - sb.events;
    const against = `(events ${sb.events} against ${freshest.sb.events})`;
    const text = `is ${behind} updates behind ${freshest.path} ${against}; ${RE_ADD}`;
    return judged({ type: "kicked" }, "non-fresh", text);
  }
  if (fit !== null) return fit;
  return placeActive(member, freshest);
}

function placeActive(member: Sound, freshest: Sound): Judgement {
  const { sb } = member;
  const role = memberRole(freshest.sb, sb.devNumber);
  if (role.type === "faulty") return faulty(`is faulty by the superblock of ${freshest.path}`);
  if (role.type !== "slot") {
    return judged({ type: "spare" }, "spare", `was removed from its raid slot; is a spare`);
  }
  const { raidSlot } = role;
  if (!isRebuilding(sb)) {
    return judged({ type: "in-sync", raidSlot }, "in-sync", `is in sync in raid slot ${raidSlot}`);
  }
  const recoveryOffset = sb.recoveryOffset === "none" ? 0 : sb.recoveryOffset;
  const guided = (sb.featureMap & MD_FEATURE_RECOVERY_BITMAP) !== 0;
  const text = `is being rebuilt in raid slot ${raidSlot}, ${recoveryOffset} sectors done`;
  const isReplacement = false;
  return judged(
    { type: "rebuilding", raidSlot, recoveryOffset, guided, isReplacement },
    "rebuilding",
    text,
  );
}

/**
 * True when no device holds the freshest member's raid slot in this superblock's view, and the
 * freshest no other one: raid slots move when a raid1 gets fewer of them.
 */
function believesFailed(sb: Superblock, freshest: Superblock): boolean {
  const role = ownRole(freshest);
  if (sb === freshest || role.type !== "slot") return false;
  if (memberRole(sb, freshest.devNumber).type === "slot") return false;
  return !sb.devRoles.some((held) => held === role.raidSlot);
}

/** Why a member cannot serve in the array that the freshest describes, or null. */
function checkFit(member: Sound, freshest: Superblock): Judgement | null {
  const { sb } = member;
  const sameShape =
    sb.level === freshest.level &&
    sb.layout === freshest.layout &&
    sb.chunkSize === freshest.chunkSize &&
    sb.ctime.seconds === freshest.ctime.seconds &&
    sb.ctime.microseconds === freshest.ctime.microseconds;
  if (!sameShape) {
    const text = "has the array's UUID but another level, layout, chunk or creation time";
    return unusable("other-shape", text);
  }
  if (sb.dataSize < freshest.size) {
    const text = `has room for ${sb.dataSize} sectors of data, the array uses ${freshest.size}`;
    return unusable("too-small", text);
  }
  const overlaps = !superblockIsAtStart(sb) && sb.dataOffset + freshest.size > sb.superOffset;
  if (!overlaps) return null;
  return unusable("data-overlap", "has data that would run over its superblock");
}

/** True when both say they are the same device. */
export function sameDevice(a: Sound, b: Sound): boolean {
  return equalBytes(a.sb.deviceUuid, b.sb.deviceUuid);
}

/** What a superblock says of its own device. */
export function ownRole(sb: Superblock): MemberRole {
  return memberRole(sb, sb.devNumber);
}

/** True when the member is not fully rebuilt. */
export function isRebuilding(sb: Superblock): boolean {
  return (sb.featureMap & MD_FEATURE_RECOVERY_OFFSET) !== 0;
}

/** A judgement from its parts. */
export function judged(
  placement: AssemblyPlacement,
  reason: AssemblyReason,
  text: string,
): Judgement {
  return { placement, reason, text };
}

/** A candidate that cannot be used at all. */
export function unusable(reason: AssemblyReason, text: string): Judgement {
  return judged({ type: "unusable" }, reason, text);
}

/** A candidate that the array counts as failed. */
export function faulty(text: string): Judgement {
  return judged({ type: "faulty" }, "faulty", text);
}

/** The older of two that carry the same device UUID, or each of two that are equally old. */
export function duplicateDevice(otherPath: string): Judgement {
  const text = `carries the same device UUID as ${otherPath}: one is a copy of the other`;
  return judged({ type: "kicked" }, "duplicate-device", text);
}
