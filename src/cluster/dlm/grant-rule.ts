/**
 * Whether a request is granted now. The first rule that applies decides; the numbers are those of
 * docs/dlm.md. Source: fs/dlm/lock.c _can_be_granted, can_be_granted, conversion_deadlock_detect.
 */
import type { LockDraft, MutableLock } from "./lock-draft.ts";
import {
  DLM_LKF_ALTCW,
  DLM_LKF_ALTPR,
  DLM_LKF_CONVDEADLK,
  DLM_LKF_EXPEDITE,
  DLM_LKF_HEADQUE,
  DLM_LKF_NOORDER,
  DLM_LKF_NOQUEUE,
  DLM_LKF_QUECVT,
  DLM_SBF_ALTMODE,
  DLM_SBF_DEMOTED,
} from "./lock-flags.ts";
import { areCompatible, CW, type LockMode, NL, PR } from "./lock-mode.ts";

/**
 * When the question is asked: as the call arrives, when the queues are scanned, or when they are
 * scanned for the first time after locks of dead members were purged.
 */
export type GrantMoment = "call" | "scan" | "recovery";

/** `deadlock`: not now, and never, because each of two conversions waits for the other. */
export type Verdict = "granted" | "blocked" | "deadlock";

const isBlockedBy = (queue: readonly MutableLock[], lock: MutableLock, mode: LockMode): boolean => {
  for (const other of queue) {
    if (other !== lock && !areCompatible(other.granted, mode)) return true;
  }
  return false;
};

/** Whether `mode` can be granted to the lock, by the rules alone. */
export const canBeGranted = (
  draft: LockDraft,
  lock: MutableLock,
  mode: LockMode,
  moment: GrantMoment,
): boolean => {
  const { granted, converting, waiting } = draft;
  const has = (flag: number): boolean => (lock.flags & flag) !== 0;
  const isConversion = lock.granted !== null;
  if (has(DLM_LKF_EXPEDITE)) return true; // 1
  if (isBlockedBy(granted, lock, mode)) return false; // 2
  if (isBlockedBy(converting, lock, mode)) return false; // 3
  if (isConversion && moment === "recovery") return true; // 4
  if (isConversion && moment === "call") {
    if (!has(DLM_LKF_QUECVT)) return true; // 5
    return converting.length === 0; // 6
  }
  if (has(DLM_LKF_NOORDER)) return true; // 7
  if (isConversion) return converting[0] === lock; // 8
  if (converting.length > 0) return false; // 9, 10
  return moment === "call" ? waiting.length === 0 : waiting[0] === lock;
};

/**
 * Whether the blocked conversion can never be granted: it holds up a conversion that has to be
 * granted first. With HEADQUE a call goes before all, so it is the others that hold it up.
 */
const isDeadlocked = (draft: LockDraft, lock: MutableLock, moment: GrantMoment): boolean => {
  const mode = lock.requested ?? NL;
  const isFirst = moment === "call" && (lock.flags & DLM_LKF_HEADQUE) !== 0;
  let isBehind = false;
  for (const other of draft.converting) {
    if (other === lock) {
      isBehind = true;
      continue;
    }
    const blocksOther = !areCompatible(lock.granted, other.requested ?? NL);
    const blocksMe = !areCompatible(other.granted, mode);
    if (isFirst ? blocksMe : blocksOther && (!isBehind || blocksMe)) return true;
  }
  return false;
};

/** The second choice of a call, or null. */
const alternativeMode = (lock: MutableLock): LockMode | null => {
  const { flags, requested } = lock;
  if (requested !== PR && (flags & DLM_LKF_ALTPR) !== 0) return PR;
  return requested !== CW && (flags & DLM_LKF_ALTCW) !== 0 ? CW : null;
};

/**
 * Decides about the lock's requested mode. Besides the verdict: a conversion in deadlock with
 * CONVDEADLK is demoted to NL (and blocked), and the alternative mode replaces the requested one
 * when only that can be granted. Grants nothing itself.
 */
export const judge = (draft: LockDraft, lock: MutableLock, moment: GrantMoment): Verdict => {
  const mode = lock.requested ?? NL;
  if (canBeGranted(draft, lock, mode, moment)) return "granted";
  const mayWait = (lock.flags & DLM_LKF_NOQUEUE) === 0;
  if (lock.granted !== null && mayWait && isDeadlocked(draft, lock, moment)) {
    if ((lock.flags & DLM_LKF_CONVDEADLK) === 0) return "deadlock";
    lock.granted = NL;
    lock.statusFlags |= DLM_SBF_DEMOTED;
    // At the head it would go on waiting for those behind it.
    lock.flags &= ~DLM_LKF_HEADQUE;
    return "blocked";
  }
  const alternative = alternativeMode(lock);
  const alternativeMoment = moment === "call" ? "call" : "scan";
  if (alternative === null || !canBeGranted(draft, lock, alternative, alternativeMoment))
    return "blocked";
  lock.requested = alternative;
  lock.statusFlags |= DLM_SBF_ALTMODE;
  return "granted";
};
