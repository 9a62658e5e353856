/**
 * Changes of a running member's bad-block list: what is noted is read by nobody from that moment
 * on, and durable with the next metadata update.
 * Source: drivers/md/md.c rdev_set_badblocks, rdev_clear_badblocks.
 */

import { type ArrayState, happen, type Member, notesBadBlocks, publishLeg } from "./array-state.ts";
import {
  innerSectors,
  joinRanges,
  runsFromRanges,
  wholeSectors,
  withoutRange,
} from "./bad-block-list.ts";
import type { BadRange } from "./bad-block-table.ts";

/**
 * Adds ranges to the member's list, durable with the next update; nobody reads them from now on.
 * False when the list has no room, or the member has none.
 */
export const noteBadBlocks = (
  state: ArrayState,
  member: Member,
  ranges: readonly BadRange[],
  message: string,
): boolean => {
  if (!notesBadBlocks(state, member)) return false;
  const joined = joinRanges([...member.badBlocks, ...wholeSectors(ranges)]);
  if (runsFromRanges(joined, member.superblock) === null) return false;
  member.badBlocks = joined;
  publishLeg(state, member);
  state.pending.badBlocks.add(member.id);
  const bytes = ranges.reduce((sum, [from, to]) => sum + to - from, 0);
  const text = `Member ${member.path} has bad blocks: ${message}. ${bytes} bytes noted.`;
  const details = { path: member.path, bytes, entries: joined.length, reason: message };
  state.pending.happenings.push(happen(state, "member.bad-block", "warning", text, details));
  return true;
};

/**
 * A write over bad blocks succeeded: the sectors it wrote whole are good again once that is
 * durable.
 */
export const healBadBlocks = (state: ArrayState, member: Member, range: BadRange): void => {
  const sectors = innerSectors(range);
  if (sectors === null) return;
  const left = withoutRange(member.badBlocks, sectors);
  if (runsFromRanges(left, member.superblock) === null) return;
  member.badBlocks = left;
  publishLeg(state, member);
  state.pending.badBlocks.add(member.id);
};
