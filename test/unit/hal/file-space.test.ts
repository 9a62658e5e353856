/** Space given back and kept, on real files and devices, and stores that refuse. */
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  openSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ALLOCATION_RUNS_MAX, type BlockDevice } from "../../../src/hal/block-device.ts";
import { FileBlockDevice } from "../../../src/hal/linux/file-block-device.ts";
import { loadNativeCalls, type NativeCalls } from "../../../src/hal/linux/native-calls.ts";
import { codeOf } from "../../conformance/block-device-subject.ts";
import { attachLoop, detachLoop, noLoopDevice } from "../../helpers/loop-device.ts";
import { mountScratch } from "../../helpers/scratch-mount.ts";
import { skipWhen } from "../../helpers/skip.ts";
import type { SpaceOrder, SpaceReport } from "../../helpers/space-worker.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const MIB = 1024 * 1024;
const SIZE = 4 * MIB;

/** Bytes that the file takes on its file system. */
const bytesOf = (path: string): number => statSync(path).blocks * 512;

const makeFull = (folder: string): string => {
  const path = join(folder, "member.img");
  writeFileSync(path, new Uint8Array(SIZE).fill(5));
  return path;
};

const makeSparse = (folder: string, size: number): string => {
  const path = join(folder, "member.img");
  writeFileSync(path, "");
  truncateSync(path, size);
  return path;
};

const openWith = (path: string, change: (real: NativeCalls) => Partial<NativeCalls>) =>
  FileBlockDevice.open(path, {
    mode: "write",
    nativeCalls: async () => {
      const real = await loadNativeCalls();
      if (real === null) throw new Error("the native calls must be there");
      return { ...real, ...change(real) };
    },
  });

const failWith = (code: string) => () => Promise.reject(Object.assign(new Error(code), { code }));

const askWorker = async (order: SpaceOrder): Promise<SpaceReport> => {
  const url = new URL("../../helpers/space-worker.ts", import.meta.url);
  const worker = new Worker(url, { workerData: order });
  // Both at once: a thread may end in the same turn in which its message arrives.
  const [[report]] = await Promise.all([once(worker, "message"), once(worker, "exit")]);
  return report as SpaceReport;
};

const expectHalf = (content: Uint8Array): void => {
  assert.ok(content.subarray(0, SIZE / 2).every((byte) => byte === 0));
  assert.ok(content.subarray(SIZE / 2).every((byte) => byte === 5));
};

const isZeroed = async (device: BlockDevice, offset: number, length: number) => {
  const target = new Uint8Array(length).fill(1);
  await device.read(target, offset);
  return target.every((byte) => byte === 0);
};

const test = suite("hal/file-space");

test(
  "a file gives its space back when it may, and keeps it when it may not",
  inFolder(async (folder) => {
    const path = makeFull(folder);
    const device = await FileBlockDevice.open(path, { mode: "write" });
    await device.flush();
    const before = bytesOf(path);
    await device.zero(0, MIB, false);
    await device.flush();
    assert.is(bytesOf(path), before, "space is kept");
    await device.zero(0, 2 * MIB, true);
    await device.flush();
    assert.is(bytesOf(path), before - 2 * MIB);
    assert.equal(await device.allocation(0, SIZE), [
      { length: 2 * MIB, isHole: true },
      { length: 2 * MIB, isHole: false },
    ]);
    await device.zero(MIB, MIB, false);
    await device.flush();
    assert.is(bytesOf(path), before - MIB, "a hole gets its space");
    assert.is(statSync(path).size, SIZE);
    await device.close();
  }),
);

test(
  "opening asks what the file can without changing it",
  inFolder(async (folder) => {
    const path = makeFull(folder);
    truncateSync(path, SIZE - 1000);
    const [before, space] = [readFileSync(path), bytesOf(path)];
    const device = await FileBlockDevice.open(path, { mode: "write" });
    assert.is(device.punches, true);
    await device.close();
    assert.is(Buffer.compare(readFileSync(path), before), 0);
    assert.is(bytesOf(path), space);
  }),
);

test(
  "a shredded file is told in bounded answers, each going on where the last one ended",
  inFolder(async (folder) => {
    const pages = 3 * ALLOCATION_RUNS_MAX;
    const path = makeSparse(folder, pages * 65_536);
    const device = await FileBlockDevice.open(path, { mode: "write" });
    for (let page = 0; page < pages; page += 2)
      await device.write([Uint8Array.of(1)], page * 65_536);
    const runs = await device.allocation(0, device.sizeBytes);
    assert.is(runs.length, ALLOCATION_RUNS_MAX);
    const next = runs.reduce((sum, run) => sum + run.length, 0);
    const more = await device.allocation(next, device.sizeBytes - next);
    assert.is(more.length, ALLOCATION_RUNS_MAX);
    assert.is(more[0]?.isHole, runs[0]?.isHole);
    await device.close();
  }),
);

test(
  "what was cut off a file is no hole: asking for it and punching it fail",
  inFolder(async (folder) => {
    const path = makeFull(folder);
    const device = await FileBlockDevice.open(path, { mode: "write" });
    truncateSync(path, MIB);
    for (const [offset, length] of [
      [MIB, 1],
      [MIB - 4096, 8192],
      [SIZE - 4096, 4096],
    ] as const) {
      const asked = async () => void (await device.allocation(offset, length));
      assert.is(await codeOf(asked), "HAL_IO_ERROR", `${offset}`);
      assert.is(await codeOf(() => device.zero(offset, length, true)), "HAL_IO_ERROR");
    }
    assert.is(statSync(path).size, MIB);
    assert.equal((await device.allocation(0, MIB - 8192)).length, 1);
    await device.close();
  }),
);

test(
  "long ranges go in pieces of at most 16 MiB, which meet at multiples of that",
  inFolder(async (folder) => {
    const path = makeSparse(folder, 100 * MIB);
    const pieces: [number, number][] = [];
    const device = await openWith(path, (real) => ({
      punchHole: (fd, offset, length) => {
        if (offset < 100 * MIB) pieces.push([offset, length]);
        return real.punchHole(fd, offset, length);
      },
    }));
    await device.zero(1, 50 * MIB, true);
    assert.equal(pieces, [
      [1, 16 * MIB - 1],
      [16 * MIB, 16 * MIB],
      [32 * MIB, 16 * MIB],
      [48 * MIB, 2 * MIB + 1],
    ]);
    await device.close();
  }),
);

test(
  "a store that refuses once is not asked again; zeroes are written from then on",
  inFolder(async (folder) => {
    const path = makeFull(folder);
    const asked: string[] = [];
    let refuses = false;
    const device = await openWith(path, (real) => {
      const guard =
        (name: "punchHole" | "zeroRange"): NativeCalls["punchHole"] =>
        (...args) => {
          asked.push(name);
          return refuses ? failWith("ENOTSUP")() : real[name](...args);
        };
      return { punchHole: guard("punchHole"), zeroRange: guard("zeroRange") };
    });
    assert.is(device.punches, true);
    refuses = true;
    for (let page = 0; page < 4; page++) await device.zero(page * 4096, 4096, true);
    assert.is(device.punches, false);
    assert.equal(asked, ["punchHole", "punchHole", "zeroRange"], "the first one when opened");
    assert.ok(await isZeroed(device, 0, 4 * 4096));
    await device.close();
  }),
);

test(
  "a file shows by its first zeroed range that it is quick, and a refusal ends it",
  inFolder(async (folder) => {
    const path = makeFull(folder);
    let refuses = false;
    const device = await openWith(path, (real) => ({
      zeroRange: (...args) => (refuses ? failWith("ENOTSUP")() : real.zeroRange(...args)),
    }));
    const space = bytesOf(path);
    assert.is(device.zeroesFast, false, "not asked yet");
    await device.zero(0, 4096, false);
    assert.is(device.zeroesFast, true);
    refuses = true;
    await device.zero(4096, 4096, false);
    assert.is(device.zeroesFast, false);
    assert.ok(await isZeroed(device, 0, 8192));
    await device.flush();
    assert.is(bytesOf(path), space);
    await device.close();
  }),
);

test(
  "a long range that begins inside a page gives back every whole page",
  inFolder(async (folder) => {
    const path = join(folder, "member.img");
    writeFileSync(path, new Uint8Array(40 * MIB).fill(5));
    const device = await FileBlockDevice.open(path, { mode: "write" });
    await device.flush();
    await device.zero(1000, 40 * MIB - 2000, true);
    await device.flush();
    assert.equal(await device.allocation(0, 40 * MIB), [
      { length: 4096, isHole: false },
      { length: 40 * MIB - 8192, isHole: true },
      { length: 4096, isHole: false },
    ]);
    await device.close();
  }),
);

test(
  "a call that fails is an error, and nothing is written in its place",
  inFolder(async (folder) => {
    const path = makeFull(folder);
    const device = await openWith(path, () => ({
      punchHole: (_fd, offset) => (offset < SIZE ? failWith("EIO")() : Promise.resolve()),
      zeroRange: failWith("ENOSPC"),
      seekData: failWith("EIO"),
    }));
    assert.is(await codeOf(() => device.zero(0, 4096, true)), "HAL_IO_ERROR");
    assert.is(await codeOf(() => device.zero(0, 4096, false)), "HAL_NO_SPACE");
    const asked = async () => void (await device.allocation(0, 4096));
    assert.is(await codeOf(asked), "HAL_IO_ERROR");
    assert.ok(readFileSync(path).every((byte) => byte === 5));
    await device.close();
  }),
);

test(
  "data that comes and goes between two questions is never told as a run of no length",
  inFolder(async (folder) => {
    const path = makeFull(folder);
    const device = await openWith(path, () => ({
      seekData: async (_fd, offset) => offset,
      seekHole: async (_fd, offset) => offset,
    }));
    assert.equal(await device.allocation(4096, 8192), [{ length: 8192, isHole: false }]);
    await device.close();
  }),
);

test(
  "worker threads have the native calls of their own",
  inFolder(async (folder) => {
    const path = makeFull(folder);
    const reports = [
      await askWorker({ path, hasAddon: true }),
      await askWorker({ path, hasAddon: true }),
    ];
    for (const { punches, runs, content } of reports) {
      assert.is(punches, true);
      assert.is(runs[0]?.isHole, true);
      expectHalf(content);
    }
  }),
);

test(
  "without the addon nothing is punched, zeroes are written, and everything counts as data",
  inFolder(async (folder) => {
    const path = makeFull(folder);
    const { punches, runs, content } = await askWorker({ path, hasAddon: false });
    assert.is(punches, false);
    assert.equal(runs, [{ length: SIZE, isHole: false }]);
    expectHalf(content);
    assert.ok(bytesOf(path) >= SIZE);
  }),
);

const noLoop = noLoopDevice();
const rooted = skipWhen(noLoop, test);

rooted("a full file system gets room by punching, and refuses zeroes that need room", async () => {
  const scratch = mountScratch("tmpfs");
  try {
    const path = makeSparse(scratch.folder, 64 * MIB);
    const device = await FileBlockDevice.open(path, { mode: "write" });
    const data = new Uint8Array(17 * MIB).fill(1);
    assert.is(await codeOf(() => device.write([data], 0)), "HAL_NO_SPACE");
    assert.is(await codeOf(() => device.zero(20 * MIB, MIB, false)), "HAL_NO_SPACE");
    await device.zero(0, 64 * MIB, true);
    await device.write([data.subarray(0, 8 * MIB)], 30 * MIB);
    await device.close();
  } finally {
    scratch.remove();
  }
});

rooted(
  "a block device hands the space on to its store, and keeps it when it may not",
  inFolder(async (folder) => {
    const path = makeFull(folder);
    const loop = attachLoop(path);
    if (loop === null) throw new Error("no loop device could be made");
    try {
      const device = await FileBlockDevice.open(loop, { mode: "write", claim: "alone" });
      assert.is(device.logicalBlockSize, 512);
      const before = bytesOf(path);
      await device.zero(MIB, MIB, false);
      await device.flush();
      assert.is(bytesOf(path), before);
      assert.ok(await isZeroed(device, MIB, MIB));
      await device.zero(512, 2 * MIB, true);
      await device.flush();
      assert.ok(bytesOf(path) <= before - 2 * MIB + 8192, `${bytesOf(path)} bytes left`);
      assert.equal(await device.allocation(0, SIZE), [{ length: SIZE, isHole: false }]);
      await device.close();
    } finally {
      detachLoop(loop);
    }
  }),
);

rooted(
  "a partition has the queue of its device",
  inFolder(async (folder) => {
    const path = makeSparse(folder, SIZE);
    const table = Buffer.alloc(512);
    // One entry of an MBR: type 0x83, 128 sectors of 4096 bytes, from the second one on.
    table.set([0x83], 446 + 4);
    table.writeUInt32LE(1, 446 + 8);
    table.writeUInt32LE(128, 446 + 12);
    table.set([0x55, 0xaa], 510);
    const fd = openSync(path, "r+");
    writeSync(fd, table, 0, 512, 0);
    closeSync(fd);
    const loop = attachLoop(path, ["--sector-size", "4096", "--partscan"]);
    if (loop === null) throw new Error("no loop device could be made");
    try {
      spawnSync("partx", ["--update", loop]);
      const device = await FileBlockDevice.open(`${loop}p1`, { mode: "write" });
      assert.is(device.logicalBlockSize, 4096);
      assert.is(device.sizeBytes, 128 * 4096);
      assert.is(device.punches, true);
      await device.zero(0, device.sizeBytes, true);
      await device.close();
    } finally {
      detachLoop(loop);
    }
  }),
);

test.run();
