/** What a change of a stopped array is planned from, and what a plan is. See change-plan.ts. */

import type { MemberOp } from "./array-messages.ts";
import type { Superblock } from "./superblock-fields.ts";

/**
 * A member that takes part in the array: in sync, rebuilding or spare. Those that assembly leaves
 * out (stale, faulty, foreign) are not given; they stay as they are, and are stale afterwards.
 */
export interface ChangeMember {
  readonly id: number;
  /** For messages. */
  readonly path: string;
  readonly superblock: Superblock;
  /**
   * All slots of its bitmap as read from where the freshest superblock says; null when the array
   * has none, or it could not be read.
   */
  readonly bitmapArea: Uint8Array | null;
  readonly deviceSectors: number;
}

export interface ChangeContext {
  /** Milliseconds since the epoch: the members' update time. */
  readonly now: number;
  /** The superblock of the freshest member, as assembly tells it. */
  readonly freshest: Superblock;
}

/**
 * One step: the ops of each member by its id, the flush included. A step is done on every member
 * BEFORE the next one begins.
 */
export interface ChangePhase {
  readonly ops: ReadonlyMap<number, readonly MemberOp[]>;
}

/** Codes of refusals; each message says what stands against it and what to do. */
export type ChangeRefusalCode =
  | "RAID_CHANGE_UNSUPPORTED"
  | "RAID_SHRINK_REFUSED"
  | "RAID_SLOTS_IN_USE"
  | "RAID_BAD_MEMBER_COUNT"
  | "RAID_MEMBER_TOO_SMALL"
  | "RAID_BAD_BITMAP_CHUNK"
  | "RAID_BITMAP_UNUSABLE"
  | "RAID_BAD_CLUSTER"
  | "RAID_BAD_NAME"
  | "RAID_BAD_BLOCKS_RECORDED"
  | "RAID_NO_METADATA_ROOM";

export interface ChangeRefusal {
  readonly ok: false;
  readonly code: ChangeRefusalCode;
  /** A sentence without a full stop. */
  readonly message: string;
  readonly remedy: string;
}

/** What a change writes. No phases: the array is that way already. */
export interface ChangePlan {
  readonly phases: readonly ChangePhase[];
  /**
   * AFTER the phases, and only when a member failed on the way: more updates of the others, so
   * that the failed one is too old to be taken for a member that is up to date.
   */
  readonly seal: readonly ChangePhase[];
}

export type ChangePlanned = ({ readonly ok: true } & ChangePlan) | ChangeRefusal;

/** A refusal from its parts. */
export function refuseChange(
  code: ChangeRefusalCode,
  message: string,
  remedy: string,
): ChangeRefusal {
  return { ok: false, code, message, remedy };
}

/** True for a refusal among planned values. */
export function isRefusal(value: object): value is ChangeRefusal {
  return "ok" in value && value.ok === false;
}
