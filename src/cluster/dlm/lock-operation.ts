/**
 * What can be asked of a lock resource, what it answers, and which calls are refused: a refused
 * call has its error at once and no completion ever; an accepted one has exactly one completion.
 * Source: fs/dlm/lock.c set_lock_args, validate_lock_args, set_unlock_args, validate_unlock_args.
 */
import {
  DLM_LKF_CANCEL,
  DLM_LKF_CONVDEADLK,
  DLM_LKF_CONVERT,
  DLM_LKF_EXPEDITE,
  DLM_LKF_FORCEUNLOCK,
  DLM_LKF_NOQUEUE,
  DLM_LKF_QUECVT,
  DLM_LKF_VALBLK,
  LOCK_CALL_FLAGS,
  UNLOCK_CALL_FLAGS,
} from "./lock-flags.ts";
import { isLockMode, type LockMode, mayQueueConversion, NL } from "./lock-mode.ts";
import type { AstStatus, DlmLock, LockKey, LockOwner } from "./lock-resource.ts";
import { isLvbText } from "./lvb-text.ts";

interface OwnedCall extends LockKey {
  /**
   * Number of the operation, from 1; each operation of a session has a higher one. The same
   * operation made again, because its outcome is unknown, has the same one.
   */
  readonly op: number;
  /** DLM_LKF_ flags. */
  readonly flags: number;
  /** The caller's value block as text; null: no buffer. */
  readonly lvb: string | null;
}

/** A new lock, or with CONVERT another mode for an existing one. */
export interface LockCall extends OwnedCall {
  readonly type: "lock";
  readonly mode: LockMode;
  /** Whether the caller wants BASTs. */
  readonly hasBast: boolean;
}

/** The end of a lock, or with CANCEL of what it waits for. */
export interface UnlockCall extends OwnedCall {
  readonly type: "unlock";
}

/** All locks of dead sessions go, without completions. */
export interface Purge {
  readonly type: "purge";
  readonly owners: readonly LockOwner[];
}

export type LockOperation = LockCall | UnlockCall | Purge;

export type RefusalErrno = "EINVAL" | "EBUSY" | "ENOENT" | "ENOMEM";

export interface Refusal {
  readonly type: "refused";
  readonly errno: RefusalErrno;
  /** For people. */
  readonly why: string;
}

/** `nothing`: accepted without completion, a cancel that comes too late or a purge of nobody. */
export type CallResult = { readonly type: "accepted" } | { readonly type: "nothing" } | Refusal;

/** A completion. */
export interface AstNotification {
  readonly type: "ast";
  readonly lock: LockKey;
  readonly status: AstStatus;
  /** What the lock holds now; null: the lock is gone. */
  readonly mode: LockMode | null;
  /** DLM_SBF_ flags. */
  readonly statusFlags: number;
  /** The value block that the caller's buffer receives; null: the buffer stays as it is. */
  readonly lvb: string | null;
}

/** The lock blocks somebody who wants `mode`. A hint: who waited may have gone since. */
export interface BastNotification {
  readonly type: "bast";
  readonly lock: LockKey;
  readonly mode: LockMode;
}

export type LockNotification = AstNotification | BastNotification;

const refuse = (errno: RefusalErrno, why: string): Refusal => ({ type: "refused", errno, why });

/** Of the locks of a full resource. */
export const refuseFull = (locksMax: number): Refusal =>
  refuse("ENOMEM", `the resource has ${locksMax} locks already`);

/** What is wrong with a lock call whatever the resource holds, or null. */
export const refuseLockArguments = (call: LockCall, lvbBytes: number): Refusal | null => {
  const { flags, mode } = call;
  const has = (flag: number): boolean => (flags & flag) !== 0;
  const isConvert = has(DLM_LKF_CONVERT);
  if (!isLockMode(mode)) return refuse("EINVAL", `mode ${mode} is none of the six`);
  if (has(~LOCK_CALL_FLAGS)) return refuse("EINVAL", "a flag that lock calls do not have");
  if (!isConvert && has(DLM_LKF_QUECVT)) return refuse("EINVAL", "QUECVT without CONVERT");
  if (!isConvert && has(DLM_LKF_CONVDEADLK)) return refuse("EINVAL", "CONVDEADLK without CONVERT");
  if (has(DLM_LKF_CONVDEADLK) && has(DLM_LKF_NOQUEUE))
    return refuse("EINVAL", "CONVDEADLK with NOQUEUE");
  if (has(DLM_LKF_EXPEDITE)) {
    if (has(DLM_LKF_CONVERT | DLM_LKF_QUECVT | DLM_LKF_NOQUEUE))
      return refuse("EINVAL", "EXPEDITE with CONVERT, QUECVT or NOQUEUE");
    if (mode !== NL) return refuse("EINVAL", "EXPEDITE of a mode other than NL");
  }
  return refuseNumbers(call) ?? refuseValueBlock(call, lvbBytes);
};

/** What is wrong with an unlock call whatever the resource holds, or null. */
export const refuseUnlockArguments = (call: UnlockCall, lvbBytes: number): Refusal | null => {
  const { flags } = call;
  if ((flags & ~UNLOCK_CALL_FLAGS) !== 0)
    return refuse("EINVAL", "a flag that unlock calls do not have");
  if ((flags & DLM_LKF_CANCEL) !== 0 && (flags & DLM_LKF_FORCEUNLOCK) !== 0)
    return refuse("EINVAL", "CANCEL with FORCEUNLOCK");
  return refuseNumbers(call) ?? refuseValueBlock(call, lvbBytes);
};

/** Of a call for a lock that is not, or no longer, there. */
export const refuseUnknown = (): Refusal => refuse("ENOENT", "no such lock");

/** What keeps the lock from being converted as it stands, or null. */
export const refuseConversion = (call: LockCall, lock: DlmLock): Refusal | null => {
  if ((call.flags & DLM_LKF_QUECVT) !== 0 && !mayQueueConversion(lock.granted, call.mode))
    return refuse("EINVAL", "QUECVT of a conversion that is not up");
  return lock.requested === null ? null : refuse("EBUSY", "the lock waits already");
};

/** What keeps the lock from being unlocked as it stands, or null. */
export const refuseUnlock = (call: UnlockCall, lock: DlmLock): Refusal | null => {
  const isForced = (call.flags & DLM_LKF_FORCEUNLOCK) !== 0;
  if (lock.requested === null || isForced) return null;
  return refuse("EBUSY", "the lock waits: cancel or FORCEUNLOCK");
};

/** Of a new request under the key of a lock that exists. */
export const refuseUsedKey = (): Refusal => refuse("EINVAL", "a lock with this id exists");

const isNumber = (value: number, least: number): boolean =>
  Number.isSafeInteger(value) && value >= least;

const refuseNumbers = (call: OwnedCall): Refusal | null => {
  if (!isNumber(call.id, 1)) return refuse("EINVAL", `lock id ${call.id} is none`);
  const isRight = isNumber(call.slot, 1) && isNumber(call.epoch, 0) && isNumber(call.op, 1);
  return isRight ? null : refuse("EINVAL", "slot, epoch or operation number out of range");
};

const refuseValueBlock = (call: OwnedCall, lvbBytes: number): Refusal | null => {
  if ((call.flags & DLM_LKF_VALBLK) !== 0 && call.lvb === null)
    return refuse("EINVAL", "VALBLK without a value block");
  if (call.lvb !== null && !isLvbText(call.lvb, lvbBytes))
    return refuse("EINVAL", `a value block that has not ${lvbBytes} bytes`);
  return null;
};
