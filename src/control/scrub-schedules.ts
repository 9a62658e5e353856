/** The scrub schedules as they are kept: at most one per array, none unless somebody sets it. */

import { CodedError } from "../common/errors.ts";
import type { Logger } from "../common/log.ts";
import type { ScrubRecords } from "../store/scrub-records.ts";
import type { ScrubSchedule } from "./scrub-schedule.ts";
import { timingFault } from "./scrub-time.ts";

/** A schedule as the user gives it. */
export type ScheduleOrder = Omit<ScrubSchedule, "since" | "servedUntil">;

/** What the schedules need. */
export interface ScrubSchedulesOptions {
  readonly records: ScrubRecords;
  readonly now: () => number;
  readonly logger: Logger;
}

/** The schedules. */
export class ScrubSchedules {
  readonly #options: ScrubSchedulesOptions;
  readonly #schedules = new Map<string, ScrubSchedule>();

  constructor(options: ScrubSchedulesOptions) {
    this.#options = options;
  }

  load(): void {
    for (const { arrayUuid, document } of this.#options.records.schedules()) {
      this.#schedules.set(arrayUuid, JSON.parse(document) as ScrubSchedule);
    }
  }

  /** The schedule of an array, or null. */
  get(uuid: string): ScrubSchedule | null {
    return this.#schedules.get(uuid) ?? null;
  }

  /** Sets a schedule, durably. Errors: CONTROL_SCHEDULE_INVALID, the store's. */
  set(uuid: string, order: ScheduleOrder): void {
    const now = this.#options.now();
    const fault = timingFault(order, now) ?? speedFault(order);
    if (fault !== null) {
      throw new CodedError("CONTROL_SCHEDULE_INVALID", fault, {
        remedy: "correct the schedule; docs/scrub.md shows examples",
      });
    }
    const before = this.#schedules.get(uuid);
    const isSame = before?.isEnabled === order.isEnabled && sameTiming(before, order);
    // Due times from before the change are not made up for.
    const since = isSame ? before.since : now;
    const schedule = { ...order, since, servedUntil: before?.servedUntil ?? null };
    this.#options.records.putSchedule({ arrayUuid: uuid, document: JSON.stringify(schedule) });
    this.#schedules.set(uuid, schedule);
  }

  /** Removes the schedule, durably. */
  remove(uuid: string): void {
    this.#options.records.removeSchedule(uuid);
    this.#schedules.delete(uuid);
  }

  /** Forgets an array that the registry forgot. */
  forget(uuid: string): void {
    this.#schedules.delete(uuid);
  }

  /** Notes that due times up to now have been served. A lost mark leads to one scrub more. */
  serve(uuid: string): void {
    const schedule = this.#schedules.get(uuid);
    if (schedule === undefined) {
      return;
    }
    const served = { ...schedule, servedUntil: this.#options.now() };
    this.#schedules.set(uuid, served);
    try {
      this.#options.records.putSchedule({ arrayUuid: uuid, document: JSON.stringify(served) });
    } catch (error) {
      this.#options.logger.error({ array: uuid, error }, "schedule-write-failed");
    }
  }
}

const sameTiming = (before: ScrubSchedule, order: ScheduleOrder): boolean =>
  before.cron === order.cron &&
  before.everyDays === order.everyDays &&
  before.timeZone === order.timeZone;

const speedFault = ({ speedMin, speedMax }: ScheduleOrder): string | null =>
  speedMin !== null && speedMax !== null && speedMin > speedMax
    ? "min_speed is above max_speed"
    : null;
