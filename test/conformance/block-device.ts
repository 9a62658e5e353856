/**
 * What every block device does, whatever is behind it: the contract in the head of
 * src/hal/block-device.ts. A run file gives the suite a factory and says what the device supports.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { withSeeds } from "../helpers/seed.ts";
import { withTimeout } from "../helpers/timeout.ts";
import { addSpace } from "./block-device-space.ts";
import {
  codeOf,
  type DeviceFactory,
  type DeviceSupport,
  type On,
  pathsOf,
  pattern,
  readBack,
  same,
} from "./block-device-subject.ts";

const LIMIT_MS = 60_000;
const KIB = 1024;

const addContent = (on: On): void => {
  on("stores every byte of every piece, at any place and length", async ({ device }) => {
    for (const path of pathsOf(device)) {
      for (const [offset, lengths] of [
        [0, [1]],
        [4095, [2]],
        [511, [1, 0, 4096, 3]],
        [70_001, [8192, 1, 65_536]],
        [device.sizeBytes - 5, [2, 3]],
      ] as const) {
        const pieces = lengths.map((length, index) => pattern(length, offset + index));
        await path.write(pieces, offset);
        const whole = Buffer.concat(pieces);
        same(await readBack(device, offset, whole.length), whole, `${path.name} at ${offset}`);
      }
    }
  });

  on("stores more pieces than one system call takes", async ({ device }) => {
    const pieces = Array.from({ length: 3000 }, (_, index) => pattern(1 + (index % 7), index));
    const whole = Buffer.concat(pieces);
    for (const path of pathsOf(device)) {
      await path.write(pieces, 1000);
      same(await readBack(device, 1000, whole.length), whole, path.name);
      await path.write([new Uint8Array(whole.length)], 1000);
    }
  });

  on("takes requests of no length, everywhere inside", async ({ device }) => {
    for (const path of pathsOf(device)) {
      for (const offset of [0, 777, device.sizeBytes]) {
        await path.read(new Uint8Array(0), offset);
        await path.write([], offset);
        await path.write([new Uint8Array(0), new Uint8Array(0)], offset);
      }
      same(await readBack(device, 0, 4096), new Uint8Array(4096), "nothing was written");
    }
  });

  on("agrees between its synchronous and asynchronous calls", async ({ device }) => {
    await withSeeds({ fixed: [1], more: 1 }, async (prng) => {
      const bytes = new Uint8Array(64 * KIB);
      await device.write([bytes], 0);
      const paths = pathsOf(device);
      for (let round = 0; round < 60; round++) {
        const offset = prng.below(bytes.length);
        const data = prng.bytes(prng.below(Math.min(9000, bytes.length - offset)));
        await prng.pick(paths).write([data.subarray(0, 100), data.subarray(100)], offset);
        bytes.set(data, offset);
        const target = new Uint8Array(prng.below(9000));
        const at = prng.below(bytes.length - target.length);
        await prng.pick(paths).read(target, at);
        same(target, bytes.subarray(at, at + target.length), `round ${round}`);
      }
    });
  });

  on("keeps many requests under way apart", async ({ device }) => {
    const size = 2 * KIB;
    const writes = Array.from({ length: 64 }, (_, index) =>
      device.write([pattern(size, index)], index * size),
    );
    await Promise.all(writes);
    const reads = writes.map((_, index) => readBack(device, index * size, size));
    for (const [index, content] of (await Promise.all(reads)).entries())
      same(content, pattern(size, index), `request ${index}`);
  });

  on("sees a completed write through every later read, and flushes", async ({ device }) => {
    for (const path of pathsOf(device)) {
      for (let value = 1; value < 20; value++) {
        await path.write([new Uint8Array(600).fill(value)], 4000);
        if (value % 5 === 0) await path.flush();
        same(await readBack(device, 4000, 600), new Uint8Array(600).fill(value), path.name);
      }
    }
  });
};

const addRefusals = (on: On): void => {
  on("refuses what lies outside and changes nothing", async ({ device }) => {
    const end = device.sizeBytes;
    await device.write([pattern(8, 1)], end - 8);
    const outside = [
      [end, 1],
      [end - 3, 4],
      [-1, 1],
      [-4, 8],
      [end + 4096, 0],
      [0.5, 1],
      [Number.NaN, 1],
      [2 ** 53, 1],
    ] as const;
    const badLengths = [
      [0, -1],
      [8, -8],
      [0, 0.5],
      [0, Number.NaN],
      [0, 2 ** 53],
    ] as const;
    for (const path of pathsOf(device)) {
      for (const [offset, length] of outside) {
        const said = `${path.name} ${length} bytes at ${offset}`;
        const bytes = new Uint8Array(length).fill(9);
        assert.is(await codeOf(() => path.read(bytes, offset)), "HAL_OUT_OF_RANGE", said);
        assert.is(await codeOf(() => path.write([bytes], offset)), "HAL_OUT_OF_RANGE", said);
      }
    }
    for (const [offset, length] of [...outside, ...badLengths]) {
      const said = `${length} bytes at ${offset}`;
      const asked = async () => void (await device.allocation(offset, length));
      assert.is(await codeOf(asked), "HAL_OUT_OF_RANGE", said);
      for (const mayUnmap of [true, false]) {
        const zeroed = () => device.zero(offset, length, mayUnmap);
        assert.is(await codeOf(zeroed), "HAL_OUT_OF_RANGE", said);
      }
    }
    same(await readBack(device, end - 8, 8), pattern(8, 1), "the end is as it was");
  });

  on("fails every call once it is closed, and closes twice", async ({ device }) => {
    const paths = pathsOf(device);
    await device.close();
    for (const path of paths) {
      assert.is(await codeOf(() => path.read(new Uint8Array(1), 0)), "HAL_DEVICE_CLOSED");
      assert.is(await codeOf(() => path.write([new Uint8Array(1)], 0)), "HAL_DEVICE_CLOSED");
      assert.is(await codeOf(() => path.flush()), "HAL_DEVICE_CLOSED");
    }
    assert.is(await codeOf(() => device.zero(0, 4096, true)), "HAL_DEVICE_CLOSED");
    const asked = async () => void (await device.allocation(0, 4096));
    assert.is(await codeOf(asked), "HAL_DEVICE_CLOSED");
    await device.close();
  });

  on("refuses writes when it was opened read-only", async ({ device, openReadOnly }) => {
    assert.is(device.readOnly, false);
    if (openReadOnly === null) return;
    await device.write([pattern(100, 3)], 50);
    const reader = await openReadOnly();
    try {
      assert.is(reader.readOnly, true);
      assert.is(reader.sizeBytes, device.sizeBytes);
      for (const path of pathsOf(reader)) {
        assert.is(await codeOf(() => path.write([new Uint8Array(100)], 50)), "HAL_READ_ONLY");
        await path.flush();
      }
      assert.is(await codeOf(() => reader.zero(50, 100, true)), "HAL_READ_ONLY");
      assert.equal([reader.punches, reader.zeroesFast], [false, false]);
      assert.equal(await reader.allocation(0, 0), []);
      assert.is((await reader.allocation(50, 1))[0]?.isHole, false);
      same(await readBack(reader, 50, 100), pattern(100, 3), "reads go on");
    } finally {
      await reader.close();
    }
  });

  on("fails reads of what was taken away beneath it", async ({ device, truncate }) => {
    if (truncate === null) return;
    await device.write([pattern(100, 4)], 0);
    await truncate();
    const half = device.sizeBytes / 2;
    for (const path of pathsOf(device)) {
      for (const [offset, length] of [
        [half, 1],
        [half - 512, 1024],
        [device.sizeBytes - 1, 1],
      ] as const) {
        const target = new Uint8Array(length);
        assert.is(await codeOf(() => path.read(target, offset)), "HAL_IO_ERROR", path.name);
      }
    }
    same(await readBack(device, 0, 100), pattern(100, 4), "the rest is readable");
  });
};

/** The suite of `name`, with all tests registered; the caller runs it. */
export function blockDeviceSuite(name: string, make: DeviceFactory, supports: DeviceSupport) {
  const test = suite(`conformance: block device: ${name}`);
  const on: On = (title, body) => {
    test(
      title,
      withTimeout(LIMIT_MS, async () => {
        const subject = await make();
        try {
          await body(subject);
          const { punches } = subject.device;
          assert.is(punches, supports.punches, "it never has to write zeroes in between");
          await subject.device.close();
        } finally {
          await subject.dispose();
        }
      }),
    );
  };
  on("tells its name, size and block size", async ({ device }) => {
    assert.ok(device.name.length > 0);
    assert.ok(device.sizeBytes >= 256 * KIB);
    assert.ok(device.logicalBlockSize === 512 || device.logicalBlockSize === 4096);
    assert.is(device.sync !== null, supports.sync);
    assert.is(device.punches, supports.punches);
    same(await readBack(device, 0, 4096), new Uint8Array(4096), "it starts zeroed");
  });
  addContent(on);
  addSpace(on);
  addRefusals(on);
  return test;
}
