/**
 * mdadm's tests/05r1-add-badblocks: a degraded mirror whose member has bad blocks on its list
 * takes a
 * new member: the recovery passes over what nobody can read, and the new member notes it as bad
 * too, instead of failing. Writing there heals both.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { runCommand } from "../../helpers/command.ts";
import { KIB, mdadmExamines, memberOnDisk, onScenario } from "../../helpers/md-scenario.ts";
import { skipUnless } from "../../helpers/skip.ts";
import { eventually } from "../../helpers/timeout.ts";

const test = suite("mdadm 05r1-add-badblocks");
const SECTOR = 512;
const BAD = { offset: 64 * KIB, length: 4 * KIB };

for (const metadata of ["1.0", "1.1", "1.2"] as const) {
  skipUnless("mdadm", test)(
    `metadata ${metadata}: a member joins one that has bad blocks`,
    onScenario(async (md) => {
      const [dev0 = "", dev1 = "", dev2 = ""] = md.disks(3);
      const array = await md.create([dev0, dev1], { metadata });
      await md.write();
      await md.settled(array, "UU");
      // The second member cannot write a place: it notes it, and stays.
      const { dataOffset } = memberOnDisk(dev1).superblock;
      const range = { offset: dataOffset * SECTOR + BAD.offset, length: BAD.length };
      await md.bench.fault(dev1, "write-error", null, range);
      await md.write(0, 256 * KIB);
      await md.verify();
      const badBlocksOf = (path: string) =>
        array.status.members.find((member) => member.path === path)?.badBlocks ?? 0;
      await eventually("bad blocks are noted", 30_000, () => badBlocksOf(dev1) > 0);
      await md.bench.engine.clearFaults(dev1);
      // The only good copy goes: what was bad is lost now, and known to be.
      await array.fail(dev0);
      await array.remove(dev0);
      await array.add(dev2, { force: true });
      await md.settled(array, "UU");
      assert.ok(badBlocksOf(dev2) > 0, "the newcomer knows what it could not be given");
      const client = await md.client();
      let error = "";
      await client.read(BAD.offset, BAD.length).catch((failure: Error) => {
        error = failure.message;
      });
      assert.match(error, "NBD error 5");
      await client.read(0, BAD.offset);

      await md.stop(array);
      for (const path of [dev1, dev2]) {
        const listed = await runCommand("mdadm", ["--examine-badblocks", path]);
        assert.match(
          listed.stdout,
          new RegExp(`${dataOffset + BAD.offset / SECTOR} for 8 sectors`),
        );
        assert.match((await mdadmExamines(path)).get("Bad Block Log") ?? "", "bad blocks present");
      }
      const again = await md.assemble([dev1, dev2]);
      await md.write(0, 256 * KIB);
      await md.verify();
      await eventually("the lists are empty", 30_000, () =>
        again.status.members.every(({ badBlocks }) => badBlocks === 0),
      );
      assert.is(await md.check(again), 0);
      await md.stop(again);
    }),
  );
}

test.run();
