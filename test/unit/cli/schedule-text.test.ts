/** What `satsuma schedule` asks for and prints. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { ScheduleResource, ScrubResource } from "../../../src/api/schemas/schedule.ts";
import { scheduleLines } from "../../../src/cli/schedule-text.ts";
import { scheduleChange } from "../../../src/cli/scrub-command.ts";
import { arraySample } from "../../helpers/panel-samples.ts";

const schedule = (over: Partial<ScheduleResource["status"]> = {}): ScheduleResource => ({
  config: {
    action: "check",
    cron: "0 2 * * 0",
    every_days: null,
    window: { start: "01:00", end: "05:00" },
    time_zone: "Europe/Berlin",
    min_speed: null,
    max_speed: 80 * 2 ** 20,
    enabled: true,
  },
  status: {
    due_at: "2026-11-22T01:00:00.000Z",
    next_start_at: "2026-11-22T01:00:00.000Z",
    window_open: false,
    waiting_for: { code: "not-due", message: "it is not due yet" },
    scrub: null,
    last_check_at: null,
    ...over,
  },
  links: {},
});

const scrub: ScrubResource = {
  id: 1,
  action: "check",
  state: "waiting",
  scheduled: true,
  created_by: "schedule",
  from: 0,
  to: null,
  position: 2 ** 29,
  compared: 2 ** 29,
  mismatch_count: 128,
  mismatches: { ranges: [], truncated: false },
  started_at: "2026-11-15T01:00:00.000Z",
  ended_at: null,
  note: "the window of its schedule is closed",
};

const test = suite("cli/schedule-text");

test("a schedule is one sentence, with what comes next and the last scrubs", () => {
  assert.equal(scheduleLines(arraySample("md0"), schedule(), [scrub]), [
    "md0: check at `0 2 * * 0` Europe/Berlin, between 01:00 and 05:00 Europe/Berlin, at most 80 MiB/s",
    "      next start: 2026-11-22T01:00:00.000Z",
    "      last whole check: none",
    "      2026-11-15T01:00:00.000Z  check   waiting     50 %  128 sectors differ  (the window of its schedule is closed)",
  ]);
});

test("what it waits for is told, and that there is no schedule", () => {
  const waiting_for = { code: "degraded", message: "the array is degraded" } as const;
  const waits = scheduleLines(arraySample("md0"), schedule({ waiting_for }), []);
  assert.ok(waits.includes("      waits: the array is degraded"));
  const none = { ...schedule({ next_start_at: null, waiting_for: null }), config: null };
  assert.equal(scheduleLines(arraySample("md0"), none, []), [
    "md0: no schedule",
    "      last whole check: none",
  ]);
});

test("flags become the fields they change, and nothing else", () => {
  assert.equal(scheduleChange({}), {});
  assert.equal(scheduleChange({ cron: "0 2 * * 0", window: "22:00-06:00" }), {
    cron: "0 2 * * 0",
    every_days: null,
    window: { start: "22:00", end: "06:00" },
  });
  assert.equal(scheduleChange({ every: "30", anyTime: true, maxSpeed: "80M", enable: true }), {
    cron: null,
    every_days: 30,
    window: null,
    max_speed: 80 * 2 ** 20,
    enabled: true,
  });
  assert.throws(() => scheduleChange({ window: "1-5" }), /two times of day/);
  assert.throws(() => scheduleChange({ every: "0" }), /--every 0/);
});

test.run();
