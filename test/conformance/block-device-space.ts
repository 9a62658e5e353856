/** The part of the block-device contract about zeroing and about what the store holds. */
import * as assert from "uvu/assert";
import type { Prng } from "../../src/common/prng.ts";
import { ALLOCATION_RUNS_MAX, type BlockDevice } from "../../src/hal/block-device.ts";
import { withSeeds } from "../helpers/seed.ts";
import { type On, pathsOf, pattern, readBack, same } from "./block-device-subject.ts";

const KIB = 1024;

const add = (sum: number, run: { readonly length: number }): number => sum + run.length;

/** Asks about the whole range, in as many answers as it takes, and looks at every hole. */
const expectTruth = async (device: BlockDevice, offset: number, length: number): Promise<void> => {
  for (let at = offset; at < offset + length; ) {
    const left = offset + length - at;
    const runs = await device.allocation(at, left);
    assert.ok(runs.length >= 1 && runs.length <= ALLOCATION_RUNS_MAX, `${runs.length} runs`);
    assert.ok(runs.reduce(add, 0) <= left, "runs go beyond what was asked");
    for (const [index, run] of runs.entries()) {
      assert.ok(run.length > 0);
      assert.is.not(run.isHole, runs[index - 1]?.isHole, "neighbours are unlike");
      const zeroes = new Uint8Array(run.length);
      if (run.isHole) same(await readBack(device, at, run.length), zeroes, `a hole at ${at}`);
      at += run.length;
    }
  }
};

/** One random call on the device and on `bytes`, which is its beginning. */
const step = async (device: BlockDevice, bytes: Uint8Array, prng: Prng): Promise<void> => {
  const offset = prng.below(bytes.length);
  const length = prng.below(Math.min(prng.pick([600, 9000, 100_000]), bytes.length - offset));
  const path = prng.pick(pathsOf(device));
  switch (prng.below(6)) {
    case 0:
    case 1: {
      const data = prng.bytes(length);
      bytes.set(data, offset);
      return path.write([data], offset);
    }
    case 2:
    case 3: {
      // As often as not whole pages, which stores treat in another way than edges.
      const unit = prng.pick([1, 4096]);
      const [from, to] = [offset - (offset % unit), offset + length];
      bytes.fill(0, from, to - (to % unit));
      return device.zero(from, Math.max(0, to - (to % unit) - from), prng.below(2) === 0);
    }
    case 4:
      return path.flush();
    default: {
      const target = new Uint8Array(length);
      await path.read(target, offset);
      same(target, bytes.subarray(offset, offset + length), `${path.name} read at ${offset}`);
      return expectTruth(device, offset, length);
    }
  }
};

export const addSpace = (on: On): void => {
  on("zeroes any range, giving space back or not, and nothing beside it", async ({ device }) => {
    const end = device.sizeBytes;
    for (const mayUnmap of [true, false]) {
      for (const [offset, length] of [
        [0, 1],
        [511, 2],
        [4096, 4096],
        [4095, 8194],
        [65_536, 65_536],
        [70_001, 100_003],
        [end - 70_000, 70_000],
        [end - 5, 5],
        [777, 0],
        [end, 0],
      ] as const) {
        const from = Math.max(0, offset - 5000);
        const to = Math.min(end, offset + length + 5000);
        const content = pattern(to - from, offset);
        await device.write([content], from);
        await device.zero(offset, length, mayUnmap);
        content.fill(0, offset - from, offset - from + length);
        const said = `${length} bytes at ${offset}, unmap ${mayUnmap}`;
        same(await readBack(device, from, to - from), content, said);
        await device.zero(offset, length, mayUnmap);
        await device.flush();
        same(await readBack(device, from, to - from), content, `${said}, again`);
      }
    }
  });

  on("zeroes beside writes that are under way", async ({ device }) => {
    const size = 6 * KIB;
    const calls = Array.from({ length: 32 }, (_, index) => index);
    await device.write([pattern(32 * size, 1)], 0);
    await Promise.all(
      calls.map((index) =>
        index % 2 === 0
          ? device.zero(index * size, size, index % 4 === 0)
          : device.write([pattern(size, index)], index * size),
      ),
    );
    for (const index of calls) {
      const content = index % 2 === 0 ? new Uint8Array(size) : pattern(size, index);
      same(await readBack(device, index * size, size), content, `piece ${index}`);
    }
  });

  on("takes writes where it was zeroed, and zeroes where it was written", async ({ device }) => {
    for (const path of pathsOf(device)) {
      for (let round = 1; round < 9; round++) {
        await path.write([new Uint8Array(8192).fill(round)], 4096);
        await device.zero(6000, 4000, round % 2 === 0);
        await path.write([new Uint8Array(100).fill(round)], 7000);
        const content = new Uint8Array(8192).fill(round);
        content.fill(0, 6000 - 4096, 10_000 - 4096).fill(round, 7000 - 4096, 7100 - 4096);
        same(await readBack(device, 4096, 8192), content, `${path.name}, round ${round}`);
      }
    }
  });

  on("never calls data a hole, in a bounded answer", async ({ device }) => {
    assert.equal(await device.allocation(0, 0), []);
    assert.equal(await device.allocation(device.sizeBytes, 0), []);
    await expectTruth(device, 0, device.sizeBytes);
    await device.zero(0, device.sizeBytes, true);
    for (const path of pathsOf(device)) {
      for (let at = 0; at < 16; at++) await path.write([Uint8Array.of(1)], at * 9000 + 4095);
      await expectTruth(device, 0, device.sizeBytes);
    }
    const pages = Math.floor(device.sizeBytes / 8192);
    for (let page = 0; page < pages; page++) await device.write([Uint8Array.of(7)], page * 8192);
    await expectTruth(device, 1, device.sizeBytes - 1);
    for (let page = 0; page < pages; page++) {
      const [run] = await device.allocation(page * 8192, 1);
      assert.equal(run, { length: 1, isHole: false });
    }
  });

  on("does as an array of bytes does, whatever the order of calls", async ({ device }) => {
    await withSeeds({ fixed: [1], more: 1 }, async (prng) => {
      const bytes = new Uint8Array(256 * KIB);
      await device.zero(0, bytes.length, true);
      for (let round = 0; round < 120; round++) await step(device, bytes, prng);
      same(await readBack(device, 0, bytes.length), bytes, "at the end");
      await expectTruth(device, 0, bytes.length);
    });
  });
};
