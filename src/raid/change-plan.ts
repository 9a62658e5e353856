/**
 * What a change of a stopped array writes on its members. Pure: members as read come in, steps go
 * out, in an order in which power may go at any moment: change-phases.ts says why that is safe.
 * Nothing of the array's content is touched; what has to be copied afterwards is left to the resync
 * and recovery that the metadata asks for.
 */

import { assert, assertNever } from "../common/assert.ts";
import type { ArrayChange } from "./array-change.ts";
import { addBadBlockLists, removeBadBlockLists } from "./change-bad-blocks.ts";
import { changeBitmap } from "./change-bitmap.ts";
import { type ArrayDraft, activeMembers, type FoundArray, findArray } from "./change-draft.ts";
import {
  changeHomeCluster,
  changeNodes,
  changeUuid,
  forceResync,
  rename,
} from "./change-identity.ts";
import { planPhases } from "./change-phases.ts";
import { growSize } from "./change-size.ts";
import { changeRaidDevices } from "./change-slots.ts";
import {
  type ChangeContext,
  type ChangeMember,
  type ChangePlanned,
  type ChangeRefusal,
  isRefusal,
  refuseChange,
} from "./change-types.ts";

/**
 * Plans one change on the members that take part in the array. Nobody else writes to them, and the
 * array is stopped, as cleanly as it could be.
 * Errors: a refusal; then nothing is to be written.
 */
export function planChange(
  members: readonly ChangeMember[],
  change: ArrayChange,
  context: ChangeContext,
): ChangePlanned {
  const found = findArray(members, context);
  assert(activeMembers(found.draft).length > 0, "a change needs the array's active members");
  if (found.bitmap === "unusable" && change.type !== "bitmap") {
    return refuseChange(
      "RAID_BITMAP_UNUSABLE",
      "no in-sync member has a bitmap that can be believed",
      "assemble the array once, or take the bitmap away first (--bitmap none)",
    );
  }
  const next = changed(found, change);
  if (next !== null && isRefusal(next)) return next;
  if (next === null) {
    // Cut short the last time: the freshest have it, the others follow.
    const { events } = context.freshest;
    if (members.every(({ superblock }) => superblock.events === events)) {
      return { ok: true, phases: [], seal: [] };
    }
    return { ok: true, ...planPhases(found, found.draft, context.now) };
  }
  return { ok: true, ...planPhases(found, next, context.now) };
}

/** The array with the change made; null when it is that way already. */
function changed(found: FoundArray, change: ArrayChange): ArrayDraft | ChangeRefusal | null {
  const { draft } = found;
  switch (change.type) {
    case "size":
      return growSize(draft, change.sizeBytes);
    case "raid-devices":
      return changeRaidDevices(draft, change.count);
    case "bitmap":
      return changeBitmap(found, change);
    case "name":
      return rename(draft, change.name);
    case "home-cluster":
      return changeHomeCluster(draft, change.clusterName);
    case "nodes":
      return changeNodes(draft, change.nodes);
    case "uuid":
      return changeUuid(draft, change.setUuid);
    case "resync":
      return forceResync(draft);
    case "bad-block-list":
      return change.enabled
        ? addBadBlockLists(draft)
        : removeBadBlockLists(draft, change.force === true);
    default:
      return assertNever(change);
  }
}
