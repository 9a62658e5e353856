/** The simulated member's fault model: what a flush keeps, and what a power cut may take. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../../src/common/prng.ts";
import { SimDevice, SimMedium } from "../../../src/hal/sim/crash-device.ts";

const SECTOR = 512;
const SECTORS = 64;

/** Calls complete when the test says so. */
const setUp = () => {
  const medium = new SimMedium(SECTORS * SECTOR);
  const waiting: (() => void)[] = [];
  const turn = () => new Promise<void>((resolve) => void waiting.push(resolve));
  const device = new SimDevice("m", medium, turn);
  const sectors = (value: number, count: number) => [new Uint8Array(count * SECTOR).fill(value)];
  return { medium, waiting, device, sectors };
};

/** The value of each sector; -1 for a torn one. */
const valuesOf = (bytes: Uint8Array): number[] =>
  Array.from({ length: SECTORS }, (_, sector) => {
    const content = bytes.subarray(sector * SECTOR, (sector + 1) * SECTOR);
    const value = content[0] ?? 0;
    return content.every((byte) => byte === value) ? value : -1;
  });

const test = suite("hal/crash-device");

test("a completed write is read, and is not durable before a flush", async () => {
  const { medium, waiting, device, sectors } = setUp();
  const written = device.write(sectors(5, 2), 0);
  waiting.shift()?.();
  await written;
  assert.is(medium.current[0], 5);
  assert.is(medium.durable[0], 0);
  const flushed = device.flush();
  waiting.shift()?.();
  await flushed;
  assert.is(medium.durable[1023], 5);
});

test("a flush keeps only writes that completed before it began", async () => {
  const { medium, waiting, device, sectors } = setUp();
  const early = device.write(sectors(1, 1), 0);
  const late = device.write(sectors(2, 1), SECTOR);
  waiting.shift()?.();
  await early;
  const flushed = device.flush();
  waiting.shift()?.();
  await late;
  waiting.shift()?.();
  await flushed;
  assert.equal(valuesOf(medium.durable).slice(0, 2), [1, 0]);
});

test("a slow flush never puts old content over newer that another flush has stored", async () => {
  const { medium, waiting, device, sectors } = setUp();
  const write = async (value: number) => {
    const written = device.write(sectors(value, 1), 0);
    waiting.pop()?.();
    await written;
  };
  await write(1);
  const slow = device.flush();
  await write(2);
  const quick = device.flush();
  waiting.pop()?.();
  await quick;
  waiting.pop()?.();
  await slow;
  assert.is(medium.durable[0], 2);
});

test("a power cut takes any subset of the sectors that were not flushed, never parts of one", () => {
  const seen = new Set<string>();
  for (let seed = 1; seed <= 400; seed++) {
    const { medium, sectors } = setUp();
    const [data = new Uint8Array(0)] = sectors(9, 2);
    medium.preset(0, new Uint8Array(SECTORS * SECTOR).fill(3));
    // Unaligned: it touches three sectors.
    medium.complete(medium.begin(256, data));
    medium.begin(8 * SECTOR, data);
    medium.crash(new Prng(seed));
    const values = valuesOf(medium.durable);
    assert.ok(values.slice(3, 8).every((value) => value === 3));
    assert.equal(medium.durable, medium.current);
    const kept = [256, 512, 1024].map((at) => (medium.durable[at] === 9 ? 1 : 0));
    seen.add(`${kept.join("")} ${values.slice(8, 10).join()}`);
  }
  assert.is(seen.size, 2 ** 5, "every subset of five sectors occurs");
});

test("zeroes are volatile until they are flushed, and tear at sectors", () => {
  const seen = new Set<string>();
  for (let seed = 1; seed <= 60; seed++) {
    const { medium, waiting, device } = setUp();
    medium.preset(0, new Uint8Array(SECTORS * SECTOR).fill(3));
    void device.zero(SECTOR, 3 * SECTOR, seed % 2 === 0);
    if (seed % 3 === 0) waiting.shift()?.();
    medium.crash(new Prng(seed));
    seen.add(valuesOf(medium.durable).slice(0, 5).join(""));
  }
  assert.is(seen.size, 2 ** 3, "every subset of three sectors occurs");
  assert.ok([...seen].every((values) => values.startsWith("3") && values.endsWith("3")));
});

test("flushed zeroes survive every power cut", async () => {
  const { medium, waiting, device } = setUp();
  medium.preset(0, new Uint8Array(SECTORS * SECTOR).fill(3));
  const zeroed = device.zero(SECTOR, 3 * SECTOR, true);
  waiting.shift()?.();
  await zeroed;
  assert.is(medium.durable[SECTOR], 3);
  const flushed = device.flush();
  waiting.shift()?.();
  await flushed;
  for (let seed = 1; seed < 20; seed++) medium.crash(new Prng(seed));
  assert.equal(valuesOf(medium.durable).slice(0, 5), [3, 0, 0, 0, 3]);
});

test("what is durable survives any number of power cuts", async () => {
  const { medium, waiting, device, sectors } = setUp();
  const written = device.write(sectors(4, SECTORS), 0);
  waiting.shift()?.();
  await written;
  const flushed = device.flush();
  waiting.shift()?.();
  await flushed;
  for (let seed = 1; seed < 20; seed++) medium.crash(new Prng(seed));
  assert.ok(valuesOf(medium.durable).every((value) => value === 4));
});

test("a quick device has synchronous calls only while it is quick", () => {
  const medium = new SimMedium(SECTOR);
  const mood = { isQuick: true };
  const device = new SimDevice(
    "m",
    medium,
    () => Promise.resolve(),
    () => mood.isQuick,
  );
  device.sync?.write([new Uint8Array(SECTOR).fill(6)], 0);
  assert.is(medium.durable[0], 0);
  device.sync?.flush();
  assert.is(medium.durable[0], 6);
  mood.isQuick = false;
  assert.is(device.sync, null);
});

test.run();
