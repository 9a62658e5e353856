/** A member as it is when its device has just come to the array: a spare, to begin with. */

import type { Newcomer } from "./array-messages.ts";
import type { Member } from "./array-state.ts";
import type { Superblock } from "./superblock-fields.ts";

/** `over`: what is known of it beyond that. */
export const newMember = (
  newcomer: Pick<Newcomer, "member" | "path" | "badBlocks">,
  superblock: Superblock,
  over: Partial<Member>,
): Member => ({
  id: newcomer.member,
  path: newcomer.path,
  superblock,
  raidSlot: null,
  leg: null,
  isReplacement: false,
  wantReplacement: false,
  replaceWith: null,
  hasWriteError: false,
  badBlocks: newcomer.badBlocks,
  storedBadBlocks: newcomer.badBlocks,
  readErrors: 0,
  readErrorsAt: 0,
  state: "spare",
  recoveredBytes: 0,
  rebuiltBefore: 0,
  guided: false,
  stuck: false,
  faultReason: null,
  goneHere: null,
  correctedSectors: 0,
  stalledSince: null,
  reason: "device-added",
  ...over,
});
