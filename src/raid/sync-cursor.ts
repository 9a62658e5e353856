/**
 * How a sync action walks: resync, check and repair over the bytes of the array, a recovery over
 * the bytes of the members it rebuilds (that is what md's recovery_offset counts). Steps are the
 * pieces that the bitmap tells apart.
 */

import { type ArrayState, type Member, rebuildingMembers } from "./array-state.ts";
import { REGION_BYTES } from "./region-lock.ts";
import type { SyncRun } from "./sync-run.ts";

/** The members of a recovery that are still being rebuilt. */
export const runTargets = (state: ArrayState, run: SyncRun): Member[] =>
  rebuildingMembers(state).filter((member) => run.targets.includes(member.id));

/** Steps skipped at one go. Choice: some milliseconds, in which clients wait for the thread. */
const SKIPPED_STEPS_MAX = 20_000;

interface Step {
  readonly end: number;
  readonly isWanted: boolean;
}

const arrayStep = (state: ArrayState, run: SyncRun, at: number): Step => {
  const { chunkBytes } = state.shared.shape;
  const chunk = Math.floor(at / chunkBytes);
  const end = Math.min((chunk + 1) * chunkBytes, run.total);
  const { bitmap } = state;
  return { end, isWanted: bitmap === null || run.action !== "resync" || bitmap.isNeeded(chunk) };
};

/** A recovery's step: to the next border of a raid10 chunk or a bitmap chunk of any target. */
const memberStep = (
  state: ArrayState,
  run: SyncRun,
  slots: readonly number[],
  at: number,
): Step => {
  const { map, bitmap } = state;
  const { chunkBytes } = state.shared.shape;
  let end = Math.min((Math.floor(at / map.chunkBytes) + 1) * map.chunkBytes, run.total);
  let isWanted = false;
  for (const slot of slots) {
    for (const { position, offset } of map.memberRuns(slot, at, 1)) {
      const chunk = Math.floor(offset / chunkBytes);
      const chunkEnd = position + (chunk + 1) * chunkBytes - offset;
      end = Math.min(end, chunkEnd);
      isWanted ||= bitmap === null || end > run.skipsBelow || bitmap.isSet(chunk);
    }
  }
  return { end, isWanted };
};

/** The steps of the run, as its targets stand now. */
const stepsOf = (state: ArrayState, run: SyncRun): ((at: number) => Step) => {
  if (run.action !== "recover") return (at) => arrayStep(state, run, at);
  const slots = new Set(runTargets(state, run).map((member) => member.raidSlot ?? 0));
  const distinct = [...slots];
  return (at) => memberStep(state, run, distinct, at);
};

/**
 * Moves the cursor over steps the bitmap lets us skip, to the next that is wanted or to the end;
 * false when it is not there yet: a large array is walked over several events.
 */
export const skipSettled = (state: ArrayState, run: SyncRun): boolean => {
  const stepAt = stepsOf(state, run);
  for (let steps = 0; run.cursor < run.total; steps++) {
    const step = stepAt(run.cursor);
    if (step.isWanted) break;
    if (steps === SKIPPED_STEPS_MAX) return false;
    run.skippedBytes += step.end - run.cursor;
    run.cursor = step.end;
  }
  return true;
};

/** A piece ends at the region's end, and at the first step that needs no work. */
export const pieceEnd = (state: ArrayState, run: SyncRun, from: number): number => {
  const stepAt = stepsOf(state, run);
  const regionEnd = Math.min((Math.floor(from / REGION_BYTES) + 1) * REGION_BYTES, run.total);
  let end = from;
  while (end < regionEnd) {
    const step = stepAt(end);
    if (!step.isWanted) break;
    end = step.end;
  }
  return Math.min(end, regionEnd);
};

/** Whether the run has work at this position. */
export const isWantedAt = (state: ArrayState, run: SyncRun, at: number): boolean =>
  stepsOf(state, run)(at).isWanted;
