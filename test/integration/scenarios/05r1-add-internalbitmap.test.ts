/**
 * mdadm's tests/05r1-add-internalbitmap (1.0, 1.1, 1.2): a bitmap is added to a running array that
 * has none; it is good from the first moment, and a member that leaves comes back by it.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  assertLegsEqual,
  codeOf,
  KIB,
  memberOnDisk,
  onScenario,
} from "../../helpers/md-scenario.ts";

const test = suite("mdadm 05r1-add-internalbitmap");

for (const metadata of ["1.0", "1.1", "1.2"] as const) {
  test(
    `metadata ${metadata}: a bitmap for an array that had none`,
    onScenario(async (md) => {
      const members = md.disks(2);
      const [, dev1 = ""] = members;
      const made = await md.create(members, { metadata, bitmap: "none" });
      await md.testdev();
      await md.settled(made, "UU");
      assert.is(memberOnDisk(dev1).dirty, undefined);
      const resyncs = md.ended("resync");
      const change = {
        type: "bitmap",
        bitmap: "internal",
        chunkBytes: 64 * KIB,
        nodes: 0,
        clusterName: "",
      } as const;
      await made.change(change);
      assert.is(made.status.bitmap.type, "internal");
      await md.settled(made, "UU");
      assert.is(md.ended("resync"), resyncs, "nothing to resync: it was in sync");
      await md.verify();

      const array = await md.withoutBits(made, members);
      await array.fail(dev1);
      await md.write(1024 * KIB, 256 * KIB);
      assert.is(await codeOf(() => array.reAdd(dev1)), "no error");
      await md.settled(array, "UU");
      const { bytes, scope } = md.lastCopy("recover");
      assert.is(scope, "bitmap");
      assert.ok(bytes > 0 && bytes <= 512 * KIB, `${bytes} bytes copied`);
      await md.verify();
      await md.stop(array);
      assertLegsEqual(members);
      const again = await md.assemble(members);
      assert.equal([again.status.bitmap.type, again.status.sync], ["internal", null]);
      await md.stop(again);
    }),
  );
}

test.run();
