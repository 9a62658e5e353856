/** Scrub schedules and scrubs as the API shows them. */

import type { ArrayView } from "../../control/array-view.ts";
import type { ControlPlane } from "../../control/control-plane.ts";
import type { ScrubPass } from "../../control/scrub-pass.ts";
import { dueTime, type ScrubSchedule, startTime } from "../../control/scrub-schedule.ts";
import type { ScheduleOrder } from "../../control/scrub-schedules.ts";
import { windowAt } from "../../control/scrub-time.ts";
import { subjectOf } from "../../control/subject.ts";
import type { SchedulePutRequest, ScheduleResource, ScrubResource } from "../schemas/schedule.ts";
import { timeText, timeTextOrNull } from "./times.ts";

/** The resource of a scrub. */
export function scrubResource(pass: ScrubPass): ScrubResource {
  return {
    id: pass.id,
    action: pass.action,
    state: pass.state,
    scheduled: pass.isScheduled,
    created_by: pass.createdBy,
    from: pass.from,
    to: pass.to,
    position: pass.position,
    compared: pass.comparedBytes,
    mismatch_count: pass.mismatchSectors,
    mismatches: {
      ranges: pass.mismatches.map(({ offset, length }) => ({ offset, length })),
      truncated: pass.isTruncated,
    },
    started_at: timeText(pass.startedAt),
    ended_at: timeTextOrNull(pass.endedAt),
    note: pass.note,
  };
}

const configOf = (schedule: ScrubSchedule): NonNullable<ScheduleResource["config"]> => ({
  action: schedule.action,
  cron: schedule.cron,
  every_days: schedule.everyDays,
  window: schedule.window === null ? null : { ...schedule.window },
  time_zone: schedule.timeZone,
  min_speed: schedule.speedMin,
  max_speed: schedule.speedMax,
  enabled: schedule.isEnabled,
});

/** The schedule of an array, with what it leads to next; `config` is null when there is none. */
export function scheduleResource(control: ControlPlane, view: ArrayView): ScheduleResource {
  const { uuid } = view.record;
  const { scrubs } = control;
  const now = control.options.now();
  const schedule = scrubs.schedule(uuid);
  const last = scrubs.passes.lastWhole(uuid);
  const pass = scrubs.passes.open(uuid);
  const isWaited = schedule?.isEnabled === true && pass === null;
  const wait = scrubs.waitOf(uuid);
  const array = subjectOf("array", uuid);
  return {
    config: schedule === null ? null : configOf(schedule),
    status: {
      due_at: isWaited ? timeTextOrNull(dueTime(schedule, last?.startedAt ?? null)) : null,
      next_start_at: isWaited
        ? timeTextOrNull(startTime(schedule, last?.startedAt ?? null, now))
        : null,
      window_open: schedule === null || windowAt(schedule, now).isOpen,
      waiting_for: wait === null ? null : { code: wait.code, message: wait.message },
      scrub: pass === null ? null : scrubResource(pass),
      last_check_at: timeTextOrNull(last?.endedAt ?? null),
    },
    links: { self: `${array}/schedule`, array, scrubs: `${array}/scrubs` },
  };
}

/** The schedule that a request asks for. */
export function scheduleOrder(body: SchedulePutRequest): ScheduleOrder {
  return {
    action: body.action ?? "check",
    cron: body.cron ?? null,
    everyDays: body.every_days ?? null,
    window: body.window ?? null,
    timeZone: body.time_zone ?? "UTC",
    speedMin: body.min_speed ?? null,
    speedMax: body.max_speed ?? null,
    isEnabled: body.enabled ?? true,
  };
}
