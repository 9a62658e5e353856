/**
 * mdadm's tests/05r1-grow-internalbitmap (1.0, 1.1, 1.2): a running array is given a bitmap by
 * `--grow`, with chunks of a chosen size, then others; its bits then follow the writes.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { assertLegsEqual, KIB, memberOnDisk, onScenario } from "../../helpers/md-scenario.ts";

const test = suite("mdadm 05r1-grow-internalbitmap");

const internal = (chunkBytes: number | null) =>
  ({ type: "bitmap", bitmap: "internal", chunkBytes, nodes: 0, clusterName: "" }) as const;

for (const metadata of ["1.0", "1.1", "1.2"] as const) {
  test(
    `metadata ${metadata}: chunks of 4 KiB, then of 128 KiB`,
    onScenario(async (md) => {
      const members = md.disks(2);
      const [dev0 = "", dev1 = ""] = members;
      let array = await md.create(members, { metadata, bitmap: "none" });
      await md.testdev();
      await md.settled(array, "UU");
      for (const chunkBytes of [4 * KIB, 128 * KIB]) {
        await array.change(internal(chunkBytes));
        assert.is(array.status.bitmap.chunkBytes, chunkBytes);
        await md.settled(array, "UU");
        array = await md.withoutBits(array, members);
        await array.fail(dev1);
        await md.write(512 * KIB, 256 * KIB);
        const first = (512 * KIB) / chunkBytes;
        const expected = Array.from(
          { length: (256 * KIB) / chunkBytes },
          (_, index) => first + index,
        );
        assert.equal(memberOnDisk(dev0).dirty, expected);
        await array.reAdd(dev1);
        await md.settled(array, "UU");
        assert.is(md.lastCopy("recover").bytes, 256 * KIB);
        await md.verify();
      }
      await md.stop(array);
      assertLegsEqual(members);
    }),
  );
}

test.run();
