/**
 * mdadm's tests/00raid1: simple mirrors, created, used and resynced: two members; a degraded array
 * of three raid devices with spares that recovers by itself. (Its third case, an array without
 * superblocks, has no counterpart: every array of ours can be found again.)
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { assertLegsEqual, onScenario } from "../../helpers/md-scenario.ts";

const test = suite("mdadm 00raid1");

for (const metadata of ["1.0", "1.1", "1.2"] as const) {
  test(
    `metadata ${metadata}: two members resync, hold what is written, and are the same`,
    onScenario(async (md) => {
      const members = md.disks(2);
      const array = await md.create(members, { metadata });
      await md.testdev();
      await md.settled(array, "UU");
      assert.is(md.ended("resync"), 1);
      await md.verify();
      assert.is(await md.check(array), 0);
      await md.stop(array);
      assertLegsEqual(members);
    }),
  );
}

test(
  "one member of three with two spares: both spares are recovered, at once",
  onScenario(async (md) => {
    const [first = "", ...spares] = md.disks(3);
    const members = [first, "missing", "missing", ...spares];
    const array = await md.create(members, { raidDevices: 3 });
    await md.testdev();
    await md.settled(array, "UUU");
    assert.is(md.ended("resync"), 0, "one member needs no resync");
    assert.ok(md.ended("recover") > 0);
    await md.verify();
    await md.stop(array);
    assertLegsEqual([first, ...spares]);
  }),
);

test.run();
