/**
 * One lock resource as a plain value: its three queues and its value block. The value holds all
 * there is to know about the resource, so a store keeps it as one key and changes it by
 * compare-and-swap; resource-codec.ts is its text form.
 *
 *   new request ──► waiting ──► granted ◄──► converting
 *
 * A lock in `converting` still owns its granted mode. What is granted is checked against `granted`
 * and `converting`, never against `waiting`.
 */
import type { LockMode } from "./lock-mode.ts";

/** Most locks on one resource; bounds the stored value. Choice: 16 boards with 8 locks each. */
export const LOCKS_MAX = 128;

/**
 * Whose a lock is: the slot of the member and its session epoch. A member that returns has
 * another epoch, so what its last life held is never taken for its own.
 */
export interface LockOwner {
  /** DLM slot, from 1. */
  readonly slot: number;
  readonly epoch: number;
}

/** A lock's name on its resource: the owner, and a number that the owner never uses again. */
export interface LockKey extends LockOwner {
  /** From 1. */
  readonly id: number;
}

/** How a call was completed. */
export type AstStatus = "granted" | "EAGAIN" | "EDEADLK" | "EUNLOCK" | "ECANCEL";

export interface DlmLock extends LockKey {
  /** Number of its owner's last operation that changed it; makes a repeated operation known. */
  readonly op: number;
  /** Null while a new request waits. */
  readonly granted: LockMode | null;
  /** Null unless queued. */
  readonly requested: LockMode | null;
  /** DLM_LKF_ flags of the last lock call. */
  readonly flags: number;
  /** DLM_SBF_ flags of the last lock call. */
  readonly statusFlags: number;
  /** Whether the last lock call gave a BAST routine. */
  readonly hasBast: boolean;
  /** The mode of the last BAST since the last grant, which later ones must exceed; NL: none. */
  readonly highBast: LockMode;
  /** Completions so far. A watcher that knows another number has one to deliver. */
  readonly astCount: number;
  /** The last completion. */
  readonly astStatus: AstStatus;
  /** Whether the last completion handed the resource's value block to the caller. */
  readonly hasRead: boolean;
  /** BASTs so far. */
  readonly bastCount: number;
  /** The mode to deliver with the BASTs that a watcher does not know yet. */
  readonly bastMode: LockMode;
  /** `lvbSeq` of the resource when this lock last read or wrote the value block. */
  readonly lvbSeq: number;
  /**
   * The caller's value block while its conversion is queued, where the grant may write it (from PW
   * with ALTPR or ALTCW); else null.
   */
  readonly lvb: string | null;
}

export interface LockResource {
  /** The lock granted last is first, as in the kernel; tells the order of BASTs only. */
  readonly granted: readonly DlmLock[];
  /** Conversions, first come first. */
  readonly converting: readonly DlmLock[];
  /** New requests, first come first. */
  readonly waiting: readonly DlmLock[];
  /** The value block as text (lvb-text.ts); null: never written. */
  readonly lvb: string | null;
  /** Writes of the value block so far. */
  readonly lvbSeq: number;
  /** VALNOTVALID, until the next write. */
  readonly isLvbInvalid: boolean;
}

/**
 * A resource that nobody has a lock on: what a store takes for a key that does not exist. A store
 * whose writes may arrive late KEEPS this value instead of deleting the key: a late write on the
 * condition that there is no key would be applied a second time after a deletion.
 */
export const EMPTY_RESOURCE: LockResource = {
  granted: [],
  converting: [],
  waiting: [],
  lvb: null,
  lvbSeq: 0,
  isLvbInvalid: false,
};

export const countLocks = (resource: LockResource): number =>
  resource.granted.length + resource.converting.length + resource.waiting.length;

/** Whether both are the same life of the same member. */
export const isSameOwner = (a: LockOwner, b: LockOwner): boolean =>
  a.slot === b.slot && a.epoch === b.epoch;

export const isSameLock = (a: LockKey, b: LockKey): boolean => a.id === b.id && isSameOwner(a, b);

/** The lock with this key in any queue, or undefined. */
export const findLock = (resource: LockResource, key: LockKey): DlmLock | undefined => {
  const isIt = (lock: DlmLock): boolean => isSameLock(lock, key);
  return (
    resource.granted.find(isIt) ?? resource.converting.find(isIt) ?? resource.waiting.find(isIt)
  );
};
