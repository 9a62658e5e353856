/**
 * Flags of lock and unlock calls and of their answers, with the kernel's values.
 * Source: include/uapi/linux/dlmconstants.h.
 */

/** Fail with EAGAIN instead of queueing. */
export const DLM_LKF_NOQUEUE = 0x1;
/** Unlock call: take a queued request or conversion back. */
export const DLM_LKF_CANCEL = 0x2;
/** Lock call: change the mode of an existing lock. */
export const DLM_LKF_CONVERT = 0x4;
/** Move the value block. */
export const DLM_LKF_VALBLK = 0x8;
/** The conversion waits behind other queued conversions. */
export const DLM_LKF_QUECVT = 0x10;
/** Where the value block would be written, mark it invalid instead. */
export const DLM_LKF_IVVALBLK = 0x20;
/** Resolve a conversion deadlock by demoting this lock to NL. */
export const DLM_LKF_CONVDEADLK = 0x40;
/** Queue in spite of a conversion deadlock. */
export const DLM_LKF_NODLCKWT = 0x100;
/** Accepted, without effect, as in the kernel. */
export const DLM_LKF_NODLCKBLK = 0x200;
/** A new NL lock is granted whatever waits. */
export const DLM_LKF_EXPEDITE = 0x400;
/** Tell the holders although NOQUEUE fails. */
export const DLM_LKF_NOQUEUEBAST = 0x800;
/** Queue at the head. */
export const DLM_LKF_HEADQUE = 0x1000;
/** Grant as soon as nothing conflicts, whatever waits before. */
export const DLM_LKF_NOORDER = 0x2000;
/** Take PR if the requested mode cannot be had. */
export const DLM_LKF_ALTPR = 0x8000;
/** Take CW if the requested mode cannot be had. */
export const DLM_LKF_ALTCW = 0x10000;
/** Unlock call: also from a queue. */
export const DLM_LKF_FORCEUNLOCK = 0x20000;

/** What a lock call may carry; the rest is user space's, gone from the kernel, or unknown. */
export const LOCK_CALL_FLAGS =
  DLM_LKF_NOQUEUE |
  DLM_LKF_CONVERT |
  DLM_LKF_VALBLK |
  DLM_LKF_QUECVT |
  DLM_LKF_IVVALBLK |
  DLM_LKF_CONVDEADLK |
  DLM_LKF_NODLCKWT |
  DLM_LKF_NODLCKBLK |
  DLM_LKF_EXPEDITE |
  DLM_LKF_NOQUEUEBAST |
  DLM_LKF_HEADQUE |
  DLM_LKF_NOORDER |
  DLM_LKF_ALTPR |
  DLM_LKF_ALTCW;

/** What an unlock call may carry. */
export const UNLOCK_CALL_FLAGS =
  DLM_LKF_CANCEL | DLM_LKF_VALBLK | DLM_LKF_IVVALBLK | DLM_LKF_FORCEUNLOCK;

/** The lock was demoted to NL to resolve a conversion deadlock. */
export const DLM_SBF_DEMOTED = 0x1;
/** The value block may be old: who held it to write died, or said so. */
export const DLM_SBF_VALNOTVALID = 0x2;
/** Granted in the alternative mode. */
export const DLM_SBF_ALTMODE = 0x4;
export const STATUS_FLAGS = DLM_SBF_DEMOTED | DLM_SBF_VALNOTVALID | DLM_SBF_ALTMODE;
