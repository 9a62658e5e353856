/** What is written to the members in which order, and who is answered when. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { BIT_DURABLE, LEG_BLOCKED, LEG_IN_SYNC, LEG_NONE } from "../../../src/raid/shared-state.ts";
import { inSync, MachineBench, rebuilding, SAFE_MODE_MS } from "../../helpers/machine-bench.ts";

const ROLES = "roles 0=0,1=1";
const intent = (worker: number, first: number, last = first) =>
  ({ type: "intent", worker, ranges: [[first, last]] }) as const;

/** Completes one phase: what is under way now, and nothing it leads to. */
const test = suite("raid/metadata-update");

test("the first write of a clean array: bits, then superblocks, each flushed, then the answer", () => {
  const bench = new MachineBench();
  bench.send(intent(0, 3));
  const bits = "bitmap e21 c20 bits 3";
  assert.equal(bench.takeLog(), [`0 ${bits}`, "0 flush", `1 ${bits}`, "1 flush"]);
  bench.finishIo(null, 1);
  assert.equal(bench.takeLog(), [], "one member is not enough");
  bench.finishIo();
  const dirty = `super e21 dirty ${ROLES}`;
  assert.equal(bench.takeLog(), [`0 ${dirty}`, "0 flush", `1 ${dirty}`, "1 flush"]);
  bench.finishIo();
  assert.is(bench.shared.clean, true);
  assert.is(bench.shared.bit(3) === BIT_DURABLE, false);
  assert.equal(bench.toldOf("intent-ready"), []);
  bench.finishIo();
  assert.is(bench.shared.clean, false);
  assert.is(bench.shared.bit(3), BIT_DURABLE);
  assert.equal(bench.toldOf("intent-ready"), [{ type: "intent-ready", worker: 0 }]);
});

test("further bits of a dirty array need no superblock", () => {
  const bench = new MachineBench();
  bench.write(3);
  bench.takeLog();
  bench.send(intent(1, 5, 6));
  const bits = "bitmap e21 c20 bits 3,5,6";
  assert.equal(bench.takeLog(), [`0 ${bits}`, "0 flush", `1 ${bits}`, "1 flush"]);
  bench.settle();
  assert.equal(bench.takeLog(), []);
  assert.is(bench.shared.bit(6), BIT_DURABLE);
});

test("an intent for bits that are durable already is answered at once", () => {
  const bench = new MachineBench();
  bench.write(3);
  bench.takeLog();
  bench.send(intent(1, 3));
  assert.equal(bench.takeLog(), []);
  assert.equal(bench.toldOf("intent-ready").length, 2);
});

test("bits that the start has found are written and flushed before a write goes on by them", () => {
  const bench = new MachineBench({ resyncOffset: 0, dirty: [3, 5] });
  const before = bench.shared.bit(3);
  assert.is(before === BIT_DURABLE, false, "who wrote it may have died before its flush");
  bench.takeLog();
  bench.send(intent(0, 3));
  const bits = "bitmap e20 c20 bits 3,5";
  assert.equal(bench.takeLog(), [`0 ${bits}`, "0 flush", `1 ${bits}`, "1 flush"]);
  assert.equal(bench.toldOf("intent-ready"), []);
  bench.finishPhase();
  assert.equal(bench.toldOf("intent-ready"), [{ type: "intent-ready", worker: 0 }]);
  bench.send(intent(1, 5));
  assert.equal(bench.takeLog(), [], "all of them are");
});

test("intents that arrive during an update share the next one", () => {
  const bench = new MachineBench();
  bench.send(intent(0, 1));
  bench.takeLog();
  bench.send(intent(1, 2));
  bench.send(intent(0, 4));
  assert.equal(bench.takeLog(), []);
  bench.finishPhase();
  bench.finishPhase();
  assert.equal(bench.toldOf("intent-ready").length, 1);
  assert.equal(bench.takeLog("0", "bitmap"), ["0 bitmap e21 c20 bits 1,2,4"]);
  bench.settle();
  assert.equal(bench.toldOf("intent-ready").length, 3);
});

test("going clean flushes the data before anything says clean", () => {
  const bench = new MachineBench();
  bench.write(3);
  bench.tick(1);
  bench.takeLog();
  bench.tick(SAFE_MODE_MS);
  assert.equal(bench.takeLog(), ["0 flush", "1 flush"]);
  bench.finishPhase();
  assert.equal(bench.takeLog("clean"), [
    `0 super e20 clean ${ROLES}`,
    `1 super e20 clean ${ROLES}`,
  ]);
  bench.finishPhase();
  // Events stepped back: the bitmap never has fewer than the superblocks.
  assert.equal(bench.takeLog("bitmap"), ["0 bitmap e20 c20 bits 3", "1 bitmap e20 c20 bits 3"]);
  bench.settle();
  assert.is(bench.status.arrayState, "clean");
});

test("a failure is recorded before the failed write is answered, and blocks writes until then", () => {
  const bench = new MachineBench();
  bench.write(3);
  bench.takeLog();
  bench.report(1, "write", null, 7);
  assert.is(bench.shared.leg(1), LEG_BLOCKED);
  assert.equal(bench.takeLog("bitmap"), ["0 bitmap e22 c20 bits 3"], "a faulty leg is not written");
  bench.finishPhase();
  assert.equal(bench.takeLog("super"), ["0 super e22 dirty roles 0=0,1=faulty"]);
  assert.equal(bench.toldOf("leg-resolved"), []);
  assert.is(bench.shared.leg(1), LEG_BLOCKED);
  bench.settle();
  const answer = { type: "leg-resolved", worker: 0, request: 7, isRecorded: true };
  assert.equal(bench.toldOf("leg-resolved"), [answer]);
  assert.is(bench.shared.leg(1), LEG_NONE);
  assert.equal(bench.toldOf("drop-leg"), [
    { type: "drop-leg", leg: 1, reason: "write error: EIO" },
  ]);
  assert.is(bench.status.degraded, 1);
});

test("members in sync have a new role before the member that got it", () => {
  const bench = new MachineBench({
    placements: [inSync(0), { type: "spare" }],
  });
  bench.tick(1);
  bench.settle();
  const lines = bench.takeLog("super", "1=1");
  const first = lines.findIndex((line) => line.startsWith("0"));
  const second = lines.findIndex((line) => line.startsWith("1"));
  assert.ok(first >= 0 && first < second, lines.join("\n"));
});

for (const [phase, after] of [
  ["the bitmap", 0],
  ["the superblocks", 1],
] as const) {
  test(`a member that fails while ${phase} is written: the others get a new update, then answers`, () => {
    const bench = new MachineBench({ slots: 3 });
    bench.send(intent(0, 2));
    for (let done = 0; done < after; done++) bench.finishPhase();
    bench.takeLog();
    bench.finishIo("EIO", 1);
    assert.is(bench.shared.leg(1), LEG_BLOCKED);
    bench.finishIo(null, 0);
    assert.equal(bench.toldOf("intent-ready"), []);
    assert.equal(bench.takeLog(), [], "every member of the phase is waited for");
    bench.finishIo(null, 2);
    assert.equal(
      bench.takeLog("bitmap").map((line) => line.slice(0, 12)),
      ["0 bitmap e21", "2 bitmap e21"],
    );
    bench.settle();
    assert.equal(bench.takeLog("super"), [
      "0 super e21 dirty roles 0=0,1=1,2=2",
      "2 super e21 dirty roles 0=0,1=1,2=2",
      "0 super e22 dirty roles 0=0,1=faulty,2=2",
      "2 super e22 dirty roles 0=0,1=faulty,2=2",
    ]);
    assert.equal(bench.toldOf("intent-ready").length, 1);
    assert.is(bench.shared.bit(2), BIT_DURABLE);
    assert.is(bench.shared.leg(1), LEG_NONE);
  });
}

test("a member that fails the flush before clean: the array stays dirty until the others say so", () => {
  const bench = new MachineBench({ slots: 3 });
  bench.write(3);
  bench.tick(1);
  bench.takeLog();
  bench.tick(SAFE_MODE_MS);
  bench.finishIo("EIO", 2);
  bench.finishIo(null, 0);
  bench.finishIo(null, 1);
  bench.settle();
  assert.equal(bench.takeLog("super"), [
    "0 super e21 dirty roles 0=0,1=1,2=2",
    "1 super e21 dirty roles 0=0,1=1,2=2",
    "0 super e22 dirty roles 0=0,1=1,2=faulty",
    "1 super e22 dirty roles 0=0,1=1,2=faulty",
  ]);
  assert.is(bench.shared.clean, false);
});

test("the last member's metadata fails: the array is broken, readable, and answers everybody", () => {
  const bench = new MachineBench();
  bench.run({ type: "fail", path: "/m1", reason: "test" });
  bench.send(intent(0, 2));
  const remove = bench.command({ type: "remove", path: "/m1" });
  bench.finishIo("EIO");
  bench.settle();
  assert.is(bench.status.arrayState, "broken");
  assert.is(bench.status.health, "failed");
  assert.equal(bench.toldOf("intent-ready").length, 1);
  assert.is(bench.outcome(remove), "RAID_ARRAY_BROKEN");
  assert.is(bench.shared.leg(0), LEG_IN_SYNC);
  assert.ok(bench.happenings().includes("array.broken"));
});

test("a member of a read-only array that fails is out of use, and nothing is written", () => {
  const bench = new MachineBench({ readOnly: true, slots: 3 });
  bench.report(1, "flush", null, 4);
  bench.send({ type: "member-vanished", path: "/m2", reason: "gone" });
  bench.send({ type: "member-vanished", path: "/m0", reason: "gone" });
  assert.equal([bench.io, bench.takeLog()], [[], []]);
  assert.equal(
    [0, 1, 2].map((slot) => bench.shared.leg(slot)),
    [LEG_IN_SYNC, LEG_NONE, LEG_NONE],
  );
  assert.equal(bench.resolved, [[4, true]]);
  assert.equal([bench.status.arrayState, bench.status.degraded], ["readonly", 2]);
  assert.is(bench.run({ type: "stop" }), "ok");
});

test("an array that broke leaves members that were failing out of use", () => {
  const bench = new MachineBench();
  bench.send(intent(0, 2));
  bench.report(1, "write");
  bench.finishIo("EIO", 0);
  bench.finishIo();
  assert.is(bench.status.arrayState, "broken");
  assert.equal(
    [0, 1].map((slot) => bench.shared.leg(slot)),
    [LEG_IN_SYNC, LEG_BLOCKED],
  );
  assert.equal(bench.toldOf("leg-resolved").length, 1);
});

test("a rebuilt member is read from while its promotion is written: the other one may fail then", () => {
  const bench = new MachineBench({ placements: [inSync(0), rebuilding(1)] });
  bench.startSync();
  while (bench.shared.leg(1) !== LEG_IN_SYNC) {
    if (bench.copies.length > 0) bench.finishCopy();
    else bench.finishIo();
  }
  assert.ok(bench.io.length > 0, "nothing is durable yet");
  bench.send({ type: "member-vanished", path: "/m0", reason: "gone" });
  assert.equal([bench.shared.leg(0), bench.shared.leg(1)], [LEG_BLOCKED, LEG_IN_SYNC]);
  bench.settle();
  assert.equal([bench.shared.leg(0), bench.shared.leg(1)], [LEG_NONE, LEG_IN_SYNC]);
  assert.equal([bench.status.degraded, bench.status.arrayState], [1, "clean"]);
});

test.run();
