/**
 * mdadm's tests/04r1update: an update at assembly that counts the copies as different (`-U resync`)
 * has the next start resync everything, on a stopped array and on a running one.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { assertLegsEqual, mdadmExamines, onScenario } from "../../helpers/md-scenario.ts";
import { runSatsuma } from "../../helpers/satsuma-command.ts";
import { skipUnless } from "../../helpers/skip.ts";

const test = suite("mdadm 04r1update");

skipUnless("mdadm", test)(
  "satsuma update --resync: mdadm finds the members unclean, the next start resyncs all of it",
  onScenario(async (md) => {
    const members = md.disks(2);
    const array = await md.create(members);
    await md.write();
    await md.settled(array, "UU");
    await md.stop(array);
    assert.is((await mdadmExamines(members[0] ?? "")).get("State"), "clean");
    await runSatsuma("update", "--resync", ...members);
    for (const path of members) assert.is((await mdadmExamines(path)).get("State"), "active");

    const before = md.ended("resync");
    const again = await md.assemble(members);
    await md.settled(again, "UU");
    assert.is(md.ended("resync"), before + 1);
    await md.verify();
    assert.is(await md.check(again), 0);
    await md.stop(again);
    assertLegsEqual(members);
  }),
);

test(
  "a running array is resynced when asked to, under its clients",
  onScenario(async (md) => {
    const members = md.disks(2);
    const array = await md.create(members, { bitmap: "none" });
    await md.write();
    await md.settled(array, "UU");
    const before = md.ended("resync");
    await array.change({ type: "resync" });
    await md.settled(array, "UU");
    assert.is(md.ended("resync"), before + 1);
    await md.verify();
    await md.stop(array);
  }),
);

test.run();
