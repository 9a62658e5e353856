/**
 * A raid10 member that must stay though a write failed on it, for it alone has other bytes: what
 * it shares with others is resynced, and read from one copy until then.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { BadRange } from "../../../src/raid/bad-block-table.ts";
import { LEG_IN_SYNC, SYNCED_ALL } from "../../../src/raid/shared-state.ts";
import { type BenchOptions, inSync, MachineBench, MIB } from "../../helpers/machine-bench.ts";

const PAGE = 4096;

/** Near copies on three members, the first one gone: m0 and m1 share every third chunk only. */
const setUp = (options: BenchOptions = {}): MachineBench => {
  const placements = [inSync(1), inSync(2)];
  const bench = new MachineBench({ slots: 3, layout: "n2", chunks: 9, placements, ...options });
  bench.tick(1);
  finishIo(bench);
  if (options.resyncOffset === undefined) bench.write(options.hasBitmap === false ? 0 : 2);
  bench.takeLog();
  return bench;
};
/** Completes what is written, and nothing that is copied. */
const finishIo = (bench: MachineBench): void => {
  while (bench.io.length > 0) bench.finishIo();
};
/** Array chunk 2, which m0 (leg 1) and m1 (leg 2) both hold, lies at MiB 1 of each. */
const SHARED: BadRange = [MIB, MIB + PAGE];
/** Array chunk 0, which only m0 has left. */
const ALONE: BadRange = [0, PAGE];

/** The MiB of the array that each piece under way begins at. */
const planned = (bench: MachineBench): number[] =>
  bench.copies.map(({ plan }) => (plan.mode === "sync" ? plan.from / MIB : -1));

const test = suite("raid/kept-member");

for (const [what, ranges, options] of [
  ["as a whole", null, { hasBadBlockLog: false }],
  [
    "at a spot that cannot be noted, for the other copy is bad there",
    [SHARED],
    { badBlocks: { 1: [SHARED] } },
  ],
] as const) {
  test(`a write that fails ${what}: an error, no member fails, and a resync is due`, () => {
    const bench = setUp(options);
    bench.report(1, "write", ranges, 1, SHARED);
    assert.is(bench.shared.syncedMib, 0, "reads keep to the first copy at once");
    bench.tick(20);
    finishIo(bench);
    assert.equal(bench.resolved, [[1, false]]);
    assert.equal([bench.shared.leg(1), bench.shared.leg(2)], [LEG_IN_SYNC, LEG_IN_SYNC]);
    bench.startSync();
    assert.equal(planned(bench), [2]);
    bench.finishSync();
    assert.is(bench.shared.syncedMib, SYNCED_ALL);
  });
}

test("the superblocks say that a resync is due before the client has its error", () => {
  const bench = setUp({ hasBadBlockLog: false });
  bench.rest();
  bench.takeLog();
  bench.write(2);
  bench.report(1, "write", null, 1, SHARED);
  while (bench.resolved.length === 0) bench.finishIo();
  const last = bench.takeLog("super").slice(-2);
  assert.ok(
    last.every((line) => / dirty | at 0 /.test(line)),
    last.join("; "),
  );
});

test("what a resync had passed when the write failed is resynced by the next one", () => {
  const bench = setUp({ hasBadBlockLog: false, resyncOffset: 0, dirty: [2, 8] });
  bench.startSync();
  assert.equal(planned(bench), [2, 8]);
  bench.shared.beginWrite(0, 5, 5);
  bench.send({ type: "intent", worker: 0, ranges: [[5, 5]] });
  finishIo(bench);
  // Array chunk 5 lies between the two pieces, at MiB 3 of both members.
  bench.report(1, "write", null, 1, [3 * MIB, 3 * MIB + PAGE]);
  bench.shared.endWrite(0, 5, 5);
  bench.finishCopy();
  bench.finishCopy();
  assert.is(bench.shared.syncedMib, 0, "reads keep to the first copy");
  finishIo(bench);
  bench.startSync();
  assert.ok(planned(bench).includes(5), planned(bench).join());
});

test("where nobody else has the bytes there is nothing to make equal", () => {
  const bench = setUp({ hasBadBlockLog: false });
  bench.report(1, "write", null, 1, ALONE);
  assert.is(bench.shared.syncedMib, SYNCED_ALL);
  bench.settle();
  bench.startSync();
  assert.equal([bench.resolved, planned(bench)], [[[1, false]], []]);
  assert.is(bench.shared.syncedMib, SYNCED_ALL);
});

test("a write over both kinds resyncs what is shared, and nothing else", () => {
  const bench = setUp({ hasBadBlockLog: false });
  bench.write(0, 5);
  bench.report(1, "write", null, 1, [0, 3 * MIB]);
  finishIo(bench);
  bench.startSync();
  assert.equal(planned(bench), [2]);
});

test("a member that may go is recorded faulty instead", () => {
  const bench = new MachineBench({ slots: 3, layout: "n2", chunks: 9, hasBadBlockLog: false });
  bench.write(2);
  bench.report(1, "write", null, 1, SHARED);
  assert.is(bench.shared.syncedMib, SYNCED_ALL);
  bench.settle();
  assert.equal(bench.resolved, [[1, true]]);
  assert.equal(
    [bench.status.degraded, bench.status.sync, bench.shared.syncedMib],
    [1, null, SYNCED_ALL],
  );
});

test("a flush that fails on it makes nothing differ", () => {
  const bench = setUp({ hasBadBlockLog: false });
  bench.report(1, "flush", null, 1, null);
  bench.settle();
  bench.startSync();
  assert.equal([bench.resolved, planned(bench)], [[[1, false]], []]);
});

test("a resync that runs starts again and does the place anew", () => {
  const bench = setUp({ resyncOffset: 0, dirty: [2, 5, 8], hasBadBlockLog: false });
  bench.startSync();
  assert.is(planned(bench)[0], 2);
  bench.finishCopy();
  assert.is(bench.shared.syncedMib, 5);
  bench.report(1, "write", null, 1, SHARED);
  assert.is(bench.shared.syncedMib, 0);
  while (bench.status.sync !== null) bench.finishCopy();
  finishIo(bench);
  bench.startSync();
  assert.is(planned(bench)[0], 2, "though it was done already");
  bench.finishSync();
  assert.equal([bench.shared.syncedMib, bench.status.sync], [SYNCED_ALL, null]);
});

test("without a bitmap the resync begins at the write", () => {
  const bench = setUp({ hasBitmap: false, hasBadBlockLog: false });
  // Array chunk 5, the next one that both hold.
  bench.report(1, "write", null, 1, [3 * MIB, 4 * MIB]);
  assert.is(bench.shared.syncedMib, 5);
  finishIo(bench);
  bench.startSync();
  assert.is(planned(bench)[0], 5);
  bench.finishSync();
  assert.is(bench.shared.syncedMib, SYNCED_ALL);
});

test("a sync write that it did not take leaves the resync undone, and that is told", () => {
  const bench = setUp({ resyncOffset: 0, dirty: [2], hasBadBlockLog: false });
  bench.startSync();
  bench.finishCopy({ writeFailed: [{ member: 1, message: "EIO", ranges: null }] });
  bench.settle();
  assert.equal(
    bench.detailsOf("sync.finished").map(({ outcome }) => outcome),
    ["failed"],
  );
  assert.is.not(bench.shared.syncedMib, SYNCED_ALL);
  assert.is(bench.status.members.filter(({ states }) => states.includes("in_sync")).length, 2);
});

test.run();
