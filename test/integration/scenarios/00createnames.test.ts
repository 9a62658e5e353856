/**
 * mdadm's tests/00createnames: which names an array can be given, what becomes of host and name in
 * the 32 bytes of the superblock, and that mdadm reads them as we do.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { codeOf, mdadmExamines, onScenario } from "../../helpers/md-scenario.ts";
import { skipUnless } from "../../helpers/skip.ts";

const test = suite("mdadm 00createnames");

const GOOD: readonly (readonly [name: string, examined: string])[] = [
  ["0", "bench:0"],
  ["home", "bench:home"],
  ["with.dot-and_line", "bench:with.dot-and_line"],
  ["x".repeat(25), `bench:${"x".repeat(25)}`],
  // With the host it would not fit: it stands alone, as mdadm does it.
  ["x".repeat(26), "x".repeat(26)],
  ["x".repeat(31), "x".repeat(31)],
];

for (const [name, examined] of GOOD) {
  skipUnless("mdadm", test)(
    `${name} is a name, and mdadm reads ${examined}`,
    onScenario(async (md) => {
      const members = md.disks(2, 4);
      const array = await md.create(members, { name, assumeClean: true });
      assert.is(array.status.name, name);
      await md.stop(array);
      for (const path of members) {
        const shown = (await mdadmExamines(path)).get("Name") ?? "";
        assert.is(shown.split(" ")[0], examined);
      }
      const again = await md.assemble(members);
      assert.is(again.status.name, name);
      await md.stop(again);
    }),
  );
}

test(
  "names that do not fit are refused and nothing is written",
  onScenario(async (md) => {
    const members = md.disks(2, 4);
    for (const name of ["", "x".repeat(32), "nul\0in it"]) {
      assert.is(await codeOf(() => md.create(members, { name })), "RAID_BAD_NAME");
    }
    const report = await md.bench.engine.examine(members);
    assert.is(report.array, null);
  }),
);

test.run();
