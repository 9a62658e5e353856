/** From when on a node that is gone can do no I/O any more, by our own clock. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { FenceWatch } from "../../../../src/cluster/node/fence-watch.ts";
import type { KeyChange } from "../../../../src/cluster/store/cluster-store.ts";
import { fenceTime } from "../../../../src/cluster/store/permission.ts";
import { StoreKeys } from "../../../../src/cluster/store/store-keys.ts";

const test = suite("fence watch");
const keys = new StoreKeys("p/");
const WAIT = 1000;

const put = (key: string): KeyChange => {
  const lease = null;
  const now = { key, value: "", createRevision: 1, modRevision: 1, version: 1, lease };
  return { type: "put", now };
};
const gone = (key: string): KeyChange => ({ type: "delete", key, revision: 2 });

test("a confirmation permits 6 s; with wrong clocks and what is under way, 6.62 s", () => {
  assert.is(fenceTime(6000), 6620);
});

test("counts from the last confirmation that the watch told of", () => {
  const watch = new FenceWatch(keys, WAIT, 0);
  watch.see([put(keys.heartbeat(2))], "watch", 500);
  assert.is(watch.dueAt(2), 1500);
  watch.see([put(keys.heartbeat(2)), put(keys.heartbeat(1))], "watch", 700);
  watch.see([gone(keys.member(2)), gone(keys.heartbeat(2))], "watch", 900);
  assert.is(watch.dueAt(2), 1700);
});

test("a node that joins confirms by that; one never heard of, when we began to look", () => {
  const watch = new FenceWatch(keys, WAIT, 100);
  assert.is(watch.dueAt(3), 1100);
  watch.see([put(keys.member(3))], "watch", 400);
  assert.is(watch.dueAt(3), 1400);
});

test("after a listing confirmations may have been missed: everybody counts from then", () => {
  const watch = new FenceWatch(keys, WAIT, 0);
  watch.see([put(keys.heartbeat(2))], "watch", 500);
  watch.see([gone(keys.member(2))], "listing", 5000);
  assert.is(watch.dueAt(2), 6000);
  assert.is(watch.dueAt(1), 6000);
});

test("an answer that tells of the end is ahead of the watch, and of the last confirmation", () => {
  const watch = new FenceWatch(keys, WAIT, 0);
  watch.see([put(keys.heartbeat(2))], "watch", 500);
  watch.see([gone(keys.member(2))], "answer", 800);
  assert.is(watch.dueAt(2), 1800);
});

test("other keys are no sign of life", () => {
  const watch = new FenceWatch(keys, WAIT, 0);
  watch.see([put(keys.ack(2)), put(keys.slot(2)), put(keys.lock("resync"))], "watch", 900);
  assert.is(watch.dueAt(2), 1000);
});

test.run();
