/** The history in the order of time: what threads tell arrives behind what happened later here. */
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { silentLogger } from "../../../src/common/log.ts";
import { EventService, type NewEvent } from "../../../src/control/event-service.ts";
import { openStore } from "../../../src/store/store.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const MINUTE = 60_000;

const test = suite("control/event-service");

/** Records events with a clock of its own; what they are recorded with, oldest first. */
const recorded = (
  folder: string,
  events: readonly (readonly [now: number, type: string, time?: number])[],
): [type: string, time: number][] => {
  const store = openStore({ path: join(folder, "a.db") });
  const clock = { now: 0 };
  const service = new EventService({
    log: store.events,
    now: () => clock.now,
    logger: silentLogger,
  });
  for (const [now, type, time] of events) {
    clock.now = now;
    const event: NewEvent = { type, severity: "info", subject: "/", message: "" };
    service.record(time === undefined ? event : { ...event, time });
  }
  const query = { order: "asc", from: null, limit: 100, types: [], subject: null } as const;
  const found = service.page(query).map(({ type, time }): [string, number] => [type, time]);
  store.close();
  return found;
};

test(
  "an end that the array's thread tells late is not before the progress that was seen meanwhile",
  inFolder(async (folder) => {
    const found = recorded(folder, [
      [1000, "sync.started", 990],
      [2005, "sync.progress"],
      [2006, "sync.finished", 2001],
      [2007, "job.succeeded"],
    ]);
    assert.equal(found, [
      ["sync.started", 990],
      ["sync.progress", 2005],
      ["sync.finished", 2005],
      ["job.succeeded", 2007],
    ]);
  }),
);

test(
  "a thread whose clock is ahead does not set the history's: nothing happens in the future",
  inFolder(async (folder) => {
    const found = recorded(folder, [
      [1000, "a", 1003],
      [1001, "b"],
    ]);
    assert.equal(found, [
      ["a", 1000],
      ["b", 1001],
    ]);
  }),
);

test(
  "a clock that was set back is believed: events go on from there",
  inFolder(async (folder) => {
    const found = recorded(folder, [
      [10 * MINUTE, "a"],
      [MINUTE, "b", MINUTE - 5],
      [MINUTE + 1, "c", MINUTE - 10],
    ]);
    assert.equal(found, [
      ["a", 10 * MINUTE],
      ["b", MINUTE - 5],
      ["c", MINUTE - 5],
    ]);
  }),
);

test.run();
