/** mdadm's clustermd_tests 00r1_Create and 00r10_Create. */
import * as assert from "uvu/assert";
import { MIB, onTwoNodes, type ScriptLevel, shapeOf } from "./cluster-scenario.ts";
import { runCommand } from "./command.ts";
import type { Register } from "./skip.ts";
import { NODES } from "./two-nodes.ts";

export const createScenarios = <T>(register: Register<T>, level: ScriptLevel): void => {
  register(
    "node 1 resyncs, node 2 is PENDING and writes meanwhile; both end as UU",
    onTwoNodes(async (md) => {
      const disks = md.nodes.renewDisks(["used", "used"]);
      await md.create(disks, { ...shapeOf(level), crawls: true });
      await md.assemble(2, disks, true);
      await md.shows(1, /resync = [1-9]/);
      await md.shows(2, "resync=PENDING");
      await md.write(1, 8 * MIB, 2 * MIB);
      await md.write(2, 52 * MIB, 2 * MIB);
      await md.write(1, 56 * MIB, MIB);
      await md.verify();
      await md.shows(1, "resync =");
      for (const at of NODES) await md.setSpeed(at, "full");
      await md.settled();
      assert.is((await md.ended(1, "resync"))[0]?.outcome, "done");
      await md.verify();

      await md.setSpeed(1, "crawl");
      await md.nodes.node(1).ask("PUT", `/arrays/${md.name}/sync-action`, { action: "check" });
      await md.shows(1, "check =");
      await md.shows(2, "resync=REMOTE");
      await md.setSpeed(1, "full");
      await md.settled();
      assert.is((await md.array(1)).status.mismatch_count, 0);
      await md.end(disks);
    }),
  );

  register(
    "--assume-clean with a spare and a --name: no node syncs, both have all of it",
    onTwoNodes(async (md) => {
      const members = level === "raid1" ? 2 : 3;
      const disks = md.nodes.renewDisks(Array(members + 1).fill("blank"));
      const shape = shapeOf(level, "n3");
      await md.createClean(disks, { ...shape, raid_devices: members, name: "tstmd" });
      const inSync = disks.slice(0, members);
      const states = disks.map((name, index) => [name, index < members ? "in_sync" : "spare"]);
      for (const at of NODES) {
        await md.shows(at, /^tstmd : active/);
        assert.equal(await md.members(at), Object.fromEntries(states));
        assert.equal(await md.ended(at, "resync"), []);
        assert.equal(await md.ended(at, "recover"), []);
      }
      await md.write(1, 0, MIB);
      await md.write(2, 24 * MIB, MIB);
      await md.verify();
      await md.end(inSync, disks.slice(members));
      for (const name of disks) {
        const { stdout } = await runCommand("mdadm", ["--examine", md.nodes.diskPath(name)]);
        assert.match(stdout, /Name : (node1:)?tstmd\b/);
      }
    }),
  );
};
