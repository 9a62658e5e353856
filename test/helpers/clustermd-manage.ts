/**
 * mdadm's clustermd_tests 02r1_Manage_add, 02r10_Manage_add, 02r1_Manage_add-spare,
 * 02r10_Manage_add-spare, 02r1_Manage_re-add and 02r10_Manage_re-add.
 */
import * as assert from "uvu/assert";
import {
  type ClusterScenario,
  MIB,
  onTwoNodes,
  type ScriptLevel,
  shapeOf,
} from "./cluster-scenario.ts";
import { acceptedByMdadm, dirtyBySlot } from "./clustered-members.ts";
import type { Register } from "./skip.ts";
import { eventually } from "./timeout.ts";
import { NODES, type NodeNumber } from "./two-nodes.ts";

const WAIT_MS = 30_000;

/** `--fail`, which both nodes know when it is answered, and `--remove`. */
const takeOut = async (md: ClusterScenario, at: NodeNumber, device: string): Promise<void> => {
  await md.fail(at, device);
  for (const node of NODES) assert.is((await md.members(node))[device], "faulty");
  await md.remove(at, device);
  for (const node of NODES) assert.is((await md.members(node))[device], undefined);
};

export const addScenarios = <T>(register: Register<T>, level: ScriptLevel): void => {
  register(
    "a disk takes the place of one that was failed and removed; the next one is a spare on both",
    onTwoNodes(async (md) => {
      const disks = md.nodes.renewDisks(["blank", "blank", "used", "used"]);
      const [dev0 = "", dev1 = "", dev2 = "", dev3 = ""] = disks;
      await md.createClean([dev0, dev1], shapeOf(level));
      await md.write(1, 0, MIB);
      await md.write(2, 30 * MIB, MIB);
      await takeOut(md, 1, dev0);
      await md.write(2, 40 * MIB, MIB);
      await md.add(1, dev2);
      await md.settled();
      for (const at of NODES) {
        assert.equal(await md.members(at), { [dev1]: "in_sync", [dev2]: "in_sync" });
      }
      await md.add(1, dev3);
      await md.settled(2, 1);
      await md.write(2, 8 * MIB, MIB);
      await md.verify();
      await md.end([dev2, dev1], [dev3]);
    }),
  );
};

export const addSpareScenarios = <T>(register: Register<T>, level: ScriptLevel): void => {
  register(
    "one spare on both nodes, then two; one of them steps in when a member fails",
    onTwoNodes(async (md) => {
      const disks = md.nodes.renewDisks(["blank", "blank", "used", "used"]);
      const [dev0 = "", dev1 = "", dev2 = "", dev3 = ""] = disks;
      await md.createClean([dev0, dev1], shapeOf(level));
      await md.add(2, dev2);
      await md.settled(2, 1);
      await md.add(1, dev3);
      await md.settled(2, 2);
      await md.write(1, 4 * MIB, MIB);
      await md.fail(2, dev0);
      await md.settled(2, 1);
      await md.write(2, 44 * MIB, MIB);
      await md.verify();
      const now = await md.members(1);
      const [used, spare] = now[dev2] === "in_sync" ? [dev2, dev3] : [dev3, dev2];
      assert.equal([now[used], now[spare]], ["in_sync", "spare"]);
      assert.equal(await md.members(2), now);
      await md.end([used, dev1], [spare]);
    }),
  );
};

/** mdadm counts on the member what each node says of its own bits. */
const bitsOfEachNode = async (md: ClusterScenario, device: string): Promise<number[]> => {
  const path = md.nodes.diskPath(device);
  const counts = await eventually("members and nodes agree on dirty bits", WAIT_MS, async () => {
    const bits = dirtyBySlot(path);
    const told = await Promise.all(
      NODES.map(async (at) => {
        const { bitmap, cluster } = (await md.array(at)).status;
        assert.is(bits[cluster?.slot ?? -1], bitmap?.dirty, `node ${at}`);
        return bitmap?.dirty ?? 0;
      }),
    );
    return told;
  });
  await acceptedByMdadm(path, 2);
  return counts;
};

export const reAddScenarios = <T>(register: Register<T>, level: ScriptLevel): void => {
  register(
    "a member that returns holds what either node wrote while it was out: UU on both nodes",
    onTwoNodes(async (md) => {
      const [dev0 = "", dev1 = ""] = md.nodes.renewDisks(["blank", "blank"]);
      await md.createClean([dev0, dev1], shapeOf(level));
      // A new array has all bits of node 1 set: they would hide what those of node 2 are for.
      await md.withoutBits([dev0, dev1]);
      await md.write(1, 0, MIB);
      await md.write(2, 20 * MIB, MIB);
      await takeOut(md, 1, dev0);
      await md.write(2, 40 * MIB, MIB);
      await md.write(1, 6 * MIB, MIB);
      const bits = await bitsOfEachNode(md, dev1);
      assert.ok(
        bits.every((count) => count > 0 && count < 8),
        `${bits}`,
      );
      await md.reAdd(1, dev0);
      await md.settled();
      const ended = (await Promise.all(NODES.map((at) => md.ended(at, "recover")))).flat();
      assert.is(ended[0]?.scope, "bitmap");
      assert.ok((ended[0]?.copiedBytes ?? Infinity) <= 8 * MIB, JSON.stringify(ended));

      // Read from the member that returned alone, on both nodes.
      await takeOut(md, 2, dev1);
      await md.verify();
      await md.reAdd(2, dev1);
      await md.settled();
      await md.verify();
      await md.end([dev0, dev1]);
    }),
  );
};
