/**
 * The change of a running array as a whole: what is refused at once, and the metadata on its open
 * members while the array rests.
 */

import { CodedError } from "../common/errors.ts";
import type { ArrayChange } from "../raid/array-change.ts";
import type { CommandOutcome } from "../raid/array-messages.ts";
import type { AssembleDevice } from "../raid/assemble-driver.ts";
import { changeArray } from "../raid/change-array-driver.ts";

/** What makes sense in a cluster only: the array could not be started here afterwards. */
const CLUSTER_CHANGES = new Set<ArrayChange["type"]>(["nodes", "home-cluster"]);

const refuse = (code: string, message: string): CommandOutcome => ({ ok: false, code, message });

/** Why the array cannot be changed now, or null. */
export const changeRefusal = (
  change: ArrayChange,
  array: {
    readonly readOnly: boolean;
    readonly isInCluster: boolean;
    /** Another command is under way. */
    readonly isBusy: boolean;
  },
): CommandOutcome | null => {
  if (array.readOnly) return refuse("RAID_READ_ONLY", "the array is read-only");
  if (CLUSTER_CHANGES.has(change.type) || ("bitmap" in change && change.bitmap === "clustered")) {
    const message = array.isInCluster
      ? "that is not changed while the array runs in its cluster"
      : "the array would belong to a cluster, and this board is in none";
    return refuse("RAID_CLUSTERED_ARRAY", message);
  }
  if (array.isBusy) return refuse("RAID_MEMBER_BUSY", "another command of the array is under way");
  if (array.isInCluster && "bitmap" in change) {
    const message = "the bitmap of an array that runs in a cluster is not changed";
    return refuse("RAID_CLUSTERED_ARRAY", message);
  }
  return null;
};

/** Makes the change; a refusal is kept until the array runs again. */
export const changeProblem = async (
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
