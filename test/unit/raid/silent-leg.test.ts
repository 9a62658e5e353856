/** A leg that does not answer: reads keep away from it, nothing waits for it once it is lost. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { LEG_BLOCKED, LEG_NONE } from "../../../src/raid/shared-state.ts";
import { IoBench } from "../../helpers/io-bench.ts";

const test = suite("raid/silent-leg");

/** The array thread has recorded the leg's member as faulty. */
const lose = async (bench: IoBench, leg: number): Promise<void> => {
  bench.state.setLeg(leg, LEG_NONE);
  await bench.io.dropLeg(leg, "no answer");
  await bench.rest();
};

test("reads are answered by the other leg while one holds a call, wherever they go", async () => {
  const bench = new IoBench({ chunks: 32 });
  bench.hang(0);
  const write = bench.write(0, 7);
  await bench.rest();
  bench.now += 5;
  const reads = [0, 9, 17, 31].map((mib) => bench.read(mib * 1024 * 1024, 4096));
  assert.ok(reads.every(({ errno }) => errno === 0));
  assert.is(write.errno, null, "the write waits for both");
});

test("a slow leg is asked before one that owes an answer", async () => {
  const bench = new IoBench({ slow: [0, 1], chunks: 32 });
  bench.hang(0);
  const write = bench.write(0, 7);
  await bench.rest();
  bench.now += 5;
  const reads = [0, 9, 17, 31].map((mib) => bench.read(mib * 1024 * 1024, 4096));
  await bench.rest();
  assert.ok(reads.every(({ errno }) => errno === 0));
  assert.is(write.errno, null);
});

test("a read that met the silent leg goes to the other one when it is lost", async () => {
  const bench = new IoBench({ slow: [0, 1] });
  bench.leg(0).bytes.fill(1);
  bench.leg(1).bytes.fill(2);
  bench.hang(0);
  const read = bench.read(0, 4096);
  await bench.rest();
  assert.is(read.errno, null, "it waits for the first leg");
  await lose(bench, 0);
  assert.is(read.errno, 0);
  assert.ok(read.target.every((byte) => byte === 2));
  await bench.release();
  assert.ok(
    read.target.every((byte) => byte === 2),
    "the late answer changes nothing",
  );
});

test("a write is answered without the lost leg, after its failure is told", async () => {
  const bench = new IoBench({ slow: [0, 1] });
  bench.hang(0);
  const write = bench.write(0, 7, 512, true);
  await bench.rest();
  bench.state.setLeg(0, LEG_BLOCKED);
  await bench.rest();
  assert.is(write.errno, null);
  await lose(bench, 0);
  assert.equal(bench.reported, [[0, "write"]]);
  bench.resolve(null, true);
  await bench.rest();
  assert.is(write.errno, 0);
  assert.is(bench.on(1, 0), 7);
});

test("a flush that one leg never answers ends with the others", async () => {
  const bench = new IoBench();
  bench.hang(1);
  const flush = bench.flush();
  await bench.rest();
  assert.is(flush.errno, null);
  await lose(bench, 1);
  assert.equal(bench.reported, [[1, "flush"]]);
  bench.resolve(null, true);
  assert.is(flush.errno, 0);
});

test("the stall clock tells the oldest call, not how long the leg was never idle", async () => {
  const bench = new IoBench({ slow: [0, 1] });
  bench.now = 100;
  bench.write(0, 1);
  await bench.rest();
  bench.hang(1);
  bench.now = 110;
  bench.write(0, 2);
  bench.now = 120;
  bench.write(65_536, 3);
  assert.is(bench.state.stall(1), 110);
  await bench.release();
  assert.is(bench.state.stall(1), 0);
});

test("a lost handle is closed only when its last call has ended", async () => {
  const bench = new IoBench({ slow: [0, 1] });
  bench.hang(0);
  bench.write(0, 7);
  await lose(bench, 0);
  await bench
    .leg(0)
    .device.allocation(0, 0)
    .catch(() => assert.unreachable("still open"));
  await bench.release();
  const later = await bench
    .leg(0)
    .device.flush()
    .then(
      () => "open",
      () => "closed",
    );
  assert.is(later, "closed");
});

test.run();
