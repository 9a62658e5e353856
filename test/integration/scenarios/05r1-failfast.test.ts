/**
 * mdadm's tests/05r1-failfast: the failfast flag survives create, stop and assembly, add and
 * grow, is
 * kept per member, and mdadm finds it. A failfast member goes at its first read error when another
 * one holds the data; others are repaired.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { mdadmExamines, onScenario, statesOf } from "../../helpers/md-scenario.ts";
import { skipUnless } from "../../helpers/skip.ts";
import { eventually } from "../../helpers/timeout.ts";

const test = suite("mdadm 05r1-failfast");

skipUnless("mdadm", test)(
  "the flag survives create, assembly, add and grow",
  onScenario(async (md) => {
    const [dev0 = "", dev1 = "", dev2 = "", dev3 = ""] = md.disks(4);
    const array = await md.create([dev0, dev1], { failfast: [dev0, dev1] });
    await md.testdev();
    await md.settled(array, "UU");
    const flags = (path: string): string => statesOf(array, path);
    assert.equal([dev0, dev1].map(flags), ["in_sync,failfast", "in_sync,failfast"]);

    await array.fail(dev0);
    await array.remove(dev0);
    await array.add(dev2, { force: true, failfast: true });
    await md.settled(array, "UU");
    assert.is(flags(dev2), "in_sync,failfast");
    await array.change({ type: "raid-devices", count: 3 });
    await array.add(dev3, { force: true });
    await md.settled(array, "UUU");
    assert.equal([dev1, dev2, dev3].map(flags), [
      "in_sync,failfast",
      "in_sync,failfast",
      "in_sync",
    ]);
    await md.stop(array);

    for (const [path, expected] of [
      [dev1, "failfast"],
      [dev2, "failfast"],
      [dev3, undefined],
    ] as const) {
      assert.is((await mdadmExamines(path)).get("Flags"), expected);
    }
    const again = await md.assemble([dev1, dev2, dev3]);
    assert.is(statesOf(again, dev1), "in_sync,failfast");
    assert.is(statesOf(again, dev3), "in_sync");
    await again.setMemberFlags(dev3, { failfast: true });
    await again.setMemberFlags(dev1, { failfast: false });
    assert.equal(
      [dev1, dev3].map((path) => statesOf(again, path)),
      ["in_sync", "in_sync,failfast"],
    );
    await md.verify();
    await md.stop(again);
  }),
);

test(
  "a failfast member fails at its first read error, another one is repaired",
  onScenario(async (md) => {
    const [dev0 = "", dev1 = "", dev2 = ""] = md.disks(3);
    const array = await md.create([dev0, dev1, dev2], { failfast: [dev1] });
    await md.write();
    await md.settled(array, "UUU");
    await md.bench.fault(dev0, "read-error", 1);
    await md.bench.fault(dev1, "read-error", 1);
    await eventually("both have been read", 30_000, async () => {
      await md.verify();
      const corrected = md.bench.happenings.some(
        ({ type }) => type === "member.read-error-corrected",
      );
      return corrected && statesOf(array, dev1) === "faulty";
    });
    assert.is(statesOf(array, dev0), "in_sync");
    await md.stop(array);
  }),
);

test.run();
