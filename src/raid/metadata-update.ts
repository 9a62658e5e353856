/**
 * Metadata transactions of an array: marking it dirty or clean, setting bits, recording failures
 * and roles, clearing bits. One runs at a time; whatever asks meanwhile shares the next one.
 *
 * Order on the members (Source: drivers/md/md.c md_update_sb, md-bitmap.c):
 *   update: [flush the data] -> bitmap pages with new events -> superblocks with new events,
 *           a member that takes another's place first, then the others in sync, then the rest
 *           (the bitmap last when events step back)
 *   bits:   bitmap pages
 *   sweep:  flush the data -> bitmap superblock with events_cleared -> pages with cleared bits
 * Each step is flushed on every member it touches before the next one starts. A member that fails
 * a step is recorded faulty by a new transaction that does the old one's work as well, so nothing
 * that waits is answered before every remaining member has it.
 */

import { assert } from "../common/assert.ts";
import {
  type ArrayState,
  blockLeg,
  currentClaims,
  degradedCount,
  emit,
  emptyPending,
  isInCluster,
  isLastInSync,
  legWord,
  type Member,
  nextToken,
  type Pending,
  type Phase,
  type Transaction,
} from "./array-state.ts";
import { breakArray } from "./cluster-broken.ts";
import { noticeProcessed } from "./cluster-calls.ts";
import {
  beyondSeen,
  brokenOutcome,
  commandOutcome,
  giveUpTurn,
  isUpdating,
  tellUpdate,
  updateTurn,
} from "./cluster-update.ts";
import {
  bitmapPhase,
  claimPhase,
  flushPhase,
  inSyncSuperblockPhase,
  otherSuperblockPhase,
  promotedSuperblockPhase,
} from "./metadata-phases.ts";
import { markFaulty, promote } from "./role-changes.ts";
import { LEG_NONE, RUN_BROKEN } from "./shared-state.ts";

/**
 * Starts the next transaction if work waits and none is under way. In a cluster an update waits for
 * its turn (cluster-update.ts); bits do not, but where a leg is blocked no write goes on anyway.
 */
export const pumpMetadata = (state: ArrayState): void => {
  if (state.transaction !== null || state.stopped) return;
  if (state.shared.run === RUN_BROKEN) return refuseWaiting(state);
  const { pending } = state;
  if (state.readOnly) return settleReadOnly(state);
  if (pending.intents.length > 0 && state.clean) pending.activate = true;
  const turn = updateTurn(state, needsUpdate(pending));
  if (turn === "update") return startUpdate(state);
  if (turn === "settle") settleWithoutUpdate(state);
  const { intents, notices } = state.pending;
  const isBlocked = state.pending.failing.size + state.lostLegs.length > 0;
  if (notices.length > 0 || (intents.length > 0 && !isBlocked)) startBits(state);
};

const needsUpdate = (pending: Pending): boolean =>
  pending.failing.size > 0 ||
  pending.badBlocks.size > 0 ||
  pending.rolesChanged ||
  pending.promoted.length > 0 ||
  pending.goClean ||
  pending.activate ||
  pending.flushFirst;

/** What waited needs no update, or no longer: another node has recorded it. */
const settleWithoutUpdate = (state: ArrayState): void => {
  const { intents, notices, ...rest } = state.pending;
  if (rest.legReports.length + rest.commands.length + rest.happenings.length > 0 || rest.confirm) {
    state.pending = { ...emptyPending(), intents, notices };
    complete(state, { ...rest, intents: [], notices: [] });
  }
};

/** True until the superblocks say what they have to, and every node has read them. */
export const isUpdateDue = (state: ArrayState): boolean =>
  isUpdating(state) || needsUpdate(state.pending);

/** A read-only array changes nothing on its members: one that fails is out of use, no more. */
const settleReadOnly = (state: ArrayState): void => {
  const { failing, legReports, commands, notices } = state.pending;
  if (failing.size + legReports.length + commands.length + notices.length === 0) return;
  const work = takePending(state);
  for (const [id, reason] of work.failing) markFaulty(state, id, reason, work);
  complete(state, work);
};

const takePending = (state: ArrayState): Pending => {
  const work = state.pending;
  state.pending = emptyPending();
  return work;
};

// --- starting ---------------------------------------------------------------------------------

/** Begins a transaction, ONLY while none is under way. */
export const begin = (
  state: ArrayState,
  kind: Transaction["kind"],
  work: Pending,
  phases: Transaction["phases"],
  then: Transaction["then"] = null,
): void => {
  assert(state.transaction === null, "one transaction at a time");
  state.transaction = {
    kind,
    work,
    phases,
    waiting: new Map(),
    claims: currentClaims(state),
    writes: [],
    roles: null,
    failed: false,
    then,
  };
  nextPhase(state);
};

/** Events go up by one; a write burst's dirty -> clean steps back. Source: md.c md_update_sb. */
const bumpEvents = (state: ArrayState, work: Pending): void => {
  if (state.isUneven) {
    state.canStepBack = false;
    return;
  }
  const onlyCleanness =
    !work.rolesChanged &&
    !work.flushFirst &&
    work.failing.size + work.badBlocks.size + work.promoted.length === 0;
  const whole = degradedCount(state) === 0 && state.resyncFrom === "none" && !isInCluster(state);
  if (work.goClean && onlyCleanness && whole && state.canStepBack && state.events > 1) {
    state.events--;
    state.canStepBack = false;
    work.steppedBack = true;
    return;
  }
  state.events++;
  state.canStepBack = work.activate && onlyCleanness && whole;
};

const startUpdate = (state: ArrayState): void => {
  const work = takePending(state);
  for (const [id, reason] of work.failing) markFaulty(state, id, reason, work);
  for (const id of work.promoted) promote(state, id, work);
  const goal = state.mustOutrun ? beyondSeen(state) : 0;
  bumpEvents(state, work);
  if (work.activate) state.clean = false;
  if (work.goClean) state.clean = true;
  const bitmap = state.bitmap;
  if (bitmap !== null) {
    for (const { ranges } of work.intents)
      for (const [first, last] of ranges) bitmap.set(first, last);
    const { eventsCleared } = bitmap.superblock;
    bitmap.setHeader(state.events, Math.min(eventsCleared, state.events));
  }
  const flushes = work.goClean || work.flushFirst || work.promoted.length > 0;
  const flush = flushes ? [flushPhase, claimPhase] : [];
  const supers = [promotedSuperblockPhase, inSyncSuperblockPhase, otherSuperblockPhase];
  // A bitmap with fewer events than the superblocks counts as stale: it never has them, not even
  // between two steps.
  const steps = work.steppedBack ? [...supers, bitmapPhase] : [bitmapPhase, ...supers];
  const count = Math.max(state.isUneven ? 1 : 0, goal - state.events);
  const raises = Array.from({ length: count }, (_, at) => {
    const raise = (now: ArrayState): Phase => raisePhase(now, at === count - 1);
    return [raise, bitmapPhase, ...supers];
  });
  // Who leaves is named by the last step only: before it, members that tie must agree.
  state.heldRoles = count > 0 ? state.durableRoles : null;
  begin(state, "update", work, [...flush, ...steps, ...raises.flat()]);
};

/**
 * Events go up once more: the step before brought all members to the same count, or a member that
 * takes no part may hold that count. Never by two at a time: whoever is two behind when the power
 * goes counts as stale, and may be needed.
 */
const raisePhase = (state: ArrayState, isLast: boolean): Phase => {
  state.isUneven = false;
  if (isLast) {
    // As long as a node is being recovered, the end of another one is not told apart.
    state.mustOutrun = state.clusterSync.isBalancingSuspended;
    state.heldRoles = null;
  }
  state.events++;
  state.bitmap?.setHeader(state.events, state.bitmap.superblock.eventsCleared);
  return { ios: [] };
};

/** Intents become durable; a notice waits for all of this node's bits on every leg. */
const startBits = (state: ArrayState): void => {
  const { intents, notices, ...later } = state.pending;
  const work = { ...emptyPending(), intents, notices };
  state.pending = { ...later, intents: [], notices: [] };
  const bitmap = state.bitmap;
  if (bitmap === null) return settleBits(state, work);
  for (const { ranges } of work.intents) {
    for (const [first, last] of ranges) bitmap.set(first, last);
  }
  begin(state, "bits", work, [bitmapPhase]);
};

/**
 * Makes this node's bitmap durable on every leg, another node's bits in it; `then` when it is. A
 * leg that fails on the way is left out, and recorded later. Nothing happens while another
 * transaction is under way.
 */
export const writeOwnPages = (state: ArrayState, then: (state: ArrayState) => void): void => {
  if (state.transaction === null) begin(state, "slot", emptyPending(), [bitmapPhase], then);
};

/**
 * The last write to a node's bitmap: its header is as new as the array. True when it is on its way.
 * Source: md-bitmap.c md_bitmap_flush.
 */
export const writeLastHeader = (state: ArrayState): boolean => {
  const { bitmap } = state;
  if (bitmap === null || state.transaction !== null) return false;
  const isClear = bitmap.setChunks === 0 && degradedCount(state) === 0;
  bitmap.setHeader(state.events, isClear ? state.events : bitmap.superblock.eventsCleared);
  if (!bitmap.hasDirtyPages) return false;
  writeOwnPages(state, () => undefined);
  return true;
};

// --- running ----------------------------------------------------------------------------------

const nextPhase = (state: ArrayState): void => {
  for (;;) {
    const transaction = state.transaction;
    if (transaction === null) return;
    const build = transaction.phases.shift();
    if (build === undefined) return finish(state, transaction);
    for (const { member, ops } of build(state).ios) {
      const token = nextToken(state);
      transaction.waiting.set(token, member);
      emit(state, { type: "member-io", token, member, ops });
    }
    if (transaction.waiting.size > 0) return;
  }
};

/** One member's step is done. Returns false when the token is not this transaction's. */
export const onMetadataIo = (state: ArrayState, token: number, error: string | null): boolean => {
  const transaction = state.transaction;
  const id = transaction?.waiting.get(token);
  if (transaction === null || id === undefined) return false;
  transaction.waiting.delete(token);
  if (failIfRefused(state, id, error)) transaction.failed = true;
  if (transaction.waiting.size > 0) return true;
  const isOver = transaction.failed && transaction.kind !== "slot";
  if (isOver || state.clusterSync.expelled !== null) abort(state, transaction);
  else nextPhase(state);
  return true;
};

/**
 * A member that could not be written fails; without it nothing may be left to write. False when
 * there was no error, or the member is out already.
 */
export const failIfRefused = (state: ArrayState, id: number, error: string | null): boolean => {
  const member = state.members.get(id);
  if (error === null || member === undefined || member.state === "faulty") return false;
  if (isLastInSync(state, member))
    breakArray(state, `No metadata can be written any more: ${error}.`);
  else failMember(state, member, `metadata write: ${error}`);
  return true;
};

/**
 * Queues a member to be recorded faulty; its leg takes no more writes until that is durable, and
 * nothing of this thread waits for its answers. The last in-sync member is never failed: its errors
 * go to the client instead.
 */
export const failMember = (state: ArrayState, member: Member, reason: string): void => {
  if (member.state === "faulty" || state.pending.failing.has(member.id)) return;
  if (isLastInSync(state, member)) return;
  state.pending.failing.set(member.id, reason);
  blockLeg(state, member);
  emit(state, { type: "give-up-member", member: member.id, reason });
};

/** A member failed meanwhile: the next transaction does this one's work on the others. */
const abort = (state: ArrayState, transaction: Transaction): void => {
  state.transaction = null;
  state.heldRoles = null;
  state.bitmap?.markPagesDirty(transaction.writes);
  if (transaction.kind === "sweep" || transaction.kind === "slot") return;
  const { work } = transaction;
  const later = state.pending;
  state.pending = {
    intents: [...work.intents, ...later.intents],
    failing: later.failing,
    legReports: [...work.legReports, ...later.legReports],
    badBlocks: new Set([...work.badBlocks, ...later.badBlocks]),
    commands: [...work.commands, ...later.commands],
    happenings: [...work.happenings, ...later.happenings],
    promoted: [...work.promoted, ...later.promoted],
    // What an update has marked must be written again; a bit needs its member's failure only.
    rolesChanged: transaction.kind === "update" || later.rolesChanged,
    goClean: false,
    activate: later.activate,
    flushFirst: later.flushFirst || work.flushFirst || work.promoted.length > 0,
    // A notice is answered without the bits: its sender has the right to update until then.
    notices: later.notices,
    confirm: later.confirm || work.confirm,
    steppedBack: false,
  };
  for (const id of work.notices) noticeProcessed(state, id);
  // Members hold these events or one less: the next update brings them level, then goes up. After a
  // step back some may still hold the events from before it.
  if (transaction.kind === "update") state.isUneven = true;
  if (work.steppedBack) state.events++;
  // Some members may say clean by now: the next update says dirty on all that are left. Writes
  // that were not allowed stay so until it is durable.
  state.clean = false;
};

const finish = (state: ArrayState, transaction: Transaction): void => {
  state.transaction = null;
  state.durableRoles = transaction.roles ?? state.durableRoles;
  const { kind, work } = transaction;
  if (kind !== "update") {
    settleBits(state, work);
    transaction.then?.(state);
    return;
  }
  tellUpdate(state, work, complete);
  // Others have yet to know of it; bits are this node's own affair.
  if (state.clusterMetadata.told === work && state.lostLegs.length === 0) {
    settleBits(state, { ...emptyPending(), intents: work.intents.splice(0) });
  }
};

/** These bits are durable on every leg: writes go on. */
const settleBits = (state: ArrayState, work: Pending): void => {
  for (const { ranges } of work.intents) {
    for (const [first, last] of ranges) state.bitmap?.markDurable(first, last);
  }
  settleAnswers(state, work);
};

/** All nodes know that these members are faulty: their legs go out of use. */
export const dropLostLegs = (state: ArrayState): void => {
  for (const { leg, reason } of state.lostLegs.splice(0)) {
    state.shared.setLeg(leg, LEG_NONE);
    emit(state, { type: "drop-leg", leg, reason });
  }
};

/** The work is durable on every member that is left: lets writes go on, answers who waited. */
const complete = (state: ArrayState, work: Pending): void => {
  dropLostLegs(state);
  for (const member of state.members.values()) {
    const { leg } = member;
    if (leg === null || state.pending.failing.has(member.id)) continue;
    const now = state.shared.leg(leg);
    if (now !== LEG_NONE && now !== legWord(member)) state.shared.setLeg(leg, legWord(member));
  }
  for (const { ranges } of work.intents) {
    for (const [first, last] of ranges) state.bitmap?.markDurable(first, last);
  }
  state.shared.clean = state.clean;
  settleAnswers(state, work);
};

const settleAnswers = (state: ArrayState, work: Pending): void => {
  for (const id of work.notices) noticeProcessed(state, id);
  for (const happening of work.happenings) emit(state, { type: "happening", happening });
  for (const { worker } of work.intents) emit(state, { type: "intent-ready", worker });
  for (const { worker, request, member, isNoted } of work.legReports) {
    const isRecorded = isNoted ?? (state.members.get(member)?.state ?? "faulty") === "faulty";
    emit(state, { type: "leg-resolved", worker, request, isRecorded });
  }
  for (const id of work.commands)
    emit(state, { type: "command-done", id, outcome: commandOutcome(state, id) });
  emit(state, { type: "status-changed" });
};

/**
 * The array is broken: whoever waits gets an answer, and finds the array refusing writes. No
 * failure is recorded any more, whatever an update had begun to make of its member. Legs of members
 * that are failing stay blocked: reads keep to the others.
 */
const refuseWaiting = (state: ArrayState): void => {
  const work = takePending(state);
  const { broken } = state.clusterSync;
  // Superblocks may be half written: who leaves keeps the turn, so that nobody joins by them.
  if (broken === null) giveUpTurn(state);
  // It is on some members, and others balance reads until the node is out.
  else if (broken.step !== "out") state.pending.legReports = work.legReports.splice(0);
  const outcome = brokenOutcome(state);
  for (const id of work.commands) emit(state, { type: "command-done", id, outcome });
  const legReports = work.legReports.map((report) => ({ ...report, isNoted: false }));
  settleAnswers(state, { ...work, legReports, commands: [], happenings: [] });
};
