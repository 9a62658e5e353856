/** A raid10 that is rebuilt, resynced and degraded: positions of members, bits of the array. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Placement } from "../../../src/raid/array-start.ts";
import { SYNCED_ALL } from "../../../src/raid/shared-state.ts";
import {
  type BenchOptions,
  inSync,
  MachineBench,
  MIB,
  rebuilding,
} from "../../helpers/machine-bench.ts";

const KIB = 1024;
const fail = (path: string) => ({ type: "fail", path, reason: "test" }) as const;

/** Four members, two near copies in chunks of 1 MiB; bits cover 1 MiB, too. */
const NEAR = { slots: 4, layout: "n2" } as const;

/** Members in sync in every raid slot but this one, whose member is as given. */
const but = (slots: number, odd: number, placement: Placement): Placement[] =>
  Array.from({ length: slots }, (_, slot) => (slot === odd ? placement : inSync(slot)));

/** `from+length` in KiB of every piece of the sync action that is due, till it ends. */
const pieces = (bench: MachineBench): string[] => {
  const done: string[] = [];
  bench.startSync();
  for (let steps = 0; bench.status.sync !== null; steps++) {
    assert.ok(steps < 1000);
    while (bench.copies.length > 0) {
      const { from, end } = bench.finishCopy();
      done.push(`${from / KIB}+${(end - from) / KIB}`);
      while (bench.io.length > 0) bench.finishIo();
    }
    bench.tick(20);
  }
  bench.settle();
  return done;
};

const test = suite("raid/raid10-recovery");

// --- recovery ------------------------------------------------------------------------------------

test("a recovery covers the members' bytes, not the array's, and claims them as recovery_offset", () => {
  const bench = new MachineBench({ ...NEAR, chunks: 64, placements: but(4, 1, rebuilding(1)) });
  bench.startSync();
  const { sync } = bench.status;
  assert.equal([sync?.action, sync?.totalBytes], ["recover", 64 * MIB]);
  assert.is(bench.status.sizeBytes, 128 * MIB);
  bench.takeLog();
  for (let piece = 0; piece < 5; piece++) {
    bench.tick(20);
    bench.finishCopy();
  }
  assert.is(bench.memberStatus("/m1")?.recoveryOffset, 5 * MIB);
  while (bench.io.length > 0) bench.finishIo();
  const own = bench.takeLog("1", "super").at(-1) ?? "";
  assert.match(own, new RegExp(`rebuilt ${(5 * MIB) / 512} `));
});

test("after a clean stop it goes on at that offset of the member", () => {
  const placements = but(4, 2, rebuilding(2, 6 * MIB));
  assert.equal(pieces(new MachineBench({ ...NEAR, placements })), ["6144+1024", "7168+1024"]);
});

test("after a power cut it copies again what had a bit, where the member holds those bytes", () => {
  // Array MiB 3 lies on members 2 and 3 at their MiB 1, MiB 4 on members 0 and 1.
  for (const [slot, expected] of [
    [2, ["1024+1024", "6144+1024", "7168+1024"]],
    [0, ["2048+1024", "6144+1024", "7168+1024"]],
  ] as const) {
    const placements = but(4, slot, rebuilding(slot, 6 * MIB));
    const bench = new MachineBench({ ...NEAR, placements, dirty: [3, 4], resyncOffset: 0 });
    bench.startSync();
    while (bench.status.sync?.action === "resync") bench.finishCopy();
    while (bench.io.length > 0) bench.finishIo();
    assert.equal(pieces(bench), expected, `slot ${slot}`);
    assert.is(bench.status.degraded, 0);
  }
});

for (const [what, options, slot, dirty, expected] of [
  ["near copies", NEAR, 2, [3, 5], ["1024+1024", "2048+1024"]],
  ["near copies on the other pair", NEAR, 0, [3, 5], []],
  ["chunks smaller than a bit's", { ...NEAR, stripeBytes: 512 * KIB }, 1, [3], ["1536+512"]],
  [
    "chunks larger than a bit's",
    { ...NEAR, stripeBytes: 2 * MIB },
    1,
    [1, 4],
    ["1024+1024", "2048+1024"],
  ],
  ["far copies, both halves", { slots: 2, layout: "f2" }, 0, [0, 1], ["0+1024", "4096+1024"]],
  ["offset copies", { slots: 3, layout: "o2" }, 1, [0, 5], ["1024+1024"]],
] as const) {
  test(`a re-added member gets only what has a bit: ${what}`, () => {
    const placements = but(options.slots, slot, rebuilding(slot, 0, true));
    const bench = new MachineBench({ ...options, placements, dirty });
    assert.equal(pieces(bench), expected);
    assert.equal([bench.status.degraded, bench.status.health], [0, "optimal"]);
  });
}

test("a recovery that goes on in the middle of a bit's chunk misses nothing of the next", () => {
  for (const options of [{ slots: 2 }, { slots: 2, layout: "f2", stripeBytes: 4 * MIB }]) {
    const placements = but(2, 1, rebuilding(1, 1536 * KIB, true));
    const dirty = options.layout === undefined ? [2] : [6];
    const bench = new MachineBench({ ...options, placements, dirty });
    assert.equal(pieces(bench), ["2048+1024"]);
  }
});

test("what a large array may skip is walked over several events, none of them long", () => {
  const placements = but(2, 1, rebuilding(1, 0, true));
  const options = { chunks: 70_000, hasBadBlockLog: false, dirty: [60_000] };
  const bench = new MachineBench({ ...options, placements });
  const walked: number[] = [];
  while (bench.copies.length === 0) {
    bench.tick(20);
    walked.push(bench.status.sync?.completedBytes ?? 0);
  }
  assert.equal(walked.slice(0, 3), [20_000 * MIB, 40_000 * MIB, 60_000 * MIB]);
  assert.equal(pieces(bench), [`${60_000 * 1024}+1024`]);
  assert.is(bench.status.degraded, 0);
});

test("two members that come back together get what either needs", () => {
  const placements = [rebuilding(0, 0, true), inSync(1), rebuilding(2, 0, true), inSync(3)];
  const bench = new MachineBench({ ...NEAR, placements, dirty: [2, 5] });
  assert.equal(pieces(bench), ["1024+1024", "2048+1024"]);
  assert.is(bench.status.degraded, 0);
});

test("what was skipped and what was copied make the whole member", () => {
  const placements = but(4, 2, rebuilding(2, 0, true));
  const bench = new MachineBench({ ...NEAR, placements, dirty: [7] });
  bench.startSync();
  bench.finishCopy();
  assert.equal(bench.detailsOf("sync.finished"), [
    {
      action: "recover",
      outcome: "done",
      scope: "bitmap",
      copied_bytes: MIB,
      skipped_bytes: 7 * MIB,
      mismatch_count: 0,
    },
  ]);
});

// --- resync --------------------------------------------------------------------------------------

test("a resync covers the array's bytes and opens reads as it goes", () => {
  const bench = new MachineBench({ ...NEAR, hasBitmap: false, resyncOffset: 0 });
  bench.startSync();
  assert.equal([bench.status.sync?.action, bench.status.sync?.totalBytes], ["resync", 16 * MIB]);
  bench.finishCopy();
  bench.finishCopy();
  assert.is(bench.shared.syncedMib, 2);
  assert.is(pieces(bench).length, 14);
  assert.is(bench.shared.syncedMib, SYNCED_ALL);
});

test("an unclean raid10 with one copy of everything has nothing to compare", () => {
  const placements = [inSync(0), inSync(3)];
  const bench = new MachineBench({ ...NEAR, placements, resyncOffset: 0, dirty: [0, 1, 2, 9] });
  assert.equal(pieces(bench), []);
  assert.is(bench.shared.syncedMib, SYNCED_ALL);
  assert.is(bench.status.health, "degraded");
});

// --- the last copy, by layout --------------------------------------------------------------------

const LAST: readonly (readonly [string, BenchOptions, number, readonly number[]])[] = [
  ["n2 on four", NEAR, 0, [1]],
  ["n2 on four, the other pair", NEAR, 2, [3]],
  ["n2 on three", { slots: 3, layout: "n2" }, 0, [1, 2]],
  ["n2 on five", { slots: 5, layout: "n2", chunks: 10 }, 0, [1, 4]],
  ["n3 on four", { slots: 4, layout: "n3", chunks: 9 }, 0, []],
  ["f2 on four", { slots: 4, layout: "f2" }, 1, [0, 2]],
  ["f2 on three", { slots: 3, layout: "f2" }, 0, [1, 2]],
  ["o2 on four", { slots: 4, layout: "o2" }, 3, [2, 0]],
  ["two near copies on two", { slots: 2, layout: "n2" }, 1, [0]],
];
for (const [what, options, gone, kept] of LAST) {
  test(`${what}: without member ${gone} members ${kept.join() || "none"} may not fail`, () => {
    const slots = options.slots ?? 2;
    for (let slot = 0; slot < slots; slot++) {
      if (slot === gone) continue;
      const bench = new MachineBench(options);
      assert.is(bench.run(fail(`/m${gone}`)), "ok");
      const expected = kept.includes(slot) ? "RAID_LAST_IN_SYNC_MEMBER" : "ok";
      assert.is(bench.run(fail(`/m${slot}`)), expected, `member ${slot}`);
      assert.is(bench.status.inSyncCopies > 0, true);
    }
  });
}

test("with three copies two members may fail, not the third", () => {
  const bench = new MachineBench({ slots: 3, layout: "n3" });
  assert.is(bench.status.inSyncCopies, 3);
  assert.is(bench.run(fail("/m0")), "ok");
  assert.is(bench.run(fail("/m2")), "ok");
  assert.is(bench.status.inSyncCopies, 1);
  assert.is(bench.run(fail("/m1")), "RAID_LAST_IN_SYNC_MEMBER");
});

test("two members of one pair that fail at once: the second is kept", () => {
  const bench = new MachineBench(NEAR);
  bench.send({ type: "intent", worker: 0, ranges: [[1, 1]] });
  bench.report(0, "write", null, 1);
  bench.report(1, "write", null, 2);
  bench.report(2, "write", null, 3);
  bench.settle();
  assert.equal(bench.resolved, [
    [1, true],
    [2, false],
    [3, true],
  ]);
  assert.equal([bench.status.degraded, bench.status.health], [2, "degraded"]);
});

test("the last copy's metadata cannot be written: the array is broken though others are in sync", () => {
  const bench = new MachineBench({ ...NEAR, placements: [inSync(0), inSync(2), inSync(3)] });
  bench.tick(1);
  bench.settle();
  bench.send({ type: "intent", worker: 0, ranges: [[1, 1]] });
  bench.finishIo("EIO", 0);
  bench.settle();
  assert.equal([bench.status.arrayState, bench.status.health], ["broken", "failed"]);
});

test("a spare of a degraded raid10 takes the lowest empty raid slot", () => {
  const placements = [inSync(0), inSync(3), { type: "spare" } as const];
  const bench = new MachineBench({ ...NEAR, placements });
  bench.tick(20);
  bench.finishSync();
  assert.is(bench.memberStatus("/m2")?.raidSlot, 1);
  assert.equal([bench.status.degraded, bench.status.inSyncCopies], [1, 1]);
});

test.run();
