/**
 * Grants what the queues hold, and BASTs to whom blocks the rest.
 * Source: fs/dlm/lock.c grant_pending_convert, grant_pending_wait, grant_pending_locks,
 * send_blocking_asts.
 */
import { type GrantMoment, judge } from "./grant-rule.ts";
import { complete, type LockDraft, type MutableLock, sendBast, settle } from "./lock-draft.ts";
import { DLM_LKF_NODLCKWT, DLM_SBF_DEMOTED } from "./lock-flags.ts";
import { areCompatible, CW, EX, isMiddlePair, type LockMode, NL, PR } from "./lock-mode.ts";
import { moveLvbAtGrant } from "./lock-value-block.ts";

/** What is still blocked after a scan. */
interface Blocked {
  /** Highest requested mode; NL: nothing that a holder could block. */
  high: LockMode;
  hasCw: boolean;
}

/** Grants the lock its requested mode and completes its call. */
export const grant = (draft: LockDraft, lock: MutableLock): void => {
  const mode = lock.requested ?? NL;
  const read = moveLvbAtGrant(draft, lock, mode, lock.lvb);
  settle(draft, lock, mode);
  complete(draft, lock, "granted", read);
};

const noteBlocked = (blocked: Blocked, lock: MutableLock): void => {
  const mode = lock.requested ?? NL;
  if (mode > blocked.high) blocked.high = mode;
  if (mode === CW) blocked.hasCw = true;
};

/**
 * One pass over the conversions. True when it changed what others may have: then another pass is
 * due. Each pass that does grants or demotes a lock, so the passes end.
 */
const passConversions = (draft: LockDraft, moment: GrantMoment, blocked: Blocked): boolean => {
  let isChanged = false;
  for (const lock of [...draft.converting]) {
    const wasDemoted = (lock.statusFlags & DLM_SBF_DEMOTED) !== 0;
    const verdict = judge(draft, lock, moment);
    if (verdict === "granted") {
      grant(draft, lock);
      isChanged = true;
    } else if (!wasDemoted && (lock.statusFlags & DLM_SBF_DEMOTED) !== 0) {
      isChanged = true;
    } else if (verdict === "deadlock") {
      const mode = lock.requested ?? NL;
      const isAsked = (lock.flags & DLM_LKF_NODLCKWT) !== 0 && lock.hasBast;
      if (isAsked && lock.highBast < mode) sendBast(draft, lock, mode);
    } else {
      noteBlocked(blocked, lock);
    }
  }
  return isChanged;
};

/** Grants every queued conversion that can be, over and over; returns what is left. */
export const scanConversions = (draft: LockDraft, moment: GrantMoment): Blocked => {
  for (;;) {
    const blocked: Blocked = { high: NL, hasCw: false };
    if (!passConversions(draft, moment, blocked)) return blocked;
  }
};

/** Grants whatever can be, conversions first, and tells the holders what they still block. */
export const scanQueues = (draft: LockDraft, moment: GrantMoment): void => {
  const blocked = scanConversions(draft, moment);
  for (const lock of [...draft.waiting]) {
    if (judge(draft, lock, "scan") === "granted") grant(draft, lock);
    else noteBlocked(blocked, lock);
  }
  const { high, hasCw } = blocked;
  if (high === NL) return;
  for (const holder of draft.granted) {
    if (!holder.hasBast) continue;
    const isPrUnderCw = holder.granted === PR && hasCw;
    const isDue = isPrUnderCw
      ? holder.highBast < EX
      : holder.highBast < high && !areCompatible(holder.granted, high);
    if (isDue) sendBast(draft, holder, isPrUnderCw && high === PR ? CW : high, high);
  }
};

/** Tells those in `queue` that block the lock's requested mode, each once per level. */
export const tellHolders = (
  draft: LockDraft,
  queue: readonly MutableLock[],
  lock: MutableLock,
): void => {
  const mode = lock.requested ?? NL;
  for (const holder of queue) {
    if (holder === lock || !holder.hasBast) continue;
    const isDue = isMiddlePair(holder.granted, mode)
      ? holder.highBast < EX
      : holder.highBast < mode && !areCompatible(holder.granted, mode);
    if (isDue) sendBast(draft, holder, mode);
  }
};
