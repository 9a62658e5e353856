/** A leg that could not be read is rewritten from another and read again, or it fails. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type BenchOptions, MachineBench, MIB } from "../../helpers/machine-bench.ts";

const readError = (slot: number, offset = 5000, length = 100) =>
  ({ type: "read-error", slot, offset, length, message: "EIO" }) as const;

const inSync = (raidSlot: number) => ({ type: "in_sync", raidSlot }) as const;

const test = suite("raid/read-repair");

test("the whole pages around the error are rewritten from the other members in sync", () => {
  const bench = new MachineBench({ slots: 3 });
  bench.send(readError(1));
  assert.equal(
    bench.copies.map(({ plan }) => plan),
    [{ mode: "rewrite", offset: 4096, length: 4096, sources: [0, 2], targets: [1] }],
  );
});

test("a repair ends where the array ends", () => {
  const bench = new MachineBench();
  bench.send(readError(0, 8 * MIB - 100, 100));
  assert.equal(
    bench.copies.map(({ plan }) => [plan.offset, plan.length]),
    [[8 * MIB - 4096, 4096]],
  );
});

test("a member that takes the rewrite stays in sync; the sectors are counted and stored", () => {
  const bench = new MachineBench();
  bench.send(readError(1));
  bench.finishCopy();
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
  bench.finishCopy({ writeFailed: [{ member: 1, message: "EIO" }] });
  bench.settle();
  assert.is(bench.status.degraded, 1);
});

test("nothing is written when no other member can be read", () => {
  const bench = new MachineBench();
  bench.send(readError(1));
  bench.finishCopy({ readable: false });
  bench.settle();
  assert.equal([bench.status.degraded, bench.takeLog()], [0, []]);
});

const nothing: readonly (readonly [string, BenchOptions, number])[] = [
  ["the only copy", { placements: [inSync(0)] }, 0],
  ["a member of a read-only array", { readOnly: true }, 1],
  ["an empty slot", { placements: [inSync(0)] }, 1],
  [
    "a member under rebuild",
    {
      placements: [inSync(0), { type: "rebuilding", raidSlot: 1, recoveredBytes: 0, guided: true }],
    },
    1,
  ],
];
for (const [what, options, slot] of nothing) {
  test(`a read error of ${what} repairs nothing`, () => {
    const bench = new MachineBench(options);
    bench.send(readError(slot));
    assert.equal(bench.copies, []);
  });
}

test("repairs under way are bounded", () => {
  const bench = new MachineBench();
  for (let error = 0; error < 100; error++) bench.send(readError(1, error * 4096));
  assert.is(bench.copies.length, 32);
  bench.settle();
  bench.send(readError(1, 0));
  assert.is(bench.copies.length, 1);
});

test("a source that a rebuild could not read is repaired, the rebuild goes on", () => {
  const bench = new MachineBench({
    slots: 3,
    placements: [
      inSync(0),
      inSync(1),
      { type: "rebuilding", raidSlot: 2, recoveredBytes: 0, guided: false },
    ],
  });
  bench.startSync();
  bench.finishCopy({ readFailed: [{ member: 0, message: "EIO" }] });
  assert.ok(bench.copies.some(({ plan }) => plan.mode === "rewrite" && plan.targets[0] === 0));
  bench.finishSync();
  assert.is(bench.status.degraded, 0);
});

test.run();
