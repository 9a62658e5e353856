/** The words an array uses for itself: state, health, members, sync. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  type BenchOptions,
  inSync,
  MachineBench,
  MIB,
  rebuilding,
} from "../../helpers/machine-bench.ts";
import { roles } from "../../helpers/md-samples.ts";

const sync = (bench: MachineBench) => bench.startSync();
const none = () => undefined;

const test = suite("raid/array-view");

const HEALTH: readonly (readonly [string, BenchOptions, (bench: MachineBench) => void, string])[] =
  [
    ["a whole clean array", {}, none, "optimal"],
    [
      "a check of it",
      {},
      (b) => void b.command({ type: "sync-action", action: "check" }),
      "optimal",
    ],
    ["its first resync", { resyncOffset: 0, dirty: [1], eventsCleared: 0 }, sync, "building"],
    ["a resync after a power cut", { resyncOffset: 0, dirty: [1] }, sync, "resyncing"],
    [
      "a first resync without a bitmap",
      { resyncOffset: 0, events: 0, hasBitmap: false },
      sync,
      "building",
    ],
    ["one copy of two", { placements: [inSync(0)] }, none, "degraded"],
    [
      "one copy of two, one being rebuilt",
      { placements: [inSync(0), rebuilding(1)] },
      sync,
      "recovering",
    ],
  ];
for (const [what, options, prepare, health] of HEALTH) {
  test(`health of ${what}: ${health}`, () => {
    const bench = new MachineBench(options);
    prepare(bench);
    assert.is(bench.status.health, health);
  });
}

test("health of an array without any copy in sync: failed", () => {
  assert.is(new MachineBench({ placements: [rebuilding(1)] }).status.health, "failed");
});

test("the state goes clean, write-pending, active, active-idle, clean, clear", () => {
  const bench = new MachineBench();
  const states = [bench.status.arrayState];
  bench.shared.beginWrite(0, 1, 1);
  bench.send({ type: "intent", worker: 0, ranges: [[1, 1]] });
  states.push(bench.status.arrayState);
  bench.settle();
  states.push(bench.status.arrayState);
  bench.shared.endWrite(0, 1, 1);
  states.push(bench.status.arrayState);
  bench.rest();
  states.push(bench.status.arrayState);
  bench.run({ type: "stop" });
  states.push(bench.status.arrayState);
  assert.equal(states, ["clean", "active", "active", "active-idle", "clean", "clear"]);
});

test("a read-only array is readonly", () => {
  assert.is(new MachineBench({ readOnly: true }).status.arrayState, "readonly");
});

test("members are listed by raid slot, empty ones too, the others behind", () => {
  const bench = new MachineBench({
    slots: 4,
    placements: [{ type: "spare" }, inSync(2), rebuilding(0)],
    superblock: { devRoles: roles(0xffff, 2, 0, 3) },
  });
  const rows = bench.status.members.map((m) => [
    m.raidSlot,
    m.path,
    m.states.join(),
    m.deviceNumber,
  ]);
  assert.equal(rows, [
    [0, "/m2", "spare,rebuilding", 2],
    [1, null, "removed", null],
    [2, "/m1", "in_sync", 1],
    [3, null, "removed", null],
    [null, "/m0", "spare", 0],
  ]);
});

test("a member that is failing is blocked until its turn, then faulty with its reason", () => {
  const bench = new MachineBench();
  bench.send({ type: "intent", worker: 0, ranges: [[1, 1]] });
  bench.report(1, "flush");
  assert.equal(bench.status.members[1]?.states, ["in_sync", "blocked"]);
  bench.settle();
  const faulty = bench.status.members.find(({ path }) => path === "/m1");
  assert.equal([faulty?.states, faulty?.raidSlot], [["faulty"], null]);
  assert.is(faulty?.faultReason, "flush error: EIO");
});

test("a member that has not answered for more than a second is stalled, until it answers", () => {
  const bench = new MachineBench();
  bench.shared.setStall(0, 1, Math.floor(bench.now / 1000));
  bench.tick(500);
  assert.is(bench.status.members[1]?.stalledSince, null);
  bench.tick(1000);
  assert.is(bench.status.members[1]?.stalledSince, null);
  bench.tick(20);
  assert.is(bench.status.members[1]?.stalledSince, 1_800_000_000_000);
  assert.is(bench.happenings().filter((type) => type === "member.stalled").length, 1);
  bench.shared.setStall(0, 1, 0);
  bench.tick(20);
  assert.is(bench.status.members[1]?.stalledSince, null);
});

test("name, uuid, level, sizes and bitmap come from the superblocks", () => {
  const { status } = new MachineBench({ dirty: [1, 2] });
  assert.is(status.name, "0");
  assert.is(status.uuid, "00112233-4455-6677-8899-aabbccddeeff");
  assert.equal([status.level, status.metadata, status.raidDevices], ["raid1", "1.2", 2]);
  assert.is(status.sizeBytes, 8 * MIB);
  assert.equal(status.bitmap, {
    type: "internal",
    chunkBytes: MIB,
    dirtyChunks: 2,
    totalChunks: 8,
    delaySeconds: 5,
    nodes: 0,
    clusterName: "",
  });
});

test("an array without a bitmap says so", () => {
  const { status } = new MachineBench({ hasBitmap: false });
  assert.is(status.consistencyPolicy, "resync");
  assert.equal([status.bitmap.type, status.bitmap.totalChunks], ["none", 0]);
});

test("a sync action tells scope, progress, what it copied and what it skipped", () => {
  const bench = new MachineBench({ resyncOffset: 0, dirty: [2, 5] });
  bench.startSync();
  bench.finishCopy();
  const { sync: status } = bench.status;
  assert.equal(
    [status?.action, status?.reason, status?.scope, status?.completedBytes, status?.totalBytes],
    ["resync", "unclean-shutdown", "bitmap", 5 * MIB, 8 * MIB],
  );
  assert.equal([status?.copiedBytes, status?.skippedBytes], [MIB, 6 * MIB]);
});

test("a resync after a change of the array does not speak of an unclean stop", () => {
  const bench = new MachineBench({ resyncOffset: 0, dirty: [2], isChanged: true });
  bench.startSync();
  assert.is(bench.status.sync?.reason, "array-changed");
});

test.run();
