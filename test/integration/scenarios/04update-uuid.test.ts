/**
 * mdadm's tests/04update-uuid: a stopped array gets another UUID on all members and in their
 * bitmaps;
 * it assembles under the new one, complete, and a member that was away is another array's now.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseUuid, uuidToKernelText } from "../../../src/raid/uuid.ts";
import { mdadmExamines, memberOnDisk, onScenario } from "../../helpers/md-scenario.ts";
import { runSatsuma } from "../../helpers/satsuma-command.ts";
import { skipUnless } from "../../helpers/skip.ts";

const test = suite("mdadm 04update-uuid");
const NEW = "01234567:89abcdef:fedcba98:76543210";

for (const [metadata, bitmap] of [
  ["1.0", "internal"],
  ["1.1", "none"],
  ["1.2", "internal"],
] as const) {
  skipUnless("mdadm", test)(
    `metadata ${metadata}, bitmap ${bitmap}: another UUID, everywhere`,
    onScenario(async (md) => {
      const members = md.disks(3);
      const [dev0 = "", dev1 = "", dev2 = ""] = members;
      const array = await md.create(members, { metadata, bitmap });
      await md.write();
      await md.settled(array, "UUU");
      await md.stop(array);
      await runSatsuma("update", "--uuid", NEW, "--run", dev0, dev1);

      const raw = parseUuid(NEW);
      assert.ok(raw !== null);
      for (const path of [dev0, dev1]) {
        assert.is((await mdadmExamines(path)).get("Array UUID"), NEW);
        const { bitmapUuid } = memberOnDisk(path);
        if (bitmap === "internal") assert.equal(bitmapUuid, Buffer.from(raw));
      }
      const again = await md.assemble([dev0, dev1]);
      assert.is(again.uuid, uuidToKernelText(raw));
      assert.is(again.status.inSyncCopies, 2);
      await md.verify();
      await md.stop(again);
      const report = await md.bench.engine.examine(members);
      const left = report.members.find(({ path }) => path === dev2);
      assert.is.not(left?.superblock?.arrayUuid, again.uuid);
    }),
  );
}

test.run();
