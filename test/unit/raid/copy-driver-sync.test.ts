/** A resync's piece: how little it reads and writes, and that nothing slips through. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CopyBench, DATA_AT } from "../../helpers/copy-bench.ts";

const SIZE = 1024 * 1024;
const PROBE = 64 * 1024;
const STEP = 512 * 1024;

/** Three equal members but for what the test changes; what is read and written of each. */
const setUp = () => {
  const bench = new CopyBench(3, SIZE);
  const traffic = bench.members.map(({ bytes, device }) => {
    bytes.fill(7, DATA_AT);
    const read: [number, number][] = [];
    const written: [number, number][] = [];
    const { read: readBelow, write: writeBelow } = device;
    device.read = (target, offset) => {
      read.push([offset - DATA_AT, target.length]);
      return readBelow.call(device, target, offset);
    };
    device.write = (source, offset) => {
      const length = source.reduce((sum, piece) => sum + piece.length, 0);
      written.push([offset - DATA_AT, length]);
      return writeBelow.call(device, source, offset);
    };
    return { read, written };
  });
  return { bench, traffic };
};

const steps = [0, 1].map((step) => [step * STEP, STEP]);

const test = suite("raid/copy-driver-sync");

test("a copy that differs at its start is written whole, and read no further", async () => {
  const { bench, traffic } = setUp();
  bench.data(1)[PROBE - 1] = 8;
  const result = await bench.run("sync");
  assert.equal(traffic[1], { read: [[0, PROBE]], written: steps });
  assert.equal(traffic[0], { read: [[0, SIZE]], written: [] });
  assert.equal(traffic[2]?.written, [], "an equal copy is left alone");
  assert.is(result.writtenBytes, SIZE);
  assert.equal(bench.values(), [7, 7, 7]);
});

for (const [what, at] of [
  ["first", 0],
  ["first behind its start", PROBE],
  ["last", SIZE - 1],
] as const) {
  test(`one byte that differs is found: the ${what} one`, async () => {
    const { bench } = setUp();
    bench.data(2)[at] = 8;
    assert.is((await bench.run("sync")).writtenBytes, SIZE);
    assert.equal(bench.values(), [7, 7, 7]);
  });
}

test("equal copies are read once and not written", async () => {
  const { bench, traffic } = setUp();
  await bench.run("sync");
  for (const { read, written } of traffic) {
    assert.is(
      read.reduce((sum, [, length]) => sum + length, 0),
      SIZE,
    );
    assert.equal(written, []);
  }
});

for (const member of [0, 1] as const) {
  test(`a spot of member ${member} that cannot be read, behind its start, is rewritten`, async () => {
    const { bench } = setUp();
    bench.data(2).fill(9, SIZE - 4096);
    bench.spoil(member, "read-error", [PROBE + 8192, PROBE + 12288]);
    const result = await bench.run("sync");
    const spot = { member, offset: PROBE + 8192, length: 4096 };
    assert.equal(
      result.readFailed.map(({ message: _, ...where }) => where),
      [spot],
    );
    assert.equal([result.unreadable, result.writeFailed], [[], []]);
    assert.equal(bench.values(), [7, 7, 7]);
  });
}

test("a member that leaves between its start and the rest is neither read nor written", async () => {
  const { bench, traffic } = setUp();
  const { device } = bench.member(1);
  const { read } = device;
  device.read = async (target, offset) => {
    await read.call(device, target, offset);
    bench.gone.add(1);
  };
  bench.data(2).fill(9);
  await bench.run("sync");
  assert.equal(traffic[1], { read: [[0, PROBE]], written: [] });
  assert.equal(bench.values(), [7, 7, 7]);
});

test("of a write that fails in its second step, what cannot be stored is told page by page", async () => {
  const { bench } = setUp();
  bench.data(1).fill(9);
  const bad: [number, number] = [STEP + 4096, STEP + 8192];
  bench.spoil(1, "write-error", bad);
  const { writeFailed, writtenBytes } = await bench.run("sync");
  assert.equal(
    writeFailed.map(({ member, ranges }) => [member, ranges]),
    [[1, [bad]]],
  );
  assert.is(writtenBytes, SIZE - 4096);
  assert.equal(bench.values(0, bad[0]), [7, 7, 7]);
  assert.equal(bench.values(bad[1]), [7, 7, 7]);
});

test("buffers and regions are given back only after every read is over", async () => {
  const { bench } = setUp();
  const late = Promise.withResolvers<void>();
  const { device } = bench.member(1);
  const { read } = device;
  device.read = async (target, offset) => {
    await late.promise;
    return read.call(device, target, offset);
  };
  bench.fault(2, "read-error");
  let isOver = false;
  const run = bench.run("sync").then(() => {
    isOver = true;
  });
  await new Promise(setImmediate);
  assert.is(isOver, false);
  assert.ok(bench.words.some((word) => word !== 0));
  late.resolve();
  await run;
  assert.ok(bench.words.every((word) => word === 0));
});

test.run();
