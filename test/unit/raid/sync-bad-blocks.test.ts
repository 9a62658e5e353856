/** Sync actions that meet bad spots: noted on what is written, repaired on what is read. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { BadRange } from "../../../src/raid/bad-block-table.ts";
import {
  type BenchOptions,
  inSync,
  MachineBench,
  MIB,
  rebuilding,
  replacing,
} from "../../helpers/machine-bench.ts";

const PAGE = 4096;
const KIB = 1024;

const statesOf = (bench: MachineBench, path: string): string =>
  bench.memberStatus(path)?.states.join() ?? "absent";
const badOf = (bench: MachineBench, leg: number): readonly BadRange[] =>
  bench.shared.badBlocks(leg).within(0, 2 ** 50);
const outcomes = (bench: MachineBench): unknown[] =>
  bench.detailsOf("sync.finished").map(({ outcome }) => outcome);

const started = (options: BenchOptions): MachineBench => {
  const bench = new MachineBench(options);
  bench.startSync();
  return bench;
};

const test = suite("raid/sync-action and bad blocks");

// --- what no source has --------------------------------------------------------------------------

test("a spot that no source has is noted on the member under rebuild, and the rebuild goes on", () => {
  const bench = started({ placements: [inSync(0), rebuilding(1)] });
  bench.finishCopy({ unreadable: [{ offset: PAGE, length: PAGE }] });
  assert.equal(badOf(bench, 1), [[PAGE, 2 * PAGE]]);
  bench.finishSync();
  assert.equal([statesOf(bench, "/m1"), bench.status.degraded], ["in_sync", 0]);
  assert.equal(outcomes(bench), ["done"]);
});

test("the note is on the member before its superblock says that it is in sync", () => {
  const bench = started({ placements: [inSync(0), rebuilding(1)] });
  bench.finishCopy({ unreadable: [{ offset: PAGE, length: PAGE }] });
  bench.finishSync();
  const log = bench.takeLog("1", "b");
  const noted = log.indexOf("1 bad 2056+8");
  const whole = log.findIndex((line) => line.includes("super") && !line.includes("rebuilt"));
  assert.ok(noted >= 0 && noted < whole, log.join("\\n"));
  assert.match(log[whole] ?? "", / bad roles/);
});

test("it is noted where the member holds those bytes", () => {
  const placements = [inSync(0), rebuilding(1)];
  const bench = started({ layout: "f2", placements, stripeBytes: 512 * KIB });
  // Chunks 1 and 3 lie at the front of member 1; its first piece writes both.
  const chunk = 512 * KIB;
  bench.finishCopy({
    unreadable: [
      { offset: chunk + PAGE, length: PAGE },
      { offset: 4 * chunk - PAGE, length: PAGE },
    ],
  });
  assert.equal(badOf(bench, 1), [
    [PAGE, 2 * PAGE],
    [2 * chunk - PAGE, 2 * chunk],
  ]);
});

test("several members under rebuild each get the note, each at its own place", () => {
  const placements = [inSync(0), rebuilding(1), rebuilding(2)];
  const bench = started({ slots: 3, layout: "o3", stripeBytes: 256 * KIB, placements });
  bench.finishCopy({ unreadable: [{ offset: 0, length: PAGE }] });
  const at = (position: number): BadRange[] => [[position, position + PAGE]];
  assert.equal([badOf(bench, 1), badOf(bench, 2)], [at(256 * KIB), at(512 * KIB)]);
  bench.finishSync();
  assert.is(bench.status.degraded, 0);
});

test("bad blocks of the only source are copied as bad blocks", () => {
  const placements = [inSync(0), rebuilding(1)];
  const bench = started({ placements, badBlocks: { 0: [[0, PAGE]] } });
  const [copy] = bench.copies;
  assert.equal(
    copy?.plan.extents.map(({ sources }) => sources.length),
    [0, 1],
  );
  bench.finishCopy({ unreadable: [{ offset: 0, length: PAGE }] });
  bench.finishSync();
  assert.equal(badOf(bench, 1), [[0, PAGE]]);
});

for (const [what, options] of [
  ["a member without a list", { hasBadBlockLog: false }],
  [
    "a member whose list is full",
    {
      badBlocks: {
        1: Array.from({ length: 512 }, (_, n): BadRange => [MIB + n * 1024, MIB + n * 1024 + 512]),
      },
    },
  ],
] as const) {
  test(`on ${what} nothing can be noted: its rebuild fails and waits for the user`, () => {
    const bench = started({ placements: [inSync(0), rebuilding(1)], ...options });
    bench.finishCopy({ unreadable: [{ offset: 0, length: PAGE }] });
    bench.settle();
    for (let pass = 0; pass < 5; pass++) {
      bench.tick(1000);
      bench.settle();
    }
    assert.equal(outcomes(bench), ["failed"]);
    assert.is(statesOf(bench, "/m1"), "spare,rebuilding");
    assert.is(bench.memberStatus("/m1")?.recoveryOffset, 0, "nothing is claimed");
    assert.is(bench.status.sync, null);
  });
}

test("a replacement takes over with what could not be read noted as bad", () => {
  const bench = started({ slots: 1, placements: [inSync(0), replacing(0)] });
  bench.finishCopy({ unreadable: [{ offset: 0, length: PAGE }] });
  bench.finishSync();
  assert.equal([statesOf(bench, "/m1"), statesOf(bench, "/m0")], ["in_sync", "faulty"]);
  assert.equal(badOf(bench, 1), [[0, PAGE]]);
});

// --- what could not be written -------------------------------------------------------------------

const writeFailed = (member: number, ranges: readonly BadRange[] | null) => ({
  writeFailed: [{ member, message: "EIO", ranges }],
});

test("what could not be written on a member under rebuild is noted, and it goes on", () => {
  const bench = started({ placements: [inSync(0), rebuilding(1)] });
  bench.finishCopy(writeFailed(1, [[PAGE, 2 * PAGE]]));
  bench.finishSync();
  assert.equal(badOf(bench, 1), [[PAGE, 2 * PAGE]]);
  assert.is(statesOf(bench, "/m1"), "in_sync,write_error,want_replacement");
  assert.equal(outcomes(bench), ["done"]);
});

for (const [what, ranges, options] of [
  ["that is gone", null, {}],
  ["without a list", [[0, PAGE]], { hasBadBlockLog: false }],
] as const) {
  test(`a member under rebuild ${what} fails`, () => {
    const bench = started({ placements: [inSync(0), rebuilding(1)], ...options });
    bench.finishCopy(writeFailed(1, ranges));
    bench.settle();
    assert.is(statesOf(bench, "/m1"), "faulty");
  });
}

for (const options of [{}, { hasBadBlockLog: false }]) {
  test(`what the second try stored costs nothing (list: ${options.hasBadBlockLog ?? true})`, () => {
    const bench = started({ resyncOffset: 0, dirty: [1, 6], ...options });
    bench.finishCopy(writeFailed(1, []));
    bench.finishSync();
    assert.is(statesOf(bench, "/m1"), "in_sync,write_error,want_replacement");
    assert.equal([badOf(bench, 1), bench.detailsOf("member.bad-block")], [[], []]);
    for (let pass = 0; pass < 4; pass++) {
      bench.tick(6000);
      bench.settle();
    }
    assert.is(bench.status.bitmap.dirtyChunks, 0, "its chunk is settled");
  });
}

test("a spot noted during a resync settles its chunk: the rest of it is equal", () => {
  const bench = started({ resyncOffset: 0, dirty: [1, 6] });
  bench.finishCopy(writeFailed(1, [[MIB, MIB + PAGE]]));
  bench.finishSync();
  assert.equal(badOf(bench, 1), [[MIB, MIB + PAGE]]);
  for (let pass = 0; pass < 4; pass++) {
    bench.tick(6000);
    bench.settle();
  }
  assert.is(bench.status.bitmap.dirtyChunks, 0);
});

// --- what a source could not give ----------------------------------------------------------------

for (const action of ["check", "repair"] as const) {
  test(`${action} counts what it rewrote on the member that could not read it`, () => {
    const bench = new MachineBench();
    bench.command({ type: "sync-action", action });
    bench.startSync();
    bench.finishCopy({ readFailed: [{ member: 1, offset: 0, length: PAGE, message: "EIO" }] });
    bench.finishSync();
    assert.is(bench.memberStatus("/m1")?.readErrorsCorrected, 8);
    assert.equal(bench.detailsOf("member.read-error-corrected"), [{ path: "/m1", sectors: 8 }]);
  });
}

test("a resync notes what it could read on one member and not write back on the other", () => {
  const bench = started({ resyncOffset: 0, dirty: [0] });
  const spot = { offset: 0, length: PAGE };
  bench.finishCopy({
    readFailed: [{ member: 0, ...spot, message: "EIO" }],
    ...writeFailed(0, [[0, PAGE]]),
  });
  bench.finishSync();
  assert.equal(badOf(bench, 0), [[0, PAGE]]);
  assert.is(bench.memberStatus("/m0")?.readErrorsCorrected, 0);
});

test.run();
