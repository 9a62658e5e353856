/**
 * Which spare of a spare group moves to which array: pure decisions over the arrays of the board.
 *
 * The rule is that of mdadm's monitor: an array of the group that is degraded and has no spare of
 * its own gets one from another array of the group that is not degraded. A spare fits when it is at
 * least as large as the smallest member there and its sectors are not larger than the array's.
 * Source: mdadm.8, "MONITOR MODE", spare-group; mdadm Monitor.c.
 */

import type { ArrayStatus, MemberStatus } from "../raid/array-status.ts";

/** A device that waits in an array. Sizes are bytes. */
export interface IdleSpare {
  readonly path: string;
  readonly sizeBytes: number;
  readonly logicalBlockBytes: number;
}

/** What of an array decides. */
export interface GroupArray {
  readonly uuid: string;
  readonly name: string;
  readonly spareGroup: string | null;
  /** It runs, can be changed, and still has an in-sync copy. */
  readonly isUsable: boolean;
  readonly isDegraded: boolean;
  /** Members under rebuild, which were spares. */
  readonly rebuilding: number;
  readonly spares: readonly IdleSpare[];
  readonly smallestMemberBytes: number;
  readonly logicalBlockBytes: number;
}

/** A spare that is to move. */
export interface SpareMove {
  readonly path: string;
  readonly from: string;
  readonly to: string;
}

/** True for a spare that waits: neither rebuilt now, nor failed, nor on its way to a raid slot. */
export function isIdleSpare({ states, path }: MemberStatus): boolean {
  return (
    path !== null &&
    states.includes("spare") &&
    !states.includes("rebuilding") &&
    !states.includes("faulty") &&
    !states.includes("replacement")
  );
}

/** True when every raid slot is in sync and no member is faulty. */
export function isWholeArray(status: ArrayStatus): boolean {
  const isClean = status.members.every(({ states }) => !states.includes("faulty"));
  return status.degraded === 0 && isClean;
}

/**
 * The moves, at most one per array. `isRefused` tells moves that were tried and failed.
 * Of several spares that fit the smallest moves, and of equal ones that of the richest array.
 */
export function decideMoves(
  arrays: readonly GroupArray[],
  isRefused: (move: SpareMove) => boolean,
): SpareMove[] {
  const taken = new Set<string>();
  const moves: SpareMove[] = [];
  for (const needy of arrays.filter(needsSpare)) {
    const offers = arrays
      .filter((donor) => mayGive(donor, needy))
      .flatMap((donor) => donor.spares.map((spare) => ({ donor, spare })))
      .filter(({ spare }) => fits(spare, needy) && !taken.has(spare.path))
      .sort(
        (a, b) =>
          a.spare.sizeBytes - b.spare.sizeBytes || b.donor.spares.length - a.donor.spares.length,
      )
      .map(({ donor, spare }) => ({ path: spare.path, from: donor.uuid, to: needy.uuid }));
    const move = offers.find((offer) => !isRefused(offer));
    if (move !== undefined) {
      taken.add(move.path);
      moves.push(move);
    }
  }
  return moves;
}

const needsSpare = (array: GroupArray): boolean =>
  array.spareGroup !== null &&
  array.isUsable &&
  array.isDegraded &&
  array.spares.length === 0 &&
  array.rebuilding === 0;

const mayGive = (donor: GroupArray, needy: GroupArray): boolean =>
  donor.uuid !== needy.uuid &&
  donor.spareGroup === needy.spareGroup &&
  donor.isUsable &&
  !donor.isDegraded;

const fits = (spare: IdleSpare, array: GroupArray): boolean =>
  spare.sizeBytes >= array.smallestMemberBytes &&
  spare.logicalBlockBytes <= array.logicalBlockBytes;
