/**
 * A scrub: one walk of check or repair over an array or a part of it, in one go or in several. Its
 * position is kept, so that it goes on where it stood after a pause, a closed window, a failed
 * member, a restart or a kill. An array has at most one that is not finished.
 */

/** What a scrub does, in sysfs' words. */
export type ScrubAction = "check" | "repair";

/**
 * `running`: under way, or asked for. `waiting`: goes on by itself as soon as it may. `paused`: by
 * the user, until resumed. The others are ends.
 */
export type ScrubState = "running" | "waiting" | "paused" | "succeeded" | "cancelled" | "failed";

/** A range of the array, bytes. */
export interface ScrubRange {
  readonly offset: number;
  readonly length: number;
}

/** One scrub; positions are bytes of the array, times milliseconds since the epoch. */
export interface ScrubPass {
  readonly id: number;
  readonly uuid: string;
  readonly action: ScrubAction;
  /** Asked for by the schedule, whose window and speed limits hold for it. */
  readonly isScheduled: boolean;
  readonly createdBy: string;
  readonly state: ScrubState;
  /** Where it begins and ends; `to` null: at the end of the array. */
  readonly from: number;
  readonly to: number | null;
  /** Everything between `from` and here has been compared. */
  readonly position: number;
  readonly comparedBytes: number;
  /** Sectors found different, over all its parts. */
  readonly mismatchSectors: number;
  /** Where, ascending; the first ones when there are too many. */
  readonly mismatches: readonly ScrubRange[];
  readonly isTruncated: boolean;
  readonly startedAt: number;
  readonly endedAt: number | null;
  /** Why it stands still or how it ended, when that needs words. */
  readonly note: string | null;
}

/** Mismatch ranges kept of one scrub. */
export const MISMATCHES_MAX = 256;

/** True when it will not change any more. */
export function isFinished(pass: ScrubPass): boolean {
  return pass.state === "succeeded" || pass.state === "cancelled" || pass.state === "failed";
}

/** True for a scrub over all of the array. */
export function isWhole(pass: ScrubPass): boolean {
  return pass.from === 0 && pass.to === null;
}

/** What the engine is asked to run of a pass; undefined: all of the array. */
export function rangeToRun(
  position: number,
  to: number | null,
): { readonly from: number; readonly to: number | null } | undefined {
  return position === 0 && to === null ? undefined : { from: position, to };
}

/** Both lists as one, ascending, touching ranges joined; the first `MISMATCHES_MAX` of them. */
export function joinRanges(
  some: readonly ScrubRange[],
  others: readonly ScrubRange[],
): { readonly ranges: readonly ScrubRange[]; readonly isTruncated: boolean } {
  const joined: ScrubRange[] = [];
  for (const range of [...some, ...others].sort((a, b) => a.offset - b.offset)) {
    const last = joined.at(-1);
    if (last !== undefined && range.offset <= last.offset + last.length) {
      const end = Math.max(last.offset + last.length, range.offset + range.length);
      joined[joined.length - 1] = { offset: last.offset, length: end - last.offset };
    } else {
      joined.push(range);
    }
  }
  return { ranges: joined.slice(0, MISMATCHES_MAX), isTruncated: joined.length > MISMATCHES_MAX };
}
