/**
 * What the workers report of their legs, and what the array makes of it: a member with a bad-block
 * list keeps its place and has the spots noted; any other is recorded faulty. The last good copy of
 * anything is neither failed nor noted bad: its errors go to the client.
 * Source: drivers/md/raid1.c handle_write_finished; md.c rdev_set_badblocks.
 */

import type { ArrayEvent } from "./array-messages.ts";
import {
  type ArrayState,
  inSyncMembers,
  isInCluster,
  isLastInSync,
  type Member,
  memberOfLeg,
  publishLeg,
} from "./array-state.ts";
import { healBadBlocks, noteBadBlocks } from "./bad-block-notes.ts";
import type { BadRange } from "./bad-block-table.ts";
import { breakUnlessReached, restartRecovery } from "./last-copies.ts";
import { failMember } from "./metadata-update.ts";
import { resyncAgain } from "./sync-action.ts";

type LegGoneEvent = Extract<ArrayEvent, { type: "leg-gone" }>;
type LegReportEvent = Extract<ArrayEvent, { type: "leg-report" }>;

export const onLegReport = (state: ArrayState, event: LegReportEvent): void => {
  const member = memberOfLeg(state, event.leg);
  const { worker, request } = event;
  const isNoted = member === null ? null : settleReport(state, member, event);
  state.pending.legReports.push({ worker, request, member: member?.id ?? -1, isNoted });
};

/** True when it is dealt with but for the update; null when the member's failure decides. */
const settleReport = (
  state: ArrayState,
  member: Member,
  { kind, ranges, message, span }: LegReportEvent,
): boolean | null => {
  if (kind === "healed" && ranges !== null) {
    for (const range of ranges) healBadBlocks(state, member, range);
    // What stays noted here can be read only elsewhere.
    return ranges.every(
      ([from, to]) => !touches(member, from, to - from) || isElsewhere(state, member, [from, to]),
    );
  }
  if (kind === "write" && ranges !== null) {
    const isSafe = ranges.every((range) => isElsewhere(state, member, range));
    if (isSafe) return noteWriteErrors(state, member, ranges, message);
    restartRecovery(state);
    if (span != null) expectDifferences(state, member, span);
    return false;
  }
  if (kind === "write" && isLastInSync(state, member)) {
    restartRecovery(state);
    // Another node may be rebuilding a member that took the write.
    if (isInCluster(state) && span != null) needAgain(state, member, span);
  }
  failMember(state, member, `${kind} error: ${message}`);
  const isKept = !state.pending.failing.has(member.id) && member.state === "in_sync";
  if (kind === "write" && isKept && span != null) expectDifferences(state, member, span);
  return null;
};

/**
 * A worker cannot use the member any more, whatever its other threads can: it fails. One that must
 * stay would have each request of that worker fail for ever: this node leaves, and comes back with
 * new handles, AFTER the others know that its old ones can do no more.
 */
export const onLegGone = (state: ArrayState, { leg, message }: LegGoneEvent): void => {
  const member = memberOfLeg(state, leg);
  if (member === null) return;
  member.goneHere = message;
  failMember(state, member, message);
  if (!state.pending.failing.has(member.id)) breakUnlessReached(state, member);
};

/**
 * A raid10 member keeps its place though a write failed on it, for it alone has other bytes; the
 * write's other copies may have taken it. A resync makes them equal again, and reads keep to the
 * first copy until then.
 */
const expectDifferences = (state: ArrayState, member: Member, [from, to]: BadRange): void => {
  const slot = member.raidSlot;
  if (slot === null) return;
  const others = inSyncMembers(state).filter((other) => other !== member);
  for (const { offset, length } of state.map.memberRuns(slot, from, to - from)) {
    for (const extent of state.map.extents(offset, length)) {
      const isCopied = extent.places.some((place) =>
        others.some((other) => other.raidSlot === place.slot),
      );
      if (isCopied) resyncAgain(state, extent.offset, extent.length);
    }
  }
};

/** Once there is a second copy, a resync makes it equal here. */
const needAgain = (state: ArrayState, member: Member, [from, to]: BadRange): void => {
  for (const run of state.map.memberRuns(member.raidSlot ?? 0, from, to - from))
    resyncAgain(state, run.offset, run.length);
};

/** Every byte that the member holds there can be read on another in-sync member. */
export const isElsewhere = (state: ArrayState, member: Member, [from, to]: BadRange): boolean => {
  const slot = member.raidSlot;
  if (slot === null) return true;
  const others = inSyncMembers(state).filter((other) => other !== member);
  return state.map
    .memberRuns(slot, from, to - from)
    .every(({ offset, length }) =>
      state.map
        .extents(offset, length)
        .every(({ places, length: bytes }) =>
          places.some((place) =>
            others.some(
              (other) => other.raidSlot === place.slot && !touches(other, place.position, bytes),
            ),
          ),
        ),
    );
};

const touches = (member: Member, position: number, length: number): boolean =>
  member.badBlocks.some(([from, to]) => from < position + length && position < to);

/**
 * Notes what the member could not take; null when it fails for want of room in its list. No
 * ranges: the second try stored everything.
 */
const noteWriteErrors = (
  state: ArrayState,
  member: Member,
  ranges: readonly BadRange[],
  message: string,
): boolean | null => {
  member.hasWriteError = true;
  member.wantReplacement = true;
  if (ranges.length === 0) publishLeg(state, member);
  else if (!noteBadBlocks(state, member, ranges, message)) {
    failMember(state, member, `write error: ${message}`);
    return null;
  }
  return true;
};
