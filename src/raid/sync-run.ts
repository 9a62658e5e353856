/** A sync action under way: where it is, what it has done, how fast it may go. */

import type { CopyPlan } from "./array-messages.ts";
import type { SyncHold, SyncReason } from "./array-status.ts";

/** Milliseconds of late, by what they were spent on. */
export interface HoldTimes {
  at: number;
  /** What the run waits for since then; null: it copies. */
  by: SyncHold | null;
  heldMs: Record<SyncHold, number>;
  totalMs: number;
}

/** What the link gave at its best lately: now, and in the time before. */
export interface LinkBest {
  readonly since: number;
  readonly now: number;
  readonly before: number;
}

export interface SyncRun {
  readonly action: "resync" | "recover" | "check" | "repair";
  readonly reason: SyncReason;
  readonly scope: "full" | "bitmap";
  /** Members this recovery rebuilds; one that joins meanwhile waits for the next. */
  readonly targets: readonly number[];
  /** A recovery skips chunks that end at or below this unless their bit is set. */
  readonly skipsBelow: number;
  readonly startedAt: number;
  /** Where it ends: bytes of the array, or of each member for a recovery. */
  readonly total: number;
  /** Next byte to look at, and the first not yet settled; of a member for a recovery. */
  cursor: number;
  settled: number;
  readonly inFlight: Map<number, CopyPlan>;
  copiedBytes: number;
  skippedBytes: number;
  mismatchedBytes: number;
  unreadable: boolean;
  /** Chunks with a piece that failed: they keep their need. */
  readonly failedChunks: Set<number>;
  /** Stop issuing, finish what is under way, then end without claiming anything. */
  aborted: boolean;
  /** More is to be resynced than when it passed there: what it has done settles nothing. */
  isOutdated: boolean;
  /** The user asked for the end. */
  cancelled: boolean;
  lastCheckpoint: number;
  lastCheckpointAt: number;
  /** Token bucket of the speed limit, and the speed estimate. */
  budget: number;
  budgetAt: number;
  /** Bytes of the guaranteed speed that passed while others were asked to hold their writes. */
  awaited: number;
  /** Bytes per second while something is being copied; 0: not known yet. */
  rate: number;
  /** What it is measured by: up to when, for how long, how much. */
  copyingAt: number;
  copyingMs: number;
  copyingBytes: number;
  /** It copies to or from another board's disk, and what that reached at its best. */
  isOverLink: boolean;
  linkBest: LinkBest;
  hold: HoldTimes;
  speed: number;
  speedAt: number;
  speedBytes: number;
}
