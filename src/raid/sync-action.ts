/**
 * Sync actions of an array: resync, recover (rebuild), check and repair. A cursor walks the array
 * in pieces; several pieces are under way at once; the settled position only moves over pieces that
 * are done, so progress never falls and never exceeds the whole. Which action runs is chosen in
 * sync-choice.ts; how far it may go in a cluster is said by sync-right.ts.
 */

import type { ArrayRange, CopyMode, CopyPlan, CopyResult } from "./array-messages.ts";
import {
  type ArrayState,
  emit,
  happen,
  inSyncMembers,
  isInCluster,
  isResting,
  type Member,
  nextToken,
  outdateResync,
  publishLeg,
} from "./array-state.ts";
import { joinRanges } from "./bad-block-list.ts";
import { noteBadBlocks } from "./bad-block-notes.ts";
import type { BadRange } from "./bad-block-table.ts";
import { copyExtents, rebuildExtents } from "./copy-planning.ts";
import { linkCap, noteLinkPiece, noteLinkRate } from "./link-share.ts";
import { failMember, isUpdateDue } from "./metadata-update.ts";
import { countCorrected, repairRead } from "./read-repair.ts";
import { RUN_ACTIVE, SYNCED_ALL } from "./shared-state.ts";
import { dueAction, endPass, startDueAction } from "./sync-choice.ts";
import { pieceEnd, runTargets, skipSettled } from "./sync-cursor.ts";
import { budgetHold, isHeldByNodes, noteHold } from "./sync-hold.ts";
import {
  holdNoRange,
  isAnnouncing,
  isHeldAt,
  pauseHolding,
  settleSyncRight,
  windowEnd,
} from "./sync-right.ts";
import type { SyncRun } from "./sync-run.ts";
import { noteCopied, noteIssued } from "./sync-window.ts";

const MIB = 1024 * 1024;
/** A client request within this time makes sync actions yield. Choice: five ticks. */
const BUSY_MS = 100;
/** Pieces under way at once. Choice: keeps two members busy without piling up behind clients. */
const PIECES_IN_FLIGHT = 4;
/** A checkpoint is due after this share of the array (source: md.c), or this long (choice). */
const CHECKPOINT_SHARE = 16;
const CHECKPOINT_MS = 30_000;
/** Mismatch ranges kept. Choice: enough to see a pattern, small in every status. */
const MISMATCH_RANGES_MAX = 256;
/** Seconds over which the shown speed is smoothed. Choice: by eye. */
const SPEED_WINDOW_SECONDS = 3;

/** Starts what is due, issues pieces as the speed limit allows, ends what is done. */
export const pumpSync = (state: ArrayState): void => {
  if (state.stopped || state.readOnly) return;
  const isActive = state.shared.run === RUN_ACTIVE && !isResting(state);
  const isUp = isActive && state.stopping === null;
  const mayRun = isUp && !state.frozen;
  // Other nodes wait for this one's pass, which copies nothing: freezing does not concern it.
  const mayPass = isUp && dueAction(state) === "pass";
  if (state.sync === null && (mayRun || mayPass)) startDueAction(state);
  const run = state.sync;
  if (run !== null) {
    if (!mayRun) run.aborted = true;
    if (!run.aborted) issuePieces(state, run);
    if (run.inFlight.size === 0 && (run.aborted || run.cursor >= run.total)) endRun(state, run);
  }
  if (state.sync === null) settleRight(state, mayRun);
};

/**
 * The right to sync goes on to others when nothing is due here. A pending resync that may not run
 * (frozen, stopping) keeps it: only this node knows which copies differ.
 */
const settleRight = (state: ArrayState, mayRun: boolean): void => {
  const { right, expelled, broken } = state.clusterSync;
  // Who leaves with its pass unfinished must not say that it is over.
  if (right !== "held" || expelled !== null || broken !== null) return;
  if (isUpdateDue(state) || state.opening.size > 0 || state.clusterSync.isGathering) return;
  const isDue = dueAction(state) !== null;
  const keeps =
    isInCluster(state) &&
    (state.clusterSync.owesPass || (state.resyncFrom !== "none" && !state.resyncStuck));
  if (!mayRun && keeps) {
    if (state.stopping === null) holdNoRange(state);
  } else settleSyncRight(state, mayRun && isDue);
};

// --- issuing ----------------------------------------------------------------------------------

/** Sees whether clients use the array. With every tick, and before each piece. */
export const noteClients = (state: ArrayState): void => {
  const operations = state.shared.operations();
  if (operations === state.lastOperations) return;
  state.lastOperations = operations;
  state.busyUntil = state.now + BUSY_MS;
};

/**
 * Refills the token bucket: the full speed when idle, of a link its share; the guaranteed speed
 * beside clients. That one
 * is kept over the time in which other nodes are asked to hold their writes: it is made up for.
 */
const refillBudget = (state: ArrayState, run: SyncRun): void => {
  noteClients(state);
  const { syncSpeedMin: least, syncSpeedMax: most } = state;
  const full = Math.max(Math.min(most, linkCap(state, run)), Math.min(least, most));
  const rate = state.now < state.busyUntil ? least : full;
  const seconds = (state.now - run.budgetAt) / 1000;
  run.budgetAt = state.now;
  if (isAnnouncing(state)) run.awaited += Math.min(rate, state.syncSpeedMin) * seconds;
  const burst = Math.max(rate / 10, MIB);
  run.budget = Math.min(run.budget + rate * seconds, burst + run.awaited);
  if (run.budget <= burst) run.awaited = 0;
};

const issuePieces = (state: ArrayState, run: SyncRun): void => {
  refillBudget(state, run);
  while (run.inFlight.size < PIECES_IN_FLIGHT && run.cursor < run.total) {
    if (!skipSettled(state, run) || run.cursor >= run.total) break;
    const from = run.cursor;
    if (run.budget <= 0 && !isHeldAt(state, from)) {
      noteHold(state, run, run.inFlight.size === 0 ? budgetHold(state, run) : null);
      return pauseHolding(state, run);
    }
    const granted = windowEnd(state, run);
    if (from >= granted) break;
    const end = Math.min(pieceEnd(state, run, from), granted);
    const plan = planPiece(state, run, from, end);
    if (plan === null) {
      run.aborted = true;
      return;
    }
    run.cursor = end;
    run.budget -= end - from;
    if (plan.extents.length === 0) continue;
    const token = nextToken(state);
    noteIssued(state, run);
    noteLinkPiece(state, run, plan);
    run.inFlight.set(token, plan);
    emit(state, { type: "copy", token, plan });
  }
  noteHold(state, run, isHeldByNodes(state, run) ? "nodes" : null);
  settle(state, run);
};

/** Null when nothing is left to copy from or to; no extents when there is nothing to do here. */
const planPiece = (state: ArrayState, run: SyncRun, from: number, end: number): CopyPlan | null => {
  const whole = inSyncMembers(state);
  if (run.action === "recover") {
    const targets = runTargets(state, run);
    if (whole.length === 0 || targets.length === 0) return null;
    const extents = rebuildExtents(state, targets, from, end - from);
    return { mode: "copy", from, end, extents };
  }
  if (whole.length < 2) return null;
  const mode: CopyMode = run.action === "resync" ? "sync" : run.action;
  const extents = copyExtents(state, from, end - from).filter(({ sources }) => sources.length > 1);
  return { mode, from, end, extents };
};

// --- settling ---------------------------------------------------------------------------------

/** A piece is done. Returns false when the token is not this run's. */
export const onSyncPiece = (state: ArrayState, token: number, result: CopyResult): boolean => {
  const run = state.sync;
  const plan = run?.inFlight.get(token);
  if (run === null || plan === undefined) return false;
  run.inFlight.delete(token);
  const isStored = settleWriteFailures(state, run, result);
  onReadFailures(state, run, result);
  if (result.unreadable.length > 0) onUnreadable(state, run, plan, result.unreadable);
  if (result.unreadable.length === 0 && isStored) {
    run.copiedBytes += plan.end - plan.from;
    run.mismatchedBytes += result.mismatchedBytes;
    if (run.action === "check" || run.action === "repair") {
      state.mismatchCount = Math.ceil(run.mismatchedBytes / 512);
      noteMismatches(state, result.mismatches);
    }
  } else {
    markUnsettled(state, run, plan);
  }
  estimateSpeed(state, run, plan.end - plan.from);
  noteCopied(state, run, plan.end - plan.from);
  noteLinkRate(state, run);
  settle(state, run);
  checkpoint(state, run);
  return true;
};

/**
 * A member with a bad-block list keeps its place; any other fails. False when one failed.
 * Source: drivers/md/raid1.c end_sync_write, r1_sync_page_io.
 */
const settleWriteFailures = (state: ArrayState, run: SyncRun, result: CopyResult): boolean => {
  let isStored = true;
  for (const { member: id, message, ranges } of result.writeFailed) {
    const member = state.members.get(id);
    if (member === undefined) continue;
    member.hasWriteError = true;
    member.wantReplacement = true;
    const text = `sync write: ${message}`;
    // No ranges: the second try stored everything.
    if (ranges?.length === 0) publishLeg(state, member);
    else if (ranges === null || !noteBadBlocks(state, member, ranges, text)) {
      failMember(state, member, text);
      isStored = false;
      // A member that must be kept goes on differing here: the run has not done its work.
      const isKept = member.state === "in_sync" && !state.pending.failing.has(id);
      if (isKept && run.action !== "recover") run.unreadable = true;
    }
  }
  return isStored;
};

/** What a source could not give: rewritten there already (check, repair, resync), or now. */
const onReadFailures = (state: ArrayState, run: SyncRun, result: CopyResult): void => {
  for (const { member: id, offset, length } of result.readFailed) {
    const member = state.members.get(id);
    if (member?.state !== "in_sync" || state.pending.failing.has(id)) continue;
    if (run.action === "recover") repairRead(state, member, { offset, length });
    else if (result.unreadable.length + result.writeFailed.length === 0)
      countCorrected(state, member, length / 512);
  }
};

/**
 * No source has these bytes. A recovery notes them as bad on what it rebuilds and goes on, so that
 * one bad spot does not cost the whole copy; without room for that it ends.
 * Source: drivers/md/raid1.c sync_request_write, raid10.c fix_recovery_read_error.
 */
const onUnreadable = (
  state: ArrayState,
  run: SyncRun,
  plan: CopyPlan,
  unreadable: readonly ArrayRange[],
): void => {
  const targets = runTargets(state, run);
  const isNoted =
    run.action === "recover" &&
    targets.every((member) => {
      const ranges = unreadable.flatMap((range) => placesOf(plan, member, range));
      const text = "its copy could be read on no other member";
      return ranges.length === 0 || noteBadBlocks(state, member, ranges, text);
    });
  if (isNoted) return;
  run.unreadable = true;
  if (run.action === "recover") run.aborted = true;
};

/** Where a plan would have written these array bytes on the member. */
const placesOf = (plan: CopyPlan, member: Member, range: ArrayRange): BadRange[] =>
  plan.extents.flatMap(({ offset, length, targets }) => {
    const from = Math.max(offset, range.offset);
    const end = Math.min(offset + length, range.offset + range.length);
    if (from >= end) return [];
    return targets
      .filter((target) => target.member === member.id)
      .map(({ position }): BadRange => [position + from - offset, position + end - offset]);
  });

/** Pieces end in any order: the ranges are sorted and joined anew, the first ones are kept. */
const noteMismatches = (state: ArrayState, ranges: readonly ArrayRange[]): void => {
  if (ranges.length === 0) return;
  const bounds = [...state.mismatches, ...ranges].map(
    ({ offset, length }): BadRange => [offset, offset + length],
  );
  const joined = joinRanges(bounds);
  state.mismatches = joined
    .slice(0, MISMATCH_RANGES_MAX)
    .map(([from, to]) => ({ offset: from, length: to - from }));
  if (joined.length > MISMATCH_RANGES_MAX) state.mismatchesTruncated = true;
};

/** Chunks of a piece that failed keep their need: their bits stay set. */
const markUnsettled = (state: ArrayState, run: SyncRun, plan: CopyPlan): void => {
  if (run.action !== "resync" || state.bitmap === null) return;
  const { chunkBytes } = state.shared.shape;
  const last = Math.floor((plan.end - 1) / chunkBytes);
  for (let chunk = Math.floor(plan.from / chunkBytes); chunk <= last; chunk++)
    run.failedChunks.add(chunk);
};

const settle = (state: ArrayState, run: SyncRun): void => {
  if (run.isOutdated) return;
  let lowest = run.cursor;
  for (const plan of run.inFlight.values()) lowest = Math.min(lowest, plan.from);
  if (lowest <= run.settled) return;
  const { chunkBytes } = state.shared.shape;
  const { bitmap } = state;
  if (run.action === "resync" && bitmap !== null) {
    const end = lowest >= run.total ? bitmap.chunks : Math.floor(lowest / chunkBytes);
    for (let chunk = Math.floor(run.settled / chunkBytes); chunk < end; chunk++) {
      if (!run.failedChunks.has(chunk)) bitmap.settle(chunk);
    }
  }
  run.settled = lowest;
  if (run.action === "resync" && !run.unreadable) {
    state.shared.syncedMib = Math.max(state.shared.syncedMib, Math.floor(lowest / MIB));
    state.resyncFrom = lowest;
  }
  if (run.action === "recover" && !run.aborted) {
    for (const member of runTargets(state, run))
      member.recoveredBytes = Math.max(member.recoveredBytes, lowest);
  }
};

/** The copies of these array bytes may differ: a resync is due, the one that runs starts again. */
export const resyncAgain = (state: ArrayState, offset: number, length: number): void => {
  const { bitmap } = state;
  const { chunkBytes } = state.shared.shape;
  const from = state.resyncFrom === "none" ? offset : Math.min(state.resyncFrom, offset);
  if (bitmap !== null) {
    const last = Math.floor((offset + length - 1) / chunkBytes);
    for (let chunk = Math.floor(offset / chunkBytes); chunk <= last; chunk++) bitmap.need(chunk);
  }
  state.resyncFrom = bitmap === null ? from : 0;
  state.resyncStuck = false;
  state.shared.syncedMib = Math.min(state.shared.syncedMib, Math.floor(state.resyncFrom / MIB));
  outdateResync(state);
  state.pending.flushFirst = true;
};

const estimateSpeed = (state: ArrayState, run: SyncRun, bytes: number): void => {
  run.speedBytes += bytes;
  const seconds = (state.now - run.speedAt) / 1000;
  if (seconds < 0.5) return;
  const weight = Math.min(1, seconds / SPEED_WINDOW_SECONDS);
  const latest = run.speedBytes / seconds;
  run.speed = run.speed === 0 ? latest : run.speed * (1 - weight) + latest * weight;
  run.speedAt = state.now;
  run.speedBytes = 0;
};

/** Records how far the run is, so that an interrupted one resumes there. */
const checkpoint = (state: ArrayState, run: SyncRun): void => {
  const due =
    run.settled - run.lastCheckpoint > run.total / CHECKPOINT_SHARE ||
    state.now - run.lastCheckpointAt > CHECKPOINT_MS;
  if (!due || run.aborted || run.action === "check" || run.action === "repair") return;
  // A clustered array is never clean: how far a resync is, only the bits say.
  if (run.action === "resync" && isInCluster(state)) return;
  run.lastCheckpoint = run.settled;
  run.lastCheckpointAt = state.now;
  state.pending.flushFirst = true;
};

// --- ending -----------------------------------------------------------------------------------

/** What came of it is told BEFORE any status without it: the job that follows it ends by that. */
const endRun = (state: ArrayState, run: SyncRun): void => {
  settle(state, run);
  state.sync = null;
  const complete = !run.aborted && run.settled >= run.total;
  tellEnd(state, run, outcomeOf(run, complete));
  if (run.action === "check" || run.action === "repair") state.userAction = null;
  if (run.action === "resync" && complete) endResync(state, run);
  if (run.action === "recover") endRecover(state, run, complete);
  // Bits that were set since are not in what was gathered.
  state.clusterSync.gathered = null;
  emit(state, { type: "status-changed" });
};

const tellEnd = (state: ArrayState, run: SyncRun, outcome: string): void => {
  const details = {
    action: run.action,
    outcome,
    scope: run.scope,
    copied_bytes: run.copiedBytes,
    skipped_bytes: run.skippedBytes,
    mismatch_count: state.mismatchCount,
  };
  const text = `Sync action ${run.action} ${outcome}.`;
  const severity = outcome === "failed" ? "warning" : "info";
  const happening = happen(state, "sync.finished", severity, text, details);
  emit(state, { type: "happening", happening });
};

const outcomeOf = (run: SyncRun, complete: boolean): string => {
  if (run.unreadable) return "failed";
  if (complete) return "done";
  return run.cancelled ? "cancelled" : "interrupted";
};

const endResync = (state: ArrayState, run: SyncRun): void => {
  if (isInCluster(state)) endPass(state);
  else state.pending.flushFirst = true;
  if (run.unreadable) {
    // What could be read on no leg keeps its bits and its pending resync until the next start.
    state.resyncStuck = true;
    return;
  }
  state.resyncFrom = "none";
  state.shared.syncedMib = SYNCED_ALL;
  // What becomes due from now on are the bits of a node that is gone.
  state.syncReason = "unclean-shutdown";
};

const endRecover = (state: ArrayState, run: SyncRun, complete: boolean): void => {
  for (const member of runTargets(state, run)) {
    if (complete && !run.unreadable && member.recoveredBytes >= run.total) {
      state.pending.promoted.push(member.id);
    } else if (run.unreadable) {
      member.stuck = true;
    }
  }
};
