/** The event ring: ids that only grow, bounds, filters, and writes that the database refuses. */
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Database } from "../../../src/store/database.ts";
import {
  EVENTS_UNWRITTEN_MAX,
  EventLog,
  type EventQuery,
  type EventRecord,
} from "../../../src/store/event-log.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const event = (over: Partial<EventRecord> = {}): Omit<EventRecord, "id"> => ({
  time: 1,
  type: "member.failed",
  severity: "warning",
  subject: "/api/v1/arrays/a",
  message: "failed",
  mdadmEvent: "Fail",
  details: { path: "/x" },
  ...over,
});

const query = (over: Partial<EventQuery> = {}): EventQuery => ({
  order: "asc",
  from: null,
  limit: 100,
  types: [],
  subject: null,
  ...over,
});

const ids = (events: readonly EventRecord[]): number[] => events.map(({ id }) => id);

const test = suite("store/event-log");

test(
  "gives ids that grow over restarts and reads events back whole",
  inFolder(async (folder) => {
    const path = join(folder, "a.db");
    const first = Database.open({ path });
    const log = new EventLog(first);
    assert.is(log.append(event()).id, 1);
    const second = log.append(event({ mdadmEvent: null, details: { nested: [1, null] } }));
    first.close();
    const again = Database.open({ path });
    const reopened = new EventLog(again);
    assert.is(reopened.newestId, 2);
    assert.equal(reopened.page(query({ from: 1 })), [second]);
    assert.is(reopened.append(event()).id, 3);
    again.close();
  }),
);

test(
  "keeps the newest events of the ring and no more",
  inFolder(async (folder) => {
    const database = Database.open({ path: join(folder, "a.db") });
    const log = new EventLog(database, { kept: 150 });
    for (let count = 0; count < 400; count += 1) log.append(event());
    assert.is(log.oldestId(), 251);
    assert.is(log.newestId, 400);
    database.close();
  }),
);

test(
  "filters by exact type, by kind, by subject, in both orders",
  inFolder(async (folder) => {
    const database = Database.open({ path: join(folder, "a.db") });
    const log = new EventLog(database);
    log.append(event({ type: "member.failed", subject: "/api/v1/arrays/a" }));
    log.append(event({ type: "member.failed-twice", subject: "/api/v1/arrays/b" }));
    log.append(event({ type: "array.degraded", subject: "/api/v1/arrays/a" }));
    log.append(event({ type: "memberx", subject: "/api/v1/devices/d" }));
    const rows: readonly (readonly [Partial<EventQuery>, number[]])[] = [
      [{}, [1, 2, 3, 4]],
      [{ order: "desc" }, [4, 3, 2, 1]],
      [{ order: "desc", from: 3 }, [2, 1]],
      [{ from: 2 }, [3, 4]],
      [{ limit: 2 }, [1, 2]],
      [{ types: ["member.failed"] }, [1]],
      [{ types: ["member.*"] }, [1, 2]],
      [{ types: ["member.failed", "array.*"] }, [1, 3]],
      [{ subject: "/api/v1/arrays/a" }, [1, 3]],
      [{ subject: "/api/v1/arrays/" }, [1, 2, 3]],
      [{ types: ["%"], subject: "_" }, []],
    ];
    for (const [asked, expected] of rows) {
      assert.equal(ids(log.page(query(asked))), expected, JSON.stringify(asked));
    }
    database.close();
  }),
);

test(
  "an append never throws; what the database refused is written with the next that succeeds",
  inFolder(async (folder) => {
    const database = Database.open({ path: join(folder, "a.db") });
    const log = new EventLog(database);
    log.append(event());
    // A table in the way is a database that refuses, and one that comes back.
    database.run("ALTER TABLE events RENAME TO hidden");
    assert.is(log.append(event()).id, 2);
    assert.is(log.append(event()).id, 3);
    assert.equal(log.failures, { writes: 2, lost: 0 });
    database.run("ALTER TABLE hidden RENAME TO events");
    log.append(event());
    assert.equal(ids(log.page(query())), [1, 2, 3, 4]);
    database.close();
  }),
);

test(
  "events that wait in memory are bounded, the oldest go first",
  inFolder(async (folder) => {
    const database = Database.open({ path: join(folder, "a.db") });
    const log = new EventLog(database);
    database.run("ALTER TABLE events RENAME TO hidden");
    for (let count = 0; count < EVENTS_UNWRITTEN_MAX + 5; count += 1) log.append(event());
    assert.is(log.failures.lost, 5);
    database.run("ALTER TABLE hidden RENAME TO events");
    log.append(event());
    assert.is(log.oldestId(), 6);
    database.close();
  }),
);

test.run();
