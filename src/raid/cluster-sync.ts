/**
 * What sync actions and recoveries of other nodes mean here: ranges where no write may begin, reads
 * that keep to the first copy, and the end of all I/O when the others go on without this node.
 * Source: drivers/md/md-cluster.c process_suspend_info, area_resyncing.
 */

import { type ArrayState, emit, outdateResync } from "./array-state.ts";
import { BITMAP_NODES_MAX } from "./bitmap-superblock.ts";
import { askDriver, noticeProcessed, refuseCalls } from "./cluster-calls.ts";
import type { SectorRange } from "./cluster-port.ts";
import { brokenOutcome } from "./cluster-update.ts";
import { GATE_EXPELLED, RUN_BROKEN } from "./shared-state.ts";

const SECTOR = 512;

/**
 * Node `slot` resyncs this range from now on, instead of the one before: no write of this node
 * begins or is under way there once the notice is answered. 0, 0: it resyncs nothing.
 */
export const onResyncing = (
  state: ArrayState,
  id: number,
  slot: number,
  { lo, hi }: SectorRange,
): void => {
  const { remote } = state.clusterSync;
  if (slot < 0 || slot >= BITMAP_NODES_MAX || slot === state.cluster.slot)
    return noticeProcessed(state, id);
  const [from, to] = [lo * SECTOR, hi * SECTOR];
  state.shared.suspend(slot, from, to);
  if (to === 0) remote.delete(slot);
  else remote.set(slot, { from, to });
  // What waited for the range before goes on, or waits for this one.
  emit(state, { type: "poke" });
  emit(state, { type: "status-changed" });
  if (to === 0) return noticeProcessed(state, id);
  askDriver(state, { type: "drain", from, to }, (now) => noticeProcessed(now, id));
};

/** A node is being recovered, or that is over: copies may differ anywhere until then. */
export const onReadBalancing = (state: ArrayState, isSuspended: boolean): void => {
  state.clusterSync.isBalancingSuspended = isSuspended;
  // The node may have been writing superblocks: some members may be one update ahead.
  if (isSuspended) state.mustOutrun = true;
  publishBalancing(state);
};

/** Tells the workers whether reads may use every in-sync copy. */
export const publishBalancing = (state: ArrayState): void => {
  const { isPassDue, isBalancingSuspended } = state.clusterSync;
  state.shared.balances = !isPassDue && !isBalancingSuspended;
  emit(state, { type: "status-changed" });
};

/**
 * Copies may differ where this node's bits say so, or elsewhere: a pass has to end before reads are
 * balanced. A resync under way begins again, for it may be past what is needed now.
 */
export const expectPass = (state: ArrayState): void => {
  state.clusterSync.isPassDue = true;
  if ((state.bitmap?.neededChunks ?? 0) > 0) {
    state.resyncFrom = 0;
    state.resyncStuck = false;
    state.shared.syncedMib = 0;
    outdateResync(state);
  }
  publishBalancing(state);
};

/**
 * The others go on without this node: it reads and writes no more, neither for clients nor for
 * itself. What waits gets an error and is never carried out. Only a stop is left. Its node in the
 * cluster tells why (`cluster.expelled`).
 */
export const onExpelled = (state: ArrayState, reason: string): void => {
  if (state.clusterSync.expelled !== null) return;
  state.clusterSync.expelled = reason;
  state.shared.gateUntil = GATE_EXPELLED;
  state.shared.run = RUN_BROKEN;
  if (state.sync !== null) state.sync.aborted = true;
  refuseCalls(state, brokenOutcome(state));
  emit(state, { type: "poke" });
  emit(state, { type: "status-changed" });
};
