/** The runs that `BlockDevice.allocation` returns, gathered in order. */

import { ALLOCATION_RUNS_MAX, type AllocationRun } from "./block-device.ts";

/**
 * Adds a stretch after the last one, as a part of it when they are alike; one of no length is
 * passed over. False when there is no room: the stretch was not added.
 */
export const appendRun = (runs: AllocationRun[], length: number, isHole: boolean): boolean => {
  if (length <= 0) return true;
  const last = runs.at(-1);
  if (last?.isHole === isHole) runs[runs.length - 1] = { length: last.length + length, isHole };
  else if (runs.length < ALLOCATION_RUNS_MAX) runs.push({ length, isHole });
  else return false;
  return true;
};

/** The answer of a store that cannot tell: data, all of it. */
export const allData = (length: number): readonly AllocationRun[] =>
  length === 0 ? [] : [{ length, isHole: false }];
