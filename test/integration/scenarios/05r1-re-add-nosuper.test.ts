/**
 * mdadm's tests/05r1-re-add-nosuper: a member whose superblock is gone cannot be re-added: nothing
 * tells what it holds. It can be added, and is copied whole. Neither can a member of another array.
 */
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { assertLegsEqual, codeOf, KIB, onScenario, slotsOf } from "../../helpers/md-scenario.ts";

const test = suite("mdadm 05r1-re-add-nosuper");

test(
  "a member without a superblock is not re-added, and copied whole when it is added",
  onScenario(async (md) => {
    const members = md.disks(2);
    const [dev0 = "", dev1 = ""] = members;
    const array = await md.create(members);
    await md.testdev();
    await md.settled(array, "UU");
    await array.fail(dev1);
    await array.remove(dev1);
    writeFileSync(dev1, randomBytes(64 * KIB), { flag: "r+" });
    assert.is(await codeOf(() => array.reAdd(dev1)), "RAID_RE_ADD_REFUSED");
    assert.is(slotsOf(array), "U_");
    await array.add(dev1, { force: false });
    await md.settled(array, "UU");
    assert.is(md.lastCopy("recover").scope, "full");
    await md.verify();
    await md.stop(array);
    assertLegsEqual([dev0, dev1]);
  }),
);

test(
  "a member of another array is not re-added, and added by force only",
  onScenario(async (md) => {
    const others = md.disks(2, 12, "other");
    const [stranger = ""] = others;
    await md.stop(await md.create(others, { assumeClean: true }));
    const [dev0 = "", dev1 = ""] = md.disks(2);
    const array = await md.create([dev0, dev1]);
    await md.write();
    await md.settled(array, "UU");
    await array.fail(dev1);
    await array.remove(dev1);
    assert.is(await codeOf(() => array.reAdd(stranger)), "RAID_RE_ADD_REFUSED");
    assert.is(await codeOf(() => array.add(stranger, { force: false })), "RAID_DEVICE_NOT_CLEAN");
    await array.add(stranger, { force: true });
    await md.settled(array, "UU");
    await md.verify();
    await md.stop(array);
    assertLegsEqual([dev0, stranger]);
  }),
);

test.run();
