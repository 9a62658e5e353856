/**
 * From which copies a node may begin to run a clustered array: from none that is older than what
 * any node was told of, unless an administrator forces it. Pure.
 */

import type { AssemblyRefuse, AssemblyStart } from "./assembly-types.ts";

/** What a node has to go by that begins to run a clustered array. */
export interface CopiesRule {
  /** Events of the newest superblocks that any node was told of; null: nothing is known. */
  readonly newest: number | null;
  /** Start it even from older ones. */
  readonly isForced: boolean;
}

/**
 * A start from older copies that was forced: from `from` events; the first update has `to`, so that
 * no number is used by what goes on here and by what went on elsewhere. How far that went may be
 * unknown: then `to` is UNKNOWN, and numbers tell nothing.
 */
export interface ForcedStart {
  readonly from: number;
  readonly to: number;
}

/** `to` where nobody knows. */
const UNKNOWN = Number.MAX_SAFE_INTEGER;
/** Who may be one ahead is outrun by so much: there is one between that nobody else has used. */
export const OUTRUN = 2;
/**
 * How far superblocks may be ahead of what any node was told. Choice: more than the nodes that may
 * have died one after the other, each in the midst of an update.
 */
export const UNTOLD_MAX = 16;
/** Events go up one by one: no start from copies that are further behind. Choice. */
const BEHIND_MAX = 4096;

/** Null: the copies are as new as any. */
export const forcedStart = (
  { shape, complete }: AssemblyStart,
  { newest, isForced }: CopiesRule,
): ForcedStart | null => {
  const { events } = shape.freshest;
  if (!isForced) return null;
  if (newest === null) return complete ? null : { from: events, to: UNKNOWN };
  return events >= newest ? null : { from: events, to: newest + UNTOLD_MAX };
};

/**
 * The events that the first update has at least, or null: any. What is not here may hold an update
 * that was told to nobody, which names these members as faulty: it must never count as the newer.
 */
export const firstUpdateOf = (
  { shape, complete }: AssemblyStart,
  forced: ForcedStart | null,
): number | null => {
  if (forced !== null && forced.to !== UNKNOWN) return forced.to;
  return complete ? null : shape.freshest.events + UNTOLD_MAX;
};

/** Of copies that make no array: how far they are behind, where a newer one is known of. */
export const behindText = ({ members }: AssemblyRefuse, newest: number | null): string => {
  const events = Math.max(0, ...members.map(({ superblock }) => superblock?.events ?? 0));
  return newest === null || events === 0 || newest <= events
    ? ""
    : `; the newest superblocks have ${newest} events, those that can be read here ${events}`;
};

/** Why they must not be started from. */
export interface OlderCopies {
  readonly code: "CLUSTER_NEWER_COPY_ELSEWHERE";
  readonly message: string;
  readonly remedy: string;
}

/**
 * Superblocks that other nodes were told of say what these do not: the members here were failed
 * meanwhile, or are copies of another time. What was acknowledged since is on none of them. Others
 * who run the array go on from there: then nobody may force it. Null: none is newer.
 */
export const olderCopies = (
  { shape, missingSlots }: AssemblyStart,
  { newest, isForced }: CopiesRule,
  { isRunElsewhere = false }: { readonly isRunElsewhere?: boolean },
): OlderCopies | null => {
  const { events, devRoles } = shape.freshest;
  const behind = (newest ?? 0) - events;
  if (newest === null || behind <= 0) return null;
  const isOpen = !isRunElsewhere && behind <= BEHIND_MAX;
  if (isForced && isOpen) return null;
  const missing = missingSlots.filter((slot) => devRoles.includes(slot)).join(", ");
  const which = missing === "" ? "" : `; its member of raid slot ${missing} is not here`;
  const bring = "bring the members back that hold it";
  return {
    code: "CLUSTER_NEWER_COPY_ELSEWHERE",
    message: `the newest copy of the array is not here: its superblocks have ${newest} events, those that can be read here ${events}${which}`,
    remedy: isOpen
      ? `${bring}; or start it with run (satsuma assemble --run) and lose what only they hold`
      : bring,
  };
};
