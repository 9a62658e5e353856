/** Writes that a thread of the kernel makes: whole, told when they end, never in others' way. */
import { spawnSync } from "node:child_process";
import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { FileBlockDevice } from "../../../src/hal/linux/file-block-device.ts";
import { loadNativeIo } from "../../../src/hal/linux/native-io.ts";
import { codeOf, same } from "../../conformance/block-device-subject.ts";
import { withSeeds } from "../../helpers/seed.ts";
import { skipWhen } from "../../helpers/skip.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const MIB = 2 ** 20;
const SIZE = 8 * MIB;
const isRoot = process.getuid?.() === 0;

const native = await loadNativeIo();
const hasRing = native !== null && native.use().ring !== null;
native?.release();

const test = suite("hal/beside-writes");
const ringTest = skipWhen(hasRing ? undefined : "this kernel gives no io_uring", test);
const rootTest = isRoot ? ringTest : skipWhen("mounting a small file system needs root", test);

const open = async (folder: string, name = "member.img") => {
  const path = join(folder, name);
  writeFileSync(path, "");
  truncateSync(path, SIZE);
  return { path, device: await FileBlockDevice.open(path, { mode: "write" }) };
};

/** The same bytes in pieces, some of them neighbours in memory, some not, some empty. */
const cut = (data: Uint8Array, below: (limit: number) => number): Uint8Array[] => {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < data.length; ) {
    const piece = data.subarray(at, at + below(300_000) + 1);
    pieces.push(below(2) === 0 ? piece : piece.slice(), new Uint8Array(0));
    at += piece.length;
  }
  return pieces;
};

ringTest(
  "many at a time are stored whole; what finds no room is not begun",
  inFolder(async (folder) => {
    await withSeeds({ fixed: [1], more: 1 }, async (prng) => {
      const { path, device } = await open(folder);
      const content = new Uint8Array(SIZE);
      let refused = 0;
      for (let round = 0; round < 12; round++) {
        const ends: Promise<void>[] = [];
        for (let at = prng.below(5000); at < SIZE - MIB; ) {
          const data = prng.bytes(prng.below(MIB) + 1);
          const end = device.writeBeside(
            cut(data, (limit) => prng.below(limit)),
            at,
          );
          if (end === null) refused += 1;
          else {
            content.set(data, at);
            ends.push(end);
          }
          at += data.length + prng.below(9000);
        }
        assert.ok(ends.length > 0, "some were begun");
        await Promise.all(ends);
        same(readFileSync(path), content, `round ${round}`);
      }
      assert.ok(refused > 0, "more were asked for than there is room for");
      await device.close();
    });
  }),
);

ringTest(
  "one handle's are in nobody's way: the others begin none until they have ended",
  inFolder(async (folder) => {
    const first = await open(folder, "first.img");
    const second = await open(folder, "second.img");
    const data = new Uint8Array(MIB).fill(7);
    const end = first.device.writeBeside([data], 0);
    assert.ok(end !== null);
    assert.is(second.device.writeBeside([data], 0), null);
    await end;
    const next = second.device.writeBeside([data], MIB);
    assert.ok(next !== null);
    await next;
    same(readFileSync(first.path).subarray(0, MIB), data, "the first");
    same(readFileSync(second.path).subarray(MIB, 2 * MIB), data, "the second");
    await first.device.close();
    await second.device.close();
  }),
);

ringTest(
  "what cannot be written at all is told before it begins",
  inFolder(async (folder) => {
    const { path, device } = await open(folder);
    const begin = (at: number) => async () =>
      void (await device.writeBeside([new Uint8Array(2)], at));
    assert.is(await codeOf(begin(SIZE - 1)), "HAL_OUT_OF_RANGE");
    await device.close();
    assert.is(await codeOf(begin(0)), "HAL_DEVICE_CLOSED");
    const reader = await FileBlockDevice.open(path, { mode: "read" });
    assert.is(
      await codeOf(async () => void (await reader.writeBeside([new Uint8Array(2)], 0))),
      "HAL_READ_ONLY",
    );
    await reader.close();
  }),
);

rootTest(
  "a full file system is told as such, and there is room for others again",
  inFolder(async (folder) => {
    const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]);
    assert.is(mounted.status, 0, mounted.stderr.toString());
    try {
      const { device } = await open(folder);
      const data = new Uint8Array(2 * MIB).fill(1);
      for (let round = 0; round < 6; round++) {
        const end = device.writeBeside([data.subarray(0, MIB), data.slice(MIB)], round * MIB);
        assert.ok(end !== null, "nothing is under way any more");
        assert.is(await codeOf(() => end), "HAL_NO_SPACE");
      }
      await device.close();
    } finally {
      spawnSync("umount", [folder]);
    }
  }),
);

test(
  "without native calls there are none",
  inFolder(async (folder) => {
    const { path, device } = await open(folder);
    await device.close();
    const plain = await FileBlockDevice.open(path, { mode: "write", nativeIo: async () => null });
    assert.is(plain.writeBeside([new Uint8Array(MIB)], 0), null);
    await plain.close();
  }),
);

test.run();
