/** A leg that could not be read is rewritten from another and read again, or it fails. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  type BenchOptions,
  inSync,
  MachineBench,
  MIB,
  rebuilding,
} from "../../helpers/machine-bench.ts";

const readError = (leg: number, offset = 5000, length = 100) =>
  ({ type: "read-error", leg, offset, length, message: "EIO" }) as const;

const test = suite("raid/read-repair");

test("the whole pages around the error are rewritten from the other members in sync", () => {
  const bench = new MachineBench({ slots: 3 });
  bench.send(readError(1));
  const at = (member: number) => ({ member, position: 4096 });
  const extent = { offset: 4096, length: 4096, sources: [at(0), at(2)], targets: [at(1)] };
  assert.equal(
    bench.copies.map(({ plan }) => plan),
    [{ mode: "rewrite", from: 0, end: 0, extents: [extent] }],
  );
});

test("a repair ends where the array ends", () => {
  const bench = new MachineBench();
  bench.send(readError(0, 8 * MIB - 100, 100));
  assert.equal(
    bench.copies.flatMap(({ plan }) => plan.extents).map(({ offset, length }) => [offset, length]),
    [[8 * MIB - 4096, 4096]],
  );
});

test("a member that takes the rewrite stays in sync; the sectors are counted and stored", () => {
  const bench = new MachineBench();
  bench.send(readError(1));
  bench.finishCopy({ writtenBytes: 4096 });
  const [, member] = bench.status.members;
  assert.is(member?.readErrorsCorrected, 8);
  assert.equal(member?.states, ["in_sync"]);
  assert.ok(bench.happenings().includes("member.read-error-corrected"));
  bench.write(1);
  assert.is(bench.superblocks.get(1)?.cntCorrectedRead, 8);
});

test("a member that does not take it fails", () => {
  const bench = new MachineBench();
  bench.send(readError(1));
  bench.finishCopy({ writeFailed: [{ member: 1, message: "EIO", ranges: null }] });
  bench.settle();
  assert.is(bench.status.degraded, 1);
});

test("nothing is written when no other member can be read", () => {
  const bench = new MachineBench();
  bench.send(readError(1));
  bench.finishCopy({ unreadable: [{ offset: 4096, length: 4096 }] });
  bench.settle();
  assert.equal([bench.status.degraded, bench.takeLog()], [0, []]);
});

test("a source that the repair could not read is repaired in its turn", () => {
  const bench = new MachineBench({ slots: 3 });
  const readFailed = [{ member: 0, offset: 4096, length: 4096, message: "EIO" }];
  bench.send(readError(1));
  bench.finishCopy({ writtenBytes: 4096, readFailed });
  const at = (member: number) => ({ member, position: 4096 });
  const extent = { offset: 4096, length: 4096, sources: [at(1), at(2)], targets: [at(0)] };
  assert.equal(
    bench.copies.map(({ plan }) => plan.extents),
    [[extent]],
  );
  assert.is(bench.status.members[0]?.readErrors, 1);
  // Nobody could be read this time.
  bench.finishCopy({ unreadable: [{ offset: 4096, length: 4096 }], readFailed });
  assert.equal(bench.copies, []);
});

const nothing: readonly (readonly [string, BenchOptions, number])[] = [
  ["the only copy", { placements: [inSync(0)] }, 0],
  ["a member of a read-only array", { readOnly: true }, 1],
  ["an empty slot", { placements: [inSync(0)] }, 1],
  ["a member under rebuild", { placements: [inSync(0), rebuilding(1, 0, true)] }, 1],
];
for (const [what, options, leg] of nothing) {
  test(`a read error of ${what} repairs nothing`, () => {
    const bench = new MachineBench(options);
    bench.send(readError(leg));
    assert.equal(bench.copies, []);
  });
}

test("repairs under way are bounded", () => {
  const bench = new MachineBench();
  for (let error = 0; error < 36; error++) bench.send(readError(error % 2, error * 4096));
  assert.is(bench.copies.length, 32);
  bench.settle();
  bench.send(readError(1, 0));
  assert.is(bench.copies.length, 1);
});

test("a source that a rebuild could not read is repaired, the rebuild goes on", () => {
  const bench = new MachineBench({
    slots: 3,
    placements: [inSync(0), inSync(1), rebuilding(2)],
  });
  bench.startSync();
  bench.finishCopy({ readFailed: [{ member: 0, offset: 8192, length: 4096, message: "EIO" }] });
  const repair = bench.copies.find(({ plan }) => plan.mode === "rewrite")?.plan.extents;
  const at = (member: number) => ({ member, position: 8192 });
  const extent = { offset: 8192, length: 4096, sources: [at(1)], targets: [at(0)] };
  assert.equal(repair, [extent]);
  bench.finishSync();
  assert.is(bench.status.degraded, 0);
});

test.run();
