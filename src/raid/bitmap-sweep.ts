/**
 * Sweeps of the write-intent bitmap: they clear the bits of chunks that nobody has written for a
 * while. All that a leg owes must be durable first, which may take seconds, and while a transaction
 * runs no write gets a new bit: so the legs are flushed ahead of it, and the flush within it, which
 * is the one that counts, finds little left.
 * Source: drivers/md/md-bitmap.c md_bitmap_daemon_work; flushing ahead: choice.
 */

import {
  type ArrayState,
  degradedCount,
  emit,
  emptyPending,
  nextToken,
  type Phase,
} from "./array-state.ts";
import { bitmapMembers, bitmapPhase, flushPhase } from "./metadata-phases.ts";
import { begin, failIfRefused } from "./metadata-update.ts";
import { RUN_BROKEN } from "./shared-state.ts";
import type { WriteIntentBitmap } from "./write-intent-bitmap.ts";

/**
 * Sweeps that a busy array is let off, one after the other. Choice: with md's 5 s this is when
 * Linux writes dirty pages back by itself (dirty_expire_centisecs, 30 s): little is left to flush.
 */
const PUT_OFF_MAX = 6;

/** Begins to clear what is due, ONLY while no transaction is under way. */
export const sweepSoon = (state: ArrayState): void => {
  const { bitmap, sweep } = state;
  if (bitmap === null || sweep.ahead !== null) return;
  const chunks = bitmap.sweep();
  if (degradedCount(state) > 0 || chunks.length === 0 || isPutOff(state, bitmap)) return;
  const waiting = new Map<number, number>();
  for (const { id } of bitmapMembers(state)) {
    const token = nextToken(state);
    waiting.set(token, id);
    emit(state, { type: "member-io", token, member: id, ops: [{ type: "flush" }] });
  }
  sweep.ahead = { waiting, chunks };
};

/** A leg is flushed ahead. Returns false when the token is not of that. */
export const onFlushedAhead = (state: ArrayState, token: number, error: string | null): boolean => {
  const { ahead } = state.sweep;
  const id = ahead?.waiting.get(token);
  if (ahead === null || id === undefined) return false;
  ahead.waiting.delete(token);
  // The error is told once: whoever flushes next may be told that all is well.
  failIfRefused(state, id, error);
  if (ahead.waiting.size > 0) return true;
  state.sweep.ahead = null;
  // What is in the way now is not waited for: the next sweep finds the same chunks.
  if (!isHindered(state)) clearBits(state, ahead.chunks);
  return true;
};

const isHindered = ({ transaction, readOnly, shared, pending, clusterSync }: ArrayState): boolean =>
  transaction !== null ||
  readOnly ||
  shared.run === RUN_BROKEN ||
  pending.failing.size > 0 ||
  clusterSync.expelled !== null;

/** The last sweep of an array that is stopped: true when bits are being cleared. */
export const sweepLast = (state: ArrayState): boolean => {
  const { bitmap } = state;
  if (bitmap === null || state.transaction !== null || state.readOnly) return false;
  let chunks: readonly number[] = [];
  // Three passes age every untouched bit, as md's shutdown does.
  for (let pass = 0; pass < 3; pass++) chunks = bitmap.sweep();
  return clearBits(state, chunks);
};

/**
 * Clearing a bit flushes every leg, which costs whoever writes elsewhere just now; so a sweep of a
 * busy array is put off a few times. A bit that stays set longer costs a resync of its chunk after
 * a crash, no more.
 */
const isPutOff = (state: ArrayState, bitmap: WriteIntentBitmap): boolean => {
  const { sweep } = state;
  const sweepMs = bitmap.superblock.daemonSleepSeconds * 1000;
  const isBusy = state.now - state.quietSince < sweepMs;
  sweep.putOff = isBusy && sweep.putOff < PUT_OFF_MAX ? sweep.putOff + 1 : 0;
  return sweep.putOff > 0;
};

/** Those of the chunks that nobody has written since they were looked at. */
const clearBits = (state: ArrayState, chunks: readonly number[]): boolean => {
  const { bitmap } = state;
  if (bitmap === null || degradedCount(state) > 0 || chunks.length === 0) return false;
  const withdrawn = bitmap.withdraw(chunks);
  if (withdrawn.length === 0) return false;
  const headerPhase = (now: ArrayState): Phase => {
    bitmap.setHeader(bitmap.superblock.events, now.events);
    return bitmapPhase(now);
  };
  const clearPhase = (now: ArrayState): Phase => {
    bitmap.clear(withdrawn);
    return bitmapPhase(now);
  };
  begin(state, "sweep", emptyPending(), [flushPhase, headerPhase, clearPhase]);
  return true;
};
