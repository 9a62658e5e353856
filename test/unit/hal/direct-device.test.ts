/** Members past the page cache: parts of blocks, both ways to one file, and what is refused. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { DirectDevice, type DirectOptions } from "../../../src/hal/linux/direct-device.ts";
import { FileBlockDevice } from "../../../src/hal/linux/file-block-device.ts";
import { loadNativeIo } from "../../../src/hal/linux/native-io.ts";
import { codeOf, pattern, readBack, same } from "../../conformance/block-device-subject.ts";
import { withSeeds } from "../../helpers/seed.ts";
import { skipWhen } from "../../helpers/skip.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const MIB = 2 ** 20;
const SIZE = 4 * MIB;
const WHOLE = { from: 0, to: SIZE };

const test = suite("hal/direct-device");
const hasNative = (await loadNativeIo()) !== null;
const directTest = skipWhen(hasNative ? undefined : "the native addon does not load", test);

const openFile = async (folder: string): Promise<FileBlockDevice> => {
  const path = join(folder, "member.img");
  writeFileSync(path, new Uint8Array(SIZE));
  return FileBlockDevice.open(path, { mode: "write" });
};

const onDirect = (body: (direct: DirectDevice, file: FileBlockDevice) => Promise<void>) =>
  inFolder(async (folder) => {
    const file = await openFile(folder);
    const direct = await DirectDevice.over(file, { range: WHOLE });
    await body(direct, file);
    await direct.close();
  });

directTest(
  "writes of parts of one block, all under way at once, keep each other's bytes",
  onDirect(async (direct) => {
    await withSeeds({ fixed: [1], more: 1 }, async (prng) => {
      const bytes = new Uint8Array(64 * 1024);
      await direct.write([bytes], 0);
      for (let round = 0; round < 10; round++) {
        const writes: Promise<void>[] = [];
        for (let at = 0; at < bytes.length; ) {
          const length = Math.min(1 + prng.below(prng.pick([50, 700, 6000])), bytes.length - at);
          const data = prng.bytes(length);
          bytes.set(data, at);
          writes.push(direct.write([data.subarray(0, 7), data.subarray(7)], at));
          at += length;
        }
        await Promise.all(writes);
        same(await readBack(direct, 0, bytes.length), bytes, `round ${round}`);
      }
    });
  }),
);

directTest(
  "what either way has written is what both ways read, and what lies in the file",
  onDirect(async (direct, file) => {
    await withSeeds({ fixed: [2], more: 1 }, async (prng) => {
      const bytes = new Uint8Array(readFileSync(file.name));
      for (let round = 0; round < 60; round++) {
        // Whole pages through the cache, as copies of whole regions are; directly any bytes.
        const [way, unit] = prng.below(2) === 0 ? [file, 4096] : [direct, 1];
        const from = prng.below(SIZE - 100_000);
        const at = from - (from % unit);
        const data = prng.bytes(unit * (1 + prng.below(unit === 1 ? 100_000 : 24)));
        await way.write([data], at);
        bytes.set(data, at);
        for (const reader of [file, direct]) {
          const begin = Math.max(0, at - 5000);
          const end = Math.min(SIZE, at + data.length + 5000);
          same(await readBack(reader, begin, end - begin), bytes.subarray(begin, end), `${round}`);
        }
      }
      await direct.flush();
      same(new Uint8Array(readFileSync(file.name)), bytes, "the file");
    });
  }),
);

directTest(
  "more calls than the ring has room for all end, each with its own bytes",
  onDirect(async (direct) => {
    const calls = Array.from({ length: 1000 }, (_, index) => index);
    await Promise.all(calls.map((index) => direct.write([pattern(4096, index)], index * 4096)));
    await Promise.all(
      calls.map(async (index) =>
        same(await readBack(direct, index * 4096, 4096), pattern(4096, index), `call ${index}`),
      ),
    );
    const large = pattern(3 * MIB + 5, 1);
    await direct.write([large.subarray(0, 1000), large.subarray(1000)], 777);
    same(await readBack(direct, 777, large.length), large, "longer than the longest buffer");
  }),
);

test(
  "a member that cannot be used directly is refused, and left as it was",
  inFolder(async (folder) => {
    const file = await openFile(folder);
    const refused: readonly DirectOptions[] = [
      { range: WHOLE, nativeIo: async () => null },
      { range: { from: 512, to: SIZE } },
      { range: { from: 0, to: SIZE - 512 } },
      { range: { from: 0, to: SIZE + 65_536 } },
    ];
    for (const options of refused) {
      const opened = async () => void (await DirectDevice.over(file, options));
      assert.is(await codeOf(opened), "HAL_NOT_DIRECT", JSON.stringify(options.range));
    }
    await file.write([pattern(100, 1)], 1);
    same(await readBack(file, 1, 100), pattern(100, 1), "it goes on as a file");
    await file.close();
  }),
);

test.run();
