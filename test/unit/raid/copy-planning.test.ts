/** What sync actions read and write where: layouts, bad blocks, members under rebuild. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { CopyPlan } from "../../../src/raid/array-messages.ts";
import type { BadRange } from "../../../src/raid/bad-block-table.ts";
import {
  type BenchOptions,
  inSync,
  MachineBench,
  MIB,
  rebuilding,
} from "../../helpers/machine-bench.ts";

const KIB = 1024;
const SPARE_BITS = Array.from({ length: 64 }, (_, chunk) => chunk);

/** `offset+length: sources > targets`, a place as `member@position`; all in KiB. */
const words = (plan: CopyPlan | undefined): string[] => {
  const place = ({ member, position }: { readonly member: number; readonly position: number }) =>
    `${member}@${position / KIB}`;
  return (plan?.extents ?? []).map(({ offset, length, sources, targets }) => {
    const to = targets.length === 0 ? "" : ` > ${targets.map(place).join()}`;
    return `${offset / KIB}+${length / KIB}: ${sources.map(place).join()}${to}`;
  });
};

/** The first plans of the sync action that is due, or of a check. */
const plans = (options: BenchOptions, action: "check" | null = null): CopyPlan[] => {
  const bench = new MachineBench(options);
  if (action !== null) bench.command({ type: "sync-action", action });
  bench.startSync();
  return bench.copies.map(({ plan }) => plan);
};

const test = suite("raid/copy-planning");

// --- check, repair, resync: array positions ------------------------------------------------------

test("a check of a mirror reads every copy, in order of raid slots", () => {
  const placements = [inSync(2), inSync(0), inSync(1)];
  const [first] = plans({ slots: 3, placements }, "check");
  assert.equal(words(first), ["0+1024: 1@0,2@0,0@0"]);
});

for (const [layout, slots, expected] of [
  ["n2", 4, ["0+512: 0@0,1@0", "512+512: 2@0,3@0"]],
  ["n2", 3, ["0+512: 0@0,1@0", "512+512: 2@0,0@512"]],
  ["f2", 2, ["0+512: 0@0,1@4096", "512+512: 1@0,0@4096"]],
  ["o2", 3, ["0+512: 0@0,1@512", "512+512: 1@0,2@512"]],
] as const) {
  test(`a check of ${layout} on ${slots} members reads each chunk's copies where they lie`, () => {
    const [first] = plans({ layout, slots, stripeBytes: 512 * KIB }, "check");
    assert.equal(words(first), expected);
  });
}

test("what only one copy holds is neither compared nor resynced", () => {
  const options = { layout: "n2", slots: 4, stripeBytes: 512 * KIB };
  const placements = [inSync(0), inSync(1), inSync(2)];
  const [check] = plans({ ...options, placements }, "check");
  assert.equal(words(check), ["0+512: 0@0,1@0"]);
  const dirty = SPARE_BITS.slice(0, 16);
  const [resync] = plans({ ...options, placements, resyncOffset: 0, dirty });
  assert.equal(words(resync), ["0+512: 0@0,1@0"]);
});

test("a check is cut where bad blocks begin and end, and leaves them out", () => {
  const badBlocks: Record<number, readonly BadRange[]> = {
    0: [[8 * KIB, 12 * KIB]],
    1: [
      [10 * KIB, 16 * KIB],
      [1020 * KIB, 2048 * KIB],
    ],
  };
  const [first, second] = plans({ slots: 3, badBlocks }, "check");
  assert.equal(words(first), [
    "0+8: 0@0,1@0,2@0",
    "8+2: 1@8,2@8",
    "12+4: 0@12,2@12",
    "16+1004: 0@16,1@16,2@16",
    "1020+4: 0@1020,2@1020",
  ]);
  assert.equal(words(second), ["1024+1024: 0@1024,2@1024"]);
});

test("bad blocks of a raid10 member cut the extents that lie there", () => {
  const badBlocks = { 0: [[4096 * KIB, 4100 * KIB]] as const };
  const [first] = plans({ layout: "f2", stripeBytes: 512 * KIB, badBlocks }, "check");
  assert.equal(words(first), ["0+512: 0@0,1@4096", "516+508: 1@4,0@4100"]);
});

// --- recovery: member positions ------------------------------------------------------------------

test("a recovery reads every copy in sync, best first, and writes the member under rebuild", () => {
  const placements = [inSync(0), rebuilding(1), inSync(2)];
  const [first] = plans({ slots: 3, placements });
  assert.equal([first?.mode, first?.from, first?.end], ["copy", 0, MIB]);
  assert.equal(words(first), ["0+1024: 0@0,2@0 > 1@0"]);
});

for (const [layout, slots, lost, first, later] of [
  ["n2", 4, 1, ["0+512: 0@0 > 1@0", "1024+512: 0@512 > 1@512"], null],
  ["n2", 3, 0, ["0+512: 1@0 > 0@0", "512+512: 2@0 > 0@512"], null],
  [
    "f2",
    2,
    0,
    ["0+512: 1@4096 > 0@0", "1024+512: 1@4608 > 0@512"],
    ["512+512: 1@0 > 0@4096", "1536+512: 1@512 > 0@4608"],
  ],
  ["o2", 3, 1, ["0+512: 0@0 > 1@512", "512+512: 2@512 > 1@0"], null],
] as const) {
  test(`a recovery of member ${lost} of ${layout} goes by its own positions`, () => {
    const placements = Array.from({ length: slots }, (_, slot) =>
      slot === lost ? rebuilding(slot) : inSync(slot),
    );
    const bench = new MachineBench({ layout, slots, placements, stripeBytes: 512 * KIB });
    bench.startSync();
    assert.equal(words(bench.copies[0]?.plan), first);
    if (later === null) return;
    while (bench.copies[0]?.plan.from !== 4 * MIB) {
      if (bench.io.length > 0) bench.finishIo();
      else bench.finishCopy();
    }
    assert.equal(words(bench.copies[0]?.plan), later);
  });
}

test("two members under rebuild are written in one go, where they share bytes and where not", () => {
  const placements = [inSync(0), rebuilding(1), rebuilding(2), inSync(3)];
  const [first] = plans({ layout: "n2", slots: 4, placements, stripeBytes: 512 * KIB });
  assert.equal(words(first), [
    "0+512: 0@0 > 1@0",
    "512+512: 3@0 > 2@0",
    "1024+512: 0@512 > 1@512",
    "1536+512: 3@512 > 2@512",
  ]);
  const both = plans({ slots: 3, placements: [inSync(0), rebuilding(1), rebuilding(2)] });
  assert.equal(words(both[0]), ["0+1024: 0@0 > 1@0,2@0"]);
});

test("a source's bad blocks are read from another one; without another they have no source", () => {
  const placements = [inSync(0), inSync(1), rebuilding(2)];
  const badBlocks = { 0: [[4 * KIB, 8 * KIB]], 1: [[6 * KIB, 12 * KIB]] } as const;
  const [first] = plans({ slots: 3, placements, badBlocks });
  assert.equal(words(first), [
    "0+4: 0@0,1@0 > 2@0",
    "4+2: 1@4 > 2@4",
    "6+2:  > 2@6",
    "8+4: 0@8 > 2@8",
    "12+1012: 0@12,1@12 > 2@12",
  ]);
});

test("the bad blocks of the member under rebuild itself are written over", () => {
  const placements = [inSync(0), rebuilding(1)];
  const [first] = plans({ placements, badBlocks: { 1: [[0, 8 * KIB]] } });
  assert.equal(words(first), ["0+1024: 0@0 > 1@0"]);
});

test("a member that is about to be recorded faulty is no source any more", () => {
  const placements = [inSync(0), inSync(1), rebuilding(2)];
  const bench = new MachineBench({ slots: 3, placements, chunks: 64 });
  bench.startSync();
  bench.send({ type: "intent", worker: 0, ranges: [[1, 1]] });
  bench.report(0, "write");
  const before = bench.copies.length;
  bench.finishCopy();
  bench.tick(20);
  const later = bench.copies.slice(before - 1).flatMap(({ plan }) => words(plan));
  assert.ok(later.length > 0);
  assert.ok(
    later.every((word) => !word.includes(" 0@")),
    later.join("; "),
  );
});

test("behind the end of what the layout uses nothing is copied", () => {
  // Three members of 7 half-MiB chunks: near copies fill 10 chunks, the last place holds nothing.
  const options = { layout: "n2", slots: 3, chunks: 3.5, stripeBytes: 512 * KIB } as const;
  const placements = [inSync(0), inSync(1), rebuilding(2)];
  const bench = new MachineBench({ ...options, placements });
  bench.startSync();
  const all = bench.copies.flatMap(({ plan }) => words(plan));
  assert.equal(bench.status.sizeBytes, 10 * 512 * KIB);
  assert.ok(all.length > 0 && all.every((word) => Number(word.split("+")[0]) < 10 * 512));
  bench.finishSync();
  assert.is(bench.status.degraded, 0);
});

test.run();
