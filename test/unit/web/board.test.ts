import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { EventResource } from "../../../src/api/schemas/event.ts";
import {
  applyEvent,
  boardOf,
  EVENTS_KEPT,
  eventOf,
  JOBS_KEPT,
  sortedJobs,
} from "../../../web/src/board/board.ts";
import { arraySample, eventSample, jobSample, systemSample } from "../../helpers/panel-samples.ts";

const test = suite("board");

const empty = boardOf({
  system: systemSample(),
  arrays: [],
  devices: [],
  exports: [],
  jobs: [],
  events: [],
});

const stateFrame = (type: string, data: object): EventResource => ({
  ...eventSample(0),
  id: null,
  type,
  data: { ...data },
});

test("a state frame replaces the whole resource", () => {
  const first = applyEvent(empty, stateFrame("array.status", arraySample("a")));
  const second = applyEvent(
    first,
    stateFrame("array.status", arraySample("a", { health: "degraded" })),
  );
  assert.is(second.arrays.size, 1);
  assert.is(second.arrays.get("a")?.status.health, "degraded");
  assert.is(first.arrays.get("a")?.status.health, "optimal", "the board before is untouched");
});

test("a frame of a deleted resource takes it away", () => {
  const first = applyEvent(empty, stateFrame("array.status", arraySample("a")));
  const second = applyEvent(first, stateFrame("array.status", { id: "a", deleted: true }));
  assert.is(second.arrays.size, 0);
});

test("a system frame brings the new sentence of health", () => {
  const system = systemSample();
  const next = applyEvent(
    empty,
    stateFrame("system.status", {
      ...system,
      health: { ...system.health, state: "failed", sentence: "md0 has failed." },
    }),
  );
  assert.is(next.system.health.state, "failed");
  assert.is(next.system.health.sentence, "md0 has failed.");
});

test("history is kept newest first, each event once, however it arrives", () => {
  const ids = [5, 3, 5, 4].map(eventSample);
  const next = ids.reduce(applyEvent, empty);
  assert.equal(
    next.events.map(({ id }) => id),
    [5, 4, 3],
  );
});

test("history and ended jobs have a limit, jobs under way are never dropped", () => {
  let next = empty;
  for (let id = 1; id <= EVENTS_KEPT + 10; id += 1) next = applyEvent(next, eventSample(id));
  assert.is(next.events.length, EVENTS_KEPT);
  assert.is(next.events[0]?.id, EVENTS_KEPT + 10);

  const running = jobSample("j_0", { created_at: "2026-01-01T00:00:00.000Z", finished_at: null });
  next = applyEvent(next, stateFrame("job.status", running));
  for (let index = 1; index <= JOBS_KEPT + 10; index += 1) {
    next = applyEvent(next, stateFrame("job.status", jobSample(`j_${index}`)));
  }
  assert.ok(next.jobs.size <= JOBS_KEPT + 1);
  assert.ok(next.jobs.has("j_0"));
});

test("jobs under way come first, then the newest", () => {
  const jobs = [
    jobSample("old", { created_at: "2026-01-01T00:00:00.000Z" }),
    jobSample("new", { created_at: "2026-01-03T00:00:00.000Z" }),
    jobSample("running", { created_at: "2026-01-02T00:00:00.000Z", finished_at: null }),
  ];
  assert.equal(
    sortedJobs(jobs).map(({ id }) => id),
    ["running", "new", "old"],
  );
});

test("frames of unknown kinds and without an id change nothing", () => {
  assert.is(applyEvent(empty, stateFrame("stream.reset", { newest_id: 3 })), empty);
  assert.is(applyEvent(empty, stateFrame("array.status", { id: 7 })).arrays.size, 0);
});

test("only events are read from the data of a frame", () => {
  assert.is(eventOf("{"), null);
  assert.is(eventOf("null"), null);
  assert.is(eventOf("[]"), null);
  assert.is(eventOf('{"type":"a","data":null}'), null);
  assert.equal(eventOf(JSON.stringify(eventSample(3))), eventSample(3));
});

test.run();
