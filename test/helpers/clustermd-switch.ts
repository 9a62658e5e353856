/**
 * mdadm's clustermd_tests 03r1_switch-recovery, 03r10_switch-recovery, 03r1_switch-resync and
 * 03r10_switch-resync.
 */
import * as assert from "uvu/assert";
import { MIB, onTwoNodes, type ScriptLevel, shapeOf } from "./cluster-scenario.ts";
import type { Register } from "./skip.ts";
import type { NodeNumber } from "./two-nodes.ts";

const otherThan = (at: NodeNumber): NodeNumber => (at === 1 ? 2 : 1);

export const switchRecoveryScenarios = <T>(register: Register<T>, level: ScriptLevel): void => {
  register(
    "the node that rebuilds a member is stopped: the other one goes on where it was",
    onTwoNodes(async (md) => {
      const disks = md.nodes.renewDisks(["blank", "blank", "used"]);
      const [dev0 = "", dev1 = "", dev2 = ""] = disks;
      await md.createClean(disks, { ...shapeOf(level), crawls: true });
      await md.write(1, 0, MIB);
      await md.write(2, 30 * MIB, MIB);
      await md.fail(1, dev0);
      const at = await md.syncs("recover");
      const other = otherThan(at);
      await md.shows(at, /recovery = +[1-9]/);
      await md.shows(other, /resync=(PENDING|REMOTE)/);
      assert.match((await md.members(other))[dev2] ?? "", "rebuilding");
      await md.write(at, 10 * MIB, MIB);
      await md.write(other, 50 * MIB, MIB);
      await md.setSpeed(other, "full");
      await md.stop(at);
      await md.settled();
      const { member_size: memberBytes } = (await md.array(other)).config;
      const [last] = await md.ended(other, "recover");
      assert.is(last?.outcome, "done");
      const copied = last?.copiedBytes ?? Infinity;
      assert.ok(copied < memberBytes - 4 * MIB, `${copied} bytes copied`);
      await md.verify();
      await md.assemble(at, disks);
      await md.settled();
      await md.verify();
      await md.end([dev2, dev1]);
    }),
  );
};

export const switchResyncScenarios = <T>(register: Register<T>, level: ScriptLevel): void => {
  register(
    "node 1 is stopped while it resyncs: node 2 does the rest; node 1 comes back, both are UU",
    onTwoNodes(async (md) => {
      const disks = md.nodes.renewDisks(["used", "used"]);
      await md.create(disks, { ...shapeOf(level), crawls: true });
      await md.assemble(2, disks, true);
      await md.shows(1, /resync = +[1-9]/);
      await md.shows(2, "resync=PENDING");
      await md.write(1, 10 * MIB, MIB);
      await md.write(2, 54 * MIB, MIB);
      await md.setSpeed(2, "full");
      await md.stop(1);
      await md.settled();
      const [last] = await md.ended(2, "resync");
      assert.is(last?.outcome, "done");
      assert.ok((last?.copiedBytes ?? 0) > 0, "node 2 resynced something");
      await md.verify();
      await md.assemble(1, disks);
      await md.settled();
      await md.verify();
      await md.end(disks);
    }),
  );
};
