/** Due times and windows of scrub schedules, over changes of the clock too. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  nextCron,
  type ScrubTiming,
  timingFault,
  windowAt,
} from "../../../src/control/scrub-time.ts";

const at = (text: string): number => Date.parse(text);
const text = (time: number | null): string | null =>
  time === null ? null : new Date(time).toISOString().slice(0, 16);

const timing = (over: Partial<ScrubTiming>): ScrubTiming => ({
  cron: "0 2 * * 0",
  everyDays: null,
  window: null,
  timeZone: "UTC",
  ...over,
});

const test = suite("control/scrub-time");

test("five fields name the next time after the given one", () => {
  const next = (cron: string, after: string): string | null =>
    text(nextCron(cron, "UTC", at(after)));
  assert.equal(
    [
      next("0 2 * * 0", "2026-11-22T01:59:00Z"),
      next("0 2 * * 0", "2026-11-22T02:00:00Z"),
      next("30 1 1 * *", "2026-11-22T00:00:00Z"),
      next("0 */6 * * *", "2026-11-22T07:00:00Z"),
      next("0 4 * JAN MON", "2026-11-22T00:00:00Z"),
    ],
    [
      "2026-11-22T02:00",
      "2026-11-29T02:00",
      "2026-12-01T01:30",
      "2026-11-22T12:00",
      "2027-01-04T04:00",
    ],
  );
});

test("cron and window are in the schedule's zone, summer and winter", () => {
  const zone = "Europe/Berlin";
  assert.is(text(nextCron("0 2 * * *", zone, at("2026-07-01T00:30:00Z"))), "2026-07-02T00:00");
  assert.is(text(nextCron("0 2 * * *", zone, at("2026-12-01T00:30:00Z"))), "2026-12-01T01:00");
  const night = timing({ window: { start: "01:00", end: "05:00" }, timeZone: zone });
  assert.is(text(windowAt(night, at("2026-07-01T00:30:00Z")).closesAt), "2026-07-01T03:00");
  assert.is(text(windowAt(night, at("2026-12-01T00:30:00Z")).closesAt), "2026-12-01T04:00");
});

test("a time of day that the clock skips comes at the end of the gap, one it repeats comes once", () => {
  const zone = "Europe/Berlin";
  assert.is(text(nextCron("30 2 * * *", zone, at("2026-03-28T12:00:00Z"))), "2026-03-29T01:00");
  const first = nextCron("30 2 * * *", zone, at("2026-10-24T12:00:00Z")) as number;
  assert.is(text(first), "2026-10-25T00:30");
  assert.is(text(nextCron("30 2 * * *", zone, first)), "2026-10-26T01:30");
});

test("the start of a window belongs to it, its end does not", () => {
  const night = timing({ window: { start: "01:00", end: "05:00" } });
  const open = (time: string): boolean => windowAt(night, at(time)).isOpen;
  assert.equal(
    ["00:59:59", "01:00:00", "04:59:59", "05:00:00"].map((time) => open(`2026-11-22T${time}Z`)),
    [false, true, true, false],
  );
  assert.is(text(windowAt(night, at("2026-11-22T06:00:00Z")).opensAt), "2026-11-23T01:00");
});

test("a window that ends before it starts goes over midnight", () => {
  const night = timing({ window: { start: "22:00", end: "06:00" } });
  const state = (time: string) => windowAt(night, at(time));
  assert.is(state("2026-11-22T23:00:00Z").isOpen, true);
  assert.is(state("2026-11-22T05:00:00Z").isOpen, true);
  assert.is(text(state("2026-11-22T23:00:00Z").closesAt), "2026-11-23T06:00");
  assert.is(text(state("2026-11-22T12:00:00Z").opensAt), "2026-11-22T22:00");
});

test("without a window it is always open", () => {
  assert.equal(windowAt(timing({}), 0), { isOpen: true, opensAt: null, closesAt: null });
});

test("a schedule that cannot be kept is told with what is wrong", () => {
  const fault = (over: Partial<ScrubTiming>): string | null =>
    timingFault(timing(over), at("2026-11-22T00:00:00Z"));
  assert.is(fault({}), null);
  assert.is(fault({ cron: null, everyDays: 30 }), null);
  assert.match(fault({ everyDays: 30 }) ?? "", "either cron or every_days");
  assert.match(fault({ cron: null }) ?? "", "either cron or every_days");
  assert.match(fault({ timeZone: "Mars/Base" }) ?? "", "no time zone");
  assert.match(fault({ cron: "0 0 30 2 *" }) ?? "", "never is");
  for (const cron of [
    "",
    "x",
    "* * * *",
    "0 0 0 * * *",
    "@daily",
    "61 * * * *",
    "2026-01-01T00:00",
  ]) {
    assert.match(fault({ cron }) ?? "", "five fields", cron);
  }
  assert.match(fault({ window: { start: "1:00", end: "05:00" } }) ?? "", "times of day");
  assert.match(fault({ window: { start: "01:00", end: "24:00" } }) ?? "", "times of day");
  assert.match(fault({ window: { start: "01:00", end: "01:00" } }) ?? "", "the same");
});

test.run();
