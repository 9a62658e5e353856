/**
 * A resource while one operation changes it: a copy that may be written, and the notifications so
 * far, in order.
 */
import { DLM_LKF_ALTCW, DLM_LKF_ALTPR, DLM_LKF_HEADQUE, DLM_LKF_VALBLK } from "./lock-flags.ts";
import { type LockMode, NL, PR, PW } from "./lock-mode.ts";
import type { LockNotification } from "./lock-operation.ts";
import {
  type AstStatus,
  type DlmLock,
  EMPTY_RESOURCE,
  type LockKey,
  type LockResource,
} from "./lock-resource.ts";

export type MutableLock = { -readonly [Field in keyof DlmLock]: DlmLock[Field] };

export interface LockDraft {
  readonly granted: MutableLock[];
  readonly converting: MutableLock[];
  readonly waiting: MutableLock[];
  lvb: string | null;
  lvbSeq: number;
  isLvbInvalid: boolean;
  readonly notifications: LockNotification[];
}

const copyLock = (lock: DlmLock): MutableLock => ({ ...lock });

/** A draft of the resource, whose own value stays as it is. */
export const openDraft = (resource: LockResource): LockDraft => ({
  granted: resource.granted.map(copyLock),
  converting: resource.converting.map(copyLock),
  waiting: resource.waiting.map(copyLock),
  lvb: resource.lvb,
  lvbSeq: resource.lvbSeq,
  isLvbInvalid: resource.isLvbInvalid,
  notifications: [],
});

/** The resource after the operation. Without locks it is forgotten, its value block as well. */
export const closeDraft = (draft: LockDraft): LockResource => {
  const { granted, converting, waiting, lvb, lvbSeq, isLvbInvalid } = draft;
  if (granted.length + converting.length + waiting.length === 0) return EMPTY_RESOURCE;
  return { granted, converting, waiting, lvb, lvbSeq, isLvbInvalid };
};

const keyOf = ({ slot, epoch, id }: DlmLock): LockKey => ({ slot, epoch, id });

/** Completes the lock's call. `lvb`: what the caller's buffer receives. */
export const complete = (
  draft: LockDraft,
  lock: MutableLock,
  status: AstStatus,
  lvb: string | null = null,
): void => {
  lock.astCount += 1;
  lock.astStatus = status;
  lock.hasRead = lvb !== null;
  const { granted: mode, statusFlags } = lock;
  draft.notifications.push({ type: "ast", lock: keyOf(lock), status, mode, statusFlags, lvb });
};

/**
 * Tells the lock that it blocks `mode`. A watcher may see several BASTs as one: that one has the
 * last mode, unless an earlier one is above PR and higher.
 * Source: fs/dlm/ast.c dlm_add_lkb_callback.
 */
export const sendBast = (
  draft: LockDraft,
  lock: MutableLock,
  mode: LockMode,
  highBast: LockMode = mode,
): void => {
  lock.bastCount += 1;
  if (lock.bastMode <= PR || mode > lock.bastMode) lock.bastMode = mode;
  lock.highBast = highBast;
  draft.notifications.push({ type: "bast", lock: keyOf(lock), mode });
};

/** Takes the lock out of the queue it is in, if any. */
export const takeOut = (draft: LockDraft, lock: MutableLock): void => {
  for (const queue of [draft.granted, draft.converting, draft.waiting]) {
    const at = queue.indexOf(lock);
    if (at >= 0) queue.splice(at, 1);
  }
};

/** Puts the lock first into `granted`, out of where it was. */
export const moveToGranted = (draft: LockDraft, lock: MutableLock): void => {
  takeOut(draft, lock);
  draft.granted.unshift(lock);
};

/** Queues the lock with its requested mode: last, or with HEADQUE first. */
export const enqueue = (draft: LockDraft, lock: MutableLock): void => {
  takeOut(draft, lock);
  if (!mayWriteLater(lock)) lock.lvb = null;
  const queue = lock.granted === null ? draft.waiting : draft.converting;
  if ((lock.flags & DLM_LKF_HEADQUE) !== 0) queue.unshift(lock);
  else queue.push(lock);
};

/** Whether a queued conversion can end in a write: of what is queued, only PW falls to PR or CW. */
const mayWriteLater = (lock: DlmLock): boolean =>
  lock.granted === PW &&
  (lock.flags & DLM_LKF_VALBLK) !== 0 &&
  (lock.flags & (DLM_LKF_ALTPR | DLM_LKF_ALTCW)) !== 0;

/** Ends what the lock waits for without a grant. */
export const withdraw = (lock: MutableLock): void => {
  lock.requested = null;
  lock.lvb = null;
};

/** Marks the lock granted in `mode`: a new period, in which no BAST was sent yet. */
export const settle = (draft: LockDraft, lock: MutableLock, mode: LockMode): void => {
  // The same mode again: it keeps its place, as in the kernel.
  const isMoved = lock.granted !== mode || !draft.granted.includes(lock);
  lock.granted = mode;
  withdraw(lock);
  lock.highBast = NL;
  lock.bastMode = NL;
  if (isMoved) moveToGranted(draft, lock);
};
