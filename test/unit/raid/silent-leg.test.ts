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

/** Legs that hold different bytes, so that a read shows who has answered. */
const twoVoices = (options: Partial<ConstructorParameters<typeof IoBench>[0]> = {}): IoBench => {
  const bench = new IoBench({ slow: [0, 1], ...options });
  for (const { leg, bytes } of bench.legs) bytes.fill(leg + 1);
  return bench;
};

/** A read of 4 KiB, with how often it was answered. */
const ask = (bench: IoBench, offset: number) => {
  const target = new Uint8Array(4096);
  const answers: number[] = [];
  bench.io.read(target, offset, (errno) => void answers.push(errno));
  return { target, answers };
};

const isAll = (target: Uint8Array, value: number): boolean => target.every((one) => one === value);

test("a read under way at a leg that begins to hang is answered by the other one a second later", async () => {
  const bench = twoVoices();
  bench.hang(0);
  const read = ask(bench, 0);
  await bench.rest();
  await bench.clock.pass(900);
  assert.equal(read.answers, [], "a second is nothing unusual");
  await bench.clock.pass(400);
  await bench.rest();
  assert.equal(read.answers, [0]);
  assert.ok(isAll(read.target, 2));
  // Buffers of later reads are not those that the late answer fills.
  bench.now += 5;
  const others = Array.from({ length: 8 }, (_, at) => ask(bench, at * 4096));
  await bench.rest();
  await bench.release();
  assert.equal(read.answers, [0], "the late answer is nobody's");
  assert.ok([read, ...others].every(({ target }) => isAll(target, 2)));
  assert.equal(bench.readErrors, []);
});

test("a leg that answers within the second is asked alone", async () => {
  const bench = twoVoices();
  bench.hang(0);
  const read = ask(bench, 0);
  await bench.clock.pass(900);
  bench.fault(1, "read-error");
  await bench.release();
  assert.equal(read.answers, [0]);
  await bench.clock.pass(5000);
  assert.equal([isAll(read.target, 1), bench.readErrors], [true, []]);
});

/** Where a late read has nobody else to ask. */
const ALONE: readonly (readonly [string, (bench: IoBench) => void])[] = [
  [
    "where copies may differ a late read waits for the first one, which is everybody's",
    ({ state }) => {
      state.syncedMib = 0;
    },
  ],
  ["a late read waits on when the other leg is gone", ({ state }) => state.setLeg(1, LEG_NONE)],
];

for (const [title, prepare] of ALONE)
  test(title, async () => {
    const bench = twoVoices();
    prepare(bench);
    bench.hang(0);
    const read = ask(bench, 0);
    await bench.clock.pass(5000);
    assert.equal(read.answers, []);
    await bench.release();
    assert.equal([read.answers, isAll(read.target, 1)], [[0], true]);
  });

test("an error of the late leg is told once the other one has answered, and ends nothing twice", async () => {
  const bench = twoVoices();
  bench.hang(0);
  const read = ask(bench, 0);
  await bench.clock.pass(1300);
  await bench.rest();
  assert.equal([read.answers, isAll(read.target, 2)], [[0], true]);
  await lose(bench, 0);
  assert.equal(read.answers, [0]);
  assert.equal(bench.readErrors, [{ leg: 0, offset: 0, length: 4096 }]);
});

test("two legs that fail a late read leave it to the third one, then to an error", async () => {
  const bench = twoVoices({ legs: 3, slow: [0, 1, 2] });
  // Nobody is asked twice: a second call would be answered.
  bench.leg(0).faults.arm({ kind: "stall", after: 0, count: 1, range: null, stallMs: 1 });
  bench.fault(1, "read-error");
  bench.fault(2, "read-error");
  const read = ask(bench, 0);
  await bench.clock.pass(1300);
  await bench.rest();
  assert.equal(read.answers, [], "the first one may answer yet");
  await lose(bench, 0);
  await bench.rest();
  assert.equal(read.answers, [5]);
});

test("each part of a raid10's read is asked of another leg by itself", async () => {
  const bench = twoVoices({ legs: 4, layout: "n2", slow: [0, 1, 2, 3] });
  const before = bench.legs.map(({ bytes }) => bytes[0]);
  assert.equal(before, [1, 2, 3, 4]);
  bench.hang(0);
  bench.hang(2);
  const target = new Uint8Array(128 * 1024);
  const answers: number[] = [];
  bench.io.read(target, 0, (errno) => void answers.push(errno));
  await bench.rest();
  await bench.clock.pass(1300);
  await bench.rest();
  assert.equal(answers, [0]);
  assert.ok(isAll(target.subarray(0, 65_536), 2) && isAll(target.subarray(65_536), 4));
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
