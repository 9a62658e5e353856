/** Opening what is no member, and files whose store gives out beneath them. */
import { spawnSync } from "node:child_process";
import { mkdirSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CodedError } from "../../../src/common/errors.ts";
import { syncCallsOf } from "../../../src/hal/block-device.ts";
import { FileBlockDevice } from "../../../src/hal/linux/file-block-device.ts";
import { codeOf } from "../../conformance/block-device-subject.ts";
import { skipWhen } from "../../helpers/skip.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const MIB = 1024 * 1024;
const isRoot = process.getuid?.() === 0;

const openError = async (path: string, mode: "read" | "write"): Promise<CodedError> => {
  try {
    await FileBlockDevice.open(path, { mode });
  } catch (error) {
    if (error instanceof CodedError) return error;
    throw error;
  }
  throw new Error(`${path} was opened`);
};

const test = suite("hal/file-block-device");

test(
  "what is no file and no block device is refused, and named",
  inFolder(async (folder) => {
    mkdirSync(join(folder, "folder"));
    for (const [path, mode, code] of [
      [join(folder, "absent.img"), "read", "HAL_OPEN_FAILED"],
      [join(folder, "absent.img"), "write", "HAL_OPEN_FAILED"],
      [join(folder, "folder"), "write", "HAL_NOT_A_BLOCK_DEVICE"],
      [join(folder, "folder"), "read", "HAL_NOT_A_BLOCK_DEVICE"],
      ["/dev/null", "write", "HAL_NOT_A_BLOCK_DEVICE"],
    ] as const) {
      const error = await openError(path, mode);
      assert.is(error.code, code, path);
      assert.ok(error.message.includes(path));
      assert.ok(error.remedy.length > 0);
    }
  }),
);

test(
  "the size is that of the open; a file that grows stays as it was until it is measured",
  inFolder(async (folder) => {
    const path = join(folder, "member.img");
    writeFileSync(path, new Uint8Array(4096));
    const device = await FileBlockDevice.open(path, { mode: "write" });
    truncateSync(path, 8192);
    assert.is(device.sizeBytes, 4096);
    assert.is(await codeOf(() => device.read(new Uint8Array(1), 4096)), "HAL_OUT_OF_RANGE");
    device.measure();
    assert.is(device.sizeBytes, 8192);
    await device.read(new Uint8Array(1), 4096);
    // What is gone was there: the size stays, and says so by its errors.
    truncateSync(path, 4096);
    device.measure();
    assert.is(device.sizeBytes, 8192);
    assert.is(await codeOf(() => device.read(new Uint8Array(1), 4096)), "HAL_IO_ERROR");
    await device.close();
    device.measure();
  }),
);

const needsRoot = skipWhen(isRoot ? undefined : "mounting a small file system needs root", test);

needsRoot(
  "a full file system is told as such, by every kind of write",
  inFolder(async (folder) => {
    const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]);
    assert.is(mounted.status, 0, mounted.stderr.toString());
    try {
      const path = join(folder, "member.img");
      writeFileSync(path, "");
      truncateSync(path, 8 * MIB);
      const device = await FileBlockDevice.open(path, { mode: "write" });
      const sync = syncCallsOf(device);
      const data = new Uint8Array(2 * MIB).fill(1);
      const halves = [data.subarray(0, MIB), data.subarray(MIB)];
      assert.is(await codeOf(() => device.write([data], 0)), "HAL_NO_SPACE");
      assert.is(await codeOf(() => device.write(halves, 2 * MIB)), "HAL_NO_SPACE");
      assert.is(await codeOf(() => sync.write([data], 4 * MIB)), "HAL_NO_SPACE");
      assert.is(await codeOf(() => sync.write(halves, 6 * MIB)), "HAL_NO_SPACE");
      await device.read(data, 6 * MIB);
      await device.close();
    } finally {
      spawnSync("umount", [folder]);
    }
  }),
);

test.run();
