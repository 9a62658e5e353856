/** Reads and writes of a raid10, and reads that no single leg can answer, through the I/O path. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { LEG_NONE, LEG_REBUILDING } from "../../../src/raid/shared-state.ts";
import { IO_EIO } from "../../../src/raid/write-request.ts";
import { IoBench } from "../../helpers/io-bench.ts";

const KIB = 1024;
const CHUNK = 64 * KIB;
const PAGE = 4 * KIB;

const pattern = (offset: number, length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, at) => (((offset + at) * 2654435761) >>> 13) & 0xff);

/** Writes the pattern there; the errno. */
const store = async (bench: IoBench, offset: number, length: number): Promise<number | null> => {
  let errno: number | null = null;
  bench.io.write([pattern(offset, length)], offset, false, (answer) => {
    errno = answer;
  });
  await bench.rest();
  return errno;
};

/** Reads it back: "same", "other", or the errno. */
const look = async (bench: IoBench, offset: number, length: number): Promise<string> => {
  const answer = bench.read(offset, length);
  for (let turn = 0; turn < 100 && answer.errno === null; turn++) await bench.rest();
  if (answer.errno !== 0) return String(answer.errno);
  return Buffer.compare(answer.target, pattern(offset, length)) === 0 ? "same" : "other";
};

const test = suite("raid/io-driver of raid10");

for (const [layout, legs] of [
  ["n2", 4],
  ["n2", 3],
  ["f2", 3],
  ["o2", 3],
  ["n3", 4],
] as const) {
  for (const slow of [[], [0, 1, 2, 3]]) {
    test(`${layout} on ${legs} legs holds what is written, with any leg gone (slow: ${slow.length > 0})`, async () => {
      const bench = new IoBench({ legs, layout, chunks: 1, slow });
      const { sizeBytes } = bench.io;
      const spots = [
        [0, 3 * CHUNK + 512],
        [5 * CHUNK - 512, 1024],
        [sizeBytes - CHUNK - 700, CHUNK + 700],
      ] as const;
      for (const [offset, length] of spots) assert.is(await store(bench, offset, length), 0);
      for (let gone = 0; gone < legs; gone++) {
        bench.state.setLeg(gone, LEG_NONE);
        for (const [offset, length] of spots)
          assert.is(await look(bench, offset, length), "same", `without leg ${gone}`);
        bench.state.setLeg(gone, 2);
      }
      assert.is(bench.state.writes().underWay, 0);
    });
  }
}

test("a write is an error when one of its chunks is on no leg, though the others are", async () => {
  const bench = new IoBench({ legs: 4, layout: "n2", chunks: 1 });
  bench.state.setLeg(2, LEG_NONE);
  bench.state.setLeg(3, LEG_REBUILDING);
  assert.is(await store(bench, 0, CHUNK), 0);
  assert.is(await store(bench, 0, 2 * CHUNK), IO_EIO);
  assert.is(await look(bench, 0, CHUNK), "same");
  assert.is(await look(bench, CHUNK, 512), String(IO_EIO));
});

test("a read over several chunks reports each leg where it failed, in bytes of the array", async () => {
  const bench = new IoBench({ legs: 4, layout: "n2", chunks: 1 });
  await store(bench, 0, 4 * CHUNK);
  bench.fault(2, "read-error");
  assert.is(await look(bench, CHUNK - 512, 2 * CHUNK), "same");
  assert.equal(
    bench.readErrors.map(({ leg, offset, length }) => [leg, offset, length]),
    [[2, CHUNK, CHUNK]],
  );
});

test("a write and a read of more chunks than one are each answered once", async () => {
  const bench = new IoBench({ legs: 2, layout: "f2", chunks: 1, slow: [0] });
  let answers = 0;
  bench.io.write([pattern(0, 5 * CHUNK)], 0, false, () => void answers++);
  await bench.rest();
  bench.io.read(new Uint8Array(5 * CHUNK), 0, () => void answers++);
  await bench.rest();
  assert.is(answers, 2);
});

// --- pieces of several legs ----------------------------------------------------------------------

for (const slow of [[], [0, 1]]) {
  test(`what no leg has whole is put together from both (slow: ${slow.length > 0})`, async () => {
    const bench = new IoBench({ slow });
    await store(bench, 0, 64 * KIB);
    bench.spoil(0, "read-error", [PAGE, 2 * PAGE]);
    bench.spoil(1, "read-error", [3 * PAGE, 3 * PAGE + 512]);
    assert.is(await look(bench, 700, 40 * KIB), "same");
    const told = new Set(bench.readErrors.map(({ leg, offset }) => `${leg} ${offset}`));
    assert.equal([...told], [`0 ${PAGE}`], "the piece that was passed over is repaired");
  });
}

test("the same with bad blocks, which nobody tries to read", async () => {
  const bench = new IoBench();
  await store(bench, 0, 64 * KIB);
  bench.state.badBlocks(0).set([[PAGE, 2 * PAGE]]);
  bench.state.badBlocks(1).set([[3 * PAGE, 4 * PAGE]]);
  bench.spoil(0, "read-error", [PAGE, 2 * PAGE]);
  bench.spoil(1, "read-error", [3 * PAGE, 4 * PAGE]);
  assert.is(await look(bench, 0, 64 * KIB), "same");
  assert.equal(bench.readErrors, []);
});

test("a spot that both legs lost is an error, once; what is beside it can be read", async () => {
  const bench = new IoBench();
  await store(bench, 0, 64 * KIB);
  for (const leg of [0, 1]) bench.state.badBlocks(leg).set([[PAGE, 2 * PAGE]]);
  assert.is(await look(bench, 0, 64 * KIB), String(IO_EIO));
  assert.is(await look(bench, PAGE, 512), String(IO_EIO));
  assert.is(await look(bench, 2 * PAGE, 8 * PAGE), "same");
});

test("pieces of a raid10 come from where each leg has them", async () => {
  const bench = new IoBench({ legs: 2, layout: "f2", chunks: 1 });
  await store(bench, 0, 4 * CHUNK);
  bench.spoil(0, "read-error", [0, PAGE]);
  bench.state.badBlocks(1).set([[512 * KIB + PAGE, 512 * KIB + 2 * PAGE]]);
  assert.is(await look(bench, 0, 4 * CHUNK), "same");
});

test.run();
