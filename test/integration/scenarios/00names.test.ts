/**
 * mdadm's tests/00names: arrays of several names run beside each other under them, and are found
 * under them again by their superblocks, whatever host they were made on.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { codeOf, mdadmExamines, onScenario } from "../../helpers/md-scenario.ts";
import { runSatsuma } from "../../helpers/satsuma-command.ts";
import { skipUnless } from "../../helpers/skip.ts";

const test = suite("mdadm 00names");

skipUnless("mdadm", test)(
  "four arrays run at once under their names, and come back under them",
  onScenario(async (md) => {
    const { engine } = md.bench;
    const made = new Map<string, readonly string[]>();
    for (const name of ["0", "home", "a-b.c", "128"]) {
      const members = md.disks(2, 4, `${name}-`);
      made.set(name, members);
      await runSatsuma(
        ...["create", "--level", "raid1", "--raid-devices", "2", "--assume-clean", "--force"],
        ...["--name", name, "--homehost", "elsewhere", ...members],
      );
      assert.match((await mdadmExamines(members[1] ?? "")).get("Name") ?? "", `elsewhere:${name}`);
    }
    for (let round = 0; round < 2; round++) {
      const running = [];
      for (const members of made.values()) {
        running.push(await engine.assemble(members, { readOnly: false }));
      }
      assert.equal(
        running.map(({ status }) => status.name),
        [...made.keys()],
      );
      assert.is(new Set(running.map(({ uuid }) => uuid)).size, made.size);
      for (const array of running) await array.stop();
    }
    const report = await engine.examine(made.get("home") ?? []);
    assert.equal([report.array?.name, report.array?.homehost], ["home", "elsewhere"]);
    const mixed = [made.get("0")?.[0] ?? "", made.get("home")?.[1] ?? ""];
    const code = await codeOf(() => engine.assemble(mixed, { readOnly: false }));
    assert.is.not(code, "no error", "members of two arrays are not one");
  }),
);

test.run();
