/** Where an array is a hole: told by a leg that is in sync, and only where every read is zeroes. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ALLOCATION_RUNS_MAX, type AllocationRun } from "../../../src/hal/block-device.ts";
import {
  LEG_BLOCKED,
  LEG_IN_SYNC,
  LEG_NONE,
  LEG_REBUILDING,
  LEG_WRITE_MOSTLY,
} from "../../../src/raid/shared-state.ts";
import { IO_ESHUTDOWN, IO_OK } from "../../../src/raid/write-request.ts";
import { IoBench } from "../../helpers/io-bench.ts";
import { withSeeds } from "../../helpers/seed.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const PAGE = 4096;

/** One answer about `[offset, offset + length)`. */
const ask = (bench: IoBench, offset: number, length: number): Promise<readonly AllocationRun[]> =>
  new Promise((resolve) => {
    bench.io.allocation(offset, length, (errno, runs) => {
      assert.is(errno, IO_OK);
      resolve(runs);
    });
  });

/** Everything about the whole array, `[length, isHole]`, alike neighbours made one. */
const askAll = async (bench: IoBench): Promise<[number, boolean][]> => {
  const all: [number, boolean][] = [];
  for (let at = 0; at < bench.io.sizeBytes; ) {
    const runs = await ask(bench, at, bench.io.sizeBytes - at);
    assert.ok(runs.length > 0 && runs.length <= ALLOCATION_RUNS_MAX, `${runs.length} runs`);
    for (const { length, isHole } of runs) {
      const last = all.at(-1);
      if (last !== undefined && last[1] === isHole) last[0] += length;
      else all.push([length, isHole]);
      at += length;
    }
  }
  return all;
};

/** Puts one byte behind the array's back on one leg. */
const poke = (bench: IoBench, leg: number, position: number): void => {
  const { bytes } = bench.leg(leg);
  bytes[bytes.length - 4 * MIB + position] = 1;
};

const test = suite("raid/leg-allocation");

test("holes and data of a mirror are told as the first leg has them", async () => {
  const bench = new IoBench();
  bench.write(MIB, 1, 8 * KIB);
  assert.equal(await askAll(bench), [
    [MIB, true],
    [8 * KIB, false],
    [3 * MIB - 8 * KIB, true],
  ]);
  assert.equal(await ask(bench, MIB + 1, 10), [{ length: 10, isHole: false }]);
  assert.equal(await ask(bench, 100, 10), [{ length: 10, isHole: true }]);
  assert.equal(await ask(bench, 100, 0), []);
});

for (const [layout, legs] of [
  ["n2", 2],
  ["n2", 3],
  ["n2", 4],
  ["f2", 3],
  ["o2", 4],
  ["n3", 5],
] as const) {
  test(`every page of a raid10 ${layout} of ${legs} is told as it is, also without a leg`, async () => {
    await withSeeds({ fixed: [1], more: 4 }, async (prng) => {
      const bench = new IoBench({ layout, legs, chunks: 2, stripeBytes: 64 * KIB });
      const lost = prng.below(legs + 1);
      if (lost < legs) bench.state.setLeg(lost, LEG_NONE);
      const pages = bench.io.sizeBytes / PAGE;
      const written = new Set<number>();
      for (let write = 0; write < 40; write++) {
        const [first, count] = [prng.below(pages), 1 + prng.below(20)];
        for (let page = first; page < Math.min(pages, first + count); page++) {
          bench.write(page * PAGE + prng.below(PAGE - 512), 1);
          written.add(page);
        }
      }
      let at = 0;
      for (const [length, isHole] of await askAll(bench)) {
        for (let page = at / PAGE; page < (at + length) / PAGE; page++)
          assert.is(isHole, !written.has(page), `page ${page}`);
        at += length;
      }
      assert.is(at, bench.io.sizeBytes);
      assert.equal([bench.legReports, bench.intents], [[], []]);
    });
  });
}

test("what waits for a resync is data, to the byte", async () => {
  for (const layout of [null, "n2"]) {
    const bench = new IoBench({ layout, legs: 2 });
    bench.state.syncedMib = 2;
    assert.equal(await askAll(bench), [
      [2 * MIB, true],
      [2 * MIB, false],
    ]);
    bench.state.syncedMib = 0;
    assert.equal(await askAll(bench), [[4 * MIB, false]]);
  }
});

test("a leg that is not in sync is not believed", async () => {
  for (const state of [LEG_REBUILDING, LEG_BLOCKED, LEG_NONE]) {
    const bench = new IoBench();
    bench.write(0, 1, PAGE);
    bench.leg(0).bytes.fill(0);
    bench.state.setLeg(0, state);
    assert.equal(await ask(bench, 0, PAGE), [{ length: PAGE, isHole: false }]);
    bench.state.setLeg(1, LEG_REBUILDING);
    assert.equal(await askAll(bench), [[4 * MIB, false]], "no leg is left to ask");
  }
});

test("a leg that stands beside another takes its place in the answer", async () => {
  const bench = new IoBench({ beside: [0] });
  bench.write(0, 1, PAGE);
  bench.leg(0).bytes.fill(0);
  bench.state.setLeg(0, LEG_NONE);
  bench.state.setLeg(1, LEG_NONE);
  assert.equal(await askAll(bench), [
    [PAGE, false],
    [4 * MIB - PAGE, true],
  ]);
});

test("bad blocks send the question to another leg, and are data where every leg has them", async () => {
  const bench = new IoBench();
  bench.state.badBlocks(0).set([[0, PAGE]]);
  poke(bench, 0, 100);
  assert.equal(await ask(bench, 0, 2 * PAGE), [{ length: 2 * PAGE, isHole: true }]);
  poke(bench, 1, 100);
  bench.leg(0).bytes.fill(0);
  assert.equal(await ask(bench, 0, 2 * PAGE), [
    { length: PAGE, isHole: false },
    { length: PAGE, isHole: true },
  ]);
  bench.leg(1).bytes.fill(0);
  bench.state.badBlocks(1).set([[3 * PAGE, 4 * PAGE]]);
  assert.equal(await ask(bench, 0, 4 * PAGE), [
    { length: PAGE, isHole: false },
    { length: 3 * PAGE, isHole: true },
  ]);
});

test("a write-mostly leg is asked last", async () => {
  const bench = new IoBench();
  bench.state.setFlags(0, LEG_WRITE_MOSTLY);
  poke(bench, 1, 100);
  assert.equal(await ask(bench, 0, PAGE), [{ length: PAGE, isHole: false }]);
});

test("a leg that failed while it was asked is not believed", async () => {
  const bench = new IoBench();
  const { device } = bench.leg(0);
  const answer = Promise.withResolvers<readonly AllocationRun[]>();
  device.allocation = () => answer.promise;
  const asked = ask(bench, 0, PAGE);
  await bench.rest();
  bench.write(0, 1, PAGE);
  bench.state.setLeg(0, LEG_NONE);
  let isDropped = false;
  const dropped = bench.io.dropLeg(0).then(() => {
    isDropped = true;
  });
  await bench.rest();
  assert.is(isDropped, false, "the handle is in use");
  answer.resolve([{ length: PAGE, isHole: true }]);
  assert.equal(await asked, [{ length: PAGE, isHole: false }]);
  await dropped;
});

test("a resync that came up while a leg was asked makes it data", async () => {
  const bench = new IoBench();
  const answer = Promise.withResolvers<readonly AllocationRun[]>();
  bench.leg(0).device.allocation = () => answer.promise;
  const asked = ask(bench, 0, PAGE);
  await bench.rest();
  bench.state.syncedMib = 0;
  answer.resolve([{ length: PAGE, isHole: true }]);
  assert.equal(await asked, [{ length: PAGE, isHole: false }]);
});

test("a leg that cannot say it says data, and nobody is failed for it", async () => {
  const bench = new IoBench();
  bench.fault(0, "read-error");
  assert.equal(await askAll(bench), [[4 * MIB, false]]);
  assert.equal([bench.reported, bench.readErrors], [[], []]);
  assert.is(bench.state.leg(0), LEG_IN_SYNC);
});

test("one call asks a bounded number of times and gets on", async () => {
  for (const [layout, legs] of [
    [null, 2],
    ["n2", 4],
  ] as const) {
    const bench = new IoBench({ layout, legs });
    let asks = 0;
    for (const { device } of bench.legs) {
      device.allocation = async () => {
        asks++;
        return [{ length: 512, isHole: true }];
      };
    }
    const runs = await ask(bench, 0, bench.io.sizeBytes);
    assert.ok(asks <= legs + 4, `${asks} questions`);
    assert.equal(runs, [{ length: asks * 512, isHole: true }]);
  }
});

test("a leg that says nothing at all leaves data", async () => {
  const bench = new IoBench();
  for (const { device } of bench.legs) device.allocation = async () => [];
  assert.equal(await ask(bench, 0, PAGE), [{ length: PAGE, isHole: false }]);
});

test("a shredded array is told in answers of 64 runs", async () => {
  const bench = new IoBench();
  for (let page = 0; page < 1024; page += 2) bench.write(page * PAGE, 1);
  const runs = await ask(bench, 0, 4 * MIB);
  assert.is(runs.length, ALLOCATION_RUNS_MAX);
  assert.is((await askAll(bench)).length, 1024);
});

test("a raid10 of small chunks is told a bounded number of chunks at a time", async () => {
  const bench = new IoBench({ layout: "n2", legs: 4, chunks: 4, stripeBytes: 4 * KIB });
  assert.equal(await ask(bench, 0, bench.io.sizeBytes), [{ length: 4 * MIB, isHole: true }]);
  assert.equal(await askAll(bench), [[8 * MIB, true]]);
});

test("a far layout without a leg asks once for each part, not for each chunk", async () => {
  const bench = new IoBench({ layout: "f2", legs: 2, stripeBytes: 4 * KIB });
  bench.state.setLeg(1, LEG_NONE);
  bench.leg(0).device.allocation = async () => [{ length: 64 * KIB, isHole: true }];
  const answered = 64 * KIB * (2 + 4);
  assert.equal(await ask(bench, 0, bench.io.sizeBytes), [{ length: answered, isHole: true }]);
});

test("closing waits for a question under way, and refuses later ones", async () => {
  const bench = new IoBench();
  const answer = Promise.withResolvers<readonly AllocationRun[]>();
  bench.leg(0).device.allocation = () => answer.promise;
  const asked = ask(bench, 0, PAGE);
  let isClosed = false;
  const closed = bench.io.close().then(() => {
    isClosed = true;
  });
  await bench.rest();
  assert.is(isClosed, false);
  let refusal = IO_OK;
  bench.io.allocation(0, PAGE, (errno) => {
    refusal = errno;
  });
  assert.is(refusal, IO_ESHUTDOWN);
  answer.resolve([{ length: PAGE, isHole: true }]);
  assert.equal(await asked, [{ length: PAGE, isHole: true }]);
  await closed;
});

test.run();
