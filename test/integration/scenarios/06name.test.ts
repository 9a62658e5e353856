/**
 * mdadm's tests/06name: an array is made with a name; mdadm examines it as `host:name` on every
 * member, and the array comes back under it.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { mdadmExamines, onScenario } from "../../helpers/md-scenario.ts";
import { skipUnless } from "../../helpers/skip.ts";

const test = suite("mdadm 06name");

for (const metadata of ["1.0", "1.1", "1.2"] as const) {
  skipUnless("mdadm", test)(
    `metadata ${metadata}: an array called Fred`,
    onScenario(async (md) => {
      const members = md.disks(2);
      const array = await md.create(members, { name: "Fred", metadata, assumeClean: true });
      assert.is(array.status.name, "Fred");
      await md.stop(array);
      for (const path of members) {
        const name = (await mdadmExamines(path)).get("Name") ?? "";
        assert.match(name, /^bench:Fred\b/);
      }
      const again = await md.assemble(members);
      assert.is(again.status.name, "Fred");
      await again.change({ type: "name", name: "George" });
      assert.is(again.status.name, "George");
      await md.stop(again);
      for (const path of members) {
        assert.match((await mdadmExamines(path)).get("Name") ?? "", /^bench:George\b/);
      }
    }),
  );
}

test.run();
