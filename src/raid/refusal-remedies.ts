/**
 * What a user can do about a refused command of a running array, by code: the array machine says
 * what stands against it, this table what to do. One sentence each, without a full stop.
 */

const REMEDIES: Readonly<Record<string, string>> = {
  CLUSTER_BITMAP_IN_USE: "stop the array on all other nodes first",
  CLUSTER_DEVICE_NOT_SEEN:
    "look whether another node has added it; else connect it to every node, then add it again",
  CLUSTER_EXPELLED: "stop the array here and start it again",
  CLUSTER_NODE_BUSY:
    "wait until no sync action of the array runs on any board (satsuma status), then try again",
  RAID_ALREADY_A_MEMBER: "see the members of the array",
  RAID_ARRAY_BROKEN:
    "bring a member back that holds the newest data, then assemble the array again",
  RAID_ARRAY_CHANGING: "try again in a moment",
  RAID_ARRAY_STOPPING: "wait until it has stopped, then assemble it again",
  RAID_BAD_RANGE: "choose a range within the array",
  RAID_CLUSTERED_ARRAY: "stop the array and use satsuma update on its members",
  RAID_DEVICE_TOO_SMALL: "add a device at least as large as the other members",
  RAID_LAST_IN_SYNC_MEMBER: "add another member and let it be rebuilt first",
  RAID_MEMBER_BUSY: "try again in a moment",
  RAID_MEMBER_FAULTY: "remove the member, then add it again",
  RAID_MEMBER_IO_ERROR: "look at the device; choose another",
  RAID_MEMBER_NOT_FAULTY: "fail it first, then remove it",
  RAID_MEMBER_NOT_IN_SYNC: "add a spare instead",
  RAID_NOT_A_MEMBER: "see the members of the array",
  RAID_NOT_A_SPARE: "add it first, then name it",
  RAID_READ_ONLY: "assemble it read-write first",
  RAID_RE_ADD_REFUSED: "add it as a new member, which copies all of it",
  RAID_SECTOR_SIZE_MISMATCH: "use a device with sectors like those of the other members",
  RAID_SYNC_IN_PROGRESS: "wait for it, or set the array idle first",
  RAID_TOO_MANY_DEVICES: "remove faulty members and spares that are not needed",
  RAID_UNSUPPORTED_ON_CLUSTERED: "leave it out, or change the bitmap first",
};

/** The remedy for a code of a refused command; empty for one that is not in the table. */
export function remedyFor(code: string): string {
  return REMEDIES[code] ?? "";
}
