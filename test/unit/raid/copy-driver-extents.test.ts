/** Copy plans of several extents, spots that one member lacks, votes, and second tries. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { CopyExtent } from "../../../src/raid/array-messages.ts";
import type { BadRange } from "../../../src/raid/bad-block-table.ts";
import { CopyBench } from "../../helpers/copy-bench.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const PAGE = 4 * KIB;
const SIZE = 256 * KIB;

const bytesOf = (ranges: readonly { readonly length: number }[]): number =>
  ranges.reduce((sum, { length }) => sum + length, 0);

/** A run of array bytes from one member to another, each at its own place. */
const extent = (
  offset: number,
  length: number,
  [source, from]: readonly [number, number],
  [target, to]: readonly [number, number],
): CopyExtent => ({
  offset,
  length,
  sources: [{ member: source, position: from }],
  targets: [{ member: target, position: to }],
});

const test = suite("raid/copy-driver of extents");

test("each extent is read and written where its members have it", async () => {
  const bench = new CopyBench(3, SIZE);
  const result = await bench.runExtents("copy", [
    extent(0, PAGE, [0, 8 * PAGE], [2, 0]),
    extent(PAGE, PAGE, [1, 0], [2, 16 * PAGE]),
  ]);
  assert.equal(
    [0, PAGE, 16 * PAGE - 1, 16 * PAGE, 17 * PAGE].map((at) => bench.data(2)[at]),
    [1, 3, 3, 2, 3],
  );
  assert.equal([result.writtenBytes, result.unreadable], [2 * PAGE, []]);
  assert.ok(bench.words.every((word) => word === 0));
});

test("a plan without extents does nothing and takes nothing", async () => {
  const bench = new CopyBench(2, SIZE);
  assert.is((await bench.runExtents("copy", [])).writtenBytes, 0);
});

test("the regions of all extents that go together are held until all are done", async () => {
  const bench = new CopyBench(2, SIZE);
  bench.fault(1, "stall");
  const done = bench.runExtents("copy", [
    extent(0, PAGE, [0, 0], [1, 0]),
    extent(3 * MIB, PAGE, [0, PAGE], [1, PAGE]),
  ]);
  assert.ok(bench.others.tryAcquire(0, 1) >= 0);
  assert.ok(bench.others.tryAcquire(3 * MIB, 1) >= 0);
  await done;
  assert.is(bench.others.tryAcquire(0, 4 * MIB), -1);
  bench.others.release(0, 4 * MIB);
});

test("extents far apart are done one after the other: few regions are held at once", async () => {
  const bench = new CopyBench(2, SIZE);
  assert.is(bench.others.tryAcquire(100 * MIB, 1), -1);
  const done = bench.runExtents("copy", [
    extent(0, PAGE, [0, 0], [1, 0]),
    extent(100 * MIB, PAGE, [0, PAGE], [1, PAGE]),
  ]);
  for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
  assert.equal([bench.data(1)[0], bench.data(1)[PAGE]], [1, 2], "the first one is done");
  assert.is(bench.others.tryAcquire(0, 1), -1);
  bench.others.release(0, 1);
  bench.others.release(100 * MIB, 1);
  await done;
  assert.is(bench.data(1)[PAGE], 1);
});

// --- spots ---------------------------------------------------------------------------------------

test("a spot that one source lacks comes from another, the rest from the first", async () => {
  const bench = new CopyBench(3, SIZE);
  bench.spoil(0, "read-error", [2 * PAGE, 3 * PAGE]);
  const result = await bench.run("copy", [0, 1], [2]);
  assert.equal(result.unreadable, []);
  assert.equal([...new Set(result.readFailed.map(({ member }) => member))], [0]);
  assert.is(bench.values()[2], 2, "one source that has all of it is taken for all of it");
});

test("what no source has whole is copied piece by piece, from whoever has the piece", async () => {
  const bench = new CopyBench(3, SIZE);
  bench.spoil(0, "read-error", [2 * PAGE, 3 * PAGE]);
  bench.spoil(1, "read-error", [8 * PAGE, 9 * PAGE]);
  const result = await bench.run("copy", [0, 1], [2]);
  assert.equal(result.unreadable, []);
  assert.equal(
    [0, 2 * PAGE, 3 * PAGE, 8 * PAGE].map((at) => bench.data(2)[at]),
    [1, 2, 1, 1],
  );
});

test("only what no source can give is told as unreadable, and only that is not written", async () => {
  for (const mode of ["copy", "rewrite"] as const) {
    const bench = new CopyBench(3, SIZE);
    for (const id of [0, 1]) bench.spoil(id, "read-error", [2 * PAGE, 3 * PAGE]);
    const result = await bench.run(mode, [0, 1], [2]);
    assert.equal(result.unreadable, [{ offset: 2 * PAGE, length: PAGE }], mode);
    const spots = result.readFailed.filter(({ length }) => length === PAGE);
    assert.equal(
      spots.map(({ member, offset }) => [member, offset]),
      [
        [0, 2 * PAGE],
        [1, 2 * PAGE],
      ],
    );
    assert.equal(
      [0, 2 * PAGE, 3 * PAGE - 1, 3 * PAGE].map((at) => bench.data(2)[at]),
      [1, 3, 3, 1],
    );
  }
});

test("the same for members that are compared: the spot stays, the rest is brought in line", async () => {
  for (const mode of ["sync", "repair"] as const) {
    const bench = new CopyBench(2, SIZE);
    for (const id of [0, 1]) bench.spoil(id, "read-error", [2 * PAGE, 3 * PAGE]);
    const result = await bench.run(mode);
    assert.equal(result.unreadable, [{ offset: 2 * PAGE, length: PAGE }], mode);
    assert.equal(bench.values(3 * PAGE), [1, 1]);
    assert.is(bench.data(1)[2 * PAGE], 2);
  }
});

test("a spot that one copy lacks costs it no more than that, and the first copy stands", async () => {
  for (const mode of ["sync", "repair"] as const) {
    const bench = new CopyBench(3, SIZE);
    bench.spoil(0, "read-error", [2 * PAGE, 3 * PAGE]);
    const result = await bench.run(mode);
    assert.equal(
      result.readFailed.map(({ offset, length }) => [offset, length]),
      [[2 * PAGE, PAGE]],
      mode,
    );
    assert.equal(bench.values(0, 2 * PAGE), [1, 1, 1]);
    assert.equal(bench.values(2 * PAGE, 3 * PAGE), [2, 2, 2]);
    assert.equal(bench.values(3 * PAGE), [1, 1, 1]);
  }
});

test("bad blocks that are noted after the plan was made are read by nobody", async () => {
  for (const mode of ["copy", "rewrite", "sync", "check", "repair"] as const) {
    const isCopy = mode === "copy" || mode === "rewrite";
    const bench = new CopyBench(3, SIZE);
    bench.data(1).fill(9);
    bench.data(2).fill(9);
    bench.bad.set(0, [[2 * PAGE, 2 * PAGE + 512]]);
    await (isCopy ? bench.run(mode, [0, 1], [2]) : bench.run(mode));
    assert.equal(bench.data(1)[2 * PAGE], 9, `${mode} takes over what must not be read`);
    assert.equal(bench.data(2)[2 * PAGE], 9, `${mode} takes over what must not be read`);
  }
});

test("an extent without any source is unreadable as a whole", async () => {
  const bench = new CopyBench(2, SIZE);
  const targets = [{ member: 1, position: 0 }];
  const result = await bench.runExtents("copy", [
    { offset: 5 * PAGE, length: 3 * PAGE, sources: [], targets },
  ]);
  assert.equal(
    [result.unreadable[0]?.offset, bytesOf(result.unreadable), result.readFailed.length],
    [5 * PAGE, 3 * PAGE, 0],
  );
});

const failedRanges = async (
  mode: "copy" | "sync" | "repair",
  spot: BadRange,
): Promise<readonly (readonly BadRange[] | null)[]> => {
  const bench = new CopyBench(2, SIZE);
  bench.spoil(1, "write-error", spot);
  const result = await bench.run(mode, mode === "copy" ? [0] : [0, 1], mode === "copy" ? [1] : []);
  assert.is(bench.values(0, spot[0])[1], 1);
  assert.is(bench.values(Math.ceil(spot[1] / PAGE) * PAGE)[1], 1);
  assert.is(result.writtenBytes, SIZE - bytesOfRanges(result.writeFailed[0]?.ranges ?? []));
  return result.writeFailed.map(({ ranges }) => ranges);
};
const bytesOfRanges = (ranges: readonly BadRange[]): number =>
  ranges.reduce((sum, [from, to]) => sum + to - from, 0);

for (const mode of ["copy", "sync", "repair"] as const) {
  test(`${mode}: a spot that cannot be written is told alone, the rest is stored`, async () => {
    assert.equal(await failedRanges(mode, [5 * PAGE, 5 * PAGE + 512]), [[[5 * PAGE, 6 * PAGE]]]);
  });
}

test("a member that refuses everything is gone, one that failed once has everything", async () => {
  const bench = new CopyBench(3, 2 * SIZE);
  bench.fault(1, "write-error");
  bench.fault(2, "write-error", 1);
  const result = await bench.run("copy", [0], [1, 2]);
  assert.equal(result.writeFailed.map(({ member, ranges }) => [member, ranges]).sort(), [
    [1, null],
    [2, []],
  ]);
  assert.equal([bench.values(), result.writtenBytes], [[1, 2, 1], 2 * SIZE]);
});

test("a rewrite names the pages that do not read back, and none of a member that has left", async () => {
  const bench = new CopyBench(2, SIZE);
  const spot = async (id: number): Promise<readonly BadRange[] | null | undefined> => {
    bench.spoil(id, "read-error", [2 * PAGE + 512, 3 * PAGE + 1]);
    const { writeFailed } = await bench.run("rewrite", [1 - id], [id]);
    return writeFailed[0]?.ranges;
  };
  assert.equal(await spot(0), [[2 * PAGE, 4 * PAGE]]);
  const { device } = bench.member(0);
  device.write = async () => void bench.gone.add(0);
  assert.equal((await bench.run("rewrite", [1], [0])).writeFailed, []);
});

test("a rewrite names the spot that is not taken", async () => {
  const bench = new CopyBench(2, SIZE);
  bench.spoil(0, "write-error", [PAGE, 2 * PAGE]);
  const result = await bench.run("rewrite", [1], [0]);
  assert.equal(
    result.writeFailed.map(({ ranges }) => ranges),
    [[[PAGE, 2 * PAGE]]],
  );
});

// --- votes and differences -----------------------------------------------------------------------

test("repair: what two of three hold stands, page by page; the first where all differ", async () => {
  const bench = new CopyBench(3, SIZE);
  for (const id of [0, 1, 2]) bench.data(id).fill(9);
  bench.data(0).fill(1, 0, PAGE);
  bench.data(2).fill(2, 8 * PAGE, 9 * PAGE);
  for (const id of [0, 1, 2]) bench.data(id).fill(id + 4, 16 * PAGE, 17 * PAGE);
  const result = await bench.run("repair");
  for (const id of [0, 1, 2]) {
    assert.equal(
      [0, PAGE, 8 * PAGE, 16 * PAGE, 17 * PAGE].map((at) => bench.data(id)[at]),
      [9, 9, 9, 4, 9],
    );
  }
  assert.equal(result.mismatches, [
    { offset: 0, length: PAGE },
    { offset: 8 * PAGE, length: PAGE },
    { offset: 16 * PAGE, length: PAGE },
  ]);
});

test("sync: the first copy stands, however many differ from it", async () => {
  const bench = new CopyBench(3, SIZE);
  bench.data(2).fill(2);
  await bench.run("sync");
  assert.equal(bench.values(), [1, 1, 1]);
});

test("check tells where copies differ in bytes of the array, wherever they lie", async () => {
  const bench = new CopyBench(2, SIZE);
  for (const id of [0, 1]) bench.data(id).fill(7);
  bench.data(1).fill(8, 32 * PAGE + 100, 32 * PAGE + 101);
  const result = await bench.runExtents("check", [
    {
      offset: 10 * MIB,
      length: 64 * KIB,
      sources: [
        { member: 0, position: 0 },
        { member: 1, position: 30 * PAGE },
      ],
      targets: [],
    },
  ]);
  assert.equal(result.mismatches, [{ offset: 10 * MIB + 2 * PAGE, length: PAGE }]);
  assert.equal([result.mismatchedBytes, result.writtenBytes], [64 * KIB, 0]);
});

test("a difference that is gone at the second look is none", async () => {
  for (const mode of ["check", "repair"] as const) {
    const bench = new CopyBench(2, SIZE);
    bench.data(1).fill(1);
    const { device } = bench.member(1);
    const read = device.read.bind(device);
    let reads = 0;
    device.read = async (target, offset) => {
      await read(target, offset);
      if (reads++ === 0) target[0] = 99;
    };
    const result = await bench.run(mode);
    assert.equal([result.mismatches, result.mismatchedBytes, result.writtenBytes], [[], 0, 0]);
    assert.is(reads, 2, mode);
  }
});

test.run();
