/** Zeroing on the I/O path: every copy, in the order of writes, as recorded and durable as they. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { LEG_NONE, LEG_REBUILDING } from "../../../src/raid/shared-state.ts";
import { IO_EIO, IO_OK } from "../../../src/raid/write-request.ts";
import { type Answer, IoBench } from "../../helpers/io-bench.ts";
import { driveArray, startMemoryArray } from "../../helpers/memory-array.ts";
import { withSeeds } from "../../helpers/seed.ts";
import { GEOMETRY } from "../../sim/media.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

type MemoryArray = Awaited<ReturnType<typeof startMemoryArray>>;

const zero = (bench: IoBench, offset: number, length: number, fua = false): Answer => {
  const answer: Answer = { errno: null };
  bench.io.zero(offset, length, { mayUnmap: true, fua }, (errno) => {
    answer.errno = errno;
  });
  return answer;
};

/** Runs requests through both I/O paths, all under way together. */
const together = async (
  { array, scheduler }: MemoryArray,
  requests: readonly ((io: MemoryArray["array"]["workers"][number], done: Done) => void)[],
): Promise<void> => {
  const answers = requests.map(
    (request, index) =>
      new Promise<number>((resolve) => {
        const io = array.workers[index % array.workers.length];
        if (io !== undefined) request(io, resolve);
      }),
  );
  const errors = await driveArray(array, scheduler, Promise.all(answers));
  assert.ok(errors.every((errno) => errno === IO_OK));
};
type Done = (errno: number) => void;

/** The copies of `[offset, offset + length)` on the media, each as one run of bytes. */
const copiesOf = (
  { array, legs }: MemoryArray,
  [offset, length]: readonly [number, number],
  kind: "current" | "durable",
): Buffer[] => {
  const copies: Uint8Array[][] = [];
  for (const extent of array.shared.map.extents(offset, length)) {
    for (const [copy, { slot, position }] of extent.places.entries()) {
      const bytes = legs[slot]?.medium[kind] ?? new Uint8Array(0);
      const at = GEOMETRY.dataAt + position;
      copies[copy] = [...(copies[copy] ?? []), bytes.subarray(at, at + extent.length)];
    }
  }
  return copies.map((parts) => Buffer.concat(parts));
};

const test = suite("raid/io-zero");

for (const [layout, legs] of [
  [undefined, 2],
  ["n2", 3],
  ["f2", 3],
  ["o2", 4],
] as const) {
  const name = layout === undefined ? "raid1" : `raid10 ${layout} of ${legs}`;
  test(`overlapping zeroes and writes end alike on every copy of a ${name}`, async () => {
    await withSeeds({ fixed: [1, 2], more: 2 }, async (prng, seed) => {
      const layoutPart = layout === undefined ? {} : { layout };
      const running = await startMemoryArray({ legs, ...layoutPart, seed, quickness: 3 });
      for (let round = 0; round < 4; round++) {
        await together(
          running,
          Array.from({ length: 12 }, (_, index) => {
            const offset = MIB - 80 * KIB + prng.below(8 * KIB);
            const length = 1 + prng.below(150 * KIB);
            const value = round * 12 + index + 1;
            if (prng.below(2) === 0)
              return (io, done) =>
                io.write([new Uint8Array(length).fill(value)], offset, false, done);
            const options = { mayUnmap: prng.below(2) === 0, fua: prng.below(4) === 0 };
            return (io, done) => io.zero(offset, length, options, done);
          }),
        );
        const [first, ...others] = copiesOf(running, [MIB - 128 * KIB, 256 * KIB], "current");
        assert.ok(first !== undefined && others.length > 0);
        for (const copy of others) assert.is(Buffer.compare(first, copy), 0, `round ${round}`);
      }
      await running.device.close();
    });
  });

  test(`zeroes with FUA are durable on every copy of a ${name} when they are answered`, async () => {
    const layoutPart = layout === undefined ? {} : { layout };
    const running = await startMemoryArray({ legs, ...layoutPart, seed: 5, quickness: 0 });
    const range = [3000, 300 * KIB] as const;
    const fill = new Uint8Array(range[1]).fill(9);
    await together(running, [(io, done) => io.write([fill], range[0], true, done)]);
    for (const copy of copiesOf(running, range, "durable")) assert.ok(copy.equals(fill));
    const options = { mayUnmap: true, fua: true };
    await together(running, [(io, done) => io.zero(range[0], range[1], options, done)]);
    for (const copy of copiesOf(running, range, "durable"))
      assert.ok(copy.equals(new Uint8Array(range[1])));
    await running.device.close();
  });
}

test("what overlaps zeroes under way waits for them, on this thread and on others", async () => {
  const bench = new IoBench();
  const gate = Promise.withResolvers<undefined>();
  const { device } = bench.leg(1);
  const zeroNow = device.zero.bind(device);
  device.zero = async (...range) => {
    await gate.promise;
    await zeroNow(...range);
  };
  bench.write(0, 1, 8 * KIB);
  const zeroed = zero(bench, 0, 8 * KIB);
  const overlapping = bench.write(4 * KIB, 2, 8 * KIB);
  const beside = bench.write(64 * KIB, 3);
  await bench.rest();
  assert.equal([zeroed.errno, overlapping.errno, beside.errno], [null, null, IO_OK]);
  assert.is(bench.others.tryAcquire(100, 1), 0, "no copy is made of it meanwhile");
  gate.resolve(undefined);
  await bench.rest();
  assert.equal([zeroed.errno, overlapping.errno], [IO_OK, IO_OK]);
  for (const leg of [0, 1]) {
    const found = [0, 4 * KIB - 1, 4 * KIB, 12 * KIB - 1].map((at) => bench.on(leg, at));
    assert.equal(found, [0, 0, 2, 2], `leg ${leg}`);
  }
});

test("a leg under rebuild is zeroed too, a missing one is not waited for", async () => {
  const bench = new IoBench({ legs: 3 });
  bench.write(0, 7, 8 * KIB);
  bench.state.setLeg(1, LEG_REBUILDING);
  bench.state.setLeg(2, LEG_NONE);
  const answer = zero(bench, 100, 4 * KIB);
  await bench.rest();
  assert.is(answer.errno, IO_OK);
  assert.equal(
    [0, 1, 2].map((leg) => [bench.on(leg, 99), bench.on(leg, 100), bench.on(leg, 4 * KIB + 100)]),
    [
      [7, 0, 7],
      [7, 0, 7],
      [7, 7, 7],
    ],
  );
});

test("zeroes that only a leg under rebuild took are an error", async () => {
  const bench = new IoBench();
  bench.state.setLeg(1, LEG_REBUILDING);
  bench.fault(0, "write-error");
  const answer = zero(bench, 0, 4 * KIB);
  await bench.rest();
  assert.equal(bench.reported, [[0, "write"]]);
  bench.resolve(null, true);
  assert.is(answer.errno, IO_EIO);
});

for (const layout of [null, "n2", "f2"]) {
  test(`zeroes that failed on a leg are answered once that is recorded (${layout ?? "raid1"})`, async () => {
    const bench = new IoBench({ legs: 2, layout });
    bench.write(0, 7, MIB);
    bench.fault(1, "write-error");
    const answer = zero(bench, 0, MIB, true);
    await bench.rest();
    assert.is(answer.errno, null);
    assert.ok(bench.reported.every(([leg, kind]) => leg === 1 && kind === "write"));
    assert.is(bench.others.tryAcquire(0, 1), 0, "no copy takes the old content meanwhile");
    bench.resolve(LEG_NONE, true);
    await bench.rest();
    assert.is(answer.errno, IO_OK);
    const { target, errno } = bench.read(0, MIB);
    assert.is(errno, IO_OK);
    assert.ok(target.every((byte) => byte === 0));
  });
}

test("legs tell together whether space is given back and whether zeroes are quick", async () => {
  const bench = new IoBench({ legs: 2 });
  const told = () => [bench.io.punches, bench.io.zeroesFast(true), bench.io.zeroesFast(false)];
  assert.equal(told(), [true, true, true]);
  const set = (leg: number, name: "punches" | "zeroesFast", value: boolean) =>
    Object.defineProperty(bench.leg(leg).device, name, { value, configurable: true });
  set(1, "zeroesFast", false);
  assert.equal(told(), [true, true, false]);
  set(1, "punches", false);
  assert.equal(told(), [false, false, false]);
  set(1, "zeroesFast", true);
  assert.equal(told(), [false, true, true]);
});

test.run();
