/**
 * Which callbacks a lock's owner has to make, from the resource as it is now and from what was
 * delivered before. It does not matter which states in between the owner saw: counters in the lock
 * tell what is new. What is dropped: fs/dlm/ast.c dlm_add_lkb_callback, dlm_callback_work.
 */
import { areCompatible, type LockMode, NL } from "./lock-mode.ts";
import type { LockNotification } from "./lock-operation.ts";
import { findLock, type LockKey, type LockResource } from "./lock-resource.ts";

/** What the owner of a lock was told so far. */
export interface Delivered {
  readonly astCount: number;
  readonly bastCount: number;
}

/** Of a lock that was just asked for. */
export const NOTHING_DELIVERED: Delivered = { astCount: 0, bastCount: 0 };

export interface NewCallbacks {
  /** To be made in this order: a completion first, for a BAST is about what it granted. */
  readonly callbacks: readonly LockNotification[];
  readonly delivered: Delivered;
}

/**
 * The callbacks since `delivered`, at most one completion and one BAST. A value block that was
 * read is the resource's now: it may be newer than at the grant, never older. Nothing for a lock
 * that is gone: its owner unlocked or cancelled it and knows from the answer of that call.
 */
export const callbacksSince = (
  resource: LockResource,
  key: LockKey,
  delivered: Delivered,
): NewCallbacks => {
  const lock = findLock(resource, key);
  if (lock === undefined) return { callbacks: [], delivered };
  const { slot, epoch, id, astCount, bastCount, statusFlags, astStatus: status } = lock;
  const callbacks: LockNotification[] = [];
  if (astCount > delivered.astCount) {
    const lvb = lock.hasRead ? resource.lvb : null;
    const mode = lock.granted;
    callbacks.push({ type: "ast", lock: { slot, epoch, id }, status, mode, statusFlags, lvb });
  }
  if (bastCount > delivered.bastCount && isBastDue(lock.granted, lock.bastMode))
    callbacks.push({ type: "bast", lock: { slot, epoch, id }, mode: lock.bastMode });
  return { callbacks, delivered: { astCount, bastCount } };
};

/** A BAST of before the last grant, or for a mode that the lock does not block, is moot. */
const isBastDue = (granted: LockMode | null, mode: LockMode): boolean =>
  mode !== NL && !areCompatible(granted, mode);
