/**
 * The DLM as one pure function over one lock resource: the resource and an operation in, the
 * resource and the notifications out. Whoever keeps resources, in memory or as compare-and-swap
 * keys, runs this; nothing else changes a resource.
 *
 * Source: fs/dlm/lock.c do_request, do_convert, do_unlock, do_cancel and their effects. Where this
 * differs, and why, is in docs/dlm.md.
 */
import { judge } from "./grant-rule.ts";
import {
  closeDraft,
  complete,
  enqueue,
  type LockDraft,
  type MutableLock,
  moveToGranted,
  openDraft,
  takeOut,
  withdraw,
} from "./lock-draft.ts";
import {
  DLM_LKF_CANCEL,
  DLM_LKF_CONVERT,
  DLM_LKF_HEADQUE,
  DLM_LKF_NODLCKWT,
  DLM_LKF_NOQUEUE,
  DLM_LKF_NOQUEUEBAST,
  DLM_LKF_VALBLK,
  DLM_SBF_DEMOTED,
} from "./lock-flags.ts";
import { NL, PW } from "./lock-mode.ts";
import {
  type CallResult,
  type LockCall,
  type LockNotification,
  type LockOperation,
  type Purge,
  refuseConversion,
  refuseFull,
  refuseLockArguments,
  refuseUnknown,
  refuseUnlock,
  refuseUnlockArguments,
  refuseUsedKey,
  type UnlockCall,
} from "./lock-operation.ts";
import {
  countLocks,
  type DlmLock,
  findLock,
  isSameLock,
  LOCKS_MAX,
  type LockResource,
} from "./lock-resource.ts";
import { moveLvbAtUnlock } from "./lock-value-block.ts";
import { LVB_BYTES } from "./lvb-text.ts";
import { grant, scanConversions, scanQueues, tellHolders } from "./queue-scan.ts";

export interface LockStep {
  /** The very same value when there is nothing to store. */
  readonly resource: LockResource;
  readonly result: CallResult;
  /** In the order in which they came about; for one lock this order must be kept. */
  readonly notifications: readonly LockNotification[];
}

const ACCEPTED: CallResult = { type: "accepted" };
const NOTHING: CallResult = { type: "nothing" };

const unchanged = (
  resource: LockResource,
  result: CallResult,
  notifications: readonly LockNotification[] = [],
): LockStep => ({ resource, result, notifications });

const finish = (draft: LockDraft): LockStep => ({
  resource: closeDraft(draft),
  result: ACCEPTED,
  notifications: draft.notifications,
});

/**
 * Applies one operation. `lvbBytes`: the lockspace's length of value blocks.
 *
 * An operation that the resource shows as applied is not applied again: it is accepted, and its
 * completion, if it has come and is still the lock's last, is among the notifications.
 */
export const operate = (
  resource: LockResource,
  operation: LockOperation,
  lvbBytes: number = LVB_BYTES,
): LockStep => {
  switch (operation.type) {
    case "lock":
      return (operation.flags & DLM_LKF_CONVERT) === 0
        ? request(resource, operation, lvbBytes)
        : convert(resource, operation, lvbBytes);
    case "unlock":
      return (operation.flags & DLM_LKF_CANCEL) === 0
        ? unlock(resource, operation, lvbBytes)
        : cancel(resource, operation, lvbBytes);
    case "purge":
      return purge(resource, operation);
  }
};

/**
 * What became of a call whose outcome is unknown, because the store's answer was lost: null when it
 * was not applied and has to be made again. A lock that is gone was unlocked or cancelled by this
 * very call, for only its owner does that, one operation at a time.
 */
export const recall = (
  resource: LockResource,
  operation: LockCall | UnlockCall,
): LockStep | null => {
  const lock = findLock(resource, operation);
  if (lock !== undefined) return recallFrom(resource, operation, lock);
  if (operation.type === "lock") return null;
  const status = (operation.flags & DLM_LKF_CANCEL) === 0 ? "EUNLOCK" : "ECANCEL";
  const { slot, epoch, id } = operation;
  const key = { slot, epoch, id };
  return unchanged(resource, ACCEPTED, [
    { type: "ast", lock: key, status, mode: null, statusFlags: 0, lvb: null },
  ]);
};

const recallFrom = (
  resource: LockResource,
  operation: LockCall | UnlockCall,
  lock: DlmLock,
): LockStep | null => {
  if (lock.op < operation.op) return null;
  const isOver = lock.op === operation.op && lock.requested === null;
  if (!isOver) return unchanged(resource, ACCEPTED);
  const { slot, epoch, id, astStatus: status, granted: mode, statusFlags } = lock;
  const lvb = lock.hasRead ? resource.lvb : null;
  const key = { slot, epoch, id };
  return unchanged(resource, ACCEPTED, [
    { type: "ast", lock: key, status, mode, statusFlags, lvb },
  ]);
};

/** The lock in a draft of the resource it was found in. */
const draftOf = (
  resource: LockResource,
  lock: DlmLock,
): { readonly draft: LockDraft; readonly own: MutableLock } => {
  const draft = openDraft(resource);
  const own = findLock(draft, lock) as MutableLock;
  return { draft, own };
};

/** Queues the blocked lock, or fails its call with NOQUEUE. */
const queueOrFail = (draft: LockDraft, lock: MutableLock): void => {
  if ((lock.flags & DLM_LKF_NOQUEUE) !== 0) {
    complete(draft, lock, "EAGAIN");
    if ((lock.flags & DLM_LKF_NOQUEUEBAST) !== 0) {
      tellHolders(draft, draft.granted, lock);
      tellHolders(draft, draft.converting, lock);
    }
    withdraw(lock);
    return;
  }
  enqueue(draft, lock);
  // Who jumps the queue may be the one that can be granted, and whoever was demoted holds less
  // than before. The kernel looks again only at the next scan; until then a grantable lock waits.
  const isScanDue =
    (lock.flags & DLM_LKF_HEADQUE) !== 0 || (lock.statusFlags & DLM_SBF_DEMOTED) !== 0;
  if (isScanDue) scanQueues(draft, "scan");
  if (lock.requested !== null) tellHolders(draft, draft.granted, lock);
};

const newLock = (call: LockCall): MutableLock => ({
  slot: call.slot,
  epoch: call.epoch,
  id: call.id,
  op: call.op,
  granted: null,
  requested: call.mode,
  flags: call.flags,
  statusFlags: 0,
  hasBast: call.hasBast,
  highBast: NL,
  astCount: 0,
  astStatus: "granted",
  hasRead: false,
  bastCount: 0,
  bastMode: NL,
  lvbSeq: 0,
  lvb: call.lvb,
});

const request = (resource: LockResource, call: LockCall, lvbBytes: number): LockStep => {
  const refusal = refuseLockArguments(call, lvbBytes);
  if (refusal !== null) return unchanged(resource, refusal);
  const known = findLock(resource, call);
  if (known !== undefined)
    return recallFrom(resource, call, known) ?? unchanged(resource, refuseUsedKey());
  if (countLocks(resource) >= LOCKS_MAX) return unchanged(resource, refuseFull(LOCKS_MAX));
  const draft = openDraft(resource);
  const lock = newLock(call);
  if (judge(draft, lock, "call") === "granted") grant(draft, lock);
  else queueOrFail(draft, lock);
  // A request that failed is gone, and unless it sent BASTs it leaves no trace.
  const isTraceless = lock.astStatus === "EAGAIN" && draft.notifications.length === 1;
  return isTraceless ? unchanged(resource, ACCEPTED, draft.notifications) : finish(draft);
};

const convert = (resource: LockResource, call: LockCall, lvbBytes: number): LockStep => {
  const known = findLock(resource, call);
  if (known === undefined) return unchanged(resource, refuseUnknown());
  const done = recallFrom(resource, call, known);
  if (done !== null) return done;
  const refusal = refuseLockArguments(call, lvbBytes) ?? refuseConversion(call, known);
  if (refusal !== null) return unchanged(resource, refusal);
  const { draft, own } = draftOf(resource, known);
  own.op = call.op;
  own.requested = call.mode;
  own.flags = call.flags;
  own.statusFlags = 0;
  own.hasBast = call.hasBast;
  own.lvb = call.lvb;
  const verdict = judge(draft, own, "call");
  if (verdict === "granted") grantAndScan(draft, own);
  else if (verdict === "deadlock" && (own.flags & DLM_LKF_NODLCKWT) === 0) {
    withdraw(own);
    complete(draft, own, "EDEADLK");
  } else if ((own.statusFlags & DLM_SBF_DEMOTED) !== 0) convertDemoted(draft, own);
  else queueOrFail(draft, own);
  return finish(draft);
};

/** A change of a lock may let others in; a new lock never does. */
const grantAndScan = (draft: LockDraft, lock: MutableLock): void => {
  grant(draft, lock);
  scanQueues(draft, "scan");
};

/** The demotion may have freed other conversions; they go first, then this one is tried again. */
const convertDemoted = (draft: LockDraft, lock: MutableLock): void => {
  scanConversions(draft, "scan");
  if (judge(draft, lock, "call") === "granted") grantAndScan(draft, lock);
  else queueOrFail(draft, lock);
};

const unlock = (resource: LockResource, call: UnlockCall, lvbBytes: number): LockStep => {
  const known = findLock(resource, call);
  if (known === undefined) return unchanged(resource, refuseUnknown());
  const refusal = refuseUnlockArguments(call, lvbBytes) ?? refuseUnlock(call, known);
  if (refusal !== null) return unchanged(resource, refusal);
  const { draft, own } = draftOf(resource, known);
  moveLvbAtUnlock(draft, own, call.flags, call.lvb);
  takeOut(draft, own);
  own.granted = null;
  own.statusFlags = 0;
  complete(draft, own, "EUNLOCK");
  scanQueues(draft, "scan");
  return finish(draft);
};

const cancel = (resource: LockResource, call: UnlockCall, lvbBytes: number): LockStep => {
  const known = findLock(resource, call);
  if (known === undefined) return unchanged(resource, refuseUnknown());
  const refusal = refuseUnlockArguments(call, lvbBytes);
  if (refusal !== null) return unchanged(resource, refusal);
  const done = recallFrom(resource, call, known);
  if (done !== null) return done;
  if (known.requested === null) return unchanged(resource, NOTHING);
  const { draft, own } = draftOf(resource, known);
  own.op = call.op;
  own.statusFlags = 0;
  withdraw(own);
  if (own.granted === null) takeOut(draft, own);
  else moveToGranted(draft, own);
  complete(draft, own, "ECANCEL");
  scanQueues(draft, "scan");
  return finish(draft);
};

/**
 * Locks of the dead go. Whoever could write the value block may have been about to: it counts as
 * invalid from now on.
 */
const purge = (resource: LockResource, { owners }: Purge): LockStep => {
  const isDead = (lock: DlmLock): boolean =>
    owners.some(({ slot, epoch }) => lock.slot === slot && lock.epoch === epoch);
  const all = [...resource.granted, ...resource.converting, ...resource.waiting];
  const dead = all.filter(isDead);
  if (dead.length === 0) return unchanged(resource, NOTHING);
  const draft = openDraft(resource);
  for (const lock of dead) {
    const isWriter = lock.granted !== null && lock.granted >= PW;
    if (isWriter && (lock.flags & DLM_LKF_VALBLK) !== 0) draft.isLvbInvalid = true;
  }
  for (const queue of [draft.granted, draft.converting, draft.waiting]) {
    const alive = queue.filter((lock) => !dead.some((gone) => isSameLock(gone, lock)));
    queue.splice(0, queue.length, ...alive);
  }
  scanQueues(draft, "recovery");
  return finish(draft);
};
