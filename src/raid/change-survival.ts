/** Whether some members of a stopped array hold all of its content. */

import {
  type ArrayDraft,
  activeMembers,
  findArray,
  isInSync,
  type MemberDraft,
} from "./change-draft.ts";
import type { ChangeContext, ChangeMember } from "./change-types.ts";
import { raid10Enough, raid10Geometry } from "./raid10-layout.ts";

/** True when these in-sync members hold at least one copy of everything. */
export function membersAreEnough(
  { template }: ArrayDraft,
  inSync: readonly MemberDraft[],
): boolean {
  const { level, layout, raidDisks, chunkSize } = template;
  const geometry = level === 10 ? raid10Geometry(layout, raidDisks, chunkSize) : null;
  if (geometry === null) return inSync.length > 0;
  const slots = new Set(inSync.map(({ raidSlot }) => raidSlot));
  return raid10Enough(geometry, (raidSlot) => slots.has(raidSlot));
}

/**
 * True while a change may go on although these members failed: the others can be assembled without
 * them. Otherwise it must stop where it is, for all members are still within one update.
 */
export function changeSurvives(
  members: readonly ChangeMember[],
  context: ChangeContext,
  failed: ReadonlySet<number>,
): boolean {
  const { draft } = findArray(members, context);
  const left = activeMembers(draft).filter(
    (member) => isInSync(member) && !failed.has(member.member.id),
  );
  return membersAreEnough(draft, left);
}
