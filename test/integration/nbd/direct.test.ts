/**
 * An array whose members are used past the page cache: what clients write is what they read, what
 * both members hold, and what is read through the page cache afterwards.
 */
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { loadNativeIo } from "../../../src/hal/linux/native-io.ts";
import { runCommand } from "../../helpers/command.ts";
import { EngineBench, memberContent } from "../../helpers/engine-bench.ts";
import { skipUnless, skipWhen } from "../../helpers/skip.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";
import { eventually, withTimeout } from "../../helpers/timeout.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const LIMIT_MS = 120_000;
const WORKERS = 2;
/** Source: asm-generic/fcntl.h and the one of arm64. */
const O_DIRECT = process.arch === "arm64" ? 0o200000 : 0o40000;

const test = suite("nbd: direct members");
const isMissing = (await loadNativeIo()) === null;
const directTest = isMissing
  ? skipWhen("the native addon does not load", test)
  : skipUnless(["qemu-io", "nbdcopy"], test);

const onEngine = (isDirect: boolean, body: (bench: EngineBench) => Promise<void>) =>
  withTimeout(
    LIMIT_MS,
    inFolder(async (folder) => {
      const bench = await EngineBench.start(folder, { ioWorkers: WORKERS, isDirect });
      try {
        await body(bench);
      } finally {
        await bench.close();
      }
    }),
  );

/** Descriptors of this process that lead to the path with O_DIRECT. */
const directDescriptors = (path: string): number =>
  readdirSync("/proc/self/fd").filter((fd) => {
    try {
      const [, flags = "0"] =
        /flags:\s*([0-7]+)/.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8")) ?? [];
      const isIt = readlinkSync(`/proc/self/fd/${fd}`) === path;
      return isIt && (Number.parseInt(flags, 8) & O_DIRECT) !== 0;
    } catch {
      // The descriptor that listed the folder.
      return false;
    }
  }).length;

/** What the steps of qemu-io do, done to an array of bytes. */
const STEPS: readonly (readonly [verb: string, offset: number, length: number, byte: number])[] = [
  ["write", 0, 4096, 1],
  ["write", 4095, 2, 2],
  ["write", 511, 1026, 3],
  ["write", 100_001, 70_003, 4],
  ["write", 3 * MIB - 7, 2 * MIB + 11, 5],
  ["write -z", 5000, 100_000, 0],
  ["write -z -u", MIB + 1, MIB - 2, 0],
  ["write -f", 777, 1, 7],
];

for (const level of ["raid1", "raid10"] as const) {
  directTest(
    `unaligned and mixed requests of every kind on ${level} store what they say`,
    onEngine(true, async (bench) => {
      const paths = bench.files(level === "raid1" ? 2 : 4, 16);
      const array = await bench.create(paths, {
        level,
        ...(level === "raid10" ? { layout: "n2", chunkBytes: 64 * KIB } : {}),
        assumeClean: false,
      });
      await bench.untilWhole(array);
      for (const path of paths) assert.is(directDescriptors(path), WORKERS, path);
      const content = randomBytes(array.status.sizeBytes);
      const source = join(bench.folder, "content");
      writeFileSync(source, content);
      await runCommand("nbdcopy", [source, bench.uri]);
      const commands = STEPS.flatMap(([verb, offset, length, byte]) => {
        content.fill(byte, offset, offset + length);
        const fill = verb.includes("-z") ? "" : ` -P ${byte}`;
        return ["-c", `${verb}${fill} ${offset} ${length}`];
      });
      const checks = STEPS.slice(-1).flatMap(([, offset, length, byte]) => [
        ...["-c", `read -P ${byte} ${offset} ${length}`, "-c", "read -P 5 4194305 12345"],
      ]);
      await runCommand("qemu-io", ["-f", "raw", ...commands, "-c", "flush", ...checks, bench.uri]);
      const back = join(bench.folder, "back");
      await runCommand("nbdcopy", [bench.uri, back]);
      assert.is(Buffer.compare(readFileSync(back), content), 0, "what was written is read");
      await array.setSyncAction("check");
      await eventually("the check ends", LIMIT_MS, () => bench.finished("check") !== null);
      assert.is(bench.finished("check")?.["mismatch_count"], 0);
      await bench.stop(array);
      if (level !== "raid1") return;
      for (const path of paths) {
        assert.is(Buffer.compare(memberContent(path).content, content), 0, path);
      }
    }),
  );
}

directTest(
  "without the setting no member is opened directly",
  onEngine(false, async (bench) => {
    const paths = bench.files(2, 16);
    await bench.create(paths, { assumeClean: true });
    for (const path of paths) assert.is(directDescriptors(path), 0, path);
  }),
);

directTest(
  "a member whose data shares a page with others is told of and used through the cache",
  onEngine(true, async (bench) => {
    const paths = bench.files(2, 16);
    const sizeBytes = 8 * MIB + 1024;
    const array = await bench.create(paths, { assumeClean: true, sizeBytes });
    const told = bench.happenings.filter(({ type }) => type === "member.not-direct");
    assert.equal(told.map(({ details }) => details["code"]).slice(0, 2), [
      "HAL_NOT_DIRECT",
      "HAL_NOT_DIRECT",
    ]);
    assert.equal(new Set(told.map(({ details }) => details["path"])), new Set(paths));
    for (const path of paths) assert.is(directDescriptors(path), 0, path);
    await runCommand("qemu-io", ["-f", "raw", "-c", "write -P 9 3 5000", bench.uri]);
    await bench.stop(array);
    for (const path of paths) {
      const { content } = memberContent(path);
      assert.ok(
        content.subarray(3, 5003).every((byte) => byte === 9),
        path,
      );
    }
  }),
);

test.run();
