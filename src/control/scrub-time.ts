/**
 * When a scrub schedule is due and when its window is open: five cron fields and times of day, both
 * in the schedule's own time zone. Times are milliseconds since the epoch.
 *
 * Where a clock is set forward, a time of day that does not exist happens at the end of the gap;
 * where it is set back, one that exists twice happens the first time.
 */

import { Cron } from "croner";

/** Times of day `HH:MM`. A window that ends at or before its start ends on the next day. */
export interface ScrubWindow {
  readonly start: string;
  readonly end: string;
}

/** When scrubs begin and may run. Exactly one of `cron` and `everyDays` is set. */
export interface ScrubTiming {
  /** Minute, hour, day of month, month, day of week. */
  readonly cron: string | null;
  readonly everyDays: number | null;
  /** null: at any time of day. */
  readonly window: ScrubWindow | null;
  /** IANA name or `UTC`; of `cron` and `window`. */
  readonly timeZone: string;
}

/** A window at one moment; both times are null when there is no window. */
export interface WindowState {
  readonly isOpen: boolean;
  /** When it opens; null while it is open. */
  readonly opensAt: number | null;
  /** When it closes; null while it is closed. */
  readonly closesAt: number | null;
}

const CRON_FIELDS = /^[0-9A-Za-z*,/#-]+( [0-9A-Za-z*,/#-]+){4}$/;
const TIME_OF_DAY = /^([01][0-9]|2[0-3]):([0-5][0-9])$/;

const ALWAYS: WindowState = { isOpen: true, opensAt: null, closesAt: null };

/** The first time after `after` that the five fields name, or null when they never do. */
export function nextCron(cron: string, timeZone: string, after: number): number | null {
  const pattern = new Cron(cron, { timezone: timeZone, mode: "5-part", paused: true });
  return pattern.nextRun(new Date(after))?.getTime() ?? null;
}

/** The next time the clock of the zone shows `HH:MM`, after `after`. */
const nextTimeOfDay = (time: string, timeZone: string, after: number): number => {
  const [hour = "0", minute = "0"] = time.split(":");
  return nextCron(`${minute} ${hour} * * *`, timeZone, after) ?? after;
};

/** The window at `now`: its start belongs to it, its end does not. */
export function windowAt(timing: ScrubTiming, now: number): WindowState {
  if (timing.window === null) {
    return ALWAYS;
  }
  const opensAt = nextTimeOfDay(timing.window.start, timing.timeZone, now);
  const closesAt = nextTimeOfDay(timing.window.end, timing.timeZone, now);
  return closesAt < opensAt
    ? { isOpen: true, opensAt: null, closesAt }
    : { isOpen: false, opensAt, closesAt: null };
}

/** What is wrong with the timing, as one sentence, or null. `now` is where cron is tried from. */
export function timingFault(timing: ScrubTiming, now: number): string | null {
  const { cron, everyDays, window, timeZone } = timing;
  if ((cron === null) === (everyDays === null)) {
    return "give either cron or every_days";
  }
  if (!isTimeZone(timeZone)) {
    return `${timeZone} is no time zone: write an IANA name such as Europe/Berlin, or UTC`;
  }
  if (window !== null && !(TIME_OF_DAY.test(window.start) && TIME_OF_DAY.test(window.end))) {
    return "the window's start and end are times of day, such as 01:30";
  }
  if (window !== null && window.start === window.end) {
    return "the window's start and end are the same: leave the window out for the whole day";
  }
  return cron === null ? null : cronFault(cron, timeZone, now);
}

const isTimeZone = (timeZone: string): boolean => {
  try {
    new Intl.DateTimeFormat("en", { timeZone });
    return true;
  } catch {
    return false;
  }
};

const cronFault = (cron: string, timeZone: string, now: number): string | null => {
  const shape =
    "cron has five fields: minute, hour, day of month, month, day of week, such as `0 2 * * 0`";
  if (!CRON_FIELDS.test(cron)) {
    return shape;
  }
  try {
    return nextCron(cron, timeZone, now) === null ? `\`${cron}\` names a time that never is` : null;
  } catch {
    return shape;
  }
};
