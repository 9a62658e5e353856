/**
 * mdadm's tests/01replace: members of a raid1 and of a raid10 are replaced by spares (any one, or a
 * chosen one) while clients write, also while other members fail: the array is never more degraded
 * than by those failures, and its content stays whole. What was replaced is faulty and can go.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { RunningArray } from "../../../src/control/engine.ts";
import {
  CRAWL,
  codeOf,
  FULL_SPEED,
  KIB,
  type MdScenario,
  onScenario,
  slotsOf,
  statesOf,
} from "../../helpers/md-scenario.ts";
import { eventually } from "../../helpers/timeout.ts";

const test = suite("mdadm 01replace");

const KINDS = [
  { level: "raid1", layout: null, chunkBytes: null },
  { level: "raid10", layout: "n2", chunkBytes: 64 * KIB },
  { level: "raid10", layout: "f2", chunkBytes: 64 * KIB },
  { level: "raid10", layout: "o2", chunkBytes: 64 * KIB },
] as const;

const replaced = (md: MdScenario): number =>
  md.bench.happenings.filter(({ type }) => type === "member.replaced").length;

const untilReplaced = async (md: MdScenario, array: RunningArray, count: number): Promise<void> => {
  await eventually(`${count} are replaced`, 60_000, () => replaced(md) >= count);
  await md.settled(array);
};

for (const kind of KINDS) {
  const name = `${kind.level} ${kind.layout ?? ""}`.trim();

  test(
    `${name}: a spare, then a chosen one, replaces a member; redundancy never falls`,
    onScenario(async (md) => {
      const members = md.disks(6, 8);
      const [dev0 = "", dev1 = "", dev2 = "", dev3 = "", dev4 = "", dev5 = ""] = members;
      const array = await md.create(members, { ...kind, raidDevices: 4 });
      await md.write();
      await md.settled(array, "UUUU");
      assert.is(await codeOf(() => array.replace(dev1, dev2)), "RAID_NOT_A_SPARE");
      assert.is(await codeOf(() => array.replace(dev4, null)), "RAID_MEMBER_NOT_IN_SYNC");

      const before = md.bench.statuses.length;
      await array.replace(dev1, null);
      await md.write(0, 512 * KIB);
      await untilReplaced(md, array, 1);
      await array.replace(dev3, statesOf(array, dev4) === "spare" ? dev4 : dev5);
      await md.write(512 * KIB, 512 * KIB);
      await untilReplaced(md, array, 2);
      const degraded = md.bench.statuses.slice(before).filter((status) => status.degraded > 0);
      assert.is(degraded.length, 0, "never degraded");
      assert.equal(
        [dev1, dev3].map((path) => statesOf(array, path)),
        ["faulty", "faulty"],
      );
      assert.is(slotsOf(array), "UUUU");
      await array.remove(dev1);
      await array.remove(dev3);
      await md.verify();
      assert.is(await md.check(array), 0);
      await md.stop(array);
      const again = await md.assemble([dev0, dev2, dev4, dev5]);
      await md.settled(again, "UUUU");
      assert.is(again.status.sync, null, "nothing is left to do");
      await md.verify();
      await md.stop(again);
    }),
  );

  test(
    `${name}: another member fails while one is replaced`,
    onScenario(async (md) => {
      const members = md.disks(6, 8);
      const [dev0 = "", dev1 = "", , dev3 = ""] = members;
      const array = await md.create(members, { ...kind, raidDevices: 4 });
      await md.write();
      await md.settled(array, "UUUU");
      await array.setSyncSpeed(CRAWL);
      await array.replace(dev1, null);
      await md.running(array, "recover");
      await md.write(0, 512 * KIB);
      // Its copy partner, the one being replaced, still holds everything.
      await array.fail(dev0);
      await md.write(512 * KIB, 512 * KIB);
      await md.verify();
      await array.setSyncSpeed(FULL_SPEED);
      await untilReplaced(md, array, 1);
      await md.settled(array, "UUUU");
      await md.verify();
      // No spare is left: the wish waits for one, as with md.
      await array.replace(dev3, null);
      await md.settled(array, "UUUU");
      assert.is(statesOf(array, dev3), "in_sync,want_replacement");
      await array.remove(dev0);
      await array.add(dev0, { force: true });
      await untilReplaced(md, array, 2);
      assert.is(statesOf(array, dev3), "faulty");
      await md.settled(array, "UUUU");
      await md.verify();
      assert.is(await md.check(array), 0);
      await md.stop(array);
    }),
  );

  test(
    `${name}: a replacement that fails, or is cut short by a stop, leaves the old member in place`,
    onScenario(async (md) => {
      const members = md.disks(6, 8);
      const [, dev1 = ""] = members;
      const array = await md.create(members, { ...kind, raidDevices: 4 });
      await md.write();
      await md.settled(array, "UUUU");
      await array.setSyncSpeed(CRAWL);
      const replacement = (running: RunningArray) =>
        running.status.members.find(({ states }) => states.includes("replacement"))?.path ?? "";
      await array.replace(dev1, null);
      await md.running(array, "recover");
      const first = replacement(array);
      await array.fail(first);
      await eventually("the next spare takes its place", 30_000, () => {
        const next = replacement(array);
        return next !== "" && next !== first;
      });
      assert.ok(statesOf(array, dev1).startsWith("in_sync"), statesOf(array, dev1));
      await md.write(0, 512 * KIB);
      await md.stop(array);

      const again = await md.assemble(members);
      assert.is(slotsOf(again), "UUUU");
      await untilReplaced(md, again, 1);
      assert.is(slotsOf(again), "UUUU");
      await md.verify();
      assert.is(await md.check(again), 0);
      await md.stop(again);
    }),
  );
}

test.run();
