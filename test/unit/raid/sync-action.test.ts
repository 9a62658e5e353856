/** Which sync action runs, over what, how fast, and what it may claim. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { CopyPlan } from "../../../src/raid/array-messages.ts";
import { LEG_IN_SYNC, LEG_REBUILDING, SYNCED_ALL } from "../../../src/raid/shared-state.ts";
import {
  GOOD_COPY,
  inSync,
  MachineBench,
  MIB,
  rebuilding,
  SAFE_MODE_MS,
} from "../../helpers/machine-bench.ts";

/** `recover 0+1` : mode, first MiB and how many, of each copy under way. */
const planned = (bench: MachineBench): string[] =>
  bench.copies.map(({ plan }) => `${plan.mode} ${plan.from / MIB}+${(plan.end - plan.from) / MIB}`);

const lengthOf = ({ from, end }: CopyPlan): number => end - from;

const actionOf = (bench: MachineBench): string | null => bench.status.sync?.action ?? null;

const test = suite("raid/sync-action");

for (const [what, options, action, first] of [
  ["a clean whole array", {}, null, []],
  ["an unclean one without dirty chunks", { resyncOffset: 0 }, null, []],
  [
    "an unclean one with dirty chunks",
    { resyncOffset: 0, dirty: [2, 5] },
    "resync",
    ["sync 2+1", "sync 5+1"],
  ],
  ["a clean one with stray bits", { dirty: [2] }, null, []],
  [
    "an unclean one without a bitmap",
    { resyncOffset: 0, hasBitmap: false },
    "resync",
    ["sync 0+1", "sync 1+1", "sync 2+1", "sync 3+1"],
  ],
  [
    "a checkpoint without a bitmap",
    { resyncOffset: 3 * 2048, hasBitmap: false },
    "resync",
    ["sync 3+1", "sync 4+1", "sync 5+1", "sync 6+1"],
  ],
  ["one copy alone, unclean", { resyncOffset: 0, placements: [inSync(0)], dirty: [1] }, null, []],
  [
    "a member under rebuild",
    { placements: [inSync(0), rebuilding(1)] },
    "recover",
    ["copy 0+1", "copy 1+1", "copy 2+1", "copy 3+1"],
  ],
  [
    "a resync and a rebuild",
    { slots: 3, resyncOffset: 0, dirty: [4], placements: [inSync(0), inSync(1), rebuilding(2)] },
    "resync",
    ["sync 4+1"],
  ],
] as const) {
  test(`at the start, ${what}: ${action ?? "nothing"}`, () => {
    const bench = new MachineBench(options);
    bench.startSync();
    assert.is(actionOf(bench), first.length === 0 ? null : action);
    assert.equal(planned(bench), first);
  });
}

test("a rebuild goes on where it was after a clean stop, and nowhere before", () => {
  const bench = new MachineBench({ placements: [inSync(0), rebuilding(1, 5 * MIB)], dirty: [1] });
  bench.startSync();
  assert.equal(planned(bench), ["copy 5+1", "copy 6+1", "copy 7+1"]);
});

test("after a power cut it copies again what had a bit below its checkpoint", () => {
  const placements = [inSync(0), rebuilding(1, 5 * MIB)];
  const bench = new MachineBench({ placements, dirty: [1, 3], resyncOffset: 0 });
  bench.startSync();
  assert.equal(planned(bench), ["copy 1+1", "copy 3+1", "copy 5+1", "copy 6+1"]);
});

test("after a power cut without a bitmap it starts over", () => {
  const placements = [inSync(0), rebuilding(1, 5 * MIB)];
  const bench = new MachineBench({ placements, hasBitmap: false, resyncOffset: 0 });
  bench.startSync();
  assert.is(planned(bench)[0], "copy 0+1");
});

test("a rebuild by bitmap copies only chunks whose bit is set", () => {
  const placements = [inSync(0), rebuilding(1, 0, true)];
  const bench = new MachineBench({ placements, dirty: [2, 7] });
  bench.startSync();
  assert.equal(planned(bench), ["copy 2+1", "copy 7+1"]);
  assert.is(bench.status.sync?.scope, "bitmap");
  bench.settle();
  assert.is(bench.status.degraded, 0);
});

test("a rebuilt member is in sync only once its data is flushed and the superblocks say so", () => {
  const bench = new MachineBench({ placements: [inSync(0), rebuilding(1)] });
  bench.startSync();
  while (bench.status.sync !== null) {
    if (bench.io.length > 0) bench.finishIo();
    else bench.finishCopy();
  }
  assert.is(bench.shared.leg(1), LEG_REBUILDING);
  bench.settle();
  assert.is(bench.shared.leg(1), LEG_IN_SYNC);
  assert.ok(bench.happenings().includes("spare.active"));
  const last = bench.takeLog("1").slice(-4);
  assert.match(last.join(), /flush.*super e\d+ clean roles 0=0,1=1/);
});

test("a resync lets reads use every leg up to where it is, and everywhere at the end", () => {
  const bench = new MachineBench({ resyncOffset: 0, dirty: [0, 1, 2, 3, 4, 5, 6, 7] });
  assert.is(bench.shared.syncedMib, 0);
  bench.startSync();
  const [first, second] = bench.copies.splice(0, 2);
  bench.send({ type: "copy-done", token: second?.token ?? 0, result: GOOD_COPY });
  assert.is(bench.shared.syncedMib, 0, "the first piece is not done");
  bench.send({ type: "copy-done", token: first?.token ?? 0, result: GOOD_COPY });
  assert.is(bench.shared.syncedMib, 2);
  bench.settle();
  assert.is(bench.shared.syncedMib, SYNCED_ALL);
});

test("of a dirty array the superblocks say dirty, however far its resync is", () => {
  const bench = new MachineBench({ resyncOffset: 0, hasBitmap: false });
  bench.startSync();
  bench.finishCopy();
  bench.finishCopy();
  assert.equal(bench.takeLog(), ["0 flush", "1 flush"], "it has begun after the first piece");
  bench.finishCopy();
  bench.finishIo();
  bench.finishIo();
  // The array is not clean yet: whatever is claimed, the superblocks say dirty.
  assert.equal(
    bench.takeLog("super").map((line) => line.split(" ")[3]),
    ["dirty", "dirty"],
  );
  bench.settle();
});

test("a checkpoint claims what was settled before its flush, and not what was copied since", () => {
  const bench = new MachineBench({ resyncOffset: 2048, hasBitmap: false });
  bench.startSync();
  bench.finishCopy();
  bench.finishCopy();
  while (bench.io.length > 0) bench.finishIo();
  const stored = bench.takeLog("super").map((line) => line.split(" ").slice(3, 5).join(" "));
  assert.equal(stored, ["at 4096", "at 4096", "at 6144", "at 6144"], "one flush for each piece");
});

test("a piece nobody can read keeps its bit and its resync; the others are settled", () => {
  const bench = new MachineBench({ resyncOffset: 0, dirty: [1, 6] });
  bench.startSync();
  const chunk = { offset: MIB, length: MIB };
  const readFailed = [0, 1].map((member) => ({ member, ...chunk, message: "EIO" }));
  bench.finishCopy({ unreadable: [chunk], readFailed });
  bench.settle();
  assert.is(actionOf(bench), null);
  assert.equal(
    bench.told
      .flatMap((e) => (e.type === "happening" ? [e.happening.details["outcome"]] : []))
      .at(-1),
    "failed",
  );
  assert.is.not(bench.shared.syncedMib, SYNCED_ALL);
  for (let pass = 0; pass < 4; pass++) {
    bench.tick(6000);
    bench.settle();
  }
  assert.is(bench.status.bitmap.dirtyChunks, 1);
  assert.is(actionOf(bench), null, "it waits for the next start");
});

test("a rebuild whose source cannot be read, without room to note it, stops and is not tried again by itself", () => {
  const placements = [inSync(0), rebuilding(1)];
  const bench = new MachineBench({ placements, hasBadBlockLog: false });
  bench.startSync();
  bench.finishCopy({ unreadable: [{ offset: 0, length: 4096 }] });
  bench.settle();
  bench.tick(1000);
  assert.is(actionOf(bench), null);
  assert.is(bench.status.degraded, 1);
});

test("a member that fails ends the action; what is left goes on", () => {
  const bench = new MachineBench({ slots: 3, resyncOffset: 0, dirty: [0, 1, 2, 3, 4, 5] });
  bench.startSync();
  bench.finishCopy({ writeFailed: [{ member: 2, message: "EIO", ranges: null }] });
  bench.finishSync();
  assert.is(bench.status.degraded, 1);
  assert.is(bench.shared.syncedMib, SYNCED_ALL);
  const outcomes = bench.told.flatMap((e) =>
    e.type === "happening" && e.happening.type === "sync.finished"
      ? [e.happening.details["outcome"]]
      : [],
  );
  assert.equal(outcomes, ["interrupted", "done"]);
});

test("a spare takes the lowest empty slot once every worker has opened it", () => {
  const bench = new MachineBench({ slots: 3, placements: [inSync(0), { type: "spare" }] });
  bench.startSync();
  while (bench.io.length > 0) bench.finishIo();
  assert.equal(
    bench.openings.map(({ leg, member }) => [leg, member]),
    [[1, 1]],
  );
  assert.is(bench.shared.leg(1), 0);
  bench.finishOpening();
  assert.is(bench.shared.leg(1), LEG_REBUILDING);
  assert.is(bench.copies.length, 0, "the superblocks name it first");
  bench.finishSync();
  assert.is(bench.status.inSyncCopies, 2);
});

test("a spare that a worker cannot open is faulty", () => {
  const bench = new MachineBench({ placements: [inSync(0), { type: "spare" }] });
  bench.startSync();
  while (bench.io.length > 0) bench.finishIo();
  bench.finishOpening("EMFILE");
  bench.settle();
  const spare = bench.status.members.find(({ path }) => path === "/m1");
  assert.equal(spare?.states, ["faulty"]);
  assert.is(spare?.faultReason, "EMFILE");
});

test("a member that is re-added during a rebuild waits for a rebuild of its own", () => {
  const bench = new MachineBench({ slots: 3, placements: [inSync(0), rebuilding(1), inSync(2)] });
  bench.startSync();
  bench.run({ type: "fail", path: "/m2", reason: "test" });
  bench.startSync();
  const superblock = bench.superblocks.get(2);
  const newcomer = bench.newcomer("/m2", { superblock: superblock ?? null });
  bench.command({ type: "re-add", newcomer });
  while (bench.openings.length === 0) bench.finishIo();
  bench.finishOpening();
  while (bench.io.length > 0) bench.finishIo();
  for (const { targets } of bench.copies.flatMap(({ plan }) => plan.extents))
    assert.not.ok(targets.some(({ member }) => member === newcomer.member));
  bench.settle();
  assert.is(bench.status.inSyncCopies, 3);
});

test("a write that the last member in sync fails puts every rebuild back to its start", () => {
  const bench = new MachineBench({ placements: [inSync(0), rebuilding(1)] });
  bench.startSync();
  bench.finishCopy();
  bench.finishCopy();
  bench.report(0, "write");
  bench.finishSync();
  assert.is(bench.shared.leg(0), LEG_IN_SYNC);
  assert.equal(bench.resolved, [[1, false]]);
  const started = bench.happenings().filter((type) => type === "sync.started");
  assert.is(started.length, 2);
  assert.is(bench.status.degraded, 0);
});

// --- what the user asks --------------------------------------------------------------------------

for (const action of ["check", "repair"] as const) {
  test(`${action} compares everything and counts what differs in sectors`, () => {
    const bench = new MachineBench();
    assert.is(bench.outcome(bench.command({ type: "sync-action", action })), "ok");
    assert.is(bench.copies[0]?.plan.mode, action);
    bench.finishCopy({ mismatchedBytes: 64 * 1024 });
    bench.finishSync();
    assert.is(bench.status.mismatchCount, 128);
    bench.run({ type: "sync-action", action });
    bench.finishSync();
    assert.is(bench.status.mismatchCount, 0);
  });
}

test("a second action is refused while one runs; idle ends it; a new one may follow", () => {
  const bench = new MachineBench();
  const ask = (action: "check" | "repair" | "idle") =>
    bench.outcome(bench.command({ type: "sync-action", action }));
  assert.is(ask("check"), "ok");
  assert.is(ask("repair"), "RAID_SYNC_IN_PROGRESS");
  assert.is(ask("idle"), "ok");
  bench.settle();
  assert.is(actionOf(bench), null);
  assert.is(ask("repair"), "ok");
  bench.settle();
});

test("frozen stops even a resync, and nothing starts until idle", () => {
  const bench = new MachineBench({ resyncOffset: 0, dirty: [0, 1, 2, 3, 4, 5, 6, 7] });
  bench.startSync();
  bench.run({ type: "sync-action", action: "frozen" });
  bench.tick(100);
  assert.is(actionOf(bench), null);
  bench.command({ type: "sync-action", action: "idle" });
  bench.startSync();
  assert.is(actionOf(bench), "resync");
});

test("idle does not end a resync that is due", () => {
  const bench = new MachineBench({ resyncOffset: 0, dirty: [0, 1, 2] });
  bench.startSync();
  bench.command({ type: "sync-action", action: "idle" });
  assert.is(actionOf(bench), "resync");
});

test("a check of an array with one copy ends at once, and says so", () => {
  const bench = new MachineBench({ placements: [inSync(0)] });
  bench.run({ type: "sync-action", action: "check" });
  assert.is(actionOf(bench), null);
  assert.equal(bench.happenings(), ["sync.started", "sync.finished"]);
  assert.is(bench.status.mismatchCount, 0);
});

// --- speed ---------------------------------------------------------------------------------------

test("an idle array is synced at the upper limit", () => {
  const bench = new MachineBench({
    chunks: 100,
    resyncOffset: 0,
    hasBitmap: false,
    syncSpeed: 4 * MIB,
  });
  bench.startSync();
  let copied = 0;
  for (let ms = 0; ms < 10_000; ms += 20) {
    bench.tick(20);
    while (bench.copies.length > 0) {
      copied += lengthOf(bench.finishCopy());
      while (bench.io.length > 0) bench.finishIo();
    }
  }
  assert.ok(copied >= 39 * MIB && copied <= 43 * MIB, `${copied / MIB} MiB in 10 s at 4 MiB/s`);
});

test("beside clients it falls to the lower limit, and comes back when they rest", () => {
  const bench = new MachineBench({ chunks: 200, resyncOffset: 0, hasBitmap: false });
  bench.command({ type: "sync-speed", min: MIB, max: 20 * MIB });
  const second = (isBusy: boolean): number => {
    let copied = 0;
    for (let ms = 0; ms < 1000; ms += 20) {
      if (isBusy) bench.shared.countOperation(0);
      bench.tick(20);
      while (bench.copies.length > 0) {
        copied += lengthOf(bench.finishCopy());
        while (bench.io.length > 0) bench.finishIo();
      }
    }
    return copied / MIB;
  };
  second(true);
  assert.ok(second(true) <= 2);
  second(false);
  assert.ok(second(false) >= 18);
});

test("a limit that is set while an action runs holds at once, lower or higher", () => {
  const bench = new MachineBench({ chunks: 400, resyncOffset: 0, hasBitmap: false });
  const second = (max: number): number => {
    bench.command({ type: "sync-speed", min: MIB / 4, max: max * MIB });
    let copied = 0;
    for (let ms = 0; ms < 1000; ms += 20) {
      bench.tick(20);
      while (bench.copies.length > 0) {
        copied += lengthOf(bench.finishCopy());
        while (bench.io.length > 0) bench.finishIo();
      }
    }
    return copied / MIB;
  };
  assert.ok(second(50) >= 45);
  assert.ok(second(2) <= 8, "what it may save up, and the pieces under way");
  assert.ok(second(50) >= 45);
});

test("a client that came since the last tick is noticed before the next piece", () => {
  const bench = new MachineBench({ chunks: 64 });
  bench.command({ type: "sync-speed", min: MIB, max: 2 ** 40 });
  bench.tick(500);
  bench.shared.countOperation(0);
  bench.command({ type: "sync-action", action: "check" });
  assert.is(bench.copies.length, 1, "beside a client");
  bench.now += 10;
  bench.finishCopy();
  assert.is(bench.copies.length, 1, "and still");
  for (let ms = 0; ms < 200; ms += 20) bench.tick(20);
  assert.is(bench.copies.length, 4, "the client rests");
  bench.shared.countOperation(0);
  bench.finishCopy();
  bench.finishCopy();
  assert.is(bench.copies.length, 3, "the bucket held one MiB");
});

test("progress never falls, never exceeds the whole, and has an ETA once it moves", () => {
  const bench = new MachineBench({
    chunks: 64,
    resyncOffset: 0,
    hasBitmap: false,
    syncSpeed: 8 * MIB,
  });
  let last = 0;
  let isTold = false;
  for (let ms = 0; ms < 7000; ms += 20) {
    bench.tick(20);
    const { sync } = bench.status;
    if (sync === null) continue;
    assert.ok(sync.completedBytes >= last && sync.completedBytes <= sync.totalBytes);
    last = sync.completedBytes;
    if (sync.eta !== null) {
      isTold = true;
      assert.ok(sync.eta.low <= sync.eta.high);
      const left = (sync.totalBytes - sync.completedBytes) / (8 * MIB);
      if (ms > 3000) assert.ok(sync.eta.low <= left * 1.5 + 1 && sync.eta.high >= left / 1.5 - 1);
    }
    // The last piece stays under way: pieces end out of order.
    while (bench.copies.length > 1) bench.finishCopy();
    while (bench.io.length > 0) bench.finishIo();
  }
  assert.ok(isTold);
  assert.ok(last > 40 * MIB);
});

test("nothing of a sync action is skipped or done twice", () => {
  const bench = new MachineBench({ chunks: 32, resyncOffset: 0, dirty: [0, 1, 7, 8, 9, 31] });
  bench.startSync();
  const seen: number[] = [];
  while (bench.copies.length > 0 || bench.io.length > 0) {
    if (bench.io.length > 0) bench.finishIo();
    else {
      const { from, end } = bench.finishCopy();
      for (let at = from; at < end; at += MIB) seen.push(at / MIB);
    }
  }
  assert.equal(seen, [0, 1, 7, 8, 9, 31]);
});

test("a read-only array neither syncs nor goes clean", () => {
  const bench = new MachineBench({ readOnly: true, resyncOffset: 0, dirty: [1] });
  bench.tick(SAFE_MODE_MS + 1);
  bench.tick(SAFE_MODE_MS + 1);
  assert.equal([bench.copies, bench.io, bench.takeLog()], [[], [], []]);
  assert.is(bench.run({ type: "sync-action", action: "check" }), "RAID_READ_ONLY");
});

test.run();
