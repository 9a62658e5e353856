/**
 * mdadm's tests/02r1grow: a mirror that uses a part of its members grows to all of them: what is
 * new is resynced, what was there stays. mdadm then makes it smaller again, which cuts off content
 * without a word; here that is refused with the reason.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { assertLegsEqual, codeOf, MIB, onScenario } from "../../helpers/md-scenario.ts";

const test = suite("mdadm 02r1grow");

for (const metadata of ["1.0", "1.1", "1.2"] as const) {
  test(
    `metadata ${metadata}: three members grow in size, and shrink is refused`,
    onScenario(async (md) => {
      const members = md.disks(3, 16);
      const array = await md.create(members, { metadata, sizeBytes: 6 * MIB });
      await md.write();
      await md.settled(array, "UUU");
      assert.is(array.status.sizeBytes, 6 * MIB);
      const resyncs = md.ended("resync");

      md.detach();
      await array.change({ type: "size", sizeBytes: "max" });
      assert.ok(array.status.sizeBytes >= 14 * MIB, `${array.status.sizeBytes}`);
      await md.settled(array, "UUU");
      assert.is(md.ended("resync"), resyncs + 1);
      const started = md.bench.happenings.filter(({ type }) => type === "sync.started");
      assert.is.not(started.at(-1)?.details["reason"], "unclean-shutdown");
      await md.verify();
      assert.is(await md.check(array), 0);
      await md.testdev();

      const shrink = () => array.change({ type: "size", sizeBytes: 6 * MIB });
      assert.is(await codeOf(shrink), "RAID_SHRINK_REFUSED");
      assert.is(array.status.sync, null);
      await md.verify();
      await md.stop(array);
      assertLegsEqual(members);
      const again = await md.assemble(members);
      await md.verify();
      await md.stop(again);
    }),
  );
}

test.run();
