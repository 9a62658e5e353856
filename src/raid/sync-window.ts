/**
 * How long the windows of a sync action are, in a cluster. Other nodes hold the writes of their
 * clients in a window from its announcement to the next one behind it, so a window lasts no longer
 * than a write may wait, less what its announcement takes; it may be announced while the one before
 * is copied, or only when that is through.
 */

import type { ArrayState } from "./array-state.ts";
import type { SyncRun } from "./sync-run.ts";

const MIB = 1024 * 1024;
/**
 * Milliseconds that a write of another node may wait where a run copies. Choice: 50 ms is the bar,
 * and the word that lets it go on is on its way for a while.
 */
const HOLD_MS = 32;
/** Announcements that take no more are made while the window before is copied. Choice. */
const AHEAD_MS = 10;
/** While nobody knows how fast the run copies. Choice: 20 ms on a quick drive. */
const WINDOW_BYTES_FIRST = 8 * MIB;
/** A piece's length. */
const WINDOW_BYTES_MIN = MIB;
/** Choice: what a slow writer may have to wait for. */
const WINDOW_BYTES_MAX = 512 * MIB;
/** Milliseconds of copying over which its speed is measured. Choice: some pieces. */
const RATE_MS = 10;

/**
 * By so much an announcement changes at most what the next one is expected to take. Choice: up
 * quickly and down slowly, so that nine in ten take less than expected; writers wait for the others
 * too. Down as quickly when it took less than half.
 */
const CHANGE_MAX = 1.25;
const FALL = 1.02;
/** The first one says little: expected is that much more. Choice. */
const FIRST = 1.5;

interface WindowPlan {
  /** Milliseconds that it takes to copy. */
  readonly milliseconds: number;
  /** The next one is announced in its middle; else when it is through, which releases it whole. */
  readonly isAhead: boolean;
}

/**
 * What is held half a window ahead waits for two windows. With slow messages that is too long: then
 * copying stops for each announcement, but has a third of the time at least. Where the guaranteed
 * speed needs more than that, it goes before the writers.
 */
const planWindow = (messageMs: number, needsAll: boolean): WindowPlan => {
  if (messageMs <= AHEAD_MS) return { milliseconds: HOLD_MS / 2, isAhead: true };
  if (needsAll) return { milliseconds: 2 * messageMs, isAhead: true };
  return { milliseconds: Math.max(HOLD_MS - messageMs, messageMs / 2), isAhead: false };
};

const planOf = ({ clusterSync, syncSpeedMin }: ArrayState, run: SyncRun): WindowPlan =>
  planWindow(clusterSync.messageMs, run.rate > 0 && syncSpeedMin > run.rate / 3);

/** Bytes of the run's next window. */
export const windowBytes = (state: ArrayState, run: SyncRun): number => {
  const wanted = (run.rate * planOf(state, run).milliseconds) / 1000;
  const usual = run.rate === 0 ? WINDOW_BYTES_FIRST : WINDOW_BYTES_MIN;
  const least = state.options.windowBytes ?? usual;
  return Math.ceil(Math.min(Math.max(wanted, least), WINDOW_BYTES_MAX) / MIB) * MIB;
};

/** True when the run asks for its next window in the middle of this one. */
export const isAskedAhead = (state: ArrayState, run: SyncRun): boolean =>
  planOf(state, run).isAhead;

/** An announcement took so many milliseconds. One that is late alone does not count for much. */
export const noteMessage = ({ clusterSync: sync }: ArrayState, milliseconds: number): void => {
  const usual = Math.max(sync.messageMs, 1);
  const least = usual / (milliseconds < usual / 2 ? CHANGE_MAX : FALL);
  sync.messageMs =
    sync.messageMs === 0
      ? milliseconds * FIRST
      : Math.min(Math.max(milliseconds, least), usual * CHANGE_MAX);
};

/** A piece begins. BEFORE it counts as under way. */
export const noteIssued = (state: ArrayState, run: SyncRun): void => {
  if (run.inFlight.size === 0) run.copyingAt = state.now;
};

/** A piece of so many bytes is through. */
export const noteCopied = (state: ArrayState, run: SyncRun, bytes: number): void => {
  run.copyingMs += state.now - run.copyingAt;
  run.copyingAt = state.now;
  run.copyingBytes += bytes;
  if (run.copyingMs < RATE_MS) return;
  const latest = (run.copyingBytes * 1000) / run.copyingMs;
  run.rate = run.rate === 0 ? latest : (run.rate + latest) / 2;
  run.copyingMs = 0;
  run.copyingBytes = 0;
};
