/**
 * How grants and unlocks move the value block: at the grant, not at the call, and only for VALBLK
 * of this very call. Source: fs/dlm/lock.c set_lvb_lock, set_lvb_unlock. There, VALBLK of an
 * earlier call counts for an unlock too; here a block that is not handed over is not written.
 */
import type { LockDraft, MutableLock } from "./lock-draft.ts";
import { DLM_LKF_IVVALBLK, DLM_LKF_VALBLK, DLM_SBF_VALNOTVALID } from "./lock-flags.ts";
import { type LockMode, lvbAction, PW } from "./lock-mode.ts";

/**
 * Moves the value block for a grant of `to`. Returns what the caller's buffer receives, or null.
 * The lock's `granted` is still the mode before. `lvb` is the caller's block.
 */
export const moveLvbAtGrant = (
  draft: LockDraft,
  lock: MutableLock,
  to: LockMode,
  lvb: string | null,
): string | null => {
  const has = (flag: number): boolean => (lock.flags & flag) !== 0;
  let read: string | null = null;
  switch (lvbAction(lock.granted, to)) {
    case "read":
      // A block that was never written is neither read nor reported invalid.
      if (!has(DLM_LKF_VALBLK) || draft.lvb === null) return null;
      read = draft.lvb;
      lock.lvbSeq = draft.lvbSeq;
      break;
    case "write":
      if (has(DLM_LKF_IVVALBLK)) {
        draft.isLvbInvalid = true;
        return null;
      }
      if (!has(DLM_LKF_VALBLK) || lvb === null) return null;
      writeLvb(draft, lvb);
      lock.lvbSeq = draft.lvbSeq;
      break;
    case "none":
      break;
  }
  if (draft.isLvbInvalid) lock.statusFlags |= DLM_SBF_VALNOTVALID;
  return read;
};

/** Writes or invalidates the value block for an unlock: from PW and EX only. */
export const moveLvbAtUnlock = (
  draft: LockDraft,
  lock: MutableLock,
  flags: number,
  lvb: string | null,
): void => {
  if (lock.granted === null || lock.granted < PW) return;
  if ((flags & DLM_LKF_IVVALBLK) !== 0) draft.isLvbInvalid = true;
  else if ((flags & DLM_LKF_VALBLK) !== 0 && lvb !== null) writeLvb(draft, lvb);
};

const writeLvb = (draft: LockDraft, lvb: string): void => {
  draft.lvb = lvb;
  draft.lvbSeq += 1;
  draft.isLvbInvalid = false;
};
