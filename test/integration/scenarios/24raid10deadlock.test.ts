/**
 * mdadm's tests/24raid10deadlock: a raid10 of four under random writes from several connections,
 * members whose calls fail now and then, members that are failed and added again, and a sync action
 * that is frozen and thawed over and over. Nothing may ever wait for itself: every write is
 * answered, every command ends, and afterwards the array becomes whole with what was acknowledged.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { RunningArray } from "../../../src/control/engine.ts";
import { CELL_BYTES, CrashLoad } from "../../helpers/crash-load.ts";
import { EXPORT } from "../../helpers/engine-bench.ts";
import { codeOf, KIB, type MdScenario, onScenario, statesOf } from "../../helpers/md-scenario.ts";
import { withSeeds } from "../../helpers/seed.ts";
import { eventually } from "../../helpers/timeout.ts";

const test = suite("mdadm 24raid10deadlock");
const ROUNDS = 12;
const WRITES_PER_ROUND = 60;

const FINE = new Set([
  "no error",
  "RAID_LAST_IN_SYNC_MEMBER",
  "RAID_NOT_A_MEMBER",
  "RAID_MEMBER_NOT_FAULTY",
  "RAID_MEMBER_BUSY",
  "RAID_RE_ADD_REFUSED",
  "RAID_ALREADY_A_MEMBER",
  "RAID_MEMBER_IO_ERROR",
  "RAID_SYNC_IN_PROGRESS",
]);

const tell = async (call: () => Promise<unknown>): Promise<void> => {
  const code = await codeOf(call);
  assert.ok(FINE.has(code), code);
};

/** mdadm's test_rdev: out, blank, in again. */
const shake = async (array: RunningArray, path: string): Promise<void> => {
  await tell(() => array.fail(path));
  await tell(() => array.remove(path));
  await tell(() => array.add(path, { force: true }));
};

const thaw = async (array: RunningArray): Promise<void> => {
  await tell(() => array.setSyncAction("frozen"));
  await tell(() => array.setSyncAction("idle"));
};

/** Clears all faults and brings back whoever is out. */
const heal = async (md: MdScenario, array: RunningArray, paths: readonly string[]) => {
  for (const path of paths) await md.bench.engine.clearFaults(path);
  await array.setSyncAction("idle");
  for (const path of paths) {
    await eventually(`${path} is in`, 60_000, async () => {
      const states = statesOf(array, path);
      if (states === "faulty") await tell(() => array.remove(path));
      if (statesOf(array, path) === "absent") {
        await tell(() => array.add(path, { force: true }));
      }
      return !["faulty", "absent"].includes(statesOf(array, path));
    });
  }
  await md.settled(array, "UUUU");
};

for (const layout of ["n2", "f2", "o2"]) {
  test(`${layout}: I/O, failing members, fail and add, frozen and idle`, async (context) => {
    await withSeeds({ fixed: [1], more: 1 }, async (prng, seed) => {
      const story = onScenario(async (md) => {
        const paths = md.disks(4, 5);
        const over = { level: "raid10", layout, chunkBytes: 64 * KIB } as const;
        const array = await md.create(paths, { ...over, bitmapChunkBytes: 64 * KIB });
        await md.settled(array, "UUUU");
        const client = await md.client();
        for (let at = 0; at < client.sizeBytes; at += 1024 * KIB) {
          await client.write(at, new Uint8Array(Math.min(1024 * KIB, client.sizeBytes - at)));
        }
        const load = new CrashLoad(client.sizeBytes, seed);
        const running = load.run(md.bench.peer, EXPORT);
        for (let round = 0; round < ROUNDS; round++) {
          // One pair stays untouched, so that no write has to fail: 0 and 1 are copies of each
          // other.
          const path = paths[prng.below(2) * 2] ?? "";
          if (statesOf(array, path).startsWith("in_sync")) {
            const kind = prng.below(2) === 0 ? "write-error" : "read-error";
            await md.bench.fault(path, kind, 1 + prng.below(3));
          }
          await Promise.all([shake(array, path), thaw(array), thaw(array)]);
          const target = load.writes + WRITES_PER_ROUND;
          await eventually("writes are answered", 30_000, () => load.writes >= target);
        }
        load.stop();
        await running;
        await heal(md, array, paths);
        for (let cell = 0; cell * CELL_BYTES < client.sizeBytes; cell++) {
          const content = Buffer.from(await client.read(cell * CELL_BYTES, CELL_BYTES));
          assert.is(load.model.problem(cell, content.readUInt32LE(0), false), null);
        }
        assert.is(await md.check(array), 0);
        await md.stop(array);
      });
      await story(context);
    });
  });
}

test.run();
