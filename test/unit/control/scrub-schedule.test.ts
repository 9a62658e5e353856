/** What a scrub schedule asks for: every decision, with the clock of the test. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { ScrubPass } from "../../../src/control/scrub-pass.ts";
import {
  decideScrub,
  dueTime,
  type ScrubDecision,
  type ScrubQuestion,
  type ScrubSchedule,
  type ScrubTarget,
  startTime,
} from "../../../src/control/scrub-schedule.ts";

const at = (text: string): number => Date.parse(text);
const DAY = 24 * 3600 * 1000;

const WHOLE: ScrubTarget = {
  isRunning: true,
  isReadOnly: false,
  isFailed: false,
  isDegraded: false,
  isFrozen: false,
  syncAction: null,
};

/** Sundays at 02:00, between 01:00 and 05:00, set on a Monday. */
const weekly = (over: Partial<ScrubSchedule> = {}): ScrubSchedule => ({
  action: "check",
  cron: "0 2 * * 0",
  everyDays: null,
  window: { start: "01:00", end: "05:00" },
  timeZone: "UTC",
  speedMin: null,
  speedMax: null,
  isEnabled: true,
  since: at("2026-11-16T12:00:00Z"),
  servedUntil: null,
  ...over,
});

const pass = (over: Partial<ScrubPass> = {}): ScrubPass => ({
  id: 1,
  uuid: "u",
  action: "check",
  isScheduled: true,
  createdBy: "schedule",
  state: "running",
  from: 0,
  to: null,
  position: 0,
  comparedBytes: 0,
  mismatchSectors: 0,
  mismatches: [],
  isTruncated: false,
  startedAt: 0,
  endedAt: null,
  note: null,
  ...over,
});

const decide = (now: string, over: Partial<ScrubQuestion> = {}): ScrubDecision =>
  decideScrub({
    schedule: weekly(),
    pass: null,
    target: WHOLE,
    lastWholeAt: null,
    now: at(now),
    ...over,
  });

/** The act, and the code of what it waits for. */
const words = (decision: ScrubDecision): string =>
  "wait" in decision && decision.wait !== null
    ? `${decision.act} ${decision.wait.code}`
    : decision.act;

const test = suite("control/scrub-schedule");

test("without a schedule nothing starts, ever", () => {
  assert.equal(decide("2026-11-22T02:00:00Z", { schedule: null }), { act: "nothing", wait: null });
});

test("it starts at the due time, not before", () => {
  assert.is(words(decide("2026-11-22T01:59:59Z")), "nothing not-due");
  assert.is(words(decide("2026-11-22T02:00:00Z")), "start");
});

test("a board that was off at the due time scrubs in the next window, once", () => {
  // Three Sundays have passed.
  assert.is(words(decide("2026-12-08T00:59:00Z")), "nothing window-closed");
  assert.is(words(decide("2026-12-08T01:00:00Z")), "start");
  const served = weekly({ servedUntil: at("2026-12-08T01:00:00Z") });
  assert.is(words(decide("2026-12-08T01:00:02Z", { schedule: served })), "nothing not-due");
  assert.is(words(decide("2026-12-13T02:00:00Z", { schedule: served })), "start");
});

test("a due time outside the window waits for the window", () => {
  const schedule = weekly({ cron: "0 12 * * 0" });
  assert.is(words(decide("2026-11-22T12:00:00Z", { schedule })), "nothing window-closed");
  assert.is(words(decide("2026-11-23T01:00:00Z", { schedule })), "start");
  const now = at("2026-11-20T00:00:00Z");
  assert.is(startTime(schedule, null, now), at("2026-11-23T01:00:00Z"));
});

test("never starts on an array that may not be scrubbed, and says why", () => {
  const reasons: [Partial<ScrubTarget>, string][] = [
    [{ isRunning: false }, "not-running"],
    [{ isReadOnly: true }, "read-only"],
    [{ isFailed: true }, "failed"],
    [{ isDegraded: true }, "degraded"],
    [{ isFrozen: true }, "frozen"],
    [{ syncAction: "resync" }, "sync-running"],
    [{ syncAction: "recover", isDegraded: true }, "sync-running"],
    [{ syncAction: "check" }, "sync-running"],
  ];
  for (const [target, code] of reasons) {
    const decision = decide("2026-11-22T02:00:00Z", { target: { ...WHOLE, ...target } });
    assert.is(words(decision), `nothing ${code}`);
  }
});

test("what kept it from starting is made up for when it is gone", () => {
  assert.is(words(decide("2026-11-22T04:59:59Z")), "start");
  assert.is(words(decide("2026-11-22T05:00:00Z")), "nothing window-closed");
  assert.is(words(decide("2026-11-23T01:00:00Z")), "start");
});

test("it is stopped when its window closes and goes on when the next one opens", () => {
  const running = { ...WHOLE, syncAction: "check" } as const;
  const under = { pass: pass(), target: running };
  assert.is(words(decide("2026-11-22T04:59:59Z", under)), "nothing");
  assert.is(words(decide("2026-11-22T05:00:00Z", under)), "hold window-closed");
  const waiting = { pass: pass({ state: "waiting", position: 500 }) };
  assert.is(words(decide("2026-11-22T05:00:02Z", waiting)), "nothing window-closed");
  assert.is(words(decide("2026-11-23T01:00:00Z", waiting)), "resume");
});

test("what waits goes on only on an array that may be scrubbed", () => {
  const waiting = pass({ state: "waiting" });
  const target = { ...WHOLE, syncAction: "recover", isDegraded: true } as const;
  assert.is(
    words(decide("2026-11-22T02:00:00Z", { pass: waiting, target })),
    "nothing sync-running",
  );
});

test("windows are not for what a user asked for", () => {
  const asked = { isScheduled: false, createdBy: "token:ci" } as const;
  const noon = "2026-11-22T12:00:00Z";
  const running = { ...WHOLE, syncAction: "check" } as const;
  assert.is(words(decide(noon, { pass: pass(asked), target: running })), "nothing");
  assert.is(words(decide(noon, { pass: pass({ ...asked, state: "waiting" }) })), "resume");
  const alone = { pass: pass({ ...asked, state: "waiting" }), schedule: null };
  assert.is(words(decide(noon, alone)), "resume");
});

test("what a user paused waits for the user, in the window too", () => {
  const paused = pass({ state: "paused" });
  assert.is(words(decide("2026-11-22T02:00:00Z", { pass: paused })), "nothing paused");
});

test("a schedule that is switched off stops its scrub, and starts none", () => {
  const schedule = weekly({ isEnabled: false });
  assert.is(words(decide("2026-11-22T02:00:00Z", { schedule })), "nothing disabled");
  const target = { ...WHOLE, syncAction: "check" } as const;
  assert.is(
    words(decide("2026-11-22T02:00:00Z", { schedule, pass: pass(), target })),
    "hold disabled",
  );
});

test("a scrub that the engine gave up, or never began, waits for what hinders it", () => {
  const now = "2026-11-22T02:00:00Z";
  const lost = (target: Partial<ScrubTarget>): string =>
    words(decide(now, { pass: pass(), target: { ...WHOLE, ...target } }));
  assert.is(lost({ isDegraded: true }), "lost degraded");
  assert.is(lost({ syncAction: "recover" }), "lost sync-running");
  assert.is(lost({ isRunning: false }), "lost not-running");
  // Asked for a moment ago.
  assert.is(lost({}), "nothing");
  // Three copies, one failed: the engine goes on with two.
  assert.is(lost({ syncAction: "check", isDegraded: true }), "nothing");
});

test("every so many days count from the last whole scrub, by whomever; without one it is due", () => {
  const since = at("2026-11-16T12:00:00Z");
  const schedule = weekly({ cron: null, everyDays: 30 });
  const user = since - 5 * DAY;
  const own = since + DAY;
  assert.is(dueTime(schedule, null), since);
  assert.is(dueTime(schedule, user), user + 30 * DAY);
  assert.is(dueTime({ ...schedule, servedUntil: own }, user), own + 30 * DAY);
  // One that was cancelled or failed is not tried again at once.
  assert.is(dueTime({ ...schedule, servedUntil: own }, null), own + 30 * DAY);
});

test("a schedule set after a due time does not make up for it", () => {
  const schedule = weekly({ since: at("2026-11-22T03:00:00Z") });
  assert.is(words(decide("2026-11-22T03:00:02Z", { schedule })), "nothing not-due");
  assert.is(dueTime(schedule, null), at("2026-11-29T02:00:00Z"));
});

test("the earliest start is the due time, the window's opening, or now when it is overdue", () => {
  const start = (now: string, over: Partial<ScrubSchedule> = {}): number | null =>
    startTime(weekly(over), null, at(now));
  assert.is(start("2026-11-17T00:00:00Z"), at("2026-11-22T02:00:00Z"));
  assert.is(start("2026-11-24T00:00:00Z"), at("2026-11-24T01:00:00Z"));
  assert.is(start("2026-11-24T03:00:00Z"), at("2026-11-24T03:00:00Z"));
  assert.is(start("2026-11-24T03:00:00Z", { isEnabled: false }), null);
});

test.run();
