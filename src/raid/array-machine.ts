/**
 * The array machine: what the kernel's array thread (md_check_recovery and friends) decides, as
 * one synchronous, deterministic object. Events in, effects out; it reads no clock (every event
 * brings the time) and does no I/O. It is the single writer of the shared state's header, leg and
 * bitmap words, which the I/O workers read.
 *
 *   intents, leg errors, commands ──► pending ──► one transaction at a time ──► answers
 *   tick ──► safe mode (clean), sweeps (clear bits), speed limit of the sync action
 *   copies done ──► settled position ──► checkpoint, promotion of rebuilt members
 */

import { assert } from "../common/assert.ts";
import { watchAnswers } from "./answer-watch.ts";
import type { ArrayCommand, ArrayEffect, ArrayEvent, CommandOutcome } from "./array-messages.ts";
import {
  type ArrayState,
  emit,
  isInCluster,
  type Member,
  memberByPath,
  memberOfLeg,
  SECTOR,
} from "./array-state.ts";
import type { ArrayStatus } from "./array-status.ts";
import { arrayStatus } from "./array-view.ts";
import { onFlushedAhead, sweepLast, sweepSoon } from "./bitmap-sweep.ts";
import { pumpBroken } from "./cluster-broken.ts";
import { beginChange, isChangeBegun } from "./cluster-change.ts";
import { hasLeft, isClusterBusy, isLeaving } from "./cluster-leave.ts";
import { letCandidatesGo } from "./cluster-members.ts";
import { isTakingOver, takeToldUpdate } from "./cluster-metadata.ts";
import { onClusterEvent } from "./cluster-notices.ts";
import type { ToldByCluster } from "./cluster-sync-state.ts";
import { brokenOutcome, isUpdating } from "./cluster-update.ts";
import { onLegGone, onLegReport } from "./leg-report-handling.ts";
import { runMemberCommand } from "./member-commands.ts";
import { onJoinIo } from "./member-join.ts";
import { type SlotBitmap, slotBitmaps } from "./metadata-phases.ts";
import { failMember, onMetadataIo, pumpMetadata, writeLastHeader } from "./metadata-update.ts";
import { onReadError, onRepairDone } from "./read-repair.ts";
import { RUN_ACTIVE, RUN_STOPPED } from "./shared-state.ts";
import { onSlotIo, pumpSlotRecovery } from "./slot-recovery.ts";
import { onLegsOpened } from "./spare-activation.ts";
import { noteClients, onSyncPiece, pumpSync } from "./sync-action.ts";
import type { SyncRun } from "./sync-run.ts";

export class ArrayMachine {
  readonly #state: ArrayState;

  constructor(state: ArrayState) {
    this.#state = state;
  }

  get status(): ArrayStatus {
    return arrayStatus(this.#state);
  }

  /** True while ticks must come often: something is under way or will be soon. */
  get restless(): boolean {
    const state = this.#state;
    if (state.stopped) return false;
    if (state.sync !== null || state.transaction !== null || isUpdating(state)) return true;
    if (state.sweep.ahead !== null || state.opening.size > 0) return true;
    // A cluster's array never goes clean: nothing is due soon.
    return !state.clean && !isInCluster(state);
  }

  /** Members that failed: they are listed until they are removed. */
  get faulty(): readonly Member[] {
    return [...this.#state.members.values()].filter(({ state }) => state === "faulty");
  }

  /** What the cluster has told: a new start of this array has to know. */
  get told(): ToldByCluster {
    return this.#state.clusterSync;
  }

  /** Lists members that failed before this start of the array; `firstId`: numbers nobody has. */
  listFaulty(members: readonly Member[], firstId: number): void {
    for (const [index, member] of members.entries()) {
      const id = firstId + index;
      this.#state.members.set(id, { ...member, id });
    }
  }

  get stopped(): boolean {
    return this.#state.stopped;
  }

  /** False once a member is faulty or about to be recorded so: no copy may use it any more. */
  isUsable(memberId: number): boolean {
    const state = this.#state;
    const member = state.members.get(memberId);
    return (
      member !== undefined && member.state !== "faulty" && !state.pending.failing.has(memberId)
    );
  }

  /** The array is broken and its node leaves the cluster: all members were given up. */
  get hasGivenUp(): boolean {
    return this.#state.clusterSync.broken !== null;
  }

  /**
   * True when bad blocks of the member are noted in `[position, position + length)` of its data.
   */
  isBad(memberId: number, position: number, length: number): boolean {
    const badBlocks = this.#state.members.get(memberId)?.badBlocks ?? [];
    return badBlocks.some(([from, to]) => from < position + length && position < to);
  }

  /** Bytes from the start of a member to the array's content. */
  dataOffset(memberId: number): number {
    const member = this.#state.members.get(memberId);
    assert(member !== undefined, "data offset of a member");
    return member.superblock.dataOffset * SECTOR;
  }

  /** False when it cannot rest after all while another node changes the array. */
  get mayRest(): boolean {
    return this.#state.clusterMetadata.rest?.isRefused !== true;
  }

  /** Where a member's superblock lies, sectors from its start. */
  superOffset(memberId: number): number | null {
    const { members, clusterMetadata } = this.#state;
    const candidate = clusterMetadata.candidates.get(memberId)?.newcomer;
    const superblock = members.get(memberId)?.superblock ?? candidate?.superblock;
    return superblock?.superOffset ?? null;
  }

  /** The legs, and where on each the bitmap of a cluster's node lies, bytes from its start. */
  slotBitmaps(slot: number): readonly SlotBitmap[] {
    return slotBitmaps(this.#state, slot);
  }

  /** Takes one event at time `now` (ms); returns what is to be done, in order. */
  handle(event: ArrayEvent, now: number): ArrayEffect[] {
    const state = this.#state;
    state.now = Math.max(state.now, now);
    if (state.stopped || isLeaving(state)) this.#afterwards(event);
    else this.#work(event);
    this.#pumpStop();
    const { effects } = state;
    state.effects = [];
    return effects;
  }

  #work(event: ArrayEvent): void {
    const state = this.#state;
    this.#dispatch(event);
    takeToldUpdate(state);
    this.#takeOpenedLegs();
    pumpMetadata(state);
    pumpSlotRecovery(state);
    pumpSync(state);
    pumpMetadata(state);
    pumpBroken(state);
  }

  /** Nothing is begun, recorded or carried out any more. */
  #afterwards(event: ArrayEvent): void {
    if (event.type === "command") return this.#onCommand(event.id, event.command);
    const isAnswer = event.type === "cluster-answer" || event.type === "cluster-state";
    if (isAnswer && !this.#state.stopped) onClusterEvent(this.#state, event);
  }

  /**
   * Legs count from the end of a transaction on: within one, a superblock could name a member that
   * its bitmap step has passed over.
   */
  #takeOpenedLegs(): void {
    const state = this.#state;
    if (state.transaction !== null || state.stopped) return;
    for (const { token, error } of state.opened.splice(0)) onLegsOpened(state, token, error);
  }

  #dispatch(event: ArrayEvent): void {
    const state = this.#state;
    switch (event.type) {
      case "tick":
        return this.#onTick(event.owed ?? new Map());
      case "member-io-done":
        if (onMetadataIo(state, event.token, event.error)) return;
        if (onFlushedAhead(state, event.token, event.error)) return;
        if (!onSlotIo(state, event.token, event.error)) onJoinIo(state, event.token, event.error);
        return;
      case "copy-done":
        if (!onSyncPiece(state, event.token, event.result))
          onRepairDone(state, event.token, event.result);
        return;
      case "legs-opened":
        state.opened.push({ token: event.token, error: event.error });
        return;
      case "intent":
        state.pending.intents.push({ worker: event.worker, ranges: event.ranges });
        return;
      case "leg-report":
        return onLegReport(state, event);
      case "leg-gone":
        return onLegGone(state, event);
      case "read-error": {
        const member = memberOfLeg(state, event.leg);
        if (member !== null) onReadError(state, member, event);
        return;
      }
      case "member-vanished":
        return this.#onVanished(event.path, event.reason);
      case "command":
        return this.#onCommand(event.id, event.command);
      default:
        return onClusterEvent(state, event);
    }
  }

  #onVanished(path: string, reason: string): void {
    const member = memberByPath(this.#state, path);
    if (member !== null) failMember(this.#state, member, reason);
  }

  // --- time -------------------------------------------------------------------------------------

  #onTick(owed: ReadonlyMap<number, number>): void {
    const state = this.#state;
    const { started, underWay } = state.shared.writes();
    if (started !== state.lastStarted || underWay > 0) {
      state.lastStarted = started;
      state.quietSince = state.now;
    }
    noteClients(state);
    watchAnswers(state, owed);
    if (state.readOnly || state.transaction !== null || state.clusterSync.broken !== null) return;
    const isQuiet = state.now - state.quietSince >= state.options.safeModeMs;
    if (isQuiet && !isInCluster(state)) this.#enterSafeMode();
    const sweepMs = (state.bitmap?.superblock.daemonSleepSeconds ?? 0) * 1000;
    if (sweepMs > 0 && state.now - state.sweep.lastAt >= sweepMs && !this.#wantsUpdate()) {
      state.sweep.lastAt = state.now;
      sweepSoon(state);
    }
  }

  #wantsUpdate(): boolean {
    const { pending } = this.#state;
    const { failing, badBlocks, goClean, rolesChanged } = pending;
    // Bits are cleared while an update waits for the cluster.
    if (isInCluster(this.#state)) return failing.size > 0;
    return failing.size + badBlocks.size > 0 || goClean || rolesChanged;
  }

  /** Takes the permission to write back; gives it back at once when a write is under way. */
  #enterSafeMode(): void {
    const state = this.#state;
    if (state.clean || state.pending.goClean || this.#wantsUpdate()) return;
    state.shared.clean = true;
    const { started, underWay } = state.shared.writes();
    if (underWay > 0 || started !== state.lastStarted) {
      state.shared.clean = false;
      return;
    }
    state.pending.goClean = true;
  }

  // --- commands ---------------------------------------------------------------------------------

  #onCommand(id: number, command: ArrayCommand): void {
    const state = this.#state;
    const { expelled, broken } = state.clusterSync;
    if ((expelled !== null || broken !== null) && command.type !== "stop")
      return this.#answer(id, brokenOutcome(state));
    if (state.stopping !== null && command.type !== "stop") {
      const message = "the array is being stopped";
      return this.#answer(id, { ok: false, code: "RAID_ARRAY_STOPPING", message });
    }
    if (isChangeBegun(state) && !(command.type === "stop" && command.keepOpen === true)) {
      const message = "the array is being changed";
      return this.#answer(id, { ok: false, code: "RAID_ARRAY_CHANGING", message });
    }
    switch (command.type) {
      case "stop":
        if (state.stopped) return this.#answer(id, { ok: true });
        // It is not started anew: this thread ends with the node's leaving.
        if (broken !== null && command.keepOpen === true) return;
        state.stopping = [...(state.stopping ?? []), id];
        state.keepsOpen = command.keepOpen === true;
        return;
      case "begin-change": {
        const outcome = beginChange(state, id, command);
        return outcome === null ? undefined : this.#answer(id, outcome);
      }
      case "sync-speed":
        state.syncSpeedMin = command.min;
        state.syncSpeedMax = command.max;
        emit(state, { type: "status-changed" });
        return this.#answer(id, { ok: true });
      case "sync-action":
        return this.#answer(id, this.#setSyncAction(command));
      default: {
        const outcome = runMemberCommand(state, id, command);
        if (outcome !== null) this.#answer(id, outcome);
      }
    }
  }

  #setSyncAction(command: Extract<ArrayCommand, { type: "sync-action" }>): CommandOutcome {
    const state = this.#state;
    const run = state.sync;
    const { action } = command;
    if (action === "idle" || action === "frozen") {
      state.frozen = action === "frozen";
      state.userAction = null;
      if (run !== null && (action === "frozen" || run.reason === "user")) cancelRun(run);
      return { ok: true };
    }
    if (state.readOnly) {
      return { ok: false, code: "RAID_READ_ONLY", message: "the array is read-only" };
    }
    if (run !== null || state.userAction !== null) {
      const name = run?.action ?? state.userAction?.action ?? "";
      const message = `sync action ${name} is running`;
      return { ok: false, code: "RAID_SYNC_IN_PROGRESS", message };
    }
    const { sizeBytes } = state.map;
    const { from = 0 } = command;
    const to = Math.min(command.to ?? sizeBytes, sizeBytes);
    if (from < 0 || from >= to) {
      const message = `the range ${from}-${to} holds nothing of the array's ${sizeBytes} bytes`;
      return { ok: false, code: "RAID_BAD_RANGE", message };
    }
    state.frozen = false;
    state.userAction = { action, from, to };
    return { ok: true };
  }

  #answer(id: number, outcome: CommandOutcome): void {
    emit(this.#state, { type: "command-done", id, outcome });
  }

  // --- stop -------------------------------------------------------------------------------------

  /**
   * Stop, step by step: no sync action, no transaction, every bit cleared that may be, array
   * clean. Writes have ended BEFORE (the exports are closed). Source: md.c __md_stop_writes.
   */
  #pumpStop(): void {
    const state = this.#state;
    if (state.stopping === null || state.stopped) return;
    if (!isLeaving(state) && !this.#isAtRest()) return;
    if (!hasLeft(state)) return;
    state.stopped = true;
    state.shared.run = RUN_STOPPED;
    for (const member of state.members.values()) {
      const keeps = state.keepsOpen && member.state !== "faulty";
      if (!keeps) emit(state, { type: "close-member", member: member.id });
    }
    letCandidatesGo(state);
    for (const id of state.stopping) this.#answer(id, { ok: true });
    emit(state, { type: "status-changed" });
    emit(state, { type: "stopped" });
  }

  /** False while something is under way, be it the last thing that a stop writes. */
  #isAtRest(): boolean {
    const state = this.#state;
    if (state.sync !== null || state.transaction !== null || state.joining.size > 0) return false;
    // An error of these flushes is told once: the last sweep's own might be told that all is well.
    if (state.sweep.ahead !== null) return false;
    if (state.repairs.size > 0 || isClusterBusy(state) || isTakingOver(state)) return false;
    if (state.shared.run !== RUN_ACTIVE || state.readOnly) return true;
    if (!state.finalSweepDone) {
      state.finalSweepDone = true;
      if (sweepLast(state)) return false;
    }
    if (isInCluster(state)) return !writeLastHeader(state);
    if (state.clean) return true;
    state.shared.clean = true;
    state.pending.goClean = true;
    pumpMetadata(state);
    return false;
  }
}

const cancelRun = (run: SyncRun): void => {
  run.aborted = true;
  run.cancelled = true;
};
