/**
 * mdadm's tests/02r1add: a mirror of two with a spare grows to three raid devices, loses one, and
 * shrinks back to two; with every metadata version.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { assertLegsEqual, codeOf, onScenario, statesOf } from "../../helpers/md-scenario.ts";

const test = suite("mdadm 02r1add");

for (const metadata of ["1.0", "1.1", "1.2"] as const) {
  test(
    `metadata ${metadata}: 2 to 3 and back to 2 raid devices`,
    onScenario(async (md) => {
      const [dev0 = "", dev1 = "", dev2 = ""] = md.disks(3);
      const array = await md.create([dev0, dev1, dev2], { raidDevices: 2, metadata });
      await md.write();
      await md.settled(array, "UU");
      assert.is(statesOf(array, dev2), "spare");

      await array.change({ type: "raid-devices", count: 3 });
      await md.settled(array, "UUU");
      await md.verify();
      assert.is(
        await codeOf(() => array.change({ type: "raid-devices", count: 2 })),
        "RAID_SLOTS_IN_USE",
      );
      await array.fail(dev0);
      await md.settled(array, "_UU");
      await array.remove(dev0);
      await array.change({ type: "raid-devices", count: 2 });
      await md.settled(array, "UU");
      assert.is(array.status.health, "optimal");
      await md.testdev();
      assert.is(await md.check(array), 0);
      await md.stop(array);
      assertLegsEqual([dev1, dev2]);

      const again = await md.assemble([dev1, dev2]);
      await md.settled(again, "UU");
      await md.verify();
      await md.stop(again);
    }),
  );
}

test.run();
