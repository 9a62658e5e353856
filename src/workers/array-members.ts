/** Opens the members of an array that starts, and one that is to join, in the array thread. */

import { CodedError } from "../common/errors.ts";
import type { RevocableDevice } from "../hal/layers/revocable-device.ts";
import type { MemberClaim } from "../hal/linux/member-claim.ts";
import {
  type AssembleDevice,
  type AssembledArray,
  assembleDevices,
} from "../raid/assemble-driver.ts";
import { type ClusterFacts, readClusterFacts } from "../raid/cluster-facts-driver.ts";
import type { ArrayCluster } from "./array-cluster.ts";
import type { ArrayThreadData } from "./array-messages.ts";
import { type OpenMemberOptions, openMember } from "./open-member.ts";

/**
 * How this thread claims members, asks before its I/O, alone or as a node of a cluster, and reads
 * them: sync actions read each byte once. Peers' disks are written by nodes of a cluster alone.
 */
export const accessOf = (
  cluster: ArrayCluster | null,
  { readOnly, peers }: Pick<ArrayThreadData, "readOnly" | "peers">,
): { readonly claim: MemberClaim } & OpenMemberOptions =>
  cluster === null
    ? { isUncached: true, claim: "alone", peers: readOnly ? peers : null }
    : { isUncached: true, claim: "cluster", gate: cluster.gate, peers: cluster.peerUse };

/** Opens every member it can; the others get their reason from assembly's refusal or stay out. */
export const openMembers = async (
  data: ArrayThreadData,
  access: OpenMemberOptions,
): Promise<AssembleDevice[]> => {
  const devices: AssembleDevice[] = [];
  const problems: { path: string; reason: string; text: string }[] = [];
  for (const ticket of data.members) {
    try {
      const mode = data.readOnly ? "read" : "write";
      devices.push({ path: ticket.path, device: await openMember(ticket, mode, access) });
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      problems.push({ path: ticket.path, reason: "unreadable", text: error.advice });
    }
  }
  if (devices.length > 0) return devices;
  throw new CodedError("RAID_NO_MEMBERS", "none of the members can be opened", {
    remedy: "check that the members are there",
    details: { members: problems },
  });
};

/** As `openMembers`, without those that may hold old content. Errors: CLUSTER_MEMBER_MISSING. */
export const openTrusted = async (
  data: ArrayThreadData,
  cluster: ArrayCluster | null,
): Promise<AssembleDevice[]> => {
  const members = data.members.filter(({ path }) => cluster?.isTrusted(path) ?? true);
  if (members.length > 0) return await openMembers({ ...data, members }, accessOf(cluster, data));
  const text = "the boards that run the array have not met this board's disks since it began anew";
  throw new CodedError("CLUSTER_MEMBER_MISSING", text, {
    remedy: "nothing: it tries again by itself",
  });
};

/** What the members say before the node has joined: nothing is claimed yet. */
const readFacts = async (data: ArrayThreadData): Promise<ClusterFacts | null> => {
  const devices = await openMembers({ ...data, readOnly: true }, { peers: data.peers });
  try {
    return await readClusterFacts(devices);
  } finally {
    for (const { device } of devices) await device.close();
  }
};

/**
 * Joins the cluster of a clustered array that is to be written; null of any other, and when it is
 * another cluster's: assembly refuses it. Errors: CLUSTER_*, RAID_NO_MEMBERS.
 */
export const joinCluster = async (data: ArrayThreadData): Promise<ArrayCluster | null> => {
  if (data.cluster === null || data.readOnly) return null;
  const facts = await readFacts(data);
  if (facts === null || facts.clusterName !== data.cluster.name) return null;
  // Loaded by nodes alone: the cluster's part of the program takes 3 MiB in each array's thread.
  const cluster = await import("./array-cluster.ts");
  const paths = data.members.map(({ path }) => path);
  return await cluster.ArrayCluster.join(data.cluster, facts, paths);
};

type StartData = Omit<ArrayThreadData, "members" | "cluster" | "peers">;
type StartCluster = Pick<ArrayCluster, "name" | "slot" | "isRunElsewhere" | "copies">;

/**
 * Assembles the array; as a node of its cluster only from copies that no newer one is known of, or
 * by force, and the cluster is told before anything is written. `wasRunElsewhere`: others ran the
 * array when the first member was opened. What was refused for that is missing for this start, also
 * when they are gone by now: a disk that was opened later would go on without it. Errors: RAID_*,
 * with `details.members`; CLUSTER_*; `data.doubt`.
 */
export const assembleJoined = async (
  data: StartData,
  devices: readonly AssembleDevice[],
  cluster: StartCluster | null,
  wasRunElsewhere: boolean,
): Promise<AssembledArray> => {
  const now = Date.now();
  if (cluster === null) return await assembleDevices(devices, { ...data, cluster, now });
  const { name, slot } = cluster;
  const isRunElsewhere = wasRunElsewhere || cluster.isRunElsewhere;
  const options = { ...data, cluster: { name, slot, isRunElsewhere }, now };
  const { run: isForced, doubt } = data;
  const newest = await cluster.copies.newest();
  const copies = { newest, isForced, doubt };
  const array = await assembleDevices(devices, { ...options, copies });
  await cluster.copies.begin(array.events, array.forced);
  return array;
};

/** A device that does not answer in time is given up. Errors: HAL_NO_ANSWER, and those of `ask`. */
export const withinLimit = async <T>(
  device: RevocableDevice,
  limitMs: number | null,
  ask: () => Promise<T>,
): Promise<T> => {
  if (limitMs === null) return await ask();
  const reason = `no answer for ${limitMs / 1000} s`;
  const timer = setTimeout(() => device.revoke(reason), limitMs);
  try {
    const answer = await ask();
    // What cannot be read counts as absent: that it was not read in time is another thing.
    if (device.isRevoked) throw new CodedError("HAL_NO_ANSWER", `${device.name}: ${reason}`);
    return answer;
  } finally {
    clearTimeout(timer);
  }
};
