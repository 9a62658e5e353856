/**
 * What the scrub schedule of an array asks for now: pure decisions over the schedule, the scrub
 * that is not finished yet, and the array. Times are milliseconds since the epoch.
 *
 * A schedule is opt-in: an array has none until somebody sets it. Due times that pass while the
 * board is off, the window is closed or the array may not be scrubbed are made up for once.
 */

import type { SyncActionWord } from "../raid/array-status.ts";
import type { ScrubAction, ScrubPass } from "./scrub-pass.ts";
import { nextCron, type ScrubTiming, windowAt } from "./scrub-time.ts";

/** The schedule of one array; speeds are bytes per second, null: the array's own limit. */
export interface ScrubSchedule extends ScrubTiming {
  readonly action: ScrubAction;
  readonly speedMin: number | null;
  readonly speedMax: number | null;
  readonly isEnabled: boolean;
  /** Since when its due times count. */
  readonly since: number;
  /** Due times up to here have had their scrub; null: none had. */
  readonly servedUntil: number | null;
}

/** What of an array decides whether it may be scrubbed. */
export interface ScrubTarget {
  readonly isRunning: boolean;
  readonly isReadOnly: boolean;
  readonly isFailed: boolean;
  readonly isDegraded: boolean;
  /** The user froze its sync actions. */
  readonly isFrozen: boolean;
  /** The sync action under way. */
  readonly syncAction: SyncActionWord | null;
}

/** Why nothing is started now, in a stable word and in one sentence. */
export interface ScrubWait {
  readonly code:
    | "not-due"
    | "disabled"
    | "window-closed"
    | "paused"
    | "not-running"
    | "read-only"
    | "failed"
    | "degraded"
    | "frozen"
    | "sync-running";
  readonly message: string;
}

/** What to do. `hold`: stop it and keep the position; `lost`: the engine does not run it. */
export type ScrubDecision =
  | { readonly act: "start" }
  | { readonly act: "resume" }
  | { readonly act: "hold"; readonly wait: ScrubWait }
  | { readonly act: "lost"; readonly wait: ScrubWait }
  | { readonly act: "nothing"; readonly wait: ScrubWait | null };

/** What is decided over. */
export interface ScrubQuestion {
  readonly schedule: ScrubSchedule | null;
  /** The scrub that is not finished yet. */
  readonly pass: ScrubPass | null;
  readonly target: ScrubTarget;
  /** When the last whole scrub that succeeded began, by whomever; null: there was none. */
  readonly lastWholeAt: number | null;
  readonly now: number;
}

const DAY_MS = 24 * 3600 * 1000;

const wait = (code: ScrubWait["code"], message: string): ScrubWait => ({ code, message });

const nothing = (reason: ScrubWait | null): ScrubDecision => ({ act: "nothing", wait: reason });

/** Why the array may not be scrubbed now, or null. */
export function obstacle(target: ScrubTarget): ScrubWait | null {
  if (!target.isRunning) {
    return wait("not-running", "the array does not run");
  }
  if (target.isReadOnly) {
    return wait("read-only", "the array is read-only");
  }
  if (target.isFailed) {
    return wait("failed", "the array has failed");
  }
  if (target.syncAction !== null && target.syncAction !== "idle") {
    return wait("sync-running", `a ${target.syncAction} is running`);
  }
  if (target.isDegraded) {
    return wait("degraded", "the array is degraded: it is scrubbed once it is whole");
  }
  return target.isFrozen ? wait("frozen", "sync actions of the array are frozen") : null;
}

/**
 * When the schedule's next scrub is due; in the past when one is overdue, null when never. With
 * `everyDays` the days count from the last whole scrub; an array that never had one is due at once.
 */
export function dueTime(schedule: ScrubSchedule, lastWholeAt: number | null): number | null {
  const { cron, everyDays, since, servedUntil } = schedule;
  if (cron !== null) {
    return nextCron(cron, schedule.timeZone, Math.max(since, servedUntil ?? since));
  }
  const last = Math.max(servedUntil ?? 0, lastWholeAt ?? 0);
  return last === 0 ? since : last + (everyDays ?? 1) * DAY_MS;
}

/** When the next scrub can begin at the earliest: the due time, or its window's next opening. */
export function startTime(
  schedule: ScrubSchedule,
  lastWholeAt: number | null,
  now: number,
): number | null {
  const due = schedule.isEnabled ? dueTime(schedule, lastWholeAt) : null;
  if (due === null) {
    return null;
  }
  const earliest = Math.max(due, now);
  return windowAt(schedule, earliest).opensAt ?? earliest;
}

/** The decision. */
export function decideScrub(question: ScrubQuestion): ScrubDecision {
  return question.pass === null ? decideStart(question) : decidePass(question, question.pass);
}

const decideStart = ({ schedule, target, lastWholeAt, now }: ScrubQuestion): ScrubDecision => {
  if (schedule === null) {
    return nothing(null);
  }
  const due = dueTime(schedule, lastWholeAt);
  if (schedule.isEnabled && (due === null || now < due)) {
    return nothing(wait("not-due", "it is not due yet"));
  }
  const reason = scheduleObstacle(schedule, now) ?? obstacle(target);
  return reason === null ? { act: "start" } : nothing(reason);
};

/** Why the schedule lets nothing run now, or null. */
const scheduleObstacle = (schedule: ScrubSchedule | null, now: number): ScrubWait | null => {
  if (schedule === null || !schedule.isEnabled) {
    return wait("disabled", "the schedule is switched off");
  }
  return windowAt(schedule, now).isOpen
    ? null
    : wait("window-closed", "the window of its schedule is closed");
};

const decidePass = (question: ScrubQuestion, pass: ScrubPass): ScrubDecision => {
  const { schedule, target, now } = question;
  if (pass.state === "paused") {
    return nothing(wait("paused", "it is paused by the user"));
  }
  const closed = pass.isScheduled ? scheduleObstacle(schedule, now) : null;
  if (pass.state === "running") {
    if (closed !== null) {
      return { act: "hold", wait: closed };
    }
    if (target.syncAction === pass.action) {
      return nothing(null);
    }
    const blocker = obstacle(target);
    return blocker === null ? nothing(null) : { act: "lost", wait: blocker };
  }
  const reason = closed ?? obstacle(target);
  return reason === null ? { act: "resume" } : nothing(reason);
};
