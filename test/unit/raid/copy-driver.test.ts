/** Copy plans on real bytes: every mode, legs that fail, regions held and given back. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CopyBench, DATA_AT } from "../../helpers/copy-bench.ts";
import { withTimeout } from "../../helpers/timeout.ts";

const SIZE = 256 * 1024;
const KIB64 = 64 * 1024;
const WAIT_MS = 60_000;

const setUp = (members: number): CopyBench => new CopyBench(members, SIZE);

const test = suite("raid/copy-driver");

for (const [mode, sources, targets, values, mismatched, written] of [
  ["copy", [1], [0, 2], [2, 2, 2], 0, 2 * SIZE],
  ["sync", [0, 1, 2], [], [1, 1, 1], 0, 2 * SIZE],
  ["check", [0, 1, 2], [], [1, 2, 3], 2 * SIZE, 0],
  ["repair", [0, 1, 2], [], [1, 1, 1], 2 * SIZE, 2 * SIZE],
  ["rewrite", [2, 1], [0], [3, 2, 3], 0, SIZE],
] as const) {
  test(`${mode}: legs 1, 2, 3 become ${values.join()}`, async () => {
    const bench = setUp(3);
    const result = await bench.run(mode, [...sources], [...targets]);
    assert.equal(result.unreadable, []);
    assert.equal([result.readFailed, result.writeFailed], [[], []]);
    assert.equal(bench.values(), values);
    assert.equal([result.mismatchedBytes, result.writtenBytes], [mismatched, written]);
    assert.ok(
      bench.words.every((word) => word === 0),
      "the regions are given back",
    );
  });
}

test("equal legs are compared without a single write", async () => {
  const bench = setUp(2);
  for (const { bytes } of bench.members) bytes.fill(7, DATA_AT);
  for (const id of [0, 1]) bench.fault(id, "write-error");
  for (const mode of ["sync", "check", "repair"] as const) {
    const result = await bench.run(mode);
    assert.equal([result.writeFailed, result.mismatchedBytes], [[], 0], mode);
  }
});

test("differences are counted in units of 64 KiB, and only the leg that differs is written", async () => {
  const bench = setUp(2);
  for (const { bytes } of bench.members) bytes.fill(7, DATA_AT);
  bench.members[1]?.bytes.fill(8, DATA_AT + KIB64 + 5, DATA_AT + KIB64 + 6);
  assert.is((await bench.run("check")).mismatchedBytes, KIB64);
  assert.is((await bench.run("repair")).mismatchedBytes, KIB64);
  assert.is((await bench.run("check")).mismatchedBytes, 0);
});

test("only the plan's range is touched", async () => {
  const bench = setUp(2);
  await bench.run("sync", [0, 1], [], 4096, 8192);
  const bytes = bench.members[1]?.bytes.subarray(DATA_AT);
  assert.equal(
    [4095, 4096, 12287, 12288].map((at) => bytes?.[at]),
    [2, 1, 1, 2],
  );
  assert.is(bench.members[1]?.bytes[DATA_AT - 1], 0);
});

for (const mode of ["sync", "check", "repair"] as const) {
  test(`${mode}: a leg that cannot be read gets what the first readable one has`, async () => {
    const bench = setUp(3);
    bench.fault(0, "read-error");
    const result = await bench.run(mode);
    assert.equal([...new Set(result.readFailed.map(({ member }) => member))], [0]);
    const failed = result.readFailed.reduce((sum, { length }) => sum + length, 0);
    assert.is(failed, SIZE, "each place once");
    assert.is(bench.values()[0], 2, "rewritten, so that the drive can map it anew");
    assert.equal(bench.values().slice(1), mode === "check" ? [2, 3] : [2, 2]);
  });
}

for (const mode of ["copy", "sync", "check", "repair", "rewrite"] as const) {
  test(`${mode}: when nobody can be read nothing is written`, async () => {
    const bench = setUp(2);
    for (const id of [0, 1]) bench.fault(id, "read-error");
    const result = await bench.run(mode, [0, 1], mode === "copy" || mode === "rewrite" ? [1] : []);
    const lost = result.unreadable.reduce((sum, { length }) => sum + length, 0);
    assert.equal([result.unreadable[0]?.offset, lost], [0, SIZE]);
    assert.equal(bench.values(), [1, 2]);
    assert.equal([...new Set(result.readFailed.map(({ member }) => member))], [0, 1]);
  });
}

test("a target that cannot be written is named; the others are written", async () => {
  const bench = setUp(3);
  bench.fault(1, "write-error");
  const result = await bench.run("copy", [0], [1, 2]);
  assert.equal(
    result.writeFailed.map(({ member }) => member),
    [1],
  );
  assert.equal(bench.values(), [1, 2, 1]);
});

test("a copy asks the next source when one cannot be read or is gone", async () => {
  const bench = setUp(4);
  bench.gone.add(0);
  bench.fault(1, "read-error");
  const result = await bench.run("copy", [0, 1, 2], [3]);
  assert.equal(result.unreadable, []);
  assert.is(bench.values()[3], 3);
});

test("a member that is gone is neither read nor written, and that is no failure", async () => {
  const bench = setUp(2);
  bench.gone.add(1);
  const result = await bench.run("repair");
  assert.equal([result.unreadable, result.readFailed, result.writeFailed], [[], [], []]);
  assert.equal(bench.values(), [1, 2]);
});

test("a rewrite that cannot be read back has failed", async () => {
  const bench = setUp(2);
  bench.fault(0, "read-error");
  const result = await bench.run("rewrite", [1], [0]);
  assert.equal(
    result.writeFailed.map(({ member }) => member),
    [0],
  );
});

test("a rewrite that reads back something else has failed", async () => {
  const bench = setUp(2);
  const { device } = bench.member(0);
  device.write = async () => undefined;
  const result = await bench.run("rewrite", [1], [0]);
  const ranges = [[0, SIZE]];
  assert.equal(result.writeFailed, [{ member: 0, message: "could not be read back", ranges }]);
});

test("a copy waits for a write's regions, reads after it, and two copies wait for each other", async () => {
  const bench = setUp(2);
  assert.is(bench.others.tryAcquire(0, 1), -1);
  const copies = [bench.run("copy", [0], [1]), bench.run("copy", [1], [0])];
  await new Promise(setImmediate);
  assert.equal(bench.values(), [1, 2]);
  for (const { bytes } of bench.members) bytes.fill(9, DATA_AT);
  bench.others.release(0, 1);
  await Promise.all(copies);
  assert.equal(bench.values(), [9, 9]);
});

test(
  "when all members were given up, a copy waits for no write's regions any more",
  withTimeout(WAIT_MS, async () => {
    const bench = setUp(2);
    assert.is(bench.others.tryAcquire(0, 1), -1);
    const copies = [bench.run("copy", [0], [1]), bench.run("sync")];
    await new Promise(setImmediate);
    bench.hasGivenUp = true;
    for (const { unreadable, writtenBytes } of await Promise.all(copies))
      assert.equal([unreadable, writtenBytes], [[{ offset: 0, length: SIZE }], 0]);
    assert.equal(bench.values(), [1, 2]);
    bench.others.release(0, 1);
    assert.ok(
      bench.words.every((word) => word === 0),
      "it holds none",
    );
  }),
);

test("two overlapping copies in opposite directions leave the legs equal", async () => {
  const bench = setUp(2);
  await Promise.all([
    bench.run("rewrite", [1], [0]),
    bench.run("sync"),
    bench.run("rewrite", [0], [1]),
  ]);
  const [a, b] = bench.values();
  assert.ok(a === b && a !== -1, `${a} and ${b}`);
});

test.run();
