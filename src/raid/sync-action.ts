/**
 * Sync actions of an array: resync, recover (rebuild), check and repair. A cursor walks the array
 * in pieces; several pieces are under way at once; the settled position only moves over pieces
 * that are done, so progress never falls and never exceeds the whole.
 *
 * Which action runs (Source: drivers/md/md.c md_choose_sync_action, 7.2): a pending resync first,
 * then the rebuild of members, then a spare takes an empty raid slot, then what the user asked.
 */

import type { CopyMode, CopyPlan, CopyResult } from "./array-messages.ts";
import {
  type ArrayState,
  emit,
  happen,
  inSyncMembers,
  type Member,
  memberAt,
  nextToken,
  rebuildingMembers,
  type SyncRun,
} from "./array-state.ts";
import type { SyncReason } from "./array-status.ts";
import { failMember, withRole } from "./metadata-update.ts";
import { repairRead } from "./read-repair.ts";
import { REGION_BYTES } from "./region-lock.ts";
import { LEG_REBUILDING, RUN_ACTIVE, SYNCED_ALL } from "./shared-state.ts";

const MIB = 1024 * 1024;
/** Pieces under way at once. Choice: keeps two members busy without piling up behind clients. */
const PIECES_IN_FLIGHT = 4;
/** A checkpoint is due after this share of the array (source: md.c), or this long (choice). */
const CHECKPOINT_SHARE = 16;
const CHECKPOINT_MS = 30_000;
/** Seconds over which the shown speed is smoothed. Choice: by eye. */
const SPEED_WINDOW_SECONDS = 3;

/** Starts what is due, issues pieces as the speed limit allows, ends what is done. */
export const pumpSync = (state: ArrayState): void => {
  if (state.stopped || state.readOnly) return;
  const mayRun = state.shared.run === RUN_ACTIVE && !state.frozen && state.stopping === null;
  if (state.sync === null && mayRun) startDueAction(state);
  const run = state.sync;
  if (run === null) return;
  if (!mayRun) run.aborted = true;
  if (!run.aborted) issuePieces(state, run);
  if (run.inFlight.size === 0 && (run.aborted || run.cursor >= state.sizeBytes)) endRun(state, run);
};

// --- choosing ---------------------------------------------------------------------------------

const resyncDue = (state: ArrayState): boolean =>
  state.resyncFrom !== "none" && !state.resyncStuck && inSyncMembers(state).length > 1;

const startDueAction = (state: ArrayState): void => {
  if (state.transaction !== null || state.lostSlots.length > 0) return;
  if (resyncDue(state)) {
    const from = state.bitmap === null && state.resyncFrom !== "none" ? state.resyncFrom : 0;
    return startRun(state, "resync", state.syncReason, from);
  }
  const rebuilding = recoveryTargets(state);
  if (rebuilding.length > 0 && state.opening.size === 0) {
    const from = Math.min(...rebuilding.map((member) => member.recoveredBytes));
    return startRun(state, "recover", rebuilding[0]?.reason ?? "device-added", from);
  }
  if (activateSpare(state)) return;
  if (state.userAction !== null && inSyncMembers(state).length > 1) {
    return startRun(state, state.userAction, "user", 0);
  }
  state.userAction = null;
};

/** A spare takes the lowest empty raid slot; its rebuild starts once every worker has opened it. */
const activateSpare = (state: ArrayState): boolean => {
  const spare = [...state.members.values()].find((member) => member.state === "spare");
  if (spare === undefined || inSyncMembers(state).length === 0) return false;
  if (state.opening.size > 0 || state.joining.size > 0) return false;
  for (let slot = 0; slot < state.template.raidDisks; slot++) {
    if (memberAt(state, slot) !== null) continue;
    const token = nextToken(state);
    state.opening.set(token, { member: spare.id, slot });
    emit(state, { type: "open-leg", token, slot, member: spare.id });
    return true;
  }
  return false;
};

/** Every worker can write the leg: from now on writes reach it, then the superblocks say so. */
export const onLegsOpened = (state: ArrayState, token: number, error: string | null): void => {
  const opening = state.opening.get(token);
  state.opening.delete(token);
  const member = opening === undefined ? undefined : state.members.get(opening.member);
  if (opening === undefined || member === undefined || member.state === "faulty") return;
  if (error !== null) return failMember(state, member, error);
  member.raidSlot = opening.slot;
  if (member.state === "spare") {
    member.state = "rebuilding";
    member.recoveredBytes = 0;
    state.bitmap?.markAllDirty();
  }
  state.devRoles = withRole(state.devRoles, member.superblock.devNumber, opening.slot);
  state.shared.setLeg(opening.slot, LEG_REBUILDING);
  state.pending.rolesChanged = true;
};

const neededBytes = (state: ArrayState, guided: boolean): "full" | "bitmap" => {
  const { bitmap } = state;
  if (bitmap === null) return "full";
  const chunks = guided ? bitmap.setChunks : bitmap.neededChunks;
  return chunks === bitmap.chunks ? "full" : "bitmap";
};

/** Members a recovery that starts now would rebuild. */
const recoveryTargets = (state: ArrayState): Member[] =>
  rebuildingMembers(state).filter((member) => !member.stuck);

const startRun = (
  state: ArrayState,
  action: SyncRun["action"],
  reason: SyncReason,
  from: number,
): void => {
  const targets = action === "recover" ? recoveryTargets(state) : [];
  const guided = action === "recover" && targets.every((member) => member.guided);
  const byBitmap = action === "resync" || guided;
  const skipsBelow = guided
    ? state.sizeBytes
    : Math.min(...targets.map((member) => member.rebuiltBefore));
  state.sync = {
    action,
    reason,
    scope: byBitmap ? neededBytes(state, guided) : "full",
    targets: targets.map((member) => member.id),
    skipsBelow,
    startedAt: state.now,
    cursor: from,
    settled: from,
    inFlight: new Map(),
    copiedBytes: 0,
    skippedBytes: 0,
    mismatchedBytes: 0,
    unreadable: false,
    failedChunks: new Set(),
    aborted: false,
    cancelled: false,
    lastCheckpoint: from,
    lastCheckpointAt: state.now,
    budget: MIB,
    budgetAt: state.now,
    speed: 0,
    speedAt: state.now,
    speedBytes: 0,
  };
  if (action === "check" || action === "repair") state.mismatchCount = 0;
  const details = { action, reason, scope: state.sync.scope };
  const text = `Sync action ${action} started (${reason}).`;
  emit(state, {
    type: "happening",
    happening: happen(state, "sync.started", "info", text, details),
  });
  emit(state, { type: "status-changed" });
};

// --- issuing ----------------------------------------------------------------------------------

/** Refills the token bucket: the full speed when idle, the guaranteed speed beside clients. */
const refillBudget = (state: ArrayState, run: SyncRun): void => {
  const rate = state.now < state.busyUntil ? state.syncSpeedMin : state.syncSpeedMax;
  run.budget += (rate * (state.now - run.budgetAt)) / 1000;
  run.budgetAt = state.now;
  run.budget = Math.min(run.budget, Math.max(rate / 10, MIB));
};

const issuePieces = (state: ArrayState, run: SyncRun): void => {
  refillBudget(state, run);
  while (run.inFlight.size < PIECES_IN_FLIGHT && run.cursor < state.sizeBytes) {
    const from = skipSettled(state, run);
    if (from >= state.sizeBytes) break;
    if (run.budget <= 0) return;
    const end = Math.min(pieceEnd(state, run, from), state.sizeBytes);
    const plan = planPiece(state, run, from, end - from);
    if (plan === null) {
      run.aborted = true;
      return;
    }
    const token = nextToken(state);
    run.cursor = end;
    run.budget -= end - from;
    run.inFlight.set(token, plan);
    emit(state, { type: "copy", token, plan });
  }
  settle(state, run);
};

const wanted = (state: ArrayState, run: SyncRun, chunk: number): boolean => {
  const { bitmap } = state;
  if (bitmap === null) return true;
  if (run.action === "resync") return bitmap.isNeeded(chunk);
  if (run.action !== "recover") return true;
  const end = Math.min((chunk + 1) * state.shared.shape.chunkBytes, state.sizeBytes);
  return end > run.skipsBelow || bitmap.isSet(chunk);
};

/** Moves the cursor over chunks the bitmap lets us skip; returns where it stands then. */
const skipSettled = (state: ArrayState, run: SyncRun): number => {
  const { chunkBytes } = state.shared.shape;
  while (run.cursor < state.sizeBytes) {
    const chunk = Math.floor(run.cursor / chunkBytes);
    if (wanted(state, run, chunk)) break;
    const next = Math.min((chunk + 1) * chunkBytes, state.sizeBytes);
    run.skippedBytes += next - run.cursor;
    run.cursor = next;
  }
  return run.cursor;
};

/** A piece ends at the region's end, and at the first chunk that needs no work. */
const pieceEnd = (state: ArrayState, run: SyncRun, from: number): number => {
  const { chunkBytes } = state.shared.shape;
  const regionEnd = (Math.floor(from / REGION_BYTES) + 1) * REGION_BYTES;
  let end = (Math.floor(from / chunkBytes) + 1) * chunkBytes;
  while (
    end < regionEnd &&
    end < state.sizeBytes &&
    wanted(state, run, Math.floor(end / chunkBytes))
  ) {
    end += chunkBytes;
  }
  return Math.min(end, regionEnd);
};

/** The members of a recovery that are still being rebuilt. */
const runTargets = (state: ArrayState, run: SyncRun): Member[] =>
  rebuildingMembers(state).filter((member) => run.targets.includes(member.id));

const planPiece = (
  state: ArrayState,
  run: SyncRun,
  offset: number,
  length: number,
): CopyPlan | null => {
  const ids = (members: readonly Member[]): number[] => members.map((member) => member.id);
  const whole = ids(inSyncMembers(state));
  if (run.action === "recover") {
    const targets = ids(runTargets(state, run));
    if (whole.length === 0 || targets.length === 0) return null;
    return { mode: "copy", offset, length, sources: whole, targets };
  }
  if (whole.length < 2) return null;
  const mode: CopyMode = run.action === "resync" ? "sync" : run.action;
  return { mode, offset, length, sources: whole, targets: whole };
};

// --- settling ---------------------------------------------------------------------------------

/** A piece is done. Returns false when the token is not this run's. */
export const onSyncPiece = (state: ArrayState, token: number, result: CopyResult): boolean => {
  const run = state.sync;
  const plan = run?.inFlight.get(token);
  if (run === null || plan === undefined) return false;
  run.inFlight.delete(token);
  for (const { member: id, message } of result.writeFailed) {
    const member = state.members.get(id);
    if (member !== undefined) failMember(state, member, `sync write: ${message}`);
  }
  for (const { member } of result.readFailed) {
    if (run.action === "recover") repairRead(state, member, plan.offset, plan.length);
  }
  if (!result.readable) {
    run.unreadable = true;
    if (run.action === "recover") run.aborted = true;
  }
  if (result.readable && result.writeFailed.length === 0) {
    run.copiedBytes += plan.length;
    run.mismatchedBytes += result.mismatchedBytes;
    if (run.action !== "resync") state.mismatchCount = Math.ceil(run.mismatchedBytes / 512);
  } else {
    markUnsettled(state, run, plan);
  }
  estimateSpeed(state, run, plan.length);
  settle(state, run);
  checkpoint(state, run);
  return true;
};

/** Chunks of a piece that failed keep their need: their bits stay set. */
const markUnsettled = (state: ArrayState, run: SyncRun, plan: CopyPlan): void => {
  if (run.action !== "resync" || state.bitmap === null) return;
  const { chunkBytes } = state.shared.shape;
  const last = Math.floor((plan.offset + plan.length - 1) / chunkBytes);
  for (let chunk = Math.floor(plan.offset / chunkBytes); chunk <= last; chunk++)
    run.failedChunks.add(chunk);
};

const settle = (state: ArrayState, run: SyncRun): void => {
  let lowest = run.cursor;
  for (const plan of run.inFlight.values()) lowest = Math.min(lowest, plan.offset);
  if (lowest <= run.settled) return;
  const { chunkBytes } = state.shared.shape;
  const { bitmap } = state;
  if (run.action === "resync" && bitmap !== null) {
    const end = lowest >= state.sizeBytes ? bitmap.chunks : Math.floor(lowest / chunkBytes);
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

/**
 * A write failed on the last in-sync member, which stays: a member under rebuild may hold it, so
 * what was rebuilt counts for nothing where the write's bit is set.
 */
export const restartRecovery = (state: ArrayState): void => {
  for (const member of rebuildingMembers(state)) member.recoveredBytes = 0;
  if (state.sync?.action === "recover") state.sync.aborted = true;
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
    run.settled - run.lastCheckpoint > state.sizeBytes / CHECKPOINT_SHARE ||
    state.now - run.lastCheckpointAt > CHECKPOINT_MS;
  if (!due || run.aborted || run.action === "check" || run.action === "repair") return;
  run.lastCheckpoint = run.settled;
  run.lastCheckpointAt = state.now;
  state.pending.flushFirst = true;
};

// --- ending -----------------------------------------------------------------------------------

const endRun = (state: ArrayState, run: SyncRun): void => {
  settle(state, run);
  state.sync = null;
  const complete = !run.aborted && run.settled >= state.sizeBytes;
  if (run.action === "check" || run.action === "repair") state.userAction = null;
  if (run.action === "resync" && complete) endResync(state, run);
  if (run.action === "recover") endRecover(state, run, complete);
  const outcome = outcomeOf(run, complete);
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
  emit(state, { type: "status-changed" });
};

const outcomeOf = (run: SyncRun, complete: boolean): string => {
  if (run.unreadable) return "failed";
  if (complete) return "done";
  return run.cancelled ? "cancelled" : "interrupted";
};

const endResync = (state: ArrayState, run: SyncRun): void => {
  state.pending.flushFirst = true;
  if (run.unreadable) {
    // What could be read on no leg keeps its bits and its pending resync until the next start.
    state.resyncStuck = true;
    return;
  }
  state.resyncFrom = "none";
  state.shared.syncedMib = SYNCED_ALL;
};

const endRecover = (state: ArrayState, run: SyncRun, complete: boolean): void => {
  for (const member of runTargets(state, run)) {
    if (complete && !run.unreadable && member.recoveredBytes >= state.sizeBytes) {
      state.pending.promoted.push(member.id);
    } else if (run.unreadable) {
      member.stuck = true;
    }
  }
};
