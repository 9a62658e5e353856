/**
 * mdadm's tests/06wrmostly: a mirror of three with a write-mostly member works like any. (mdadm
 * cannot see who is read; a member whose reads all fail tells.) The flag stays through stop and
 * assembly, can be set and cleared, and the member is read when no other one is left. Write-behind
 * of mdadm is a promise that a write may be answered earlier; ours never is.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  assertLegsEqual,
  mdadmExamines,
  memberOnDisk,
  onScenario,
  statesOf,
} from "../../helpers/md-scenario.ts";
import { skipUnless } from "../../helpers/skip.ts";

const test = suite("mdadm 06wrmostly");

for (const bitmap of ["none", "internal"] as const) {
  skipUnless("mdadm", test)(
    `bitmap ${bitmap}: a write-mostly member is written, and read last`,
    onScenario(async (md) => {
      const members = md.disks(3);
      const [dev0 = "", dev1 = "", dev2 = ""] = members;
      const over = { bitmap, writeMostly: [dev2], assumeClean: false } as const;
      const array = await md.create(members, over);
      await md.testdev();
      await md.settled(array, "UUU");
      assert.is(statesOf(array, dev2), "in_sync,writemostly");
      assert.is(await md.check(array), 0);

      await md.bench.fault(dev2, "read-error", null);
      await md.verify();
      assert.is(statesOf(array, dev2), "in_sync,writemostly");
      const errors = () => array.status.members.find(({ path }) => path === dev2)?.readErrors;
      assert.is(errors(), 0, "nobody has read it");
      await md.bench.engine.clearFaults(dev2);

      await md.stop(array);
      assertLegsEqual(members);
      assert.is(memberOnDisk(dev2).superblock.devFlags, 1);
      assert.is((await mdadmExamines(dev2)).get("Flags"), "write-mostly");
      const again = await md.assemble(members);
      assert.is(statesOf(again, dev2), "in_sync,writemostly");
      await again.setMemberFlags(dev2, { writeMostly: false });
      assert.is(statesOf(again, dev2), "in_sync");
      await again.setMemberFlags(dev2, { writeMostly: true });
      await again.fail(dev0);
      await again.fail(dev1);
      await md.verify();
      await md.stop(again);
    }),
  );
}

test.run();
