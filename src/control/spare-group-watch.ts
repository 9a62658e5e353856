/**
 * Notices arrays that have fewer spares than when they were last whole, from one status of an array
 * to the next. A spare taken out of a whole array by hand is missed by nobody.
 */

import type { ArrayStatus } from "../raid/array-status.ts";
import { idleSpares, isWholeArray } from "./spare-group-decision.ts";

/** What is kept of an array. */
export interface SpareCount {
  /** Spares when it was last whole; null: it was not seen whole yet. */
  readonly whenWhole: number | null;
  /** It was not whole at some time since, or was not seen since the start. */
  readonly wasBroken: boolean;
  /** Fewer spares were announced since it was last whole. */
  readonly isTold: boolean;
}

/** The count that a start begins with. */
export function countOfStart(whenWhole: number | null): SpareCount {
  return { whenWhole, wasBroken: true, isTold: false };
}

/** The count after a status, and how many spares there were when they are missing now. */
export function countSpares(
  before: SpareCount,
  status: ArrayStatus,
): { readonly count: SpareCount; readonly missingOf: number | null } {
  const spares = idleSpares(status);
  const isWhole = isWholeArray(status);
  const isFewer = before.whenWhole !== null && spares < before.whenWhole;
  const isMissing = isFewer && !before.isTold && (before.wasBroken || !isWhole);
  const missingOf = isMissing ? before.whenWhole : null;
  if (isWhole) {
    return { count: { whenWhole: spares, wasBroken: false, isTold: false }, missingOf };
  }
  const isTold = before.isTold || isMissing;
  return { count: { whenWhole: before.whenWhole, wasBroken: true, isTold }, missingOf };
}
