/**
 * What a sync action waits for while it copies nothing: that is why it crawls, where it does. Time
 * is counted as the run is pumped, and what lies back is forgotten.
 */

import { type ArrayState, isInCluster } from "./array-state.ts";
import type { SyncHold } from "./array-status.ts";
import { isLinkCapped } from "./link-share.ts";
import type { HoldTimes, SyncRun } from "./sync-run.ts";

/** The last milliseconds that count. Choice: as the shown speed, by eye. */
const MEMORY_MS = 3000;

export const restingHold = (now: number): HoldTimes => ({
  at: now,
  by: null,
  heldMs: { clients: 0, link: 0, "speed-limit": 0, nodes: 0 },
  totalMs: 0,
});

/** From now on the run waits for this; null: it copies, or its members are slow. */
export const noteHold = (state: ArrayState, run: SyncRun, by: SyncHold | null): void => {
  const { hold } = run;
  const spent = Math.min(Math.max(0, state.now - hold.at), MEMORY_MS);
  hold.at = state.now;
  const kept = Math.min(1, (MEMORY_MS - spent) / Math.max(1, hold.totalMs));
  for (const word of HOLDS) hold.heldMs[word] *= kept;
  hold.totalMs = hold.totalMs * kept + spent;
  if (hold.by !== null) hold.heldMs[hold.by] += spent;
  hold.by = by;
};

const HOLDS = ["clients", "link", "speed-limit", "nodes"] as const satisfies readonly SyncHold[];

/** The budget is spent: beside clients only the guaranteed speed refills it. */
export const budgetHold = (state: ArrayState, run: SyncRun): SyncHold => {
  if (state.now < state.busyUntil) return "clients";
  return isLinkCapped(state, run) ? "link" : "speed-limit";
};

/** What it waits for most of the time; null: it copies for most of it. */
export const mostlyHeldBy = ({ hold }: SyncRun): SyncHold | null =>
  HOLDS.find((word) => hold.heldMs[word] > hold.totalMs / 2) ?? null;

/** The next window waits for other nodes, who hold their writes there first. */
export const isHeldByNodes = (state: ArrayState, run: SyncRun): boolean =>
  isInCluster(state) && run.inFlight.size === 0 && state.clusterSync.announced !== null;
