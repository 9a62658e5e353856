/** Reads that never wait, and reads of the ring: each gets its own bytes, errors and ends too. */
import { readdirSync, readlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../../src/common/prng.ts";
import { syncCallsOf } from "../../../src/hal/block-device.ts";
import { FileBlockDevice } from "../../../src/hal/linux/file-block-device.ts";
import { loadNativeIo } from "../../../src/hal/linux/native-io.ts";
import { codeOf, same } from "../../conformance/block-device-subject.ts";
import { runCommand } from "../../helpers/command.ts";
import { withSeeds } from "../../helpers/seed.ts";
import { skipWhen } from "../../helpers/skip.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const MIB = 2 ** 20;
const SIZE = 8 * MIB;

const native = await loadNativeIo();
const hasRing = native !== null && native.use().ring !== null;
native?.release();

/** Rings that this process has open, those of Node's event loops among them. */
const ringsOpen = (): number =>
  readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).includes("io_uring");
    } catch {
      // The descriptor that listed the folder.
      return false;
    }
  }).length;

/** A file of random bytes that nothing of is in the page cache, where it can be dropped. */
const makeCold = async (folder: string, seed: number) => {
  const path = join(folder, "member.img");
  const content = new Uint8Array(SIZE);
  new Prng(seed).fill(content);
  writeFileSync(path, content, { flush: true });
  await runCommand("dd", [`if=${path}`, "iflag=nocache", "count=0"]);
  return { path, content };
};

const test = suite("hal/native-io");
const ringTest = skipWhen(hasRing ? undefined : "this kernel gives no io_uring", test);

test(
  "cold or warm, at once or not, every read gets what the file has there",
  inFolder(async (folder) => {
    await withSeeds({ fixed: [1], more: 2 }, async (prng) => {
      const { path, content } = await makeCold(folder, 7);
      const device = await FileBlockDevice.open(path, { mode: "write" });
      for (let count = 0; count < 300; count++) {
        const length = prng.below(prng.below(10) === 0 ? MIB : 16384) + 1;
        const offset = prng.below(SIZE - length);
        const target = new Uint8Array(length);
        const isDone = syncCallsOf(device).read(target, offset);
        if (!isDone) await device.read(target, offset);
        same(target, content.subarray(offset, offset + length), `${length} at ${offset}`);
        if (isDone) continue;
        target.fill(0);
        assert.ok(syncCallsOf(device).read(target, offset), "what was read is at hand");
        same(target, content.subarray(offset, offset + length), "read again");
      }
      await device.close();
    });
  }),
);

ringTest(
  "more reads than the ring has room for all end, each with its own bytes",
  inFolder(async (folder) => {
    const { path, content } = await makeCold(folder, 8);
    const devices = await Promise.all(
      Array.from({ length: 4 }, () => FileBlockDevice.open(path, { mode: "read" })),
    );
    const prng = new Prng(9);
    const reads = Array.from({ length: 2000 }, async (_, index) => {
      const offset = prng.below(SIZE - 4096);
      const target = new Uint8Array(4096);
      await devices[index % devices.length]?.read(target, offset);
      same(target, content.subarray(offset, offset + 4096), `read ${index}`);
    });
    await Promise.all(reads);
    for (const device of devices) await device.close();
  }),
);

ringTest(
  "a file that has shrunk is short, wherever its end lies in the read",
  inFolder(async (folder) => {
    const { path } = await makeCold(folder, 10);
    const device = await FileBlockDevice.open(path, { mode: "read" });
    truncateSync(path, SIZE / 2);
    for (const offset of [SIZE / 2 - 4096, SIZE / 2, SIZE - 8192]) {
      assert.is(await codeOf(() => device.read(new Uint8Array(8192), offset)), "HAL_IO_ERROR");
      assert.is(
        await codeOf(async () => {
          const target = new Uint8Array(8192);
          if (!syncCallsOf(device).read(target, offset)) await device.read(target, offset);
        }),
        "HAL_IO_ERROR",
      );
    }
    await device.close();
  }),
);

ringTest(
  "the ring goes with the last handle, and comes again with the next",
  inFolder(async (folder) => {
    const { path } = await makeCold(folder, 11);
    const before = ringsOpen();
    for (let round = 0; round < 3; round++) {
      const first = await FileBlockDevice.open(path, { mode: "read" });
      const second = await FileBlockDevice.open(path, { mode: "read" });
      await Promise.all([
        first.read(new Uint8Array(512), 0),
        second.read(new Uint8Array(512), MIB),
      ]);
      assert.is(ringsOpen(), before + 1);
      await first.close();
      assert.is(ringsOpen(), before + 1, "one handle is left");
      await second.close();
      assert.is(ringsOpen(), before);
    }
  }),
);

test.run();
