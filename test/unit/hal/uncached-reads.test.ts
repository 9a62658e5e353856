/** Reads that leave nothing behind in the page cache, and what they do where there are none. */
import { closeSync, openSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../../src/common/prng.ts";
import { FileBlockDevice } from "../../../src/hal/linux/file-block-device.ts";
import { loadNativeIo } from "../../../src/hal/linux/native-io.ts";
import { loadNativeLibrary } from "../../../src/hal/linux/native-library.ts";
import { UncachedReads } from "../../../src/hal/linux/uncached-reads.ts";
import { same } from "../../conformance/block-device-subject.ts";
import { runCommand } from "../../helpers/command.ts";
import { skipWhen } from "../../helpers/skip.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const MIB = 2 ** 20;
const SIZE = 4 * MIB;
const BLOCK = 4096;
const EOPNOTSUPP = 95;

const makeCold = async (folder: string) => {
  const path = join(folder, "member.img");
  const content = new Uint8Array(SIZE);
  new Prng(3).fill(content);
  writeFileSync(path, content, { flush: true });
  await runCommand("dd", [`if=${path}`, "iflag=nocache", "count=0"]);
  return { path, content };
};

/** Whether the kernel carries such a read out on the file, asked without the code under test. */
const isTaken = async (path: string): Promise<boolean> => {
  const native = (await loadNativeIo())?.use();
  const fd = openSync(path, "r");
  const { promise, resolve } = Promise.withResolvers<number>();
  const { flags } = new UncachedReads(release());
  const isAsked =
    flags !== 0 && native?.ring?.start("read", fd, new Uint8Array(BLOCK), 0, resolve, flags);
  const result = isAsked === true ? await promise : -EOPNOTSUPP;
  closeSync(fd);
  native?.release();
  return result === BLOCK;
};

let isKnown = false;
await inFolder(async (folder) => {
  isKnown = await isTaken((await makeCold(folder)).path);
})();

const test = suite("hal/uncached-reads");
const cacheTest = skipWhen(isKnown ? undefined : "this kernel or file system has none", test);

const SYS_CACHESTAT = 451;

/** How many pages of the file lie in the page cache. Source: cachestat(2), Linux 6.5. */
const cachedPages = async (path: string): Promise<number> => {
  const library = await loadNativeLibrary();
  assert.ok(library !== null);
  const call = library.program.func(
    "int64_t syscall(int64_t number, int fd, intptr_t range, intptr_t state, uint32_t flags)",
  );
  const range = new BigUint64Array([0n, BigInt(SIZE)]);
  const state = new BigUint64Array(5);
  const fd = openSync(path, "r");
  const [from, to] = [library.addressOf(range.buffer), library.addressOf(state.buffer)];
  assert.is(Number(call(SYS_CACHESTAT, fd, from, to, 0)), 0);
  closeSync(fd);
  return Number(state[0]);
};

const readAll = async (path: string, content: Uint8Array, isUncached: boolean): Promise<void> => {
  const device = await FileBlockDevice.open(path, { mode: "read", isUncached });
  const pieces = Array.from({ length: SIZE / MIB }, (_, index) => index * MIB);
  await Promise.all(
    pieces.map(async (at) => {
      const target = new Uint8Array(MIB);
      await device.read(target, at);
      same(target, content.subarray(at, at + MIB), `the MiB at ${at}`);
    }),
  );
  await device.close();
};

test(
  "every read gets what the file has there, whatever the kernel can",
  inFolder(async (folder) => {
    const { path, content } = await makeCold(folder);
    await readAll(path, content, true);
    await readAll(path, content, true);
  }),
);

cacheTest(
  "what was not in the page cache is not there afterwards, and what was there stays",
  inFolder(async (folder) => {
    const { path, content } = await makeCold(folder);
    await readAll(path, content, true);
    assert.is(await cachedPages(path), 0);
    await readAll(path, content, false);
    assert.is(await cachedPages(path), SIZE / BLOCK);
    await readAll(path, content, true);
    assert.is(await cachedPages(path), SIZE / BLOCK);
  }),
);

test("kernels before 6.16 are not asked, and one that refuses is not asked again", () => {
  for (const old of ["6.15.9", "5.10.0-28-amd64", "unknown"]) {
    assert.is(new UncachedReads(old).flags, 0, old);
    assert.not(new UncachedReads(old).isRefusal(-EOPNOTSUPP));
  }
  for (const now of ["6.16.0", "6.18.44-fc", "7.0-rc1"]) {
    const reads = new UncachedReads(now);
    assert.is(reads.flags, 0x80, now);
    assert.not(reads.isRefusal(-5));
    assert.is(reads.flags, 0x80, now);
    assert.ok(reads.isRefusal(-EOPNOTSUPP));
    assert.is(reads.flags, 0);
    assert.not(reads.isRefusal(-EOPNOTSUPP));
  }
});

test.run();
