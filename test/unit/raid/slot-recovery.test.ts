/** §4.1: the recovery thread of MD Cluster, step by step on one node. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { inSync, MIB, rebuilding } from "../../helpers/machine-bench.ts";
import { NodeBench } from "../../helpers/node-bench.ts";

/** A node at rest that is told to recover slot 2, in which these chunks are set. */
const recovering = (...dirty: number[]): { bench: NodeBench; notice: number } => {
  const bench = new NodeBench();
  bench.rest();
  bench.told.length = 0;
  bench.takeLog();
  const notice = bench.notice({ type: "recover-slot", slot: 2 });
  bench.finishSlots([0, 1], () => bench.area(...dirty));
  return { bench, notice };
};

/** The update that follows a recovery is made, and every node knows of it. */
const tellUpdate = (bench: NodeBench): void => {
  bench.answer("metadata-update-start");
  bench.settle();
  bench.answer("metadata-update-finish");
};

const test = suite("raid/slot-recovery");

test('§4.1 "reads the bitmap of the failed node", of every leg', () => {
  const bench = new NodeBench();
  bench.rest();
  bench.notice({ type: "recover-slot", slot: 2 });
  assert.equal(
    bench.asks("read-slot-bitmaps").map(({ slots }) => slots),
    [[2]],
  );
  assert.equal(bench.status.cluster?.recovering, [2]);
});

test('§4.1 "copies the set bitmap to local node", durably on every leg, then "cleans" it', () => {
  const { bench, notice } = recovering(3, 5);
  assert.equal(bench.takeLog(), [
    "0 bitmap e20 c20 bits 3,5",
    "0 flush",
    "1 bitmap e20 c20 bits 3,5",
    "1 flush",
  ]);
  bench.finishIo(null, 0);
  assert.equal(bench.takeLog(), [], "both legs first");
  bench.finishIo(null, 1);
  assert.equal(bench.takeLog(), [
    "0 bitmap slot 2 e20 c20 bits ",
    "0 flush",
    "1 bitmap slot 2 e20 c20 bits ",
    "1 flush",
  ]);
  bench.finishIo(null, 1);
  assert.not.ok(bench.isProcessed(notice), "flushed on every leg first");
  bench.finishIo(null, 0);
  assert.ok(bench.isProcessed(notice));
});

test('§4.1 "initiates resync of the bitmap on the current node": the chunks that were set', () => {
  const { bench } = recovering(3, 5);
  bench.settle();
  assert.equal([bench.shared.balances, bench.shared.syncedMib], [false, 0]);
  assert.equal(bench.calls, ["metadata-update-start", "resync-start"]);
  bench.answer("resync-start");
  bench.tick(20);
  bench.answer("resync-info-update");
  bench.tick(20);
  assert.equal(bench.pieces, ["sync 3-4", "sync 5-6"]);
  bench.rest();
  assert.is(bench.shared.balances, true);
  assert.is(bench.status.health, "optimal");
});

test("the resync of a dead node's bits is not told as the first one, which is over", () => {
  const every = [0, 1, 2, 3, 4, 5, 6, 7];
  const bench = new NodeBench({ dirty: every, eventsCleared: 0, resyncOffset: 0 });
  bench.settle();
  assert.is(bench.status.health, "building");
  bench.rest();
  assert.is(bench.status.health, "optimal");
  bench.notice({ type: "recover-slot", slot: 2 });
  bench.finishSlots([0, 1], () => bench.area(3));
  bench.settle();
  bench.answer("resync-start");
  const { sync, health } = bench.status;
  assert.equal([sync?.action, sync?.reason, health], ["resync", "unclean-shutdown", "resyncing"]);
});

test("B2: bit 0 alone is resynced", () => {
  const { bench } = recovering(0);
  bench.settle();
  bench.answer("resync-start");
  bench.tick(20);
  bench.answer("resync-info-update");
  bench.tick(20);
  assert.equal(bench.pieces, ["sync 0-1"]);
});

test("a node that had written nothing: a pass all the same, for the others wait for its end", () => {
  const { bench, notice } = recovering();
  bench.settle();
  assert.ok(bench.isProcessed(notice));
  assert.is(bench.shared.balances, false);
  tellUpdate(bench);
  assert.equal(bench.calls, ["resync-start"]);
  bench.answer("resync-start");
  assert.equal(bench.calls, ["resync-finish"]);
  assert.is(bench.shared.balances, true);
});

test("superblocks are written anew: the node may have left them half done, or others at rest", () => {
  const { bench } = recovering();
  bench.settle();
  bench.takeLog();
  bench.answer("metadata-update-start");
  bench.settle();
  assert.is(bench.takeLog("super").length > 0, true);
  assert.ok(bench.calls.includes("metadata-update-finish"));
});

test("no update follows where no node has had the slot: every start looks at those", () => {
  const bench = new NodeBench();
  bench.rest();
  bench.told.length = 0;
  const notice = bench.notice({ type: "recover-slot", slot: 2, isUnused: true });
  bench.finishSlots([0, 1], () => bench.area(3));
  bench.settle();
  assert.ok(bench.isProcessed(notice));
  assert.equal(bench.calls, ["resync-start"]);
});

test("a bit that any leg has counts: the node may have died while it was writing them", () => {
  const bench = new NodeBench();
  bench.rest();
  bench.notice({ type: "recover-slot", slot: 1 });
  bench.finishSlots([0, 1], (_, member) => (member === 1 ? bench.area(6) : bench.area()));
  assert.is(bench.takeLog("bits 6").length, 2);
});

test("a slot that no in-sync leg can tell anything of: every chunk counts", () => {
  const bench = new NodeBench({ slots: 3, placements: [inSync(0), inSync(1), rebuilding(2)] });
  bench.notice({ type: "recover-slot", slot: 1 });
  const junk = new Uint8Array(4096).fill(0x55);
  bench.finishSlots([0, 1, 2], (_, member) =>
    member === 0 ? null : member === 1 ? junk : bench.area(2),
  );
  assert.is(bench.status.bitmap.dirtyChunks, 8);
});

test("B5: a slot that the array does not have, or that is this node's, is told and answered", () => {
  for (const slot of [0, -1, 4, 64, 0.5]) {
    const bench = new NodeBench();
    bench.rest();
    bench.takeLog();
    const notice = bench.notice({ type: "recover-slot", slot });
    assert.ok(bench.isProcessed(notice), `slot ${slot}`);
    assert.ok(bench.happenings().includes("cluster.bad-slot"));
    bench.settle();
    assert.equal([bench.takeLog(), bench.asks("read-slot-bitmaps")], [[], []]);
  }
});

test("a leg that fails on the way keeps the old bits, and holds nothing up", () => {
  const { bench, notice } = recovering(3);
  bench.takeLog();
  bench.finishIo("EIO", 1);
  bench.finishIo(null, 0);
  assert.equal(bench.takeLog("slot 2"), ["0 bitmap slot 2 e20 c20 bits "]);
  bench.finishIo(null, 0);
  assert.ok(bench.isProcessed(notice), "though the failure is not recorded yet");
  assert.equal(bench.calls, ["metadata-update-start"]);
});

test("a leg that fails as the old bits are cleared holds nothing up either", () => {
  const { bench, notice } = recovering(3);
  bench.finishIo(null, 0);
  bench.finishIo(null, 1);
  bench.finishIo("EIO", 0);
  bench.finishIo(null, 1);
  assert.ok(bench.isProcessed(notice));
  bench.rest();
  assert.is(bench.memberStatus("/m0")?.states[0], "faulty");
  assert.is(bench.status.bitmap.dirtyChunks, 1, "degraded: the bit stays");
});

test("without a leg that can be written the slot is not given up: another node has to recover it", () => {
  const bench = new NodeBench({ slots: 1, placements: [inSync(0)] });
  const notice = bench.notice({ type: "recover-slot", slot: 2 });
  bench.finishSlots([0], () => bench.area(3));
  bench.settle();
  const { bench: broken } = { bench };
  assert.ok(broken.isProcessed(notice));
  const again = bench.notice({ type: "recover-slot", slot: 3 });
  bench.finishSlots([0], () => bench.area(4));
  bench.finishIo("EIO", 0);
  bench.settle();
  assert.not.ok(bench.isProcessed(again));
  assert.is(bench.status.arrayState, "broken");
});

test("bits of this node's own writes under way are asked for again, and stay right", () => {
  const { bench } = recovering(3);
  bench.send({ type: "intent", worker: 0, ranges: [[4, 4]] });
  bench.settle();
  bench.rest();
  assert.is(bench.shared.bit(4), 1);
  assert.ok(bench.status.bitmap.dirtyChunks >= 1);
});

test("the pass after a recovery begins with a right that was asked for after it", () => {
  const bench = new NodeBench({ chunks: 100 });
  bench.rest();
  bench.command({ type: "sync-action", action: "check" });
  bench.tick(20);
  bench.answer("resync-start");
  bench.tick(20);
  bench.answer("resync-info-update");
  const notice = bench.notice({ type: "recover-slot", slot: 2 });
  bench.finishSlots([0, 1], () => bench.area());
  bench.answered.length = 0;
  bench.rest();
  assert.ok(bench.isProcessed(notice));
  const ends = bench.answered.filter((call) => /^resync-(start|finish)/.test(call));
  assert.equal(ends, ["resync-finish", "resync-start", "resync-finish"]);
  assert.is(bench.shared.balances, true);
});

test("bits recovered during a resync start it again: it may be past them", () => {
  const bench = new NodeBench({ chunks: 100, dirty: [50] });
  bench.tick(20);
  bench.answer("resync-start");
  bench.tick(20);
  bench.answer("resync-info-update");
  bench.tick(20);
  bench.notice({ type: "recover-slot", slot: 2 });
  bench.finishSlots([0, 1], () => bench.area(3));
  bench.rest();
  const copied = bench.detailsOf("sync.finished").map(({ copied_bytes: bytes }) => Number(bytes));
  const [first = 0, second = 0] = copied;
  assert.is(first + second, 3 * MIB, "what was under way counts for nothing: it is copied again");
  assert.is(bench.status.health, "optimal");
});

test("what a resync had passed when it became needed is resynced by the next one", () => {
  const bench = new NodeBench({ chunks: 100, dirty: [2, 8] });
  bench.tick(20);
  bench.answer("resync-start");
  bench.tick(20);
  bench.answer("resync-info-update");
  bench.tick(20);
  assert.equal(bench.pieces, ["sync 2-3", "sync 8-9"]);
  bench.notice({ type: "recover-slot", slot: 2 });
  // It lies between the first piece, which is under way, and the second.
  bench.finishSlots([0, 1], () => bench.area(5));
  bench.finishCopy();
  bench.finishCopy();
  assert.equal([bench.status.sync, bench.shared.syncedMib], [null, 0]);
  const pieces: string[] = [];
  for (let rounds = 0; rounds < 20; rounds++) {
    bench.answerAll();
    pieces.push(...bench.pieces);
    bench.settle();
    bench.tick(20);
  }
  assert.ok(pieces.includes("sync 5-6"), pieces.join());
});

test("a frozen node takes a slot over and runs the empty pass, but copies nothing", () => {
  for (const dirty of [[], [3]]) {
    const bench = new NodeBench();
    bench.rest();
    bench.command({ type: "sync-action", action: "frozen" });
    bench.told.length = 0;
    const notice = bench.notice({ type: "recover-slot", slot: 2 });
    bench.finishSlots([0, 1], () => bench.area(...dirty));
    bench.settle();
    assert.ok(bench.isProcessed(notice));
    tellUpdate(bench);
    assert.equal(bench.calls, dirty.length === 0 ? ["resync-start"] : []);
    bench.rest();
    assert.is(bench.shared.balances, dirty.length === 0);
    bench.command({ type: "sync-action", action: "idle" });
    bench.rest();
    assert.is(bench.shared.balances, true);
  }
});

test("a node that leaves before its pass says that somebody has to resync", () => {
  const { bench } = recovering();
  bench.settle();
  tellUpdate(bench);
  bench.command({ type: "stop" });
  bench.settle();
  assert.equal(bench.calls, ["resync-start", "leave needs-sync"]);
});

test("a stop waits for a recovery under way", () => {
  const { bench, notice } = recovering(3);
  bench.command({ type: "stop" });
  assert.not.ok(bench.calls.includes("leave needs-sync"));
  bench.settle();
  assert.ok(bench.isProcessed(notice));
  tellUpdate(bench);
  assert.ok(bench.calls.includes("leave needs-sync"));
});

test("one slot after the other", () => {
  const { bench, notice } = recovering(3);
  const second = bench.notice({ type: "recover-slot", slot: 3 });
  bench.finishSlots([0, 1], () => bench.area(6));
  assert.equal(bench.status.cluster?.recovering, [2, 3]);
  bench.settle();
  assert.ok(bench.isProcessed(notice) && bench.isProcessed(second));
  assert.equal(bench.status.cluster?.recovering, []);
  bench.answer("resync-start");
  bench.tick(20);
  bench.answer("resync-info-update");
  bench.tick(20);
  assert.equal(bench.pieces, ["sync 3-4", "sync 6-7"]);
});

test.run();
