/**
 * Whether the devices that are there hold the newest copy of an array, by what this board remembers
 * of it. Superblocks alone cannot tell: a member that was failed does not know, and believes itself
 * and all others working; two that were started apart each say the other one failed. And whether a
 * device that joins an array which runs holds what that array never had. Pure.
 */

import { type ClusterView, UNTOLD } from "../cluster/node/cluster-view.ts";
import type { ArrayStatus } from "../raid/array-status.ts";
import type { AssemblyReport, FoundMember } from "../raid/assembly-status.ts";
import { parseUuid, uuidToHex } from "../raid/uuid.ts";
import type { StartProblem } from "./array-view.ts";

const MIB = 2 ** 20;

/** Other nodes may have gone on with the member that is missing here, and recorded nothing else. */
const otherNodesKnow = ({ array, members }: AssemblyReport): StartProblem => ({
  code: "CONTROL_ARRAY_INCOMPLETE",
  message: `a member of the clustered array ${array?.name} that the others believe working is not here: what it holds may be newer`,
  remedy: `bring it back; or, when no other node runs the array, ask with run (satsuma assemble ${array?.name} --run)`,
  members: members.map(({ path, reason }) => ({ path, reason })),
});

/** One board has made it plain; it may run there, and only a cluster keeps two boards apart. */
const leftCluster = ({ array, members }: AssemblyReport): StartProblem => ({
  code: "CONTROL_ARRAY_LEFT_CLUSTER",
  message: `the array ${array?.name} was clustered when it ran here last, and is not any more: another board may run it`,
  remedy: `when no other board does, start it with run (satsuma assemble ${array?.name} --run)`,
  members: members.map(({ path, reason }) => ({ path, reason })),
});

/** mdadm and the kernel write one uuid in two forms: only the digits count. */
const digitsOf = (text: string): string => {
  const uuid = parseUuid(text);
  return uuid === null ? text : uuidToHex(uuid);
};

/**
 * Why an array must not be started from these devices unless the user insists; null when nothing
 * speaks against it. `remembered`: its status as this board saw it last, null when it never ran
 * here. What was changed elsewhere since has more updates than remembered, and is believed.
 */
export function newestCopyProblem(
  remembered: ArrayStatus | null,
  report: AssemblyReport,
): StartProblem | null {
  const { array, refusal } = report;
  if (array === null || refusal !== null) return null;
  const isClustered = array.bitmap.type === "clustered";
  if (isClustered && !report.isComplete) return otherNodesKnow(report);
  if (remembered === null) return null;
  if (remembered.bitmap.type === "clustered" && !isClustered) return leftCluster(report);
  const inSync = new Set(
    remembered.members.flatMap(({ deviceUuid, states }) =>
      deviceUuid !== null && states.includes("in_sync") ? [digitsOf(deviceUuid)] : [],
    ),
  );
  const wasInSync = ({ superblock }: FoundMember): boolean =>
    superblock !== null && inSync.has(digitsOf(superblock.deviceUuid));
  const old = report.members.filter((one) => one.placement === "in-sync" && !wasInSync(one));
  const [first] = old;
  if (first === undefined) return null;
  const members = report.members.map(({ path, reason }) => ({ path, reason }));
  if (array.events <= remembered.events) {
    return {
      code: "CONTROL_NEWEST_COPY_MISSING",
      message: `${first.path} was out of array ${remembered.name} when it ran last, and what was written since is on none of the devices that are there`,
      remedy: `bring the other members back; or start it with run (satsuma assemble ${remembered.name} --run) and lose what only they hold`,
      members,
    };
  }
  const apart = report.members.find((one) => wasInSync(one) && one.reason === "split-brain");
  if (apart === undefined) return null;
  return {
    code: "CONTROL_COPIES_DISAGREE",
    message: `${first.path} and ${apart.path} were written apart from each other: each says that the other one failed`,
    remedy:
      "choose: start it from the devices to keep with run (satsuma assemble --devices DEVICE --run), then add the others anew",
    members,
  };
}

/** Bitmaps mark whole chunks; a part of a MiB counts as one. */
const sizeText = (bytes: number): string =>
  bytes < MIB ? `${Math.ceil(bytes / 1024)} KiB` : `${Math.ceil(bytes / MIB)} MiB`;

const lossText = (markedBytes: number | null): string => {
  if (markedBytes === null) return "no bitmap tells how much";
  if (markedBytes === 0) return "its bitmap marks none of it now";
  return `its bitmap marks ${sizeText(markedBytes)}`;
};

/**
 * Why a device of the array must not be made a copy of it unless the user insists: the array went
 * on there without the members that run now, so it holds what they do not. Null: nothing speaks
 * against it. A member that was failed does not know, and was written no more. `status`: of the
 * array that runs; `report`: on its members in sync and the device; `markedBytes`: what the
 * device's own bitmap marks, null when it cannot tell. An array that was made whole elsewhere has
 * cleared it.
 */
export function ranApartProblem(
  status: ArrayStatus,
  report: AssemblyReport,
  path: string,
  markedBytes: number | null,
): StartProblem | null {
  const device = report.members.find((member) => member.path === path);
  const superblock = device?.superblock ?? null;
  if (superblock === null || !/active/i.test(superblock.role)) return null;
  if (digitsOf(superblock.arrayUuid) !== digitsOf(status.uuid)) return null;
  const isNewer = superblock.events > status.events;
  if (!isNewer && !report.members.some(({ reason }) => reason === "split-brain")) return null;
  const at = new Date(superblock.updatedAt).toISOString().slice(0, 19);
  return {
    code: "CONTROL_MEMBER_RAN_APART",
    message: `array ${status.name} went on with ${path} apart from the members that run now, until ${at}Z at least: what was written there meanwhile (${lossText(markedBytes)}) is on no other member, and would be overwritten`,
    remedy: `copy it off first (satsuma read ${path}); then ask with force (--force)`,
    members: report.members.map(({ path: of, reason }) => ({ path: of, reason })),
  };
}

/** What the cluster of an array knows of its copies. */
export type KnownCopies = Pick<ClusterView, "knownSince" | "forced">;

/**
 * Whether only superblocks can tell if a device ran apart from the array. What they say is not
 * asked where the cluster knows: of an update that nobody was told of, they say that each side
 * failed the other, and nothing was acknowledged by it. `running`: events of the array.
 */
export function asksSuperblocks(
  events: number,
  running: number,
  { knownSince, forced }: KnownCopies,
): boolean {
  if (knownSince === null || events <= knownSince || events > running) return true;
  return forced?.to === UNTOLD && events > forced.from;
}
