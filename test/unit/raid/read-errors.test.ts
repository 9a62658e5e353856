/** The budget of read errors, failfast members, and rewrites that a member does not take. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { BadRange } from "../../../src/raid/bad-block-table.ts";
import { LEG_FAILFAST, LEG_WRITE_MOSTLY } from "../../../src/raid/shared-state.ts";
import { FAIL_FAST, WRITE_MOSTLY } from "../../../src/raid/superblock-fields.ts";
import {
  type BenchOptions,
  inSync,
  MachineBench,
  MIB,
  rebuilding,
} from "../../helpers/machine-bench.ts";

const PAGE = 4096;
const HOUR = 3_600_000;
const FLAGS = { type: "member-flags", writeMostly: null, failfast: null } as const;

const statesOf = (bench: MachineBench, path: string): string =>
  bench.memberStatus(path)?.states.join() ?? "absent";

/** A client could not read `count` places on the leg, and each was repaired. */
const errors = (bench: MachineBench, leg: number, count = 1): void => {
  for (let error = 0; error < count; error++) {
    bench.send({ type: "read-error", leg, offset: error * PAGE, length: 512, message: "EIO" });
    bench.settle();
  }
};

/** The first bench with /m1 failfast. */
const failfast = (options: BenchOptions = {}): MachineBench => {
  const bench = new MachineBench(options);
  bench.run({ ...FLAGS, path: "/m1", failfast: true });
  return bench;
};

const test = suite("raid/read-errors");

// --- the budget ----------------------------------------------------------------------------------

test("a member may have twenty read errors, one more and it fails", () => {
  const bench = new MachineBench();
  errors(bench, 1, 20);
  assert.equal([statesOf(bench, "/m1"), bench.memberStatus("/m1")?.readErrors], ["in_sync", 20]);
  errors(bench, 1);
  assert.equal([statesOf(bench, "/m1"), bench.status.degraded], ["faulty", 1]);
  assert.is(bench.memberStatus("/m1")?.faultReason, "more than 20 read errors");
});

test("each member has a budget of its own", () => {
  const bench = new MachineBench({ slots: 3 });
  for (const leg of [0, 1, 2]) errors(bench, leg, 20);
  assert.is(bench.status.degraded, 0);
});

test("the budget is halved every hour", () => {
  for (const [hours, left] of [
    [0.9, 16],
    [1, 8],
    [2.5, 4],
    [4, 1],
    [5, 0],
    [1000, 0],
  ] as const) {
    const bench = new MachineBench();
    errors(bench, 1, 16);
    bench.tick(hours * HOUR);
    errors(bench, 1);
    assert.is(bench.memberStatus("/m1")?.readErrors, left + 1, `after ${hours} hours`);
    errors(bench, 1);
    assert.is(bench.memberStatus("/m1")?.readErrors, left + 2, "once, not for each error");
  }
});

test("errors that come slowly enough never fail a member", () => {
  const bench = new MachineBench();
  for (let hour = 0; hour < 100; hour++) {
    errors(bench, 1, 9);
    bench.tick(HOUR);
    bench.settle();
  }
  assert.is(statesOf(bench, "/m1"), "in_sync");
});

test("the last copy is not failed, however often it cannot be read", () => {
  const bench = new MachineBench({ placements: [inSync(0), rebuilding(1)], syncSpeed: 1 });
  errors(bench, 0, 50);
  assert.equal([statesOf(bench, "/m0"), bench.memberStatus("/m0")?.readErrors], ["in_sync", 0]);
});

test("a member of a raid10 whose copies are elsewhere has its budget; without them it is kept", () => {
  const placements = [inSync(0), inSync(1), inSync(2)];
  const bench = new MachineBench({ slots: 4, layout: "n2", placements });
  errors(bench, 2, 50);
  assert.is(statesOf(bench, "/m2"), "in_sync");
  errors(bench, 1, 21);
  assert.is(statesOf(bench, "/m1"), "faulty");
});

// --- failfast ------------------------------------------------------------------------------------

test("a failfast member fails at its first read error, without a repair", () => {
  const bench = failfast();
  bench.send({ type: "read-error", leg: 1, offset: 0, length: 512, message: "EIO" });
  assert.equal(bench.copies, []);
  bench.settle();
  assert.is(statesOf(bench, "/m1"), "faulty");
  assert.is(bench.memberStatus("/m1")?.faultReason, "read error: EIO");
});

test("as the last copy it is repaired like any other", () => {
  const placements = [rebuilding(0), inSync(1)];
  const bench = failfast({ placements, syncSpeed: 1 });
  errors(bench, 1);
  assert.is(statesOf(bench, "/m1"), "in_sync,failfast");
});

// --- rewrites ------------------------------------------------------------------------------------

const repaired = (options: BenchOptions, ranges: readonly BadRange[] | null): MachineBench => {
  const bench = new MachineBench(options);
  bench.send({ type: "read-error", leg: 1, offset: PAGE, length: 512, message: "EIO" });
  bench.finishCopy({ writeFailed: [{ member: 1, message: "EIO", ranges }], writtenBytes: 0 });
  bench.settle();
  return bench;
};

test("a place that cannot be rewritten is noted as bad, and the member is to be replaced", () => {
  const bench = repaired({}, [[PAGE, 2 * PAGE]]);
  assert.is(statesOf(bench, "/m1"), "in_sync,want_replacement");
  assert.equal(bench.shared.badBlocks(1).within(0, MIB), [[PAGE, 2 * PAGE]]);
  assert.equal(bench.detailsOf("member.bad-block"), [
    { path: "/m1", bytes: PAGE, entries: 1, reason: "read error, rewrite failed: EIO" },
  ]);
  assert.is(bench.memberStatus("/m1")?.readErrorsCorrected, 0);
});

for (const [what, ranges, options] of [
  ["without a list", [[PAGE, 2 * PAGE]], { hasBadBlockLog: false }],
  ["that is gone", null, {}],
] as const) {
  test(`a member ${what} that does not take the rewrite fails`, () => {
    const bench = repaired(options, ranges);
    assert.is(statesOf(bench, "/m1"), "faulty");
    assert.is(bench.memberStatus("/m1")?.faultReason, "read error, rewrite failed: EIO");
  });
}

test("a rewrite that the second try stored is a correction", () => {
  const bench = new MachineBench();
  bench.send({ type: "read-error", leg: 1, offset: PAGE, length: 512, message: "EIO" });
  const writeFailed = [{ member: 1, message: "EIO", ranges: [] }];
  bench.finishCopy({ writeFailed, writtenBytes: PAGE });
  bench.settle();
  assert.is(bench.memberStatus("/m1")?.readErrorsCorrected, 8);
  assert.equal(bench.detailsOf("member.bad-block"), []);
});

test("a place that the member notes as bad already is not rewritten", () => {
  const bench = new MachineBench({ badBlocks: { 1: [[PAGE, 2 * PAGE]] } });
  bench.send({ type: "read-error", leg: 1, offset: PAGE, length: 512, message: "EIO" });
  assert.equal(bench.copies, []);
});

test("a source with bad blocks there is passed over; without another nothing is rewritten", () => {
  const bad = [[PAGE, 2 * PAGE]] as const;
  const bench = new MachineBench({ slots: 3, badBlocks: { 0: bad } });
  bench.send({ type: "read-error", leg: 1, offset: PAGE, length: 512, message: "EIO" });
  assert.equal(
    bench.copies[0]?.plan.extents.flatMap(({ sources }) => sources.map(({ member }) => member)),
    [2],
  );
  const alone = new MachineBench({ badBlocks: { 0: bad } });
  alone.send({ type: "read-error", leg: 1, offset: PAGE, length: 512, message: "EIO" });
  assert.equal(alone.copies, []);
});

test("in a raid10 a repair reads and writes where each member has the bytes", () => {
  const bench = new MachineBench({ layout: "f2", stripeBytes: MIB });
  bench.send({ type: "read-error", leg: 1, offset: MIB - 100, length: 200, message: "EIO" });
  assert.equal(bench.copies[0]?.plan.extents, [
    {
      offset: MIB - PAGE,
      length: PAGE,
      sources: [{ member: 0, position: MIB - PAGE }],
      targets: [{ member: 1, position: 4 * MIB + MIB - PAGE }],
    },
    {
      offset: MIB,
      length: PAGE,
      sources: [{ member: 0, position: 4 * MIB }],
      targets: [{ member: 1, position: 0 }],
    },
  ]);
});

// --- flags of members ----------------------------------------------------------------------------

test("flags are set and taken back in the superblocks, in the status and for the workers", () => {
  const bench = new MachineBench();
  const set = (writeMostly: boolean | null, isFailfast: boolean | null) => {
    const id = bench.command({ ...FLAGS, path: "/m1", writeMostly, failfast: isFailfast });
    const first = bench.outcome(id);
    bench.settle();
    const flags = bench.superblocks.get(1)?.devFlags;
    return [first, bench.outcome(id), flags, bench.shared.flags(1) & 3, statesOf(bench, "/m1")];
  };
  const [mostly, fast] = [WRITE_MOSTLY, FAIL_FAST];
  const both = LEG_WRITE_MOSTLY | LEG_FAILFAST;
  assert.equal(set(true, null), ["waiting", "ok", mostly, LEG_WRITE_MOSTLY, "in_sync,writemostly"]);
  assert.equal(set(null, true), [
    "waiting",
    "ok",
    mostly | fast,
    both,
    "in_sync,writemostly,failfast",
  ]);
  assert.equal(set(false, null), ["waiting", "ok", fast, LEG_FAILFAST, "in_sync,failfast"]);
  bench.takeLog();
  assert.equal(set(false, true), ["ok", "ok", fast, LEG_FAILFAST, "in_sync,failfast"]);
  assert.equal(bench.takeLog(), [], "nothing has changed");
  assert.is(bench.superblocks.get(0)?.devFlags, 0);
});

test("a spare keeps its flags when it takes a raid slot", () => {
  const bench = new MachineBench({ placements: [inSync(0), inSync(1), { type: "spare" }] });
  assert.is(bench.run({ ...FLAGS, path: "/m2", writeMostly: true }), "ok");
  bench.run({ type: "fail", path: "/m1", reason: "test" });
  bench.tick(20);
  bench.finishSync();
  assert.is(statesOf(bench, "/m2"), "in_sync,writemostly");
  assert.is(bench.shared.flags(1) & LEG_WRITE_MOSTLY, LEG_WRITE_MOSTLY);
});

test("a member that joins as new has the flags that were asked for", () => {
  const bench = new MachineBench();
  const newcomer = bench.newcomer("/n", { writeMostly: true, failfast: true });
  assert.is(bench.run({ type: "add", newcomer }), "ok");
  assert.is(statesOf(bench, "/n"), "spare,writemostly,failfast");
  assert.is(bench.superblocks.get(newcomer.member)?.devFlags, WRITE_MOSTLY | FAIL_FAST);
});

test("flags are refused for nobody, for a faulty member, and write-mostly in a cluster", () => {
  const bench = new MachineBench();
  assert.is(bench.run({ ...FLAGS, path: "/x", failfast: true }), "RAID_NOT_A_MEMBER");
  bench.run({ type: "fail", path: "/m1", reason: "test" });
  assert.is(bench.run({ ...FLAGS, path: "/m1", failfast: true }), "RAID_MEMBER_FAULTY");
  const clustered = new MachineBench({ nodes: 4 });
  const mostly = { ...FLAGS, path: "/m1", writeMostly: true };
  assert.is(clustered.run(mostly), "RAID_UNSUPPORTED_ON_CLUSTERED");
  assert.is(clustered.run({ ...FLAGS, path: "/m1", failfast: true }), "ok");
});

test.run();
