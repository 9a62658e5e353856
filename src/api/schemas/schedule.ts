/** Scrub schedules, scrubs and spare groups of arrays. */

import { type Static, Type } from "typebox";
import { ByteCount, Closed, Links, Nullable, PageOf, RefTo, Time } from "./common.ts";

export const ScrubActionWord = Type.Enum(["check", "repair"]);

const TimeOfDay = Type.String({
  pattern: "^([01][0-9]|2[0-3]):[0-5][0-9]$",
  description: "HH:MM in the schedule's time zone",
});

const Speed = Type.Integer({ minimum: 1024, maximum: 2 ** 40, description: "bytes per second" });

/** Times of day between which scrubs may run; an end at or before the start is the next day's. */
export const ScrubWindow = Closed({ start: TimeOfDay, end: TimeOfDay });

export const SchedulePut = Closed(
  {
    action: Type.Optional(Type.Enum(["check", "repair"], { default: "check" })),
    cron: Type.Optional(
      Nullable(
        Type.String({
          maxLength: 120,
          description: "minute, hour, day of month, month, day of week; or every_days",
        }),
      ),
    ),
    every_days: Type.Optional(
      Nullable(
        Type.Integer({
          minimum: 1,
          maximum: 366,
          description: "days from one whole scrub to the next; or cron",
        }),
      ),
    ),
    window: Type.Optional(Nullable(ScrubWindow)),
    time_zone: Type.Optional(
      Type.String({ maxLength: 64, default: "UTC", description: "IANA name, of cron and window" }),
    ),
    min_speed: Type.Optional(Nullable(Speed)),
    max_speed: Type.Optional(Nullable(Speed)),
    enabled: Type.Optional(Type.Boolean({ default: true })),
  },
  { $id: "SchedulePut" },
);
export type SchedulePutRequest = Static<typeof SchedulePut>;

export const Scrub = Closed(
  {
    id: Type.Integer(),
    action: ScrubActionWord,
    state: Type.Enum(["running", "waiting", "paused", "succeeded", "cancelled", "failed"], {
      description: "`waiting` goes on by itself, `paused` when it is resumed",
    }),
    scheduled: Type.Boolean(),
    created_by: Type.String(),
    from: ByteCount,
    to: Nullable(Type.Integer({ description: "null: the end of the array" })),
    position: Type.Integer({ description: "everything before it has been compared" }),
    compared: ByteCount,
    mismatch_count: Type.Integer({ description: "sectors found different, over all its parts" }),
    mismatches: Closed({
      ranges: Type.Array(Closed({ offset: ByteCount, length: ByteCount })),
      truncated: Type.Boolean(),
    }),
    started_at: Time,
    ended_at: Nullable(Time),
    note: Nullable(Type.String({ description: "why it stands still, or how it ended" })),
  },
  { $id: "Scrub" },
);
export type ScrubResource = Static<typeof Scrub>;

export const ScrubList = PageOf(RefTo(Scrub), "ScrubList");

export const ScheduleConfig = Closed({
  action: ScrubActionWord,
  cron: Nullable(Type.String()),
  every_days: Nullable(Type.Integer()),
  window: Nullable(ScrubWindow),
  time_zone: Type.String(),
  min_speed: Nullable(ByteCount),
  max_speed: Nullable(ByteCount),
  enabled: Type.Boolean(),
});

export const ScheduleObject = Closed(
  {
    config: Nullable(ScheduleConfig),
    status: Closed({
      due_at: Nullable(Type.String({ description: "in the past when a scrub is overdue" })),
      next_start_at: Nullable(
        Type.String({ description: "the due time, or the window's next opening after it" }),
      ),
      window_open: Type.Boolean(),
      waiting_for: Nullable(
        Closed({
          code: Type.Enum([
            "not-due",
            "disabled",
            "window-closed",
            "paused",
            "not-running",
            "read-only",
            "failed",
            "degraded",
            "frozen",
            "sync-running",
          ]),
          message: Type.String(),
        }),
      ),
      scrub: Nullable(RefTo(Scrub)),
      last_check_at: Nullable(
        Type.String({ description: "end of the last whole check or repair" }),
      ),
    }),
    links: Links,
  },
  { $id: "Schedule" },
);
export type ScheduleResource = Static<typeof ScheduleObject>;

export const SpareGroupPut = Closed(
  {
    spare_group: Nullable(
      Type.String({
        pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{0,30}$",
        description: "arrays of one group share their spares; null: none",
      }),
    ),
  },
  { $id: "SpareGroup" },
);
export type SpareGroupResource = Static<typeof SpareGroupPut>;

export const ScrubQuery = Closed({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: 20 })),
});
