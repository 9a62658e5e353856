// wall-limit: 400 s
/**
 * The storage engine with real threads over files: two I/O workers, one array thread per array,
 * real NBD clients. Members fail, leave and come back under load from several connections.
 */
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CodedError } from "../../../src/common/errors.ts";
import type { RunningArray } from "../../../src/control/engine.ts";
import { FileBlockDevice } from "../../../src/hal/linux/file-block-device.ts";
import { runCommand } from "../../helpers/command.ts";
import { CELL_BYTES, CrashLoad } from "../../helpers/crash-load.ts";
import { EngineBench, EXPORT, memberContent } from "../../helpers/engine-bench.ts";
import { attachLoop, detachLoop, noLoopDevice } from "../../helpers/loop-device.ts";
import { NbdClient } from "../../helpers/nbd-client.ts";
import { skipUnless, skipWhen } from "../../helpers/skip.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";
import { eventually, withTimeout } from "../../helpers/timeout.ts";

const MIB = 1024 * 1024;
const LIMIT_MS = 120_000;

const test = suite("engine");

/** The body gets an engine in a folder of its own; both are gone afterwards. */
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

const codeOf = async (call: () => Promise<unknown>): Promise<string> => {
  try {
    await call();
  } catch (error) {
    if (error instanceof CodedError) return error.code;
    throw error;
  }
  return "no error";
};

const qemuIo = async (bench: EngineBench, ...commands: readonly string[]): Promise<void> => {
  const args = ["-f", "raw", bench.uri, ...commands.flatMap((command) => ["-c", command])];
  const { stdout } = await runCommand("qemu-io", args);
  assert.not.match(stdout, /failed|verification/i);
};

const assertLegsEqual = (paths: readonly string[]): void => {
  const [first, ...others] = paths.map((path) => memberContent(path).content);
  for (const other of others) assert.is(Buffer.compare(first ?? other, other), 0, "legs are equal");
};

skipUnless(["nbdcopy", "mdadm"], test)(
  "an array is usable while its first resync runs, and is the same after stop and assemble",
  onEngine(async (bench) => {
    const paths = bench.files(2, 40);
    const array = await bench.create(paths);
    await array.setSyncSpeed({ min: 4 * MIB, max: 4 * MIB });
    const image = join(bench.folder, "image");
    const { sizeBytes } = array.status;
    writeFileSync(image, randomBytes(sizeBytes));
    await eventually("the first resync runs", 10_000, () => array.status.sync?.action === "resync");
    assert.is(array.status.health, "building");
    await runCommand("nbdcopy", [image, bench.uri]);
    await array.setSyncSpeed({ min: 2 ** 40, max: 2 ** 40 });
    await bench.untilWhole(array);
    const copy = join(bench.folder, "copy");
    await runCommand("nbdcopy", [bench.uri, copy]);
    assert.is(Buffer.compare(readFileSync(image), readFileSync(copy)), 0);
    await bench.stop(array);
    assertLegsEqual(paths);
    for (const path of paths) {
      const { stdout } = await runCommand("mdadm", ["--examine", path]);
      assert.match(stdout, /State : clean/);
    }
    // Its own limits count from the first sync action that its start brings.
    const syncSpeed = { min: 4096, max: 2 ** 30 };
    const again = await bench.engine.assemble(paths, { readOnly: false, syncSpeed });
    assert.equal([again.status.syncSpeedMin, again.status.syncSpeedMax], [4096, 2 ** 30]);
    assert.is(again.status.health, "optimal");
    assert.is(again.status.bitmap.dirtyChunks, 0);
    await bench.export(again);
    await runCommand("nbdcopy", [bench.uri, copy]);
    assert.is(Buffer.compare(readFileSync(image), readFileSync(copy)), 0);
    await bench.stop(again);
  }),
);

skipUnless("qemu-io", test)(
  "a member that fails a write is out before the write is answered, and is re-added by bitmap",
  onEngine(async (bench) => {
    const paths = bench.files(2, 40);
    const [, failing = ""] = paths;
    await bench.stop(await bench.create(paths, { assumeClean: true }));
    const array = await bench.engine.assemble(paths, { readOnly: false });
    await bench.export(array);
    await qemuIo(bench, "write -P 1 0 4M", "flush");
    await bench.fault(failing, "write-error", null);
    await qemuIo(bench, "write -P 2 1M 1M", "read -P 2 1M 1M", "read -P 1 0 1M");
    await bench.untilStates(array, failing, "faulty");
    const events = memberContent(failing).superblock.events;
    assert.ok(array.status.events > events, "the failed member keeps its old events");
    await qemuIo(bench, "write -P 3 9M 64k", "flush");
    assert.is(await codeOf(() => array.reAdd(failing)), "RAID_MEMBER_IO_ERROR");
    await bench.engine.clearFaults(failing);
    await array.reAdd(failing);
    await bench.untilWhole(array);
    const copied = Number(bench.finished("recover")?.["copied_bytes"]);
    assert.ok(copied > 0 && copied <= 8 * MIB, `${copied} bytes copied: only chunks with a bit`);
    await qemuIo(bench, "read -P 2 1M 1M", "read -P 3 9M 64k");
    await bench.stop(array);
    const legs = paths.map((path) => memberContent(path).content.subarray(0, 10 * MIB));
    assert.is(legs[1]?.[MIB], 2);
    assert.is(legs[1]?.[9 * MIB], 3);
  }),
);

test(
  "flush errors and read errors have md's outcome",
  onEngine(async (bench) => {
    const paths = bench.files(3, 16);
    const [first = "", second = ""] = paths;
    const array = await bench.create(paths, { assumeClean: true });
    const client = await NbdClient.attach(bench.peer, EXPORT);
    await client.write(0, new Uint8Array(65_536).fill(7));
    await bench.fault(first, "read-error", 1);
    const content = await client.read(0, 65_536);
    assert.ok(
      content.every((byte) => byte === 7),
      "another leg answers",
    );
    await eventually("the read error is corrected", 10_000, () =>
      bench.happenings.some(({ type }) => type === "member.read-error-corrected"),
    );
    assert.is(array.status.degraded, 0);
    await bench.fault(second, "flush-error", 1);
    await client.flush();
    await bench.untilStates(array, second, "faulty");
    client.close();
    await bench.stop(array);
  }),
);

test(
  "the last leg in sync is never failed: its errors reach the client",
  onEngine(async (bench) => {
    const paths = bench.files(2, 16);
    const [first = "", second = ""] = paths;
    const array = await bench.create(paths, { assumeClean: true });
    const client = await NbdClient.attach(bench.peer, EXPORT);
    await client.write(0, new Uint8Array(4096).fill(1));
    await array.fail(second);
    assert.is(await codeOf(() => array.fail(first)), "RAID_LAST_IN_SYNC_MEMBER");
    await bench.fault(first, "write-error", null, { offset: MIB, length: 4096 });
    const failed = await client.write(0, new Uint8Array(4096).fill(2)).then(
      () => "written",
      () => "error",
    );
    assert.is(failed, "error");
    await bench.engine.clearFaults(first);
    assert.ok((await client.read(0, 4096)).every((byte) => byte === 1));
    await client.write(0, new Uint8Array(4096).fill(3));
    assert.is(array.status.inSyncCopies, 1);
    client.close();
    await bench.stop(array);
  }),
);

test(
  "a failed member is removed, another one added, and both legs are equal then",
  onEngine(async (bench) => {
    const paths = bench.files(2, 24);
    const [spare = ""] = bench.files(1, 24, "spare");
    const [first = "", second = ""] = paths;
    const array = await bench.create(paths);
    await bench.untilWhole(array);
    assert.is(await codeOf(() => array.remove(second)), "RAID_MEMBER_NOT_FAULTY");
    await array.fail(second);
    await array.remove(second);
    assert.is(await codeOf(() => array.remove(second)), "RAID_NOT_A_MEMBER");
    assert.is(await codeOf(() => array.add(first, { force: true })), "RAID_ALREADY_A_MEMBER");
    await array.add(spare, { force: true });
    await bench.untilWhole(array);
    assert.is(bench.finished("recover")?.["scope"], "full");
    await array.setSyncAction("check");
    await eventually("the check is done", 60_000, () => bench.finished("check") !== null);
    assert.is(array.status.mismatchCount, 0);
    await bench.stop(array);
    assertLegsEqual([first, spare]);
    // The one that was removed is old by now: it takes no part.
    const again = await bench.engine.assemble([first, second, spare], { readOnly: false });
    assert.equal(
      again.status.members.map(({ path }) => path),
      [first, spare],
    );
    await again.stop();
  }),
);

test(
  "what cannot be members is refused with its reason, and nothing is written",
  onEngine(async (bench) => {
    const paths = bench.files(2, 8);
    const [first = ""] = paths;
    const folder = join(bench.folder, "folder");
    mkdirSync(folder);
    const before = readFileSync(first);
    for (const [members, code] of [
      [[first, first], "RAID_DEVICE_IN_USE"],
      [[first, folder], "HAL_NOT_A_BLOCK_DEVICE"],
      [[first, join(bench.folder, "absent")], "HAL_OPEN_FAILED"],
    ] as const) {
      assert.is(await codeOf(() => bench.create(members)), code);
    }
    assert.is(
      await codeOf(() => bench.engine.assemble([first], { readOnly: false })),
      "RAID_NO_MEMBERS",
    );
    assert.is(Buffer.compare(before, readFileSync(first)), 0);
    assert.not.ok(existsSync(join(bench.folder, "absent")));
  }),
);

test(
  "a read-only array takes no writes and changes no member",
  onEngine(async (bench) => {
    const paths = bench.files(2, 16);
    await bench.stop(await bench.create(paths, { assumeClean: true }));
    const before = paths.map((path) => readFileSync(path));
    const array = await bench.engine.assemble(paths, { readOnly: true });
    await bench.export(array);
    const client = await NbdClient.attach(bench.peer, EXPORT);
    const outcome = await client.write(0, new Uint8Array(512)).then(
      () => "written",
      () => "refused",
    );
    assert.is(outcome, "refused");
    assert.is((await client.read(0, 512)).length, 512);
    assert.is(array.status.arrayState, "readonly");
    client.close();
    await bench.stop(array);
    for (const [index, path] of paths.entries())
      assert.is(Buffer.compare(before[index] ?? Buffer.alloc(0), readFileSync(path)), 0);
  }),
);

skipWhen(noLoopDevice(), test)(
  "block devices are claimed while they are members, and one that failed comes back as it is",
  onEngine(async (bench) => {
    const loops = bench.files(2, 16).map((path) => attachLoop(path) ?? "");
    const [first = "", second = ""] = loops;
    try {
      const array = await bench.create(loops, { assumeClean: true });
      const claimed = await codeOf(() =>
        FileBlockDevice.open(first, { mode: "write", claim: "alone" }),
      );
      assert.is(claimed, "HAL_OPEN_FAILED");
      await array.fail(second);
      await array.reAdd(second);
      await bench.untilWhole(array);
      assert.is(await codeOf(() => array.add(first, { force: true })), "RAID_ALREADY_A_MEMBER");
      await bench.stop(array);
      await (await FileBlockDevice.open(first, { mode: "write", claim: "alone" })).close();
    } finally {
      for (const loop of loops) detachLoop(loop);
    }
  }),
);

test(
  "a member that failed is listed until it is removed, also over a change of the array",
  onEngine(async (bench) => {
    const paths = bench.files(2, 16);
    const [, second = ""] = paths;
    const array = await bench.create(paths, { assumeClean: true });
    await array.fail(second);
    await array.change({
      type: "bitmap",
      bitmap: "none",
      chunkBytes: null,
      nodes: 0,
      clusterName: "",
    });
    await bench.untilStates(array, second, "faulty");
    await array.remove(second);
    await array.add(second, { force: true });
    await bench.untilWhole(array);
    await bench.stop(array);
    assertLegsEqual(paths);
  }),
);

test(
  "a stop that comes while the array is changed waits for its end, and neither is lost",
  onEngine(async (bench) => {
    const paths = bench.files(2, 16);
    for (let round = 0; round < 2; round++) {
      const array =
        round === 0
          ? await bench.create(paths, { assumeClean: true })
          : await bench.engine.assemble(paths, { readOnly: false });
      const change = array.change({ type: "name", name: `round${round}` });
      await array.stop();
      await change;
      const { name } = (await bench.engine.examine(paths)).array ?? {};
      assert.is(name, `round${round}`);
    }
  }),
);

/** One member goes wrong under load, and comes back; all that was acknowledged stays. */
const failAndReturn = async (
  bench: EngineBench,
  array: RunningArray,
  path: string,
  round: number,
): Promise<void> => {
  const kinds = ["write-error", "flush-error"] as const;
  if (round % 3 === 2) await array.fail(path);
  else await bench.fault(path, kinds[round % 2] ?? "write-error", null);
  await bench.untilStates(array, path, "faulty");
  await bench.engine.clearFaults(path);
  if (round % 2 === 0) await array.remove(path);
  await eventually("the member joins", 10_000, async () => {
    const code = await codeOf(() => array.reAdd(path));
    assert.ok(code === "no error" || code === "RAID_MEMBER_BUSY", code);
    return code === "no error";
  });
  await bench.untilWhole(array);
};

test(
  "members fail and come back under verified writes from four connections on two workers",
  onEngine(async (bench) => {
    const paths = bench.files(3, 24);
    const array = await bench.create(paths, { bitmapChunkBytes: 256 * 1024, assumeClean: false });
    await bench.untilWhole(array);
    // Beside clients a recovery would keep to the lower limit, and take minutes.
    await array.setSyncSpeed({ min: 2 ** 40, max: 2 ** 40 });
    const client = await NbdClient.attach(bench.peer, EXPORT);
    const load = new CrashLoad(client.sizeBytes, 1);
    for (let offset = 0; offset < client.sizeBytes; offset += MIB) {
      const length = Math.min(MIB, client.sizeBytes - offset);
      await client.write(offset, new Uint8Array(length));
    }
    const running = load.run(bench.peer, EXPORT);
    for (let round = 0; round < 9; round++) {
      const target = load.writes + 300;
      await eventually("writes flow", 30_000, () => load.writes >= target);
      await failAndReturn(bench, array, paths[round % 3] ?? "", round);
    }
    await array.setSyncAction("check");
    await eventually("the check is done", 60_000, () => bench.finished("check") !== null);
    assert.is(bench.finished("check")?.["mismatch_count"], 0, "legs are equal under load");
    load.stop();
    await running;
    for (let cell = 0; cell * CELL_BYTES < client.sizeBytes; cell++) {
      const content = Buffer.from(await client.read(cell * CELL_BYTES, CELL_BYTES));
      assert.is(load.model.problem(cell, content.readUInt32LE(0), false), null);
    }
    client.close();
    await bench.stop(array);
    assertLegsEqual(paths);
  }),
);

test.run();
