/** Members on their way into the array: nobody may use them for anything else. */

import type { CommandOutcome } from "./array-messages.ts";
import type { ArrayState, Member } from "./array-state.ts";

/** The member's first metadata is being written, or other nodes look for it. */
export const isJoining = (state: ArrayState, member: Member): boolean =>
  [...state.joining.values()].some((entry) => entry.member === member.id);

/** The same, or the workers are opening it. */
export const isComing = (state: ArrayState, member: Member): boolean =>
  isJoining(state, member) ||
  [...state.opening.values()].some((entry) => entry.member === member.id);

/** It comes back to its old raid slot, and no superblock names it there yet. */
export const isReturning = ({ state, raidSlot }: Member): boolean =>
  state === "rebuilding" && raidSlot === null;

/**
 * All nodes see a member that comes back, and the workers here are opening it. The right to write
 * superblocks is this node's, and its next update tells the others what came of it: an update that
 * says less would have them let the member go.
 */
export const isReturnOpening = (state: ArrayState): boolean =>
  [...state.opening.values()].some(({ command }) => command !== undefined);

/** What a command is answered that would need it. */
export const busy = (path: string): CommandOutcome => ({
  ok: false,
  code: "RAID_MEMBER_BUSY",
  message: `${path} is being activated`,
});
