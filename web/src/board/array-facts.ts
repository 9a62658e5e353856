/** What follows from the resources of arrays and devices: pure, shared by several pages. */

import type { ArrayResource, HealthWord } from "../../../src/api/schemas/array.ts";
import type { DeviceResource } from "../../../src/api/schemas/device.ts";
import type { MemberResource } from "../../../src/api/schemas/member.ts";

/** Worst first, as the board judges. */
export const WORST_FIRST: readonly HealthWord[] = [
  "failed",
  "inactive",
  "degraded",
  "recovering",
  "unknown",
  "resyncing",
  "building",
  "optimal",
];

/** Arrays, the worst first, then by name. */
export function sortedArrays(arrays: Iterable<ArrayResource>): readonly ArrayResource[] {
  const rank = (array: ArrayResource): number => WORST_FIRST.indexOf(array.status.health);
  return [...arrays].sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
}

/** True while the array runs: only then verbs on members and syncs make sense. */
export function isRunning(array: ArrayResource): boolean {
  return array.status.array_state !== "inactive" && array.status.array_state !== "clear";
}

/** What a member is called: the id of its device, else its path, else null for an empty slot. */
export function memberName(member: MemberResource): string | null {
  return member.device_id ?? member.path;
}

/** What may be asked of a member. */
export interface MemberVerbs {
  readonly fail: boolean;
  readonly remove: boolean;
}

/** The verbs that the array accepts for this member; the board has the last word. */
export function memberVerbs(array: ArrayResource, member: MemberResource): MemberVerbs {
  const { states, device_id } = member;
  if (device_id === null || !isRunning(array)) {
    return { fail: false, remove: false };
  }
  const isFaulty = states.includes("faulty");
  const isIdleSpare = states.includes("spare") && !states.includes("rebuilding");
  // Of a degraded raid10 some members may still fail: the board knows which.
  const isLast =
    array.config.level === "raid1" &&
    states.includes("in_sync") &&
    array.status.in_sync_copies <= 1;
  return { fail: !isFaulty && !isLast, remove: isFaulty || isIdleSpare };
}

/** Devices that were members of this array and may be re-added. */
export function staleDevices(
  array: ArrayResource,
  devices: Iterable<DeviceResource>,
): readonly DeviceResource[] {
  const members = new Set(array.status.members.map((member) => member.device_id));
  return [...devices].filter(
    ({ id, status }) =>
      !members.has(id) && status.state === "foreign" && status.superblock?.array_id === array.id,
  );
}

/** Devices that `add` may take: free ones first, then those whose content would be lost. */
export function addableDevices(devices: Iterable<DeviceResource>): readonly DeviceResource[] {
  const rank = (device: DeviceResource): number => (device.status.state === "free" ? 0 : 1);
  return [...devices]
    .filter(({ status }) => status.state === "free" || status.state === "foreign")
    .sort((a, b) => rank(a) - rank(b) || a.id.localeCompare(b.id));
}

/** Members in the order of their raid slots, spares last. */
export function sortedMembers(array: ArrayResource): readonly MemberResource[] {
  const rank = (member: MemberResource): number => member.slot ?? Number.MAX_SAFE_INTEGER;
  return [...array.status.members].sort((a, b) => rank(a) - rank(b));
}

/** True for an array that should run and does not, or was stopped: it can be assembled. */
export function canAssemble(array: ArrayResource): boolean {
  return !isRunning(array);
}
