/**
 * Notices arrays that have fewer spares than when they were last whole, from one status of an array
 * to the next. A spare that took a raid slot is not missing (`spare.active` tells of it), and one
 * taken out of a whole array by hand is missed by nobody.
 */

import type { ArrayStatus } from "../raid/array-status.ts";
import { isIdleSpare, isWholeArray } from "./spare-group-decision.ts";

/** What is kept of an array. */
export interface SpareCount {
  /** Spares when it was last whole; null: it was not seen whole yet. */
  readonly whenWhole: number | null;
  /** It was not whole at some time since, or was not seen since the start. */
  readonly wasBroken: boolean;
  /** Fewer spares were announced since it was last whole. */
  readonly isTold: boolean;
  /** Paths of the spares of the last status; null: none was seen since the start. */
  readonly idle: ReadonlySet<string> | null;
  /** Paths of spares that took a raid slot since the array was last whole. */
  readonly active: ReadonlySet<string>;
}

/** The count that a start begins with. */
export function countOfStart(whenWhole: number | null): SpareCount {
  return { whenWhole, wasBroken: true, isTold: false, idle: null, active: new Set() };
}

const pathsOf = (members: ArrayStatus["members"]): string[] =>
  members.flatMap(({ path }) => (path === null ? [] : [path]));

/** The count after a status, and how many spares there were when they are missing now. */
export function countSpares(
  before: SpareCount,
  status: ArrayStatus,
): { readonly count: SpareCount; readonly missingOf: number | null } {
  const idle = new Set(pathsOf(status.members.filter(isIdleSpare)));
  const rebuilding = pathsOf(status.members.filter(({ states }) => states.includes("rebuilding")));
  const wasIdle = (path: string): boolean => before.idle?.has(path) ?? true;
  const active = new Set([...before.active, ...rebuilding.filter(wasIdle)]);
  const isWhole = isWholeArray(status);
  const isFewer = before.whenWhole !== null && idle.size + active.size < before.whenWhole;
  const isMissing = isFewer && !before.isTold && (before.wasBroken || !isWhole);
  const missingOf = isMissing ? before.whenWhole : null;
  if (isWhole) {
    const count = { whenWhole: idle.size, wasBroken: false, isTold: false, idle };
    return { count: { ...count, active: new Set<string>() }, missingOf };
  }
  const isTold = before.isTold || isMissing;
  const count = { whenWhole: before.whenWhole, wasBroken: true, isTold, idle, active };
  return { count, missingOf };
}
