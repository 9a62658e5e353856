/**
 * A node stops its part of the array: what others wait for is done first, then it leaves, and says
 * whether somebody has to resync what its bitmap says.
 * Source: drivers/md/md-cluster.c leave, resync_bitmap; BITMAP_NEEDS_SYNC.
 */

import { type ArrayState, isInCluster } from "./array-state.ts";
import { callCluster } from "./cluster-calls.ts";
import { isUpdateDue } from "./metadata-update.ts";
import { RUN_BROKEN } from "./shared-state.ts";

/** True while something is under way that the other nodes rely on. */
export const isClusterBusy = (state: ArrayState): boolean => {
  const { clusterSync: sync } = state;
  if (!isInCluster(state) || state.shared.run === RUN_BROKEN) return false;
  if (isUpdateDue(state) || sync.recoveries.length > 0 || sync.isGathering) return true;
  // A device that was just added: the others wait for the update that tells of it.
  if (state.opening.size > 0) return true;
  return (
    sync.announced !== null || sync.right === "ending" || (sync.right === "held" && !isOwed(state))
  );
};

/** Copies differ where only this node's bitmap tells, or the others wait for its pass. */
const isOwed = (state: ArrayState): boolean =>
  state.clusterSync.owesPass || (state.bitmap?.neededChunks ?? 0) > 0;

/**
 * What others tell counts as carried out, and what is asked is not answered any more. Its slot may
 * be another node's at any time, and so may be those that it was to recover.
 */
export const isLeaving = ({ clusterSync }: ArrayState): boolean => clusterSync.leaving !== "no";

/** Asks to leave; true once it has, or there is nothing to leave and nothing to be answered. */
export const hasLeft = (state: ArrayState): boolean => {
  const { clusterSync: sync } = state;
  if (!isInCluster(state) || sync.expelled !== null) return true;
  if (sync.broken !== null) return sync.broken.step === "out";
  // The node stays when the array is only started anew, which knows nothing of what was asked here,
  // nor of a notice that is being carried out: its sender would wait for ever.
  if (state.keepsOpen) return state.clusterCalls.size + state.driverAsks.size === 0;
  if (sync.leaving === "no") {
    sync.leaving = "asked";
    callCluster(state, { type: "leave", needsSync: isOwed(state) }, (now) => {
      now.clusterSync.leaving = "done";
    });
  }
  return sync.leaving === "done";
};
