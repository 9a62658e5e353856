/** The tables of the store: what is put is found again, bounds hold, removal removes. */
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { ArrayRecord } from "../../../src/store/array-registry.ts";
import { JOBS_KEPT, type JobRow, type JobState } from "../../../src/store/job-records.ts";
import { openStore, type Store } from "../../../src/store/store.ts";
import { STORED_REPLIES_MAX, STORED_REPLY_AGE_MAX_MS } from "../../../src/store/stored-replies.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const withStore = (body: (store: Store, reopen: () => Store) => void) =>
  inFolder(async (folder) => {
    const path = join(folder, "a.db");
    let store = openStore({ path });
    body(store, () => {
      store.close();
      store = openStore({ path });
      return store;
    });
    store.close();
  });

const array: ArrayRecord = {
  uuid: "1d70f103-4974-0ef1-af2a-fce5fcf6a489",
  name: "md0",
  desiredState: "started",
  readOnly: false,
  memberPaths: ["/a", "/b"],
  lastStatus: null,
  syncSpeedMin: null,
  syncSpeedMax: 5,
  createdAt: 1,
  updatedAt: 2,
};

const job = (id: string, state: JobState, createdAt: number): JobRow => ({
  id,
  state,
  subject: "/api/v1/arrays/a",
  createdAt,
  document: `{"id":"${id}"}`,
});

const page = { limit: 100, before: null, state: null, subject: null };

const test = suite("store/records");

test(
  "arrays survive a restart, are replaced by uuid, and take their exports with them",
  withStore((store, reopen) => {
    store.arrays.put(array);
    const exported = {
      name: "md0",
      arrayUuid: array.uuid,
      description: "d",
      readOnly: true,
      tlsRequired: false,
      createdAt: 1,
      updatedAt: 1,
    };
    store.exports.put(exported);
    const changed: ArrayRecord = { ...array, desiredState: "stopped", lastStatus: "{}" };
    store.arrays.put(changed);
    const again = reopen();
    assert.equal(again.arrays.list(), [changed]);
    assert.equal(again.exports.list(), [exported]);
    again.arrays.remove(array.uuid);
    assert.equal([again.arrays.list(), again.exports.list()], [[], []]);
  }),
);

test(
  "devices keep their id and label; a path is known once",
  withStore((store, reopen) => {
    const device = {
      id: "d1",
      path: "/d1",
      label: null,
      lostContent: null,
      lostMember: null,
      file: null,
      createdAt: 1,
      updatedAt: 1,
    };
    store.devices.add(device);
    assert.throws(() => store.devices.add({ ...device, id: "d2" }), /UNIQUE/);
    store.devices.setLabel("d1", "left slot", 9);
    assert.equal(reopen().devices.list(), [{ ...device, label: "left slot", updatedAt: 9 }]);
  }),
);

test(
  "jobs are paged newest first, by state and subject",
  withStore((store) => {
    store.jobs.put(job("a", "succeeded", 1));
    store.jobs.put(job("b", "running", 2));
    store.jobs.put(job("c", "failed", 2));
    const ids = (rows: readonly JobRow[]) => rows.map(({ id }) => id);
    assert.equal(ids(store.jobs.page(page)), ["c", "b", "a"]);
    assert.equal(ids(store.jobs.page({ ...page, limit: 1 })), ["c"]);
    assert.equal(ids(store.jobs.page({ ...page, before: { createdAt: 2, id: "c" } })), ["b", "a"]);
    assert.equal(ids(store.jobs.page({ ...page, state: "failed" })), ["c"]);
    assert.equal(ids(store.jobs.page({ ...page, subject: "/other" })), []);
    assert.equal(ids(store.jobs.unfinished()), ["b"]);
    store.jobs.put(job("b", "succeeded", 2));
    assert.equal(ids(store.jobs.unfinished()), []);
  }),
);

test(
  "ended jobs go when they are too many or 30 days old, others stay",
  withStore((store) => {
    const now = 100 * 24 * 3600 * 1000;
    store.jobs.put(job("ancient-running", "running", 1));
    store.jobs.put(job("ancient", "succeeded", 1));
    for (let index = 0; index < JOBS_KEPT + 3; index += 1) {
      store.jobs.put(job(`j${String(index).padStart(5, "0")}`, "succeeded", now));
    }
    store.jobs.prune(now);
    const kept = store.jobs.page({ ...page, limit: 5000 });
    assert.is(kept.length, JOBS_KEPT + 1);
    assert.is(kept.at(-1)?.id, "ancient-running");
    assert.is(store.jobs.find("ancient"), null);
  }),
);

test(
  "a token of the same name replaces the one before",
  withStore((store, reopen) => {
    const secretSha256 = Buffer.alloc(32, 7);
    store.tokens.replaceByName({ id: "aaaaaaaa", name: "admin", secretSha256, createdAt: 1 });
    store.tokens.replaceByName({ id: "bbbbbbbb", name: "admin", secretSha256, createdAt: 2 });
    const again = reopen();
    assert.is(again.tokens.count(), 1);
    assert.is(again.tokens.find("aaaaaaaa"), null);
    assert.equal(again.tokens.find("bbbbbbbb")?.secretSha256, secretSha256);
  }),
);

test(
  "replies are found for a day, and only so many are kept",
  withStore((store) => {
    const reply = { key: "k", fingerprint: "f", status: 201, location: null, body: "{}" };
    store.replies.put({ ...reply, createdAt: 1000 });
    const last = 1000 + STORED_REPLY_AGE_MAX_MS - 1;
    assert.equal(store.replies.find("k", last), { ...reply, createdAt: 1000 });
    assert.is(store.replies.find("k", last + 1), null);
    for (let index = 0; index < STORED_REPLIES_MAX; index += 1) {
      store.replies.put({ ...reply, key: `n${index}`, createdAt: 2000 + index });
    }
    assert.is(store.replies.find("k", 2000), null);
    assert.is(store.replies.find("n0", 2000)?.key, "n0");
  }),
);

test(
  "settings are replaced by key",
  withStore((store, reopen) => {
    assert.is(store.settings.get("name"), null);
    store.settings.set("name", "a");
    store.settings.set("name", "b");
    assert.is(reopen().settings.get("name"), "b");
  }),
);

test.run();
