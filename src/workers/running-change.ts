/**
 * The change of a running array as a whole: what is refused at once, and the metadata on its open
 * members while the array rests. A change of the bitmap's kind takes the array into its board's
 * cluster or out of it:
 *
 *   into it: join ─► all bitmaps locked ─► rest ─► members shared ─► change ─► unlocked ─► start
 *   out of it: all bitmaps locked ─► rest ─► change ─► members this board's alone ─► leave ─► start
 *
 * Nobody else joins while the bitmaps are locked. What the members say AFTER the change decides
 * where the array goes on, also when the change was cut short.
 * Source: mdadm --grow --bitmap; drivers/md/md.c update_array_info, md-cluster.c lock_all_bitmaps.
 */

import { CodedError } from "../common/errors.ts";
import type { ArrayChange } from "../raid/array-change.ts";
import type { CommandOutcome } from "../raid/array-messages.ts";
import type { AssembleDevice } from "../raid/assemble-driver.ts";
import { changeArray } from "../raid/change-array-driver.ts";
import { readClusterFacts } from "../raid/cluster-facts-driver.ts";
import type { ArrayCluster } from "./array-cluster.ts";

/** What makes sense in a cluster only, and is not changed while the array runs in one. */
const CLUSTER_CHANGES = new Set<ArrayChange["type"]>(["nodes", "home-cluster"]);

export type BitmapChange = Extract<ArrayChange, { readonly type: "bitmap" }>;

const refuse = (code: string, message: string): CommandOutcome => ({ ok: false, code, message });

/** The array as far as it matters to a change. */
export interface ChangeGround {
  readonly readOnly: boolean;
  readonly isInCluster: boolean;
  /** The name of the board's cluster; null: it is in none. */
  readonly boardCluster: string | null;
  /** Another command is under way. */
  readonly isBusy: boolean;
}

/** Where a change takes the array; null: it stays where it is. */
export const directionOf = (
  change: ArrayChange,
  isInCluster: boolean,
): "into-cluster" | "out-of-cluster" | null => {
  if (change.type !== "bitmap") return null;
  if (change.bitmap === "clustered") return isInCluster ? null : "into-cluster";
  return isInCluster ? "out-of-cluster" : null;
};

/** Why a change of what the cluster has to do with the array is refused, or null. */
const clusterRefusal = (change: ArrayChange, ground: ChangeGround): CommandOutcome | null => {
  const isClustering = change.type === "bitmap" && change.bitmap === "clustered";
  if (!isClustering && !CLUSTER_CHANGES.has(change.type)) return null;
  const { isInCluster, boardCluster } = ground;
  if (isInCluster) {
    const message = "that is not changed while the array runs in its cluster";
    return refuse("RAID_CLUSTERED_ARRAY", message);
  }
  if (boardCluster === null) {
    const message = "the array would belong to a cluster, and this board is in none";
    return refuse("RAID_CLUSTERED_ARRAY", message);
  }
  if (!isClustering || change.clusterName === boardCluster) return null;
  const message = `the array would belong to the cluster ${change.clusterName}, and this board is in ${boardCluster}`;
  return refuse("RAID_CLUSTERED_ARRAY", message);
};

/** Why the array cannot be changed now, or null. */
export const changeRefusal = (change: ArrayChange, ground: ChangeGround): CommandOutcome | null => {
  if (ground.readOnly) return refuse("RAID_READ_ONLY", "the array is read-only");
  const refusal = clusterRefusal(change, ground);
  if (refusal !== null || !ground.isBusy) return refusal;
  return refuse("RAID_MEMBER_BUSY", "another command of the array is under way");
};

/** Makes the change; a refusal is kept until the array runs again. */
const changeProblem = async (
  devices: readonly AssembleDevice[],
  change: ArrayChange,
): Promise<CodedError | null> => {
  try {
    await changeArray(devices, change, Date.now());
    return null;
  } catch (error) {
    if (error instanceof CodedError) return error;
    throw error;
  }
};

/** What a cluster is asked for when an array comes or goes. */
type MovingCluster = Pick<ArrayCluster, "unlockBitmaps" | "leave">;

/** What the array thread does while its array rests. */
export interface ChangeHost<C extends MovingCluster = ArrayCluster> {
  /** The open members. */
  members(): readonly AssembleDevice[];
  /** Opens them again as a node of the cluster does, or for this board alone. */
  reopen(cluster: C | null): Promise<void>;
  /** The array goes on in this cluster, or in none. */
  goOnIn(cluster: C | null): void;
}

/**
 * Makes the change on the members of an array at rest; what it is refused for, or null. `cluster`:
 * the one that the array runs in, or has just joined (`isNew`) because of the change.
 * Errors: RAID_NO_MEMBERS when none can be opened again.
 */
export const changeMembers = async <C extends MovingCluster>(
  host: ChangeHost<C>,
  change: ArrayChange,
  { cluster, isNew }: { readonly cluster: C | null; readonly isNew: boolean },
): Promise<CodedError | null> => {
  if (isNew) await host.reopen(cluster);
  const problem = await changeProblem(host.members(), change);
  const isMoving = cluster !== null && (isNew || directionOf(change, true) !== null);
  if (!isMoving) return problem;
  if ((await readClusterFacts(host.members())) !== null) {
    await cluster.unlockBitmaps();
    host.goOnIn(cluster);
  } else {
    host.goOnIn(null);
    try {
      await host.reopen(null);
    } finally {
      await cluster.leave();
    }
  }
  return problem;
};
