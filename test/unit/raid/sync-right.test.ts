/**
 * A sync action in a cluster: only one node at a time, pieces only in windows that every other node
 * has acknowledged, and what becomes of both when it ends, stops or may not go on.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { inSync, MachineBench, MIB, rebuilding } from "../../helpers/machine-bench.ts";
import { NodeBench, REFUSED } from "../../helpers/node-bench.ts";

const all = (chunks: number): number[] => Array.from({ length: chunks }, (_, chunk) => chunk);

/** A node with `chunks` MiB to resync that has the right to. */
const resyncing = (chunks: number): NodeBench => {
  const bench = new NodeBench({ chunks, dirty: all(chunks) });
  bench.tick(20);
  bench.answer("resync-start");
  return bench;
};

/** Ends copies and lets time pass, answering nothing. */
const copyOn = (bench: NodeBench): void => {
  for (let rounds = 0; rounds < 200; rounds++) {
    bench.settle();
    bench.tick(20);
  }
};

const test = suite("raid/sync-right");

for (const [action, options, command, first] of [
  ["resync", { dirty: [0] }, null, "sync 0-1"],
  ["recover", { placements: [inSync(0), rebuilding(1)] }, null, "copy 0-1"],
  ["check", {}, "check", "check 0-1"],
  ["repair", {}, "repair", "repair 0-1"],
] as const) {
  test(`§6.4 "resync_start … called when resync/recovery/reshape starts": ${action}`, () => {
    const bench = new NodeBench(options);
    if (action !== "resync" && action !== "recover") bench.rest();
    if (command !== null) bench.command({ type: "sync-action", action: command });
    bench.startSync();
    assert.equal([bench.calls, bench.pieces], [["resync-start"], []]);
    bench.answer("resync-start");
    bench.tick(20);
    assert.equal([bench.calls, bench.pieces], [["resync-info-update 0-8"], []]);
    bench.answer("resync-info-update");
    bench.tick(20);
    assert.is(bench.pieces[0], first);
    assert.is(bench.status.sync?.action, action);
    bench.rest();
    assert.is(bench.status.sync, null);
  });
}

test("a spare takes an empty raid slot only on the node that has the right", () => {
  const bench = new NodeBench({ slots: 2, placements: [inSync(0), { type: "spare" }] });
  bench.startSync();
  assert.equal([bench.calls, bench.openings.length], [["resync-start"], 0]);
  bench.answer("resync-start");
  bench.tick(20);
  assert.is(bench.openings.length, 1);
  assert.equal(bench.calls, [], "the right stays here until the rebuild is over");
});

test('§4.1 "Before a resync starts, the node send out RESYNCING with the (lo,hi) range"', () => {
  const bench = resyncing(100);
  bench.tick(20);
  assert.equal([bench.calls, bench.pieces], [["resync-info-update 0-32"], []]);
  copyOn(bench);
  assert.equal(bench.pieces, [], "nothing is copied before every node has acknowledged");
  bench.answer("resync-info-update");
  copyOn(bench);
  const { completedBytes } = bench.status.sync ?? {};
  assert.is(completedBytes, 32 * MIB, "nothing is copied beyond the window");
});

test("the end of a resync is told before any status without it: its job ends by that", () => {
  const bench = resyncing(4);
  bench.tick(20);
  bench.answer("resync-info-update");
  while (bench.status.sync !== null) {
    bench.told.length = 0;
    bench.tick(20);
    if (bench.copies.length > 0) bench.finishCopy();
  }
  const told = bench.told.map((effect) =>
    effect.type === "happening" ? effect.happening.type : effect.type,
  );
  const [end, status] = [told.indexOf("sync.finished"), told.indexOf("status-changed")];
  assert.ok(end >= 0 && end < status, told.join());
});

test('§6.3 "The starting point is updated as the resync progresses": the next window in time', () => {
  const bench = resyncing(100);
  bench.tick(5);
  bench.answer("resync-info-update");
  while (bench.calls.length === 0) {
    bench.tick(20);
    if (bench.copies.length > 0) bench.finishCopy();
  }
  const [call = ""] = bench.calls;
  const [, lo = 0, hi = 0] = /(\d+)-(\d+)$/.exec(call)?.map(Number) ?? [];
  const { completedBytes = 0 } = bench.status.sync ?? {};
  assert.ok(lo * MIB <= completedBytes, "what is not settled stays held");
  assert.ok(lo >= 8 && lo <= 20, `asked in the middle of the window: ${call}`);
  assert.is(hi, 64, "one window ahead");
  assert.ok(bench.copies.length > 0, "copying goes on in the window that is granted");
});

test("a run that mostly waits for other nodes to hold their writes says so", () => {
  const bench = resyncing(200);
  const held = () => [bench.status.sync?.paused, bench.status.sync?.heldBy];
  for (let ms = 0; ms < 2000; ms += 20) bench.tick(20);
  assert.equal(held(), [false, "nodes"]);
  bench.answer("resync-info-update");
  for (let ms = 0; ms < 3000 && bench.calls.length === 0; ms += 20) {
    bench.tick(20);
    if (bench.copies.length > 0) bench.finishCopy();
  }
  bench.answer("resync-info-update");
  for (let ms = 0; ms < 3000 && bench.copies.length > 0; ms += 20) bench.tick(20);
  assert.equal(held(), [false, null], "its members are slow");
});

test("beside clients a window is copied without a pause, and nobody holds writes between two", () => {
  const bench = resyncing(100);
  bench.command({ type: "sync-speed", min: MIB, max: 1000 * MIB });
  const client = (): void => {
    bench.shared.countOperation(0);
    bench.tick(20);
  };
  client();
  bench.answer("resync-info-update");
  const beganAt = bench.now;
  for (let rounds = 0; rounds < 100 && bench.calls.length === 0; rounds++) {
    client();
    bench.settle();
  }
  assert.is(bench.status.sync?.completedBytes, 32 * MIB);
  assert.ok(bench.now - beganAt < 1000, "32 MiB at 1 MiB a second would take half a minute");
  assert.equal(bench.calls, ["resync-info-update 100-100.00048828125"], "behind the array's end");
  bench.answer("resync-info-update");
  const pausedAt = bench.now;
  assert.is(bench.status.sync?.paused, false);
  while (bench.now - pausedAt < 10_000) client();
  assert.equal([bench.status.sync?.paused, bench.status.sync?.heldBy], [true, "clients"]);
  while (bench.calls.length === 0) client();
  assert.equal(bench.calls, ["resync-info-update 32-64"]);
  assert.ok(bench.now - pausedAt > 25_000, "the speed limit holds from window to window");
});

for (const mibs of [1, 40]) {
  test(`beside clients the guaranteed speed of ${mibs} MiB/s is kept, however slow messages are`, () => {
    const chunks = mibs * 100;
    const bench = resyncing(chunks);
    bench.command({ type: "sync-speed", min: mibs * MIB, max: 1000 * MIB });
    const beganAt = bench.now;
    let askedAt: number | null = null;
    for (let rounds = 0; rounds < 10_000 && bench.status.sync !== null; rounds++) {
      bench.shared.countOperation(0);
      bench.tick(20);
      const isAsked = bench.calls.some((call) => call.startsWith("resync-info-update"));
      askedAt = isAsked ? (askedAt ?? bench.now) : null;
      if (askedAt !== null && bench.now - askedAt >= 300) {
        bench.answer("resync-info-update");
        askedAt = null;
      }
      bench.settle();
    }
    const seconds = (bench.now - beganAt) / 1000;
    const speed = chunks / seconds;
    assert.ok(speed >= 0.95 * mibs, `${speed} MiB/s`);
  });
}

test("where the bitmap skips, nothing is announced, and no range spans what lies between", () => {
  const bench = new NodeBench({ chunks: 400, dirty: [1, 300] });
  bench.tick(20);
  bench.answer("resync-start");
  const ranges: string[] = [];
  for (let rounds = 0; rounds < 50; rounds++) {
    bench.tick(20);
    const [call] = bench.calls;
    if (call?.startsWith("resync-info-update") === true) {
      ranges.push(call);
      bench.answer("resync-info-update");
    }
    bench.settle();
  }
  assert.equal(ranges, ["resync-info-update 1-33", "resync-info-update 300-332"]);
});

test('§4.1 "when the node performing resync finishes, it sends RESYNCING with an empty range"', () => {
  const bench = resyncing(8);
  bench.tick(20);
  bench.answer("resync-info-update");
  for (let rounds = 0; rounds < 10; rounds++) {
    bench.tick(20);
    bench.settle();
  }
  assert.is(bench.status.sync, null);
  assert.equal(bench.calls, ["resync-finish"]);
  bench.answer("resync-finish");
  bench.tick(20);
  assert.equal(bench.calls, [], "once");
  assert.is(bench.status.health, "optimal");
});

test("a node that joins runs a pass, empty as it is, before it balances reads", () => {
  const bench = new NodeBench();
  bench.tick(20);
  assert.equal([bench.calls, bench.shared.balances], [["resync-start"], false]);
  assert.equal(bench.status.cluster?.balancesReads, false);
  bench.answer("resync-start");
  assert.is(bench.shared.balances, true, "nobody else resyncs while this node has the right");
  assert.equal(bench.calls, ["resync-finish"]);
  assert.not.ok(bench.happenings().includes("sync.started"), "nothing to tell anybody");
});

test("a node that waits for its turn says resync=PENDING, and looks again when it has it", () => {
  const bench = new NodeBench();
  bench.rest();
  bench.command({ type: "sync-action", action: "check" });
  bench.tick(20);
  const { resync, pendingAction } = bench.status.cluster ?? {};
  assert.equal([resync, pendingAction], ["PENDING", "check"]);
  bench.command({ type: "sync-action", action: "idle" });
  bench.answer("resync-start");
  bench.tick(20);
  assert.equal([bench.calls, bench.pieces], [["resync-finish"], []], "it is not due any more");
});

test("a refused right is asked for again, but not at once", () => {
  const bench = new NodeBench({ dirty: [1] });
  bench.tick(20);
  bench.answer("resync-start", REFUSED);
  bench.tick(20);
  assert.equal(bench.calls, []);
  bench.tick(1000);
  assert.equal(bench.calls, ["resync-start"]);
});

test("a refused window ends the run, and nothing was copied", () => {
  const bench = resyncing(100);
  bench.tick(20);
  bench.answer("resync-info-update", REFUSED);
  assert.equal([bench.status.sync, bench.copies], [null, []]);
  bench.tick(1000);
  assert.equal(bench.calls, ["resync-start"], "it begins anew");
});

test("a run that a failure ends keeps the right, and announces anew from its beginning", () => {
  const bench = new NodeBench({ slots: 3, chunks: 100, dirty: all(100) });
  bench.tick(20);
  bench.answer("resync-start");
  bench.tick(20);
  bench.answer("resync-info-update");
  bench.tick(20);
  bench.command({ type: "fail", path: "/m2", reason: "test" });
  const seen: string[] = [];
  for (let rounds = 0; rounds < 40; rounds++) {
    bench.settle();
    for (const call of bench.calls) {
      if (call.startsWith("resync")) seen.push(call);
      bench.answerAll();
    }
    bench.tick(20);
  }
  assert.not.ok(seen.includes("resync-start"), "the right was never given back before the end");
  assert.ok(seen.length > 3, seen.join());
  assert.is(seen.at(-1), "resync-finish");
  assert.is(bench.status.bitmap.dirtyChunks, 100, "degraded: the bits stay");
  assert.is(bench.status.health, "degraded");
});

test("frozen in the middle: others write everywhere, but nobody takes the copies for equal", () => {
  const bench = resyncing(100);
  bench.tick(20);
  bench.answer("resync-info-update");
  bench.tick(20);
  bench.command({ type: "sync-action", action: "frozen" });
  bench.settle();
  assert.is(bench.status.sync, null);
  assert.equal(bench.calls, [`resync-info-update 100-${100 + 512 / MIB}`], "behind the end");
  bench.answer("resync-info-update");
  bench.tick(20);
  assert.equal(bench.calls, [], "the right stays");
  bench.command({ type: "sync-action", action: "idle" });
  bench.tick(20);
  assert.match(bench.calls.join(), /^resync-info-update 4-36$/, "what is settled stays so");
});

test("a frozen check gives the right back", () => {
  const bench = new NodeBench({ chunks: 100 });
  bench.rest();
  bench.command({ type: "sync-action", action: "check" });
  bench.tick(20);
  bench.answer("resync-start");
  bench.tick(20);
  bench.answer("resync-info-update");
  bench.tick(20);
  bench.command({ type: "sync-action", action: "frozen" });
  bench.settle();
  assert.equal(bench.calls, ["resync-finish"]);
});

test('§6.4 BITMAP_NEEDS_SYNC "allows some other node to take over": a stop in the middle', () => {
  const bench = resyncing(100);
  bench.tick(20);
  bench.answer("resync-info-update");
  bench.tick(20);
  const stop = bench.command({ type: "stop" });
  bench.settle();
  assert.equal(bench.calls, ["leave needs-sync"], "it does not say that nothing is resynced");
  assert.is(bench.outcome(stop), "waiting");
  bench.takeLog();
  bench.answer("leave");
  assert.is(bench.outcome(stop), "ok");
  assert.equal(bench.takeLog(), [], "no bit is cleared");
});

test("§3.1.6 a stop in the middle of a rebuild leaves nothing to resync: another node rebuilds", () => {
  const bench = new NodeBench({ chunks: 100, placements: [inSync(0), rebuilding(1)] });
  bench.tick(20);
  bench.answer("resync-start");
  bench.tick(20);
  bench.answer("resync-info-update");
  bench.tick(20);
  bench.command({ type: "stop" });
  bench.settle();
  assert.equal(bench.calls, ["resync-finish"]);
  bench.answer("resync-finish");
  bench.settle();
  assert.equal(bench.calls, ["leave"]);
});

test("§2.9 a clean stop clears the node's bits, and leaves the superblocks as they are", () => {
  const bench = new NodeBench();
  bench.rest();
  bench.write(3);
  bench.takeLog();
  const stop = bench.command({ type: "stop" });
  bench.settle();
  assert.equal(bench.takeLog("0", "bitmap"), ["0 bitmap e20 c20 bits "]);
  assert.equal(bench.calls, ["leave"]);
  bench.answer("leave");
  assert.is(bench.outcome(stop), "ok");
  assert.is(bench.superblocks.get(0)?.resyncOffset, 0, "never clean");
});

test("B6: the bits of a node that is idle are cleared, though nothing else happens", () => {
  const bench = new NodeBench();
  bench.rest();
  bench.write(3);
  assert.is(bench.status.bitmap.dirtyChunks, 1);
  for (let seconds = 0; seconds < 30; seconds++) {
    bench.tick(1000);
    bench.settle();
  }
  assert.is(bench.status.bitmap.dirtyChunks, 0);
  assert.equal(bench.calls, [], "and nobody else is asked");
});

test("a degraded array keeps its bits, whoever found the failure", () => {
  const bench = new NodeBench();
  bench.rest();
  bench.write(3);
  bench.command({ type: "fail", path: "/m1", reason: "test" });
  bench.rest();
  for (let seconds = 0; seconds < 60; seconds++) {
    bench.tick(1000);
    bench.settle();
  }
  assert.is(bench.status.bitmap.dirtyChunks, 1);
});

test("a read repair waits for the right and for its range: it could undo another node's write", () => {
  const bench = new NodeBench({ chunks: 100 });
  bench.rest();
  bench.send({ type: "read-error", leg: 0, offset: 5 * MIB + 100, length: 512, message: "EIO" });
  bench.tick(20);
  assert.equal([bench.calls, bench.copies], [["resync-start"], []]);
  bench.answer("resync-start");
  assert.equal([bench.calls, bench.copies], [[`resync-info-update 5-${5 + 4096 / MIB}`], []]);
  bench.answer("resync-info-update");
  assert.equal(bench.pieces, ["rewrite 0-0"]);
  bench.finishCopy({ writtenBytes: 4096 });
  assert.equal(bench.calls, ["resync-finish"]);
  assert.ok(bench.happenings().includes("member.read-error-corrected"));
});

test("a recovery of a raid10 announces array sectors, not those of the member", () => {
  const bench = new NodeBench({
    slots: 4,
    layout: "n2",
    chunks: 64,
    placements: [inSync(0), inSync(1), inSync(2), rebuilding(3)],
  });
  bench.tick(20);
  bench.answer("resync-start");
  bench.tick(20);
  // Raid slot 3 holds every second MiB of the array: 32 MiB of it lie in 1-64.
  assert.equal(bench.calls, ["resync-info-update 1-64"]);
});

// --- §6.9 ---------------------------------------------------------------------------------------

/** A member to be rebuilt by bits; the node has the right to, and all know the member. */
const rebuildingByBits = (): NodeBench => {
  const placements = [inSync(0), rebuilding(1, 0, true)];
  const bench = new NodeBench({ chunks: 100, placements, dirty: [2] });
  bench.tick(20);
  bench.answer("resync-start");
  return bench;
};

test('§6.9 "sends a RE_ADD message to all other nodes and then gathers bitmap information"', () => {
  const bench = rebuildingByBits();
  assert.equal([bench.calls, bench.asks("read-slot-bitmaps")], [["gather-bitmaps"], []]);
  bench.answer("gather-bitmaps");
  assert.equal(
    bench.asks("read-slot-bitmaps").map(({ slots }) => slots),
    [[1, 2, 3]],
    "living nodes' as well",
  );
});

test('§6.9 "This combined bitmap is then used to recovery the re-added device"', () => {
  const bench = rebuildingByBits();
  bench.answer("gather-bitmaps");
  bench.finishSlots([0, 1], (slot) => bench.area(10 * slot));
  bench.finishSlots([0, 1], (slot) => bench.area(10 * slot));
  const copied: string[] = [];
  for (let rounds = 0; rounds < 50; rounds++) {
    bench.tick(20);
    bench.answerAll();
    copied.push(...bench.pieces);
    bench.settle();
  }
  assert.equal([...new Set(copied)].slice(0, 4), [
    "copy 2-3",
    "copy 10-11",
    "copy 20-21",
    "copy 30-31",
  ]);
});

test("bits that move from one slot to another while they are read are not missed", () => {
  const bench = rebuildingByBits();
  bench.answer("gather-bitmaps");
  // Slot 1 is read before it gets the bits of slot 3, slot 3 after they are cleared there.
  bench.finishSlots([0, 1], () => bench.area());
  bench.finishSlots([0, 1], (slot) => (slot === 1 ? bench.area(50) : bench.area()));
  assert.is(bench.status.bitmap.dirtyChunks, 2);
});

test("a slot that no in-sync leg can tell anything of: the member is rebuilt as a whole", () => {
  const bench = rebuildingByBits();
  bench.answer("gather-bitmaps");
  for (let pass = 0; pass < 2; pass++)
    bench.finishSlots([0, 1], (slot, member) => (slot === 2 && member === 0 ? null : bench.area()));
  assert.is(bench.status.bitmap.dirtyChunks, 100);
});

test("a member that fails meanwhile: the right goes back when the bitmaps are read, not before", () => {
  const bench = rebuildingByBits();
  bench.answer("gather-bitmaps");
  bench.command({ type: "fail", path: "/m1", reason: "test" });
  bench.answer("metadata-update-start");
  bench.settle();
  bench.answer("metadata-update-finish");
  bench.tick(20);
  assert.equal(bench.calls, []);
  for (let pass = 0; pass < 2; pass++) bench.finishSlots([0], () => bench.area());
  assert.equal(bench.calls, ["resync-finish"]);
});

test("a single board asks nobody", () => {
  const bench = new MachineBench({ resyncOffset: 0, dirty: [1, 2] });
  bench.finishSync();
  assert.equal(bench.toldOf("cluster-call"), []);
  assert.is(bench.status.cluster, null);
  assert.is(bench.shared.balances, true);
});

test.run();
