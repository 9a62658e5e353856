/**
 * The part of a sync action that other nodes see: the right to run one, which one node of an array
 * has at a time, and the windows in which it copies. No piece is issued beyond the window that
 * every other node has acknowledged: there they hold their writes, and none is under way. How long
 * they are: sync-window.ts. A single board is answered at once.
 * Source: drivers/md/md-cluster.c resync_start, resync_info_update, resync_finish.
 */

import { type ArrayState, emit, isInCluster, SECTOR } from "./array-state.ts";
import { callCluster } from "./cluster-calls.ts";
import type { ClusterAnswer, SectorRange } from "./cluster-port.ts";
import { isWantedAt, runTargets } from "./sync-cursor.ts";
import type { SyncRun } from "./sync-run.ts";
import { isAskedAhead, noteMessage, windowBytes } from "./sync-window.ts";

const MIB = 1024 * 1024;
/** Milliseconds until a refused right is asked for again. Choice. */
const ASK_AGAIN_MS = 1000;

/**
 * True when this node alone may run a sync action now; asks for that otherwise, but not while it
 * takes over a slot: the pass that is due for it begins afterwards.
 */
export const takeSyncRight = (state: ArrayState): boolean => {
  const { clusterSync: sync } = state;
  const isFree = sync.right === "none" && sync.recoveries.length === 0;
  if (isFree && state.now >= sync.askAgainAt) askRight(state);
  return sync.right === "held" && !sync.isRightOld;
};

const askRight = (state: ArrayState): void => {
  state.clusterSync.right = "asked";
  callCluster(state, { type: "resync-start" }, (now, answer) => {
    now.clusterSync.right = answer.ok ? "held" : "none";
    if (!answer.ok) now.clusterSync.askAgainAt = now.now + ASK_AGAIN_MS;
  });
  if (state.clusterSync.right === "asked") emit(state, { type: "status-changed" });
};

/**
 * No sync action runs: gives the right back unless it is needed. AFTER the metadata update that
 * tells what the action did is acknowledged: who has the right next goes by it.
 */
export const settleSyncRight = (state: ArrayState, isNeeded: boolean): void => {
  const { clusterSync: sync } = state;
  if (sync.right !== "held" || sync.announced !== null) return;
  if (isNeeded && !sync.isRightOld) return;
  sync.right = "ending";
  callCluster(state, { type: "resync-finish" }, (now) => {
    now.clusterSync.right = "none";
    now.clusterSync.isRightOld = false;
    now.clusterSync.holdsRange = false;
    now.clusterSync.gathered = null;
    emit(now, { type: "status-changed" });
  });
};

/**
 * What is due may not run now, and nobody else can do it: the right stays here, but others write
 * everywhere. The range lies behind the array's end: 0, 0 would say that all is done.
 */
export const holdNoRange = (state: ArrayState): void => {
  const { clusterSync: sync } = state;
  if (sync.right !== "held" || sync.announced !== null || !sync.holdsRange) return;
  const end = Math.ceil(state.map.sizeBytes / SECTOR);
  announce(state, null, 0, { lo: end, hi: end + 1 });
  sync.holdsRange = false;
};

// --- windows ----------------------------------------------------------------------------------

/** A run begins: nothing is announced for it. */
export const resetWindow = (state: ArrayState, from: number): void => {
  state.clusterSync.windowEnd = from;
  state.clusterSync.windowMiddle = from;
};

/** Position of the run up to which pieces may be issued; asks for the next window in time. */
export const windowEnd = (state: ArrayState, run: SyncRun): number => {
  const { clusterSync: sync } = state;
  if (run.cursor >= sync.windowEnd) {
    // Without one ahead: what is still being copied would be held for another window.
    const isThrough = run.inFlight.size === 0 || sync.windowMiddle < sync.windowEnd;
    if (isThrough) openWindow(state, run, run.cursor);
  } else if (
    run.budget > 0 &&
    run.cursor >= sync.windowMiddle &&
    sync.windowEnd < run.total &&
    isWantedAt(state, run, sync.windowEnd)
  )
    openWindow(state, run, sync.windowEnd);
  return sync.windowEnd;
};

/**
 * Other nodes hold their writes there: it is copied without a pause, whatever the speed limit says,
 * which is kept from window to window.
 */
export const isHeldAt = (state: ArrayState, position: number): boolean =>
  isInCluster(state) && position < state.clusterSync.windowEnd;

/** Other nodes are asked to hold their writes, and have not all answered. */
export const isAnnouncing = (state: ArrayState): boolean => state.clusterSync.announced !== null;

/** The run has to wait at the end of its window: nobody holds writes for it meanwhile. */
export const pauseHolding = (state: ArrayState, run: SyncRun): void => {
  if (run.inFlight.size === 0) holdNoRange(state);
};

/** Announces what is not settled and the window that begins at `from`. */
const openWindow = (state: ArrayState, run: SyncRun, from: number): void => {
  if (state.clusterSync.announced !== null) return;
  let lowest = from;
  for (const plan of run.inFlight.values()) lowest = Math.min(lowest, plan.from);
  const bytes = windowBytes(state, run);
  // Far behind what the bitmap let the run skip: the others would hold writes in all of that.
  if (from - lowest > 2 * bytes) return;
  const upTo = Math.min(Math.floor(from / MIB) * MIB + bytes, run.total);
  announce(state, run, upTo, sectorsOf(state, run, Math.min(lowest, run.cursor), upTo));
};

const announce = (
  state: ArrayState,
  run: SyncRun | null,
  upTo: number,
  range: SectorRange,
): void => {
  const { clusterSync: sync } = state;
  sync.announced = { run, upTo, at: state.now };
  sync.holdsRange = true;
  callCluster(state, { type: "resync-info-update", ...range }, onAcknowledged);
};

const onAcknowledged = (state: ArrayState, answer: ClusterAnswer): void => {
  const { clusterSync: sync } = state;
  const { announced } = sync;
  sync.announced = null;
  if (announced === null) return;
  noteMessage(state, state.now - announced.at);
  if (!answer.ok) {
    sync.right = "none";
    sync.askAgainAt = state.now + ASK_AGAIN_MS;
    if (state.sync !== null) state.sync.aborted = true;
    return;
  }
  if (announced.run === null || announced.run !== state.sync) return;
  const middle = (Math.max(announced.run.cursor, sync.windowEnd) + announced.upTo) / 2;
  sync.windowMiddle = isAskedAhead(state, announced.run) ? middle : announced.upTo;
  sync.windowEnd = announced.upTo;
};

/** Announces a range that is no run's; `then` once every other node holds its writes there. */
export const holdRange = (
  state: ArrayState,
  from: number,
  to: number,
  then: (state: ArrayState, isHeld: boolean) => void,
): void => {
  const { clusterSync: sync } = state;
  sync.announced = { run: null, upTo: 0, at: state.now };
  sync.holdsRange = true;
  const range = { lo: Math.floor(from / SECTOR), hi: Math.ceil(to / SECTOR) };
  callCluster(state, { type: "resync-info-update", ...range }, (now, answer) => {
    onAcknowledged(now, answer);
    then(now, answer.ok);
  });
};

/**
 * The array's sectors that the run touches in `[from, to)` of its own positions. A recovery counts
 * those of the members that it rebuilds. Source: drivers/md/raid10.c raid10_sync_request.
 */
const sectorsOf = (state: ArrayState, run: SyncRun, from: number, to: number): SectorRange => {
  const { map } = state;
  let [lo, hi] = [from, to];
  if (run.action === "recover" && !map.isMirror) {
    [lo, hi] = [Infinity, 0];
    for (const { raidSlot } of runTargets(state, run)) {
      for (const { offset, length } of map.memberRuns(raidSlot ?? 0, from, to - from)) {
        lo = Math.min(lo, offset);
        hi = Math.max(hi, offset + length);
      }
    }
  }
  // What it walks there is none of the array's bytes.
  if (lo >= hi) [lo, hi] = [map.sizeBytes, map.sizeBytes + SECTOR];
  return { lo: Math.floor(lo / SECTOR), hi: Math.ceil(hi / SECTOR) };
};
