/**
 * mdadm's tests/00raid10: raid10 of six members and a spare in the layouts n2, n3, f2 and f3: the
 * size is what the copies leave, the array resyncs, holds what is written, and its spare takes
 * over. We add o2 and o3, and let the array lose what its layout allows.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { KIB, onScenario, statesOf } from "../../helpers/md-scenario.ts";

const test = suite("mdadm 00raid10");

for (const layout of ["n2", "n3", "f2", "f3", "o2", "o3"]) {
  test(
    `layout ${layout} on six members and a spare`,
    onScenario(async (md) => {
      const members = md.disks(7, 5);
      const [first = "", second = ""] = members;
      const over = { level: "raid10", layout, chunkBytes: 64 * KIB, raidDevices: 6 } as const;
      const array = await md.create(members, over);
      const { memberBytes, sizeBytes } = array.status;
      const copies = Number(layout[1]);
      assert.is(sizeBytes, (6 / copies) * memberBytes, "six members hold each byte that often");
      assert.is(statesOf(array, members[6] ?? ""), "spare");
      await md.testdev();
      await md.settled(array, "UUUUUU");
      assert.is(md.ended("resync"), 1);
      assert.is(await md.check(array), 0);
      // The spare takes over; then one more is lost.
      await array.fail(first);
      await md.settled(array, "UUUUUU");
      await array.fail(second);
      await md.verify();
      await md.write(64 * KIB, 512 * KIB);
      await md.stop(array);
      const again = await md.assemble(members);
      assert.is(again.status.degraded, 1);
      await md.verify();
      await md.stop(again);
    }),
  );
}

test.run();
