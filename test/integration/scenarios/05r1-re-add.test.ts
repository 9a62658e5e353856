/**
 * mdadm's tests/05r1-re-add: a member fails, leaves and comes back. Without a write in between that
 * is instant: nothing is copied. With writes only their chunks are; both legs are equal then, byte
 * by byte. Also while the array is stopped in between, and for raid10.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { assertLegsEqual, KIB, onScenario } from "../../helpers/md-scenario.ts";

const test = suite("mdadm 05r1-re-add");
const CHUNK = 16 * KIB;

const KINDS = [
  { level: "raid1", layout: null, chunkBytes: null, metadata: "1.2" },
  { level: "raid1", layout: null, chunkBytes: null, metadata: "1.0" },
  { level: "raid10", layout: "n2", chunkBytes: 64 * KIB, metadata: "1.2" },
  { level: "raid10", layout: "f2", chunkBytes: 64 * KIB, metadata: "1.1" },
] as const;

for (const kind of KINDS) {
  test(
    `${kind.level} ${kind.layout ?? ""} ${kind.metadata}: instant without writes, guided with them`,
    onScenario(async (md) => {
      const members = md.disks(2, 10);
      const [, dev1 = ""] = members;
      const made = await md.create(members, { ...kind, bitmapChunkBytes: CHUNK });
      await md.testdev();
      await md.settled(made, "UU");
      const array = await md.withoutBits(made, members);

      await array.fail(dev1);
      await array.remove(dev1);
      await array.reAdd(dev1);
      await md.settled(array, "UU");
      if (md.ended("recover") > 0) assert.is(md.lastCopy("recover").bytes, 0);

      await array.fail(dev1);
      await array.remove(dev1);
      await md.write(0, 64 * KIB);
      await md.write(4096 * KIB, CHUNK);
      await array.reAdd(dev1);
      await md.settled(array, "UU");
      assert.equal(md.lastCopy("recover"), { bytes: 64 * KIB + CHUNK, scope: "bitmap" });
      await md.verify();
      assert.is(await md.check(array), 0);
      await md.stop(array);
      if (kind.level === "raid1") assertLegsEqual(members);
    }),
  );
}

test(
  "a member that was away while the array was stopped and used again returns by the bitmap",
  onScenario(async (md) => {
    const members = md.disks(2, 10);
    const [dev0 = "", dev1 = ""] = members;
    const array = await md.create(members, { bitmapChunkBytes: CHUNK });
    await md.write();
    await md.settled(array, "UU");
    await md.stop(array);
    const alone = await md.assemble([dev0]);
    await md.write(1024 * KIB, 2 * CHUNK);
    await md.stop(alone);
    const again = await md.assemble([dev0]);
    await md.write(2048 * KIB, CHUNK);
    await again.reAdd(dev1);
    await md.settled(again, "UU");
    assert.equal(md.lastCopy("recover"), { bytes: 3 * CHUNK, scope: "bitmap" });
    await md.verify();
    await md.stop(again);
    assertLegsEqual(members);
  }),
);

test.run();
