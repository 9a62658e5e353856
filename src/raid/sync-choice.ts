/**
 * Which sync action runs (Source: drivers/md/md.c md_choose_sync_action, 7.2): a pending resync
 * first, then the rebuild of members, then a spare takes an empty raid slot, then what the user
 * asked. In a cluster each node finds for itself what is due, asks for the right to do it, and
 * looks again when it has the right: another node may have done it meanwhile.
 */

import {
  type ArrayState,
  emit,
  happen,
  inSyncMembers,
  isInCluster,
  type Member,
  rebuildingMembers,
  type UserAction,
} from "./array-state.ts";
import type { SyncReason } from "./array-status.ts";
import { isChangeBegun } from "./cluster-change.ts";
import { publishBalancing } from "./cluster-sync.ts";
import { gatherBitmaps, isGathered } from "./gather-bitmaps.ts";
import { NO_LINK_BEST } from "./link-share.ts";
import { isUpdateDue } from "./metadata-update.ts";
import { repairNext } from "./read-repair.ts";
import { activateSpare, isSpareDue } from "./spare-activation.ts";
import { restingHold } from "./sync-hold.ts";
import { resetWindow, takeSyncRight } from "./sync-right.ts";
import type { SyncRun } from "./sync-run.ts";

const MIB = 1024 * 1024;

/** What a node may find due; a pass compares nothing and copies nothing. */
export type Due = "read-repair" | "pass" | "resync" | "recover" | "spare" | "user";

/** Starts what is due; in a cluster that may take several events. */
export const startDueAction = (state: ArrayState): void => {
  if (state.transaction !== null || state.lostLegs.length > 0 || isChangeBegun(state)) return;
  const due = dueAction(state);
  if (due === null || !takeSyncRight(state)) return;
  switch (due) {
    case "read-repair":
      return repairNext(state);
    case "pass":
      return endPass(state);
    case "resync": {
      const from = state.bitmap === null && state.resyncFrom !== "none" ? state.resyncFrom : 0;
      return startRun(state, "resync", state.syncReason, { from, total: state.map.sizeBytes });
    }
    case "recover":
      return startRecovery(state);
    case "spare":
      return activateSpare(state);
    case "user":
      return state.userAction === null ? undefined : startUserAction(state, state.userAction);
  }
};

/** What this node would do now if it had the right to; null: nothing. */
export const dueAction = (state: ArrayState): Due | null => {
  const { clusterSync: sync } = state;
  if (isInCluster(state) && (sync.repairs.length > 0 || state.repairs.size > 0))
    return "read-repair";
  if (resyncDue(state)) return "resync";
  if (sync.isPassDue && inSyncMembers(state).length > 1) return "pass";
  if (recoveryTargets(state).length > 0 && state.opening.size === 0) return "recover";
  if (isSpareDue(state)) return "spare";
  return state.userAction === null ? null : "user";
};

const resyncDue = (state: ArrayState): boolean =>
  state.resyncFrom !== "none" && !state.resyncStuck && inSyncMembers(state).length > 1;

/** The right alone was to be had once: no other node resyncs, and nothing is due here. */
export const endPass = (state: ArrayState): void => {
  state.clusterSync.isPassDue = false;
  state.clusterSync.owesPass = false;
  publishBalancing(state);
};

/** Members a recovery that starts now would rebuild. */
const recoveryTargets = (state: ArrayState): Member[] =>
  rebuildingMembers(state).filter((member) => !member.stuck);

/** AFTER every node knows the members: what they write from now on reaches them. */
const startRecovery = (state: ArrayState): void => {
  const targets = recoveryTargets(state);
  if (isInCluster(state)) {
    if (isUpdateDue(state)) return;
    const goesByBits = targets.some((member) => member.guided || member.rebuiltBefore > 0);
    if (goesByBits && !isGathered(state, targets)) return gatherBitmaps(state, targets);
  }
  const from = Math.min(...targets.map((member) => member.recoveredBytes));
  const total = state.map.memberBytes;
  startRun(state, "recover", targets[0]?.reason ?? "device-added", { from, total });
};

/** One copy has nothing to be compared with: the action is over at once, and finds nothing. */
const startUserAction = (state: ArrayState, { action, from, to }: UserAction): void => {
  state.mismatches = [];
  state.mismatchesTruncated = false;
  state.mismatchCount = 0;
  const isAlone = inSyncMembers(state).length < 2;
  startRun(state, action, "user", { from: isAlone ? to : from, total: to });
};

const neededBytes = (state: ArrayState, guided: boolean): "full" | "bitmap" => {
  const { bitmap } = state;
  if (bitmap === null) return "full";
  const chunks = guided ? bitmap.setChunks : bitmap.neededChunks;
  return chunks === bitmap.chunks ? "full" : "bitmap";
};

const startRun = (
  state: ArrayState,
  action: SyncRun["action"],
  reason: SyncReason,
  { from, total }: { readonly from: number; readonly total: number },
): void => {
  const targets = action === "recover" ? recoveryTargets(state) : [];
  const guided = action === "recover" && targets.every((member) => member.guided);
  const byBitmap = action === "resync" || guided;
  const skipsBelow = guided
    ? state.map.memberBytes
    : Math.min(...targets.map((member) => member.rebuiltBefore));
  resetWindow(state, from);
  state.sync = {
    action,
    reason,
    scope: byBitmap ? neededBytes(state, guided) : "full",
    targets: targets.map((member) => member.id),
    skipsBelow,
    startedAt: state.now,
    total,
    cursor: from,
    settled: from,
    inFlight: new Map(),
    copiedBytes: 0,
    skippedBytes: 0,
    mismatchedBytes: 0,
    unreadable: false,
    failedChunks: new Set(),
    aborted: false,
    isOutdated: false,
    cancelled: false,
    lastCheckpoint: from,
    lastCheckpointAt: state.now,
    budget: MIB,
    budgetAt: state.now,
    awaited: 0,
    rate: 0,
    copyingAt: state.now,
    copyingMs: 0,
    copyingBytes: 0,
    isOverLink: false,
    linkBest: NO_LINK_BEST,
    speed: 0,
    hold: restingHold(state.now),
    speedAt: state.now,
    speedBytes: 0,
  };
  const details = { action, reason, scope: state.sync.scope };
  const text = `Sync action ${action} started (${reason}).`;
  emit(state, {
    type: "happening",
    happening: happen(state, "sync.started", "info", text, details),
  });
  emit(state, { type: "status-changed" });
};
