/** The texts of members and slots: what encoding writes is read, and nothing else. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  decodeMember,
  decodeSlot,
  encodeMember,
  encodeSlot,
  type SlotState,
} from "../../../../src/cluster/store/member-records.ts";
import { StoreKeys } from "../../../../src/cluster/store/store-keys.ts";
import { CodedError } from "../../../../src/common/errors.ts";

const test = suite("member records");

const codeOf = (read: () => unknown): string => {
  try {
    read();
  } catch (error) {
    return error instanceof CodedError ? error.code : String(error);
  }
  return "read";
};

test("reads back what it writes", () => {
  const states: SlotState[] = [
    { type: "free" },
    { type: "live" },
    { type: "live", epoch: 12 },
    { type: "dead", epoch: 12 },
    { type: "recovering", epoch: 12, by: { slot: 3, epoch: 40 } },
  ];
  for (const state of states) assert.equal(decodeSlot(encodeSlot(state)), state);
  assert.equal(decodeSlot(null), { type: "free" });
  const member = { node: "ä", boot: "b", life: "l", address: "10.0.0.1:1", protocol: 1 };
  assert.equal(decodeMember(encodeMember(member)), member);
});

test("refuses every other text", () => {
  for (const text of [
    "",
    "Free",
    "live ",
    "live x",
    "dead",
    "dead 01",
    "dead -1",
    "dead 1 ",
    "recovering 1",
  ])
    assert.is(
      codeOf(() => decodeSlot(text)),
      "CLUSTER_BAD_RECORD",
      text,
    );
  const long = JSON.stringify("x".repeat(257));
  for (const text of [
    "",
    "null",
    "[]",
    "{}",
    '{"node":"a","boot":"b","life":"l","address":""}',
    '{"node":"a","boot":"b","life":"l","address":"","protocol":1.5}',
    '{"node":"a","boot":"b","life":"l","address":"","protocol":1,"more":1}',
    `{"node":${long},"boot":"b","life":"l","address":"","protocol":1}`,
  ])
    assert.is(
      codeOf(() => decodeMember(text)),
      "CLUSTER_BAD_RECORD",
      text,
    );
});

test("finds slots and resources in keys of ours only", () => {
  const keys = new StoreKeys("p/");
  assert.equal(
    [keys.member(3), keys.heartbeat(64), keys.slot(1), keys.ack(2)].map((key) => keys.slotIn(key)),
    [3, 64, 1, 2],
  );
  for (const key of [
    "p/m/0",
    "p/m/01",
    "p/m/",
    "p/m/x",
    "p/m/1/2",
    "p/fd/1/2",
    "p/cfg",
    "p/m/1000",
  ])
    assert.is(keys.slotIn(key), null, key);
  for (const name of ["bitmap0001", "a/b", "%", "..", "ä\n😀"])
    assert.is(keys.resourceIn(keys.lock(name)), name);
  for (const key of ["p/lk/%", "p/lk/a b", "p/lk/%61", "p/lk/%zz", "p/ch"])
    assert.is(keys.resourceIn(key), null, key);
});

test.run();
