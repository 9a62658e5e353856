/** What the array makes of write errors and of bad blocks made good: noted, failed, or neither. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { BadRange } from "../../../src/raid/bad-block-table.ts";
import {
  LEG_BLOCKED,
  LEG_IN_SYNC,
  LEG_NONE,
  LEG_NOTES_BAD_BLOCKS,
  LEG_WRITE_ERROR,
} from "../../../src/raid/shared-state.ts";
import { inSync, MachineBench, MIB, rebuilding } from "../../helpers/machine-bench.ts";

const PAGE = 4096;
const SPOT: BadRange = [2 * PAGE, 3 * PAGE];
/** The same on disk: sectors from the start of the member. */
const SPOT_ON_DISK = "2064+8";

const statesOf = (bench: MachineBench, path: string): string =>
  bench.memberStatus(path)?.states.join() ?? "absent";
const badOf = (bench: MachineBench, leg: number): readonly BadRange[] =>
  bench.shared.badBlocks(leg).within(0, 2 ** 50);
/** Single sectors, each apart from the next. */
const spots = (count: number): BadRange[] =>
  Array.from({ length: count }, (_, index) => [index * 1024, index * 1024 + 512]);

const test = suite("raid/leg-report");

// --- noted ---------------------------------------------------------------------------------------

test("what a leg could not store is noted: its list, then the superblock that names it, then the answer", () => {
  const bench = new MachineBench();
  bench.write(0);
  bench.takeLog();
  bench.report(1, "write", [SPOT]);
  assert.is(bench.shared.leg(1), LEG_IN_SYNC, "nobody is blocked");
  const bits = "bitmap e22 c20 bits 0";
  assert.equal(bench.takeLog(), [`0 ${bits}`, "0 flush", `1 ${bits}`, "1 flush"]);
  bench.finishIo();
  bench.finishIo();
  const roles = "roles 0=0,1=1";
  assert.equal(bench.takeLog(), [
    `0 super e22 dirty ${roles}`,
    "0 flush",
    "1 flush",
    `1 bad ${SPOT_ON_DISK}`,
    "1 flush",
    `1 super e22 dirty bad ${roles}`,
    "1 flush",
  ]);
  bench.finishIo();
  assert.equal(bench.resolved, []);
  bench.finishIo();
  assert.equal(bench.resolved, [[1, true]]);
  assert.equal([bench.shared.leg(1), bench.status.degraded], [LEG_IN_SYNC, 0]);
});

test("nobody reads it from the moment of the report, and later writes go around it", () => {
  const bench = new MachineBench();
  bench.report(1, "write", [SPOT]);
  assert.equal(badOf(bench, 1), [SPOT]);
  assert.equal(badOf(bench, 0), []);
  assert.is(bench.shared.flags(1), LEG_WRITE_ERROR | LEG_NOTES_BAD_BLOCKS);
  assert.is(bench.shared.flags(0), LEG_NOTES_BAD_BLOCKS);
});

test("the status and a happening tell of it", () => {
  const bench = new MachineBench();
  bench.report(1, "write", [SPOT, [5 * PAGE, 7 * PAGE]]);
  bench.settle();
  assert.is(statesOf(bench, "/m1"), "in_sync,write_error,want_replacement");
  assert.is(bench.memberStatus("/m1")?.badBlocks, 2);
  assert.equal(bench.detailsOf("member.bad-block"), [
    { path: "/m1", bytes: 3 * PAGE, entries: 2, reason: "EIO" },
  ]);
});

test("spots are whole sectors, and join what is noted already", () => {
  const bench = new MachineBench({ badBlocks: { 1: [[0, 512]] } });
  bench.report(1, "write", [[700, 1100]]);
  assert.equal(badOf(bench, 1), [[0, 1536]]);
});

test("a second try that stored everything is answered at once and notes nothing", () => {
  const bench = new MachineBench();
  bench.report(1, "write", []);
  assert.equal([bench.resolved, bench.takeLog(), badOf(bench, 1)], [[[1, true]], [], []]);
  assert.is(bench.shared.flags(1), LEG_WRITE_ERROR | LEG_NOTES_BAD_BLOCKS);
  assert.is(statesOf(bench, "/m1"), "in_sync,write_error,want_replacement");
});

test("a member that failed a write is replaced as soon as there is a spare", () => {
  const bench = new MachineBench({ placements: [inSync(0), inSync(1), { type: "spare" }] });
  bench.report(1, "write", [SPOT]);
  bench.tick(20);
  bench.finishSync();
  assert.equal([statesOf(bench, "/m2"), bench.memberStatus("/m2")?.raidSlot], ["in_sync", 1]);
});

test("what was noted before the start is known from the start", () => {
  const bench = new MachineBench({ badBlocks: { 1: [SPOT] } });
  assert.equal(badOf(bench, 1), [SPOT]);
  assert.is(bench.memberStatus("/m1")?.badBlocks, 1);
  assert.is(statesOf(bench, "/m1"), "in_sync");
  bench.write(0);
  assert.match(bench.takeLog("1", "super").join(), / bad roles/);
});

test("a note outlives a member that fails in the same update: the list is there first", () => {
  for (let phase = 0; phase < 2; phase++) {
    const bench = new MachineBench({ slots: 3 });
    bench.write(0);
    bench.takeLog();
    bench.report(1, "write", [SPOT]);
    for (let done = 0; done < phase * 3; done++) bench.finishIo();
    bench.finishIo("EIO", 2);
    bench.settle();
    const log = bench.takeLog("1", "bad ");
    assert.is(log[0], `1 bad ${SPOT_ON_DISK}`, log.join("\n"));
    assert.match(log.at(-1) ?? "", /^1 super e\d+ dirty bad roles 0=0,1=1,2=faulty$/);
    assert.equal(bench.resolved, [[1, true]]);
  }
});

test("a spot noted while another update runs: no superblock of it names a list that is not there", () => {
  const bench = new MachineBench();
  bench.send({ type: "intent", worker: 0, ranges: [[0, 0]] });
  bench.takeLog();
  bench.report(1, "write", [SPOT]);
  while (bench.toldOf("intent-ready").length === 0) bench.finishIo();
  const log = bench.takeLog("1", "bad ");
  assert.equal(log.slice(0, 2), [`1 bad ${SPOT_ON_DISK}`, "1 super e21 dirty bad roles 0=0,1=1"]);
  assert.equal(bench.resolved, [], "its own update has yet to come");
  bench.settle();
  assert.equal(bench.resolved, [[1, true]]);
});

// --- failed --------------------------------------------------------------------------------------

for (const [what, kind, ranges, options] of [
  ["a leg that failed as a whole", "write", null, {}],
  ["a leg that cannot be flushed", "flush", null, {}],
  ["a member without a list", "write", [SPOT], { hasBadBlockLog: false }],
  ["a member of a cluster", "write", [SPOT], { nodes: 4 }],
  [
    "a member whose list is full",
    "write",
    [[2 ** 20, 2 ** 20 + 512]],
    { badBlocks: { 1: spots(512) } },
  ],
] as const) {
  test(`${what} is recorded faulty`, () => {
    const bench = new MachineBench(options);
    bench.report(1, kind, ranges);
    assert.is(bench.shared.leg(1), LEG_BLOCKED);
    bench.settle();
    assert.equal(bench.resolved, [[1, true]]);
    assert.equal([statesOf(bench, "/m1"), bench.shared.leg(1)], ["faulty", LEG_NONE]);
    assert.equal(bench.takeLog("bad "), []);
  });
}

test("a full list still takes what joins its spots", () => {
  const bench = new MachineBench({ badBlocks: { 1: spots(512) } });
  bench.report(1, "write", [[512, 1024]]);
  bench.settle();
  assert.equal(bench.resolved, [[1, true]]);
  assert.is(bench.memberStatus("/m1")?.badBlocks, 511);
});

test("a report of a leg that nobody holds any more is answered: it is recorded already", () => {
  const bench = new MachineBench();
  bench.run({ type: "fail", path: "/m1", reason: "test" });
  bench.report(1, "write", [SPOT], 9);
  bench.settle();
  assert.equal(bench.resolved, [[9, true]]);
});

// --- neither: it is the last copy ----------------------------------------------------------------

test("the last good copy of a spot is not noted: the client gets the error", () => {
  const bench = new MachineBench({ badBlocks: { 1: [SPOT] } });
  bench.report(0, "write", [[0, 4 * PAGE]]);
  bench.settle();
  assert.equal(bench.resolved, [[1, false]]);
  assert.equal([badOf(bench, 0), bench.takeLog("bad ")], [[], []]);
  assert.is(statesOf(bench, "/m0"), "in_sync");
  bench.report(0, "write", [[3 * PAGE, 4 * PAGE]], 2);
  bench.settle();
  assert.equal(bench.resolved[1], [2, true], "beside the spot the other copy is good");
});

test("of two reports for one spot the first is noted, the second is the last copy", () => {
  const bench = new MachineBench();
  bench.report(0, "write", [SPOT], 1);
  bench.report(1, "write", [SPOT], 2);
  bench.settle();
  assert.equal(bench.resolved, [
    [1, true],
    [2, false],
  ]);
  assert.equal([badOf(bench, 0), badOf(bench, 1)], [[SPOT], []]);
});

test("in a raid10 only members that hold the same bytes count", () => {
  const options = { slots: 4, layout: "n2", placements: [inSync(0), inSync(2), inSync(3)] };
  const bench = new MachineBench(options);
  bench.report(0, "write", [SPOT], 1);
  bench.report(2, "write", [SPOT], 2);
  bench.settle();
  assert.equal(bench.resolved, [
    [1, false],
    [2, true],
  ]);
});

test("far copies: bad blocks count where the other member has the bytes", () => {
  const far = 4 * MIB;
  const options = { slots: 2, layout: "f2", badBlocks: { 1: [[far, far + PAGE] as const] } };
  const bench = new MachineBench(options);
  bench.report(0, "write", [[0, PAGE]], 1);
  bench.report(0, "write", [[PAGE, 2 * PAGE]], 2);
  bench.report(0, "write", [[far, far + PAGE]], 3);
  bench.settle();
  assert.equal(bench.resolved, [
    [1, false],
    [2, true],
    [3, true],
  ]);
});

test("a member under rebuild is no copy; what was rebuilt starts over, its own errors are noted", () => {
  const bench = new MachineBench({ placements: [inSync(0), rebuilding(1)], chunks: 64 });
  bench.startSync();
  for (let piece = 0; piece < 3; piece++) bench.finishCopy();
  assert.is(bench.memberStatus("/m1")?.recoveryOffset, 3 * MIB);
  bench.report(0, "write", [SPOT], 1);
  assert.is(bench.memberStatus("/m1")?.recoveryOffset, 0);
  bench.report(1, "write", [SPOT], 2);
  bench.finishSync();
  assert.equal(bench.resolved, [
    [1, false],
    [2, true],
  ]);
  assert.equal([badOf(bench, 0), badOf(bench, 1)], [[], [SPOT]]);
  assert.is(bench.status.degraded, 0);
});

// --- made good -----------------------------------------------------------------------------------

test("bad blocks made good: the list without them is durable before the answer, the last of them ends it", () => {
  const bench = new MachineBench({ badBlocks: { 1: [SPOT, [8 * PAGE, 9 * PAGE]] } });
  bench.report(1, "healed", [SPOT], 1);
  assert.equal(badOf(bench, 1), [[8 * PAGE, 9 * PAGE]]);
  assert.equal(bench.resolved, []);
  bench.settle();
  assert.equal(bench.resolved, [[1, true]]);
  const made = bench.takeLog("1").map((line) => line.replace(/e\d+/, "e"));
  const from = made.indexOf("1 bad 2112+8");
  assert.equal(
    made.slice(from - 1, from + 3),
    ["1 flush", "1 bad 2112+8", "1 flush", "1 super e clean bad roles 0=0,1=1"],
    "what made it good is durable first",
  );
  bench.report(1, "healed", [[8 * PAGE, 9 * PAGE]], 2);
  bench.settle();
  const log = bench.takeLog("1").filter((line) => line !== "1 flush");
  assert.equal(log.slice(-2), ["1 bad ", "1 super e22 clean roles 0=0,1=1"]);
  assert.is(bench.memberStatus("/m1")?.badBlocks, 0);
});

test("only whole sectors become good", () => {
  const bench = new MachineBench({ badBlocks: { 1: [[0, 2 * PAGE]] } });
  bench.report(1, "healed", [[100, 1600]], 1);
  bench.settle();
  assert.equal(badOf(bench, 1), [
    [0, 512],
    [1536, 2 * PAGE],
  ]);
  assert.equal(bench.resolved, [[1, true]], "the other member has the rest");
  bench.report(1, "healed", [[2000, 2100]], 2);
  bench.settle();
  assert.is(badOf(bench, 1).length, 2);
});

test("what cannot be made good, and is good nowhere else, was not stored", () => {
  const placements = [inSync(0)];
  const full = [...spots(511), [2 ** 20, 2 ** 20 + 4 * PAGE] as const];
  const bench = new MachineBench({ placements, badBlocks: { 0: full } });
  bench.report(0, "healed", [[2 ** 20 + PAGE, 2 ** 20 + 2 * PAGE]], 1);
  bench.settle();
  assert.equal(bench.resolved, [[1, false]], "the list has no room for two halves");
  bench.report(0, "healed", [[2 ** 20, 2 ** 20 + PAGE]], 2);
  bench.settle();
  assert.equal(bench.resolved[1], [2, true]);
});

test.run();
