/** Which boards live, and when one that went can write no more. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { BoardKeys } from "../../../../src/cluster/store/board-keys.ts";
import { type BoardRecord, encodeBoard } from "../../../../src/cluster/store/board-record.ts";
import { BoardWatch } from "../../../../src/cluster/store/board-watch.ts";
import type { KeyChange } from "../../../../src/cluster/store/cluster-store.ts";

const test = suite("board watch");
const WAIT = 6620;
const keys = new BoardKeys("attic");

const record = (name: string): BoardRecord => ({
  name,
  boot: "b",
  address: "10.0.0.1:10810",
  api: "",
  version: "1",
  disks: [],
  reaches: [],
});

const put = (key: string, value: string, createRevision: number): KeyChange => ({
  type: "put",
  now: { key, value, createRevision, modRevision: createRevision, version: 1, lease: "1" },
});
const comes = (name: string, epoch: number): KeyChange =>
  put(keys.board(name), encodeBoard(record(name)), epoch);
const beats = (name: string): KeyChange => put(keys.heartbeat(name), "1", 1);
const goes = (name: string): KeyChange => ({ type: "delete", key: keys.board(name), revision: 99 });

const watching = (): BoardWatch => {
  const watch = new BoardWatch(keys, WAIT, 0);
  watch.see([comes("a", 5), comes("b", 7)], "listing", 0);
  return watch;
};

test("boards live by their keys, by name, with what they tell", () => {
  const watch = watching();
  assert.equal(
    watch.live.map(({ name, epoch }) => [name, epoch]),
    [
      ["a", 5],
      ["b", 7],
    ],
  );
  assert.is(watch.find("a")?.record?.address, "10.0.0.1:10810");
  assert.equal(watch.gone(0), []);
});

test("a board whose key holds something else is what it was, an exporter in any case", () => {
  const watch = watching();
  watch.see([put(keys.board("b"), "{", 7)], "watch", 10);
  assert.is(watch.find("b")?.record?.name, "b");
  watch.see([put(keys.board("b"), encodeBoard(record("a")), 7)], "watch", 10);
  assert.is(watch.find("b")?.record?.name, "b", "of another name");
  watch.see([put(keys.board("c"), "{", 9)], "watch", 10);
  assert.is(watch.find("c")?.epoch, 9);
  assert.is(watch.find("c")?.record, null);
  watch.see([put(keys.board("b"), "{", 12)], "watch", 10);
  assert.is(watch.find("b")?.record, null, "another life has told nothing yet");
});

test("a board that went may write until its last confirmation is old", () => {
  const watch = watching();
  watch.see([beats("b")], "watch", 10_000);
  watch.see([goes("b")], "watch", 14_000);
  assert.is(watch.find("b"), null);
  assert.equal(watch.gone(14_000), [{ name: "b", epoch: 7, dueAt: 10_000 + WAIT }]);
  assert.is(watch.dueAt, 10_000 + WAIT);
  assert.equal(watch.gone(10_000 + WAIT), []);
});

test("an answer that tells of the end may be ahead of the last confirmation", () => {
  const watch = watching();
  watch.see([beats("b")], "watch", 10_000);
  watch.see([goes("b")], "answer", 14_000);
  assert.is(watch.dueAt, 14_000 + WAIT);
});

test("after a listing everything that went counts as confirmed at that moment", () => {
  const watch = watching();
  watch.see([beats("b")], "watch", 1000);
  watch.see([goes("b")], "watch", 2000);
  watch.see([beats("a")], "listing", 5000);
  assert.equal(watch.gone(5000), [{ name: "b", epoch: 7, dueAt: 5000 + WAIT }]);
  assert.is(watch.heardAt("a"), 5000);
});

test("a board that begins another life at once has a life that is over", () => {
  const watch = watching();
  watch.see([beats("b")], "watch", 1000);
  watch.see([comes("b", 12)], "watch", 2000);
  assert.is(watch.find("b")?.epoch, 12);
  assert.equal(watch.gone(2000), [{ name: "b", epoch: 7, dueAt: 1000 + WAIT }]);
  watch.see([comes("b", 12)], "watch", 3000);
  assert.is(watch.gone(3000).length, 1, "the same life again is none");
});

test.run();
