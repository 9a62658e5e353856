// wall-limit: 300 s
/**
 * Trims, zeroes and the allocation map of real arrays over files: what each member file keeps and
 * gives back, on every layout, with members missing, failing, and being rebuilt.
 */
import { statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { CreateArrayRequest, RunningArray } from "../../../src/control/engine.ts";
import { runCommand } from "../../helpers/command.ts";
import { EngineBench, EXPORT, memberContent } from "../../helpers/engine-bench.ts";
import { RawNbdClient } from "../../helpers/raw-nbd-client.ts";
import { mountScratch } from "../../helpers/scratch-mount.ts";
import { skipUnless, skipWhen } from "../../helpers/skip.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";
import { eventually, withTimeout } from "../../helpers/timeout.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const LIMIT_MS = 120_000;
const WRITE_ZEROES = 6;
const TRIM = 4;
const FUA = 1;
const NO_HOLE = 2;
const FAST_ZERO = 16;
const ENOTSUP = 95;

const test = suite("nbd: space of arrays");
const clientTest = skipUnless(["qemu-io", "nbdinfo"], test);
const rootTest = skipWhen(
  process.getuid?.() === 0 ? undefined : "mounting a file system needs root",
  test,
);

const onEngine = (body: (bench: EngineBench) => Promise<void>) =>
  withTimeout(
    LIMIT_MS,
    inFolder(async (folder) => {
      const bench = await EngineBench.start(folder);
      try {
        await body(bench);
      } finally {
        await bench.close();
      }
    }),
  );

/** Files of one hole. */
const sparseFiles = (folder: string, count: number, sizeMib: number): string[] =>
  Array.from({ length: count }, (_, index) => {
    const path = join(folder, `s${index}.img`);
    writeFileSync(path, "");
    truncateSync(path, sizeMib * MIB);
    return path;
  });

/** Bytes that the files take on their file system. */
const taken = (paths: readonly string[]): number =>
  paths.reduce((sum, path) => sum + statSync(path).blocks * 512, 0);

const qemuIo = async (bench: EngineBench, ...commands: readonly string[]): Promise<void> => {
  const args = ["-f", "raw", bench.uri, ...commands.flatMap((command) => ["-c", command])];
  const { stdout } = await runCommand("qemu-io", args);
  assert.not.match(stdout, /failed|verification|error/i);
};

/** `[length, isHole]` of the whole export. */
const mapOf = async (bench: EngineBench): Promise<[number, boolean][]> => {
  const { stdout } = await runCommand("nbdinfo", ["--json", "--map", bench.uri]);
  const extents = JSON.parse(stdout) as readonly { length: number; type: number }[];
  return extents.map(({ length, type }) => {
    assert.ok(type === 0 || type === 3, `type ${type}`);
    return [length, type === 3];
  });
};

/** Looks at every copy: 0 where all are alike. */
const differences = async (bench: EngineBench, array: RunningArray): Promise<number> => {
  const before = bench.happenings.length;
  await array.setSyncSpeed({ min: 2 ** 40, max: 2 ** 40 });
  await array.setSyncAction("check");
  await eventually("the check is over", 60_000, () =>
    bench.happenings.slice(before).some(({ type }) => type === "sync.finished"),
  );
  assert.is(bench.finished("check")?.["outcome"], "done");
  return array.status.mismatchCount;
};

/** Within the pages that a file system takes for its own books. */
const about = (found: number, expected: number, files: number): void =>
  assert.ok(Math.abs(found - expected) <= files * 16 * KIB, `${found}, not about ${expected}`);

const raid10 = (layout: string): Partial<CreateArrayRequest> => ({
  level: "raid10",
  layout,
  chunkBytes: 64 * KIB,
});

const layouts: readonly (readonly [string, number, number, Partial<CreateArrayRequest>])[] = [
  ["raid1 of 2", 2, 2, {}],
  ["raid1 of 3", 3, 3, {}],
  ["raid10 of 4, near 2", 4, 2, raid10("n2")],
  ["raid10 of 3, far 2", 3, 2, raid10("f2")],
  ["raid10 of 3, offset 2", 3, 2, raid10("o2")],
];

for (const [name, count, copies, over] of layouts) {
  clientTest(
    `a ${name} gives trimmed space back on every member, and tells what it holds`,
    onEngine(async (bench) => {
      const paths = sparseFiles(bench.folder, count, 24);
      const array = await bench.create(paths, { assumeClean: true, ...over });
      const { sizeBytes } = array.status;
      assert.equal(await mapOf(bench), [[sizeBytes, true]]);
      const empty = taken(paths);
      await qemuIo(bench, "write -P 1 1M 16M", "flush");
      const full = taken(paths);
      about(full - empty, copies * 16 * MIB, count);
      const behind = sizeBytes - 17 * MIB;
      assert.equal(await mapOf(bench), [
        [MIB, true],
        [16 * MIB, false],
        [behind, true],
      ]);

      // Odd edges: their pages stay, everything between goes, whatever the chunks.
      const [from, length] = [2 * MIB + 512, 8 * MIB - 1536];
      await qemuIo(bench, `discard ${from} ${length}`, "flush");
      about(full - taken(paths), copies * (8 * MIB - 2 * 4096), count);
      await qemuIo(
        bench,
        `read -P 1 ${2 * MIB} 512`,
        `read -P 0 ${from} ${length}`,
        `read -P 1 ${from + length} 1024`,
      );
      assert.equal(await mapOf(bench), [
        [MIB, true],
        [MIB + 4096, false],
        [8 * MIB - 2 * 4096, true],
        [7 * MIB + 4096, false],
        [behind, true],
      ]);
      await qemuIo(bench, "write -z -u 0 17M", "flush", "read -P 0 0 18M");
      about(taken(paths), empty, count);
      assert.equal(await mapOf(bench), [[sizeBytes, true]]);
      assert.is(await differences(bench, array), 0);
      await bench.stop(array);
    }),
  );

  clientTest(
    `a ${name} keeps the space of zeroes that may make no hole`,
    onEngine(async (bench) => {
      const paths = sparseFiles(bench.folder, count, 24);
      const array = await bench.create(paths, { assumeClean: true, ...over });
      const empty = taken(paths);
      await qemuIo(bench, "write -P 1 0 8M", "flush");
      await qemuIo(bench, "write -z 1000 4M", "flush", "read -P 0 1000 4M", "read -P 1 5M 3M");
      about(taken(paths) - empty, copies * 8 * MIB, count);
      await qemuIo(bench, "write -z 10M 2M", "flush", "read -P 0 8M 6M");
      about(taken(paths) - empty, copies * 10 * MIB, count);
      assert.is(await differences(bench, array), 0);
      await bench.stop(array);
    }),
  );
}

clientTest(
  "a degraded array is trimmed too, and the member that comes back has the zeroes",
  onEngine(async (bench) => {
    for (const over of [{}, raid10("n2")]) {
      const paths = sparseFiles(bench.folder, 2, 24);
      const [, lost = ""] = paths;
      const array = await bench.create(paths, { assumeClean: true, ...over });
      await qemuIo(bench, "write -P 1 0 16M", "flush");
      await array.fail(lost);
      await bench.untilStates(array, lost, "faulty");
      await array.remove(lost);
      await qemuIo(bench, "discard 2M 8M", "read -P 0 2M 8M", "read -P 1 10M 6M");
      assert.equal((await mapOf(bench)).slice(0, 3), [
        [2 * MIB, false],
        [8 * MIB, true],
        [6 * MIB, false],
      ]);
      await array.reAdd(lost);
      await bench.untilWhole(array);
      assert.is(await differences(bench, array), 0);
      await bench.stop(array);
    }
  }),
);

clientTest(
  "a trim beside a rebuild reaches the member under rebuild, before and behind the copy",
  onEngine(async (bench) => {
    const paths = sparseFiles(bench.folder, 3, 40);
    const [first = "", second = "", spare = ""] = paths;
    const array = await bench.create([first, second], { assumeClean: true });
    await qemuIo(bench, "write -P 1 0 32M", "flush");
    await array.fail(second);
    await array.remove(second);
    await array.setSyncSpeed({ min: 2 * MIB, max: 2 * MIB });
    await array.add(spare, { force: true });
    await eventually("the rebuild has begun", 30_000, () => {
      const { sync } = array.status;
      return sync?.action === "recover" && sync.completedBytes >= MIB;
    });
    await qemuIo(bench, "discard 0 4M", "discard 24M 4M", "read -P 0 0 4M", "read -P 0 24M 4M");
    assert.equal((await mapOf(bench)).slice(0, 4), [
      [4 * MIB, true],
      [20 * MIB, false],
      [4 * MIB, true],
      [4 * MIB, false],
    ]);
    assert.is(array.status.sync?.action, "recover", "it went on all the while");
    await array.setSyncSpeed({ min: 2 ** 40, max: 2 ** 40 });
    await bench.untilWhole(array);
    assert.is(await differences(bench, array), 0);
    await bench.stop(array);
    const { content } = memberContent(spare);
    assert.ok(content.subarray(0, 4 * MIB).every((byte) => byte === 0));
    assert.ok(content.subarray(24 * MIB, 28 * MIB).every((byte) => byte === 0));
  }),
);

clientTest(
  "nothing is told to be a hole before the first resync has passed it",
  onEngine(async (bench) => {
    const paths = sparseFiles(bench.folder, 2, 40);
    // The members differ: what reads as zeroes on one of them is no hole.
    writeFileSync(paths[1] ?? "", new Uint8Array(40 * MIB).fill(7));
    const array = await bench.create(paths);
    await array.setSyncSpeed({ min: MIB, max: MIB });
    const { sizeBytes } = array.status;
    const map = await mapOf(bench);
    assert.ok(array.status.sync !== null, "the resync is not over");
    assert.equal(map.at(-1)?.[1], false);
    assert.ok((map.at(-1)?.[0] ?? 0) >= sizeBytes / 2);
    await array.setSyncSpeed({ min: 2 ** 40, max: 2 ** 40 });
    await bench.untilWhole(array);
    assert.equal(await mapOf(bench), [[sizeBytes, true]]);
    await bench.stop(array);
  }),
);

clientTest(
  "a trim that fails on one member is answered when that is recorded, and stays trimmed",
  onEngine(async (bench) => {
    const paths = sparseFiles(bench.folder, 2, 40);
    const [, failing = ""] = paths;
    const array = await bench.create(paths, { assumeClean: true });
    await qemuIo(bench, "write -P 1 0 16M", "flush");
    await bench.fault(failing, "write-error", null);
    await qemuIo(bench, "discard 2M 8M", "read -P 0 2M 8M", "read -P 1 10M 1M");
    await bench.untilStates(array, failing, "faulty");
    assert.is(array.status.health, "degraded");
    await bench.engine.clearFaults(failing);
    await bench.stop(array);
    const again = await bench.engine.assemble(paths, { readOnly: false });
    await bench.export(again);
    await qemuIo(bench, "read -P 0 2M 8M", "read -P 1 0 2M", "read -P 1 10M 6M");
    await bench.stop(again);
  }),
);

clientTest(
  "zeroes over a bad spot of a member are noted in its list, and the member stays",
  onEngine(async (bench) => {
    const paths = sparseFiles(bench.folder, 2, 40);
    const [, failing = ""] = paths;
    const array = await bench.create(paths, { assumeClean: true });
    await qemuIo(bench, "write -P 1 0 8M", "flush");
    const { dataOffset } = memberContent(failing).superblock;
    const range = { offset: dataOffset * 512 + 3 * MIB, length: 8 * KIB };
    await bench.fault(failing, "write-error", null, range);
    await qemuIo(bench, "discard 2M 4M", "read -P 0 2M 4M", "read -P 1 0 2M", "read -P 1 6M 2M");
    const member = array.status.members.find(({ path }) => path === failing);
    assert.equal([member?.badBlocks, member?.states.includes("in_sync")], [1, true]);
    assert.equal((await mapOf(bench)).slice(0, 3), [
      [2 * MIB, false],
      [4 * MIB, true],
      [2 * MIB, false],
    ]);
    await bench.engine.clearFaults(failing);
    await bench.stop(array);
  }),
);

skipUnless("fio", test)(
  "trims and writes of 4 connections on the same places leave every copy alike",
  onEngine(async (bench) => {
    for (const over of [{}, raid10("f2")]) {
      const paths = sparseFiles(bench.folder, 3, 24);
      const array = await bench.create(paths, { assumeClean: true, ...over });
      await runCommand("fio", [
        ...["--ioengine=nbd", `--uri=${bench.uri}`, "--thread", "--size=16m", "--numjobs=2"],
        ...["--iodepth=16", "--bsrange=4k-256k", "--group_reporting", "--loops=2"],
        ...["--name=write", "--rw=randwrite", "--name=trim", "--rw=randtrim"],
      ]);
      assert.is(await differences(bench, array), 0);
      await bench.stop(array);
    }
  }),
);

/** A connection to the bench's export, and requests on it by command and flags. */
const attach = async (bench: EngineBench) => {
  const client = await RawNbdClient.attach({ port: bench.peer.port }, EXPORT);
  const ask = async (command: number, flags: number, offset: number, length: number) =>
    (await client.ask({ command, flags, offset, length })).errno;
  const read = async (offset: number, length: number): Promise<Uint8Array> => {
    client.request({ command: 0, offset, length });
    assert.is((await client.simpleReply()).errno, 0);
    return client.read(length);
  };
  return { client, ask, read };
};

test(
  "fast zeroes are quick or refused: a hole at once, kept space once the files have shown it",
  onEngine(async (bench) => {
    const paths = bench.files(2, 24);
    const array = await bench.create(paths, { assumeClean: true });
    const { client, ask, read } = await attach(bench);
    const before = await read(0, 4096);
    const kept = NO_HOLE | FAST_ZERO;
    assert.is(await ask(WRITE_ZEROES, kept, 0, 4096), ENOTSUP);
    assert.equal(await read(0, 4096), before, "nothing has changed");
    assert.is(await ask(WRITE_ZEROES, FAST_ZERO | FUA, 0, 4096), 0);
    assert.equal(await read(0, 4096), new Uint8Array(4096));
    assert.is(await ask(WRITE_ZEROES, NO_HOLE, 8192, 4096), 0);
    const space = taken(paths);
    assert.is(await ask(WRITE_ZEROES, kept | FUA, 16_384, MIB), 0);
    assert.equal(await read(16_384, MIB), new Uint8Array(MIB));
    about(taken(paths), space, 2);
    client.close();
    await bench.stop(array);
  }),
);

rootTest(
  "where members cannot make holes, a trim changes nothing and fast zeroes are refused",
  onEngine(async (bench) => {
    const scratch = mountScratch("ramfs");
    try {
      // One member that can does not make up for one that cannot.
      const paths = [...sparseFiles(scratch.folder, 1, 8), ...sparseFiles(bench.folder, 1, 8)];
      const array = await bench.create(paths, { assumeClean: true });
      const { client, ask, read } = await attach(bench);
      const payload = new Uint8Array(8192).fill(5);
      assert.is((await client.ask({ command: 1, offset: 0, payload })).errno, 0);
      assert.is(await ask(TRIM, FUA, 0, 8192), 0);
      assert.equal(await read(0, 8192), payload);
      for (const flags of [FAST_ZERO, FAST_ZERO | NO_HOLE]) {
        assert.is(await ask(WRITE_ZEROES, flags, 0, 8192), ENOTSUP);
        assert.equal(await read(0, 8192), payload);
      }
      assert.is(await ask(WRITE_ZEROES, FUA, 0, 4096), 0);
      assert.equal(await read(0, 4096), new Uint8Array(4096));
      client.close();
      await bench.stop(array);
    } finally {
      scratch.remove();
    }
  }),
);

test.run();
