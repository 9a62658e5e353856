/**
 * mdadm's tests/23rdev-lifetime: one device is added and removed over and over by several callers
 * at once, while the array is used. Every call ends, with success or a coded refusal; no member is
 * lost track of, no file stays open, and the array is whole and the same in the end.
 */
import { readdirSync, readlinkSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { assertLegsEqual, codeOf, KIB, onScenario, statesOf } from "../../helpers/md-scenario.ts";
import { withSeeds } from "../../helpers/seed.ts";
import { eventually } from "../../helpers/timeout.ts";

const test = suite("mdadm 23rdev-lifetime");
const CALLS = 40;

/** What a caller may be told when others are at it too. */
const FINE = new Set([
  "no error",
  "RAID_ALREADY_A_MEMBER",
  "RAID_NOT_A_MEMBER",
  "RAID_MEMBER_NOT_FAULTY",
  "RAID_MEMBER_BUSY",
  "RAID_RE_ADD_REFUSED",
  "RAID_SLOT_TAKEN",
  "HAL_OPEN_FAILED",
  "HAL_DEVICE_CLAIMED",
  "RAID_DEVICE_IN_USE",
]);

const openFiles = (path: string): number =>
  readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === path;
    } catch {
      return false;
    }
  }).length;

test("a device is added, failed and removed by three callers at once", async (context) => {
  await withSeeds({ fixed: [1], more: 1 }, async (prng) => {
    const story = onScenario(async (md) => {
      const [dev0 = "", dev1 = "", dev2 = ""] = md.disks(3, 4);
      const array = await md.create([dev0, dev1], { bitmapChunkBytes: 64 * KIB });
      await md.write();
      await md.settled(array, "UU");
      await array.change({ type: "raid-devices", count: 3 });
      const told = new Map<string, number>();
      const calls = [
        () => array.add(dev2, { force: true }),
        () => array.remove(dev2),
        () => array.fail(dev2),
        () => array.reAdd(dev2),
      ];
      const caller = async (): Promise<void> => {
        for (let count = 0; count < CALLS; count++) {
          const code = await codeOf(calls[prng.below(calls.length)] ?? (async () => undefined));
          told.set(code, (told.get(code) ?? 0) + 1);
          assert.ok(FINE.has(code), code);
        }
      };
      const writer = async (): Promise<void> => {
        for (let count = 0; count < CALLS; count++) {
          await md.write(prng.below(48) * 64 * KIB, 16 * KIB);
        }
      };
      await Promise.all([caller(), caller(), caller(), writer()]);
      assert.ok((told.get("no error") ?? 0) > 10, JSON.stringify([...told]));

      // While its leg is being opened it cannot be removed: "try again in a moment".
      await eventually("the device is out", 10_000, async () => {
        await codeOf(() => array.fail(dev2));
        await codeOf(() => array.remove(dev2));
        return statesOf(array, dev2) === "absent";
      });
      // The workers close their handles on their own threads.
      await eventually("nobody holds the device", 10_000, () => openFiles(dev2) === 0);
      await array.add(dev2, { force: true });
      await md.settled(array, "UUU");
      await md.verify();
      assert.is(await md.check(array), 0);
      await md.stop(array);
      assertLegsEqual([dev0, dev1, dev2]);
      for (const path of [dev0, dev1, dev2]) assert.is(openFiles(path), 0);
    });
    await story(context);
  });
});

test.run();
