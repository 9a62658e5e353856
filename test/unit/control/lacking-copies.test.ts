/** A start that cannot go on names the members that it lacks, and who has to do what. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { withLackingCopies } from "../../../src/control/lacking-copies.ts";
import type { ArrayStatus } from "../../../src/raid/array-status.ts";
import { arrayStatus } from "../../helpers/array-values.ts";
import { fakeMember } from "../../helpers/fake-status.ts";

const test = suite("control/lacking-copies");

const plain = arrayStatus({
  members: [
    fakeMember("peer:board1/disk1", 0, ["in_sync"]),
    fakeMember("/b", 1, ["in_sync"]),
    fakeMember("peer:board3/disk1", 2, ["spare", "rebuilding"]),
  ],
});
const clustered: ArrayStatus = { ...plain, bitmap: { ...plain.bitmap, type: "clustered" } };
const problem = {
  code: "RAID_NOT_ENOUGH_MEMBERS",
  message: "too few to start",
  remedy: "give more of the members",
  members: [
    { path: "/b", reason: "rebuilding" },
    { path: "peer:board3/disk1", reason: "rebuilding" },
  ],
};

test("what was in sync when the array ran here last, and is not here, is named with its board", () => {
  const { message, remedy } = withLackingCopies(problem, clustered);
  assert.is(message, "too few to start; board1.disk1, in sync when it ran here last, is not here");
  assert.is(remedy, "give more of the members; it starts by itself when they are back");
});

test("a device that is there and cannot be read is not here", () => {
  const members = [{ path: "/b", reason: "unreadable" }];
  const { message, remedy } = withLackingCopies({ ...problem, members }, plain);
  assert.match(message, "; board1.disk1, /b, in sync when it ran here last, are not here");
  assert.is(remedy, problem.remedy, "a plain array is assembled by people");
});

test("where nothing is remembered, or copies are not the problem, nothing is added", () => {
  assert.equal(withLackingCopies(problem, null), problem);
  const other = { ...problem, code: "CLUSTER_EXPELLED" };
  assert.equal(withLackingCopies(other, clustered), other);
});

test.run();
