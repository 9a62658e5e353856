import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  addableDevices,
  memberVerbs,
  sortedArrays,
  sortedMembers,
  staleDevices,
} from "../../../web/src/board/array-facts.ts";
import { isName } from "../../../web/src/board/name.ts";
import { arraySample, deviceSample, memberSample } from "../../helpers/panel-samples.ts";

const test = suite("array-facts");

test("the worst array comes first", () => {
  const arrays = [
    arraySample("a", { health: "optimal" }),
    arraySample("b", { health: "recovering" }),
    arraySample("c", { health: "failed" }),
    arraySample("d", { health: "degraded" }),
  ];
  assert.equal(
    sortedArrays(arrays).map(({ id }) => id),
    ["c", "d", "b", "a"],
  );
});

test("the last in-sync member cannot be failed from the panel", () => {
  const member = memberSample(0, "disk1", ["in_sync"]);
  assert.ok(memberVerbs(arraySample("a", { in_sync_copies: 2 }), member).fail);
  assert.not(memberVerbs(arraySample("a", { in_sync_copies: 1 }), member).fail);
});

test("only faulty members and idle spares can be removed", () => {
  const array = arraySample("a", { in_sync_copies: 1 });
  const verbs = (states: Parameters<typeof memberSample>[2]) =>
    memberVerbs(array, memberSample(1, "disk2", states));
  assert.equal(verbs(["faulty"]), { fail: false, remove: true });
  assert.equal(verbs(["spare"]), { fail: true, remove: true });
  assert.equal(verbs(["spare", "rebuilding"]), { fail: true, remove: false });
});

test("an empty slot and an array that does not run have no verbs", () => {
  const none = { fail: false, remove: false };
  const empty = { ...memberSample(1, "disk2", ["missing"]), device_id: null };
  assert.equal(memberVerbs(arraySample("a"), empty), none);
  const stopped = arraySample("a", { array_state: "inactive" });
  assert.equal(memberVerbs(stopped, memberSample(0, "disk1", [])), none);
});

test("former members are devices with this array's superblock that are no members now", () => {
  const array = arraySample("a", { members: [memberSample(0, "disk1", ["in_sync"])] });
  const devices = [
    deviceSample("disk1", "in-use", "a"),
    deviceSample("disk2", "foreign", "a"),
    deviceSample("disk3", "foreign", "b"),
    deviceSample("disk4", "free"),
  ];
  assert.equal(
    staleDevices(array, devices).map(({ id }) => id),
    ["disk2"],
  );
  assert.equal(
    addableDevices(devices).map(({ id }) => id),
    ["disk4", "disk2", "disk3"],
  );
});

test("members stand in the order of their raid slots, spares last", () => {
  const members = [
    memberSample(null, "disk3", ["spare"]),
    memberSample(1, "disk2", ["in_sync"]),
    memberSample(0, "disk1", ["in_sync"]),
  ];
  assert.equal(
    sortedMembers(arraySample("a", { members })).map((member) => member.device_id),
    ["disk1", "disk2", "disk3"],
  );
});

test("names are those the API takes", () => {
  for (const name of ["md0", "a", "A.b_c-9", "x".repeat(32)]) assert.ok(isName(name), name);
  for (const name of ["", "-a", "a b", "ä", "x".repeat(33)]) assert.not(isName(name), name);
});

test.run();
