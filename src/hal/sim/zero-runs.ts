/** The allocation that content in memory tells: pages of zeroes are holes. */

import { appendRun } from "../allocation-runs.ts";
import type { AllocationRun } from "../block-device.ts";

const PAGE = 4096;

/** Runs of `bytes` from `offset` on, as `BlockDevice.allocation` returns them. */
export const zeroRuns = (
  bytes: Uint8Array,
  offset: number,
  length: number,
): readonly AllocationRun[] => {
  const runs: AllocationRun[] = [];
  const end = offset + length;
  for (let at = offset; at < end; ) {
    const next = Math.min(end, at + PAGE - (at % PAGE));
    const isHole = bytes.subarray(at, next).every((byte) => byte === 0);
    if (!appendRun(runs, next - at, isHole)) break;
    at = next;
  }
  return runs;
};
