/**
 * mdadm's tests/05r1-remove-internalbitmap (1.0, 1.1, 1.2): the bitmap of a running array is taken
 * away; mdadm finds none on the members then, the array works on and assembles without it.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  assertLegsEqual,
  codeOf,
  KIB,
  mdadmExamines,
  memberOnDisk,
  onScenario,
} from "../../helpers/md-scenario.ts";
import { skipUnless } from "../../helpers/skip.ts";

const test = suite("mdadm 05r1-remove-internalbitmap");

for (const metadata of ["1.0", "1.1", "1.2"] as const) {
  skipUnless("mdadm", test)(
    `metadata ${metadata}: an array loses its bitmap`,
    onScenario(async (md) => {
      const members = md.disks(2);
      const [dev0 = "", dev1 = ""] = members;
      const array = await md.create(members, { metadata, bitmapChunkBytes: 4 * KIB });
      await md.testdev();
      await md.settled(array, "UU");
      const none = { type: "bitmap", bitmap: "none", chunkBytes: null } as const;
      await array.change({ ...none, nodes: 0, clusterName: "" });
      assert.is(array.status.bitmap.type, "none");
      assert.is(array.status.consistencyPolicy, "resync");
      await md.testdev();
      await array.fail(dev1);
      await md.write(0, 64 * KIB);
      assert.is(await codeOf(() => array.reAdd(dev1)), "RAID_RE_ADD_REFUSED", "nothing tells what");
      await array.remove(dev1);
      await array.add(dev1, { force: true });
      await md.settled(array, "UU");
      assert.is(md.lastCopy("recover").scope, "full");
      await md.stop(array);
      assertLegsEqual(members);
      for (const path of members) {
        assert.is(memberOnDisk(path).dirty, undefined);
        assert.not.ok((await mdadmExamines(path)).has("Internal Bitmap"));
      }
      const again = await md.assemble([dev1, dev0]);
      assert.equal([again.status.bitmap.type, again.status.sync], ["none", null]);
      await md.verify();
      await md.stop(again);
    }),
  );
}

test.run();
