/**
 * mdadm's tests/05r1-internalbitmap and its variants for 1.0, 1.1 and 1.2: bits are 0 once the
 * array
 * is idle; degraded and fully written, all of them are set; after the missing member is rebuilt
 * they are 0 again. Read from the members' files, as `mdadm --examine-bitmap` does.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { assertLegsEqual, KIB, memberOnDisk, onScenario } from "../../helpers/md-scenario.ts";
import { eventually } from "../../helpers/timeout.ts";

const test = suite("mdadm 05r1-internalbitmap");

for (const metadata of ["1.0", "1.1", "1.2"] as const) {
  test(
    `metadata ${metadata}: bits follow what the members lack`,
    onScenario(async (md) => {
      const members = md.disks(2, 10);
      const [dev0 = "", dev1 = ""] = members;
      const over = { metadata, bitmapChunkBytes: 4 * KIB } as const;
      let array = await md.create(members, over);
      await md.settled(array, "UU");
      await md.testdev();
      const dirtyOf = (path: string): number => memberOnDisk(path).dirty?.length ?? -1;
      const areClear = () => members.every((path) => dirtyOf(path) === 0);
      // Seconds after the last write, or at once by a stop.
      if (metadata === "1.2") await eventually("no bit is left on an idle array", 40_000, areClear);
      else array = await md.withoutBits(array, members);
      assert.ok(areClear());

      await array.fail(dev1);
      await md.testdev();
      const { chunks } = memberOnDisk(dev0);
      assert.is(chunks, array.status.sizeBytes / (4 * KIB));
      assert.is(dirtyOf(dev0), chunks, "every chunk has been written without the other member");
      assert.is(dirtyOf(dev1), 0, "the failed member keeps its old bitmap");

      await array.reAdd(dev1);
      await md.settled(array, "UU");
      if (metadata === "1.2") await eventually("none is left after the recovery", 40_000, areClear);
      await md.verify();
      await md.stop(array);
      assertLegsEqual(members);
      assert.equal(members.map(dirtyOf), [0, 0]);
    }),
  );
}

test.run();
