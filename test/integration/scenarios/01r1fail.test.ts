/**
 * mdadm's tests/01r1fail: members fail during the first resync until one is left; others are added
 * meanwhile, are recovered, and a member that failed joins again. No content is lost on the way.
 */
import { writeFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  assertLegsEqual,
  CRAWL,
  codeOf,
  FULL_SPEED,
  KIB,
  onScenario,
  slotsOf,
} from "../../helpers/md-scenario.ts";

const test = suite("mdadm 01r1fail");

test(
  "a mirror of four loses two members during its first resync and is rebuilt from the last",
  onScenario(async (md) => {
    const [dev0 = "", dev1 = "", dev2 = "", dev3 = "", dev4 = ""] = md.disks(5);
    const array = await md.create([dev0, dev1, dev2, "missing"], { raidDevices: 4 }, CRAWL);
    await md.write();
    await md.running(array, "resync");
    await array.fail(dev2);
    await md.running(array, "resync");
    await array.fail(dev1);
    // One working member is left: nothing to sync.
    await md.settled(array, "U___");
    assert.is(await codeOf(() => array.fail(dev0)), "RAID_LAST_IN_SYNC_MEMBER");
    await md.verify();

    await array.add(dev4, { force: true });
    await md.running(array, "recover");
    assert.is(slotsOf(array), "U___");
    await array.add(dev3, { force: true });
    await md.write(0, 256 * KIB);
    await array.setSyncSpeed(FULL_SPEED);
    // There may be two recoveries, one for each.
    await md.settled(array, "UUU_");
    await array.remove(dev2);
    await array.remove(dev1);
    await md.settled(array, "UUU_");

    writeFileSync(dev2, Buffer.alloc(64 * KIB), { flag: "r+" });
    await array.add(dev2, { force: false });
    await md.settled(array, "UUUU");
    await md.verify();
    assert.is(await md.check(array), 0);
    await md.stop(array);
    assertLegsEqual([dev0, dev4, dev3, dev2]);
  }),
);

test.run();
