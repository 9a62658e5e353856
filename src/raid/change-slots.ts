/**
 * More or fewer raid slots of a raid1. Members close up, so that the slots given up are those at
 * the end. Source: drivers/md/raid1.c raid1_reshape; measured with mdadm 4.2 on Linux 6.1.
 */

import { type ArrayDraft, activeMembers, isInSync } from "./change-draft.ts";
import { type ChangeRefusal, refuseChange } from "./change-types.ts";
import { RAID_SLOTS_MAX } from "./shared-state.ts";
import { MD_DISK_ROLE_MAX } from "./superblock-fields.ts";

/** The array with so many raid slots; null when it has them. */
export function changeRaidDevices(
  draft: ArrayDraft,
  count: number,
): ArrayDraft | ChangeRefusal | null {
  const { template } = draft;
  if (template.level !== 1) {
    return refuseChange(
      "RAID_CHANGE_UNSUPPORTED",
      "the number of raid devices can be changed in raid1 arrays only",
      "make a new array and copy the content",
    );
  }
  if (count < 1 || count > RAID_SLOTS_MAX) {
    return refuseChange(
      "RAID_BAD_MEMBER_COUNT",
      `${count} raid devices is outside 1 to ${RAID_SLOTS_MAX}`,
      "choose another number",
    );
  }
  if (count === template.raidDisks) return null;
  const held = new Set(activeMembers(draft).flatMap(({ raidSlot }) => raidSlot ?? []));
  if (held.size > count) {
    const inSync = new Set(draft.members.filter(isInSync).map(({ raidSlot }) => raidSlot)).size;
    return refuseChange(
      "RAID_SLOTS_IN_USE",
      `${held.size} raid slots have a member (${inSync} in sync), so ${count} are too few`,
      "fail and remove the members that are to go first",
    );
  }
  const order = [...held].sort((a, b) => a - b);
  const moved = new Map(order.map((raidSlot, index) => [raidSlot, index]));
  const devRoles = template.devRoles.map((role) =>
    role < MD_DISK_ROLE_MAX ? (moved.get(role) ?? role) : role,
  );
  return {
    ...draft,
    template: { ...template, raidDisks: count, devRoles },
    members: draft.members.map((member) => ({
      ...member,
      raidSlot: member.raidSlot === null ? null : (moved.get(member.raidSlot) ?? member.raidSlot),
    })),
  };
}
