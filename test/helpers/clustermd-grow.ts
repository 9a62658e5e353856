/**
 * mdadm's clustermd_tests 01r1_Grow_add, 01r1_Grow_bitmap-switch, 01r10_Grow_bitmap-switch,
 * 01r1_Grow_resize and 01r10_Grow_resize.
 */
import * as assert from "uvu/assert";
import {
  type ClusterScenario,
  MIB,
  onTwoNodes,
  type ScriptLevel,
  shapeOf,
} from "./cluster-scenario.ts";
import type { Register } from "./skip.ts";
import { NODES, type NodeNumber } from "./two-nodes.ts";

/** One raid device more, while what fills it stands still and clients write; then it goes on. */
const growByOne = async (
  md: ClusterScenario,
  at: NodeNumber,
  raidDevices: number,
  added: readonly string[],
): Promise<void> => {
  for (const node of NODES) await md.setSpeed(node, "crawl");
  const adds = added.length === 0 ? [] : ["--add", ...added];
  await md.grow(at, "--raid-devices", String(raidDevices), ...adds);
  await md.syncs("recover");
  for (const node of NODES) await md.shows(node, `[${"U".repeat(raidDevices - 1)}_]`);
  await md.write(1, (4 + raidDevices) * MIB, MIB);
  await md.write(2, (48 + raidDevices) * MIB, MIB);
  for (const node of NODES) await md.setSpeed(node, "full");
};

export const growAddScenarios = <T>(register: Register<T>): void => {
  register(
    "a spare and a new disk, the spare alone, a new disk alone: U for each on both nodes",
    onTwoNodes(async (md) => {
      const disks = md.nodes.renewDisks(["blank", "blank", "used", "used", "used"]);
      const [dev0 = "", dev1 = "", dev2 = "", dev3 = "", dev4 = ""] = disks;
      await md.createClean([dev0, dev1, dev2]);
      await md.write(1, 0, MIB);
      await md.write(2, 40 * MIB, MIB);
      await growByOne(md, 1, 3, [dev3]);
      await md.settled(3, 1);
      await growByOne(md, 2, 4, []);
      await md.settled(4);
      await growByOne(md, 1, 5, [dev4]);
      await md.settled(5);
      await md.verify();
      await md.end(disks);
    }),
  );
};

/** How node 2 is refused to start the array by itself, or `run`: told to. */
const start = (md: ClusterScenario, run: boolean): Promise<string> =>
  md.nodes.node(2).codeOf("POST", "/arrays", { assemble: md.name, run });

export const bitmapSwitchScenarios = <T>(register: Register<T>, level: ScriptLevel): void => {
  register(
    "on node 1 alone: clustered, none, internal, none, clustered; then node 2 runs it again",
    onTwoNodes(async (md) => {
      const disks = md.nodes.renewDisks(["blank", "blank"]);
      await md.createClean(disks, shapeOf(level));
      await md.write(2, 0, MIB);
      const none = { bitmap: { type: "none" } };
      assert.is(await md.changeRefused(1, none), "CLUSTER_BITMAP_IN_USE");
      await md.settled();
      await md.stop(2);
      for (const [index, kind] of ["none", "internal", "none", "clustered"].entries()) {
        if (level === "raid1") await md.grow(1, "--bitmap", kind);
        else await md.change(1, { bitmap: { type: kind } });
        const { config, status } = await md.array(1);
        const isClustered = kind === "clustered";
        assert.equal([config.bitmap.type, status.cluster !== null], [kind, isClustered]);
        assert.equal([status.health, status.sync], ["optimal", null]);
        if (!isClustered) assert.is(await start(md, false), "CONTROL_ARRAY_LEFT_CLUSTER");
        // Node 1 has the members for itself.
        if (kind === "internal") assert.is(await start(md, true), "RAID_NO_MEMBERS");
        await md.write(1, (8 + 8 * index) * MIB, MIB);
        await md.verify();
      }
      await md.assemble(2, disks);
      await md.settled();
      await md.write(2, 48 * MIB, MIB);
      await md.verify();
      await md.end(disks);
    }),
  );
};

/** mdadm's `size=10000`, for disks of 64 MiB. */
const SMALL_MIB = 24;

export const resizeScenarios = <T>(register: Register<T>, level: ScriptLevel): void => {
  register(
    "--size max: node 1 resyncs what is new, both have the size; what mdadm does next is refused",
    onTwoNodes(async (md) => {
      const disks = md.nodes.renewDisks(["used-behind", "used-behind"]);
      const small = SMALL_MIB * MIB;
      await md.createClean(disks, { ...shapeOf(level), size: small, crawls: true });
      await md.write(1, 0, MIB);
      await md.write(2, small - MIB, MIB);
      await md.change(1, { size: "max" });
      assert.is(await md.syncs("resync"), 1);
      await md.shows(2, /resync=(PENDING|REMOTE)/);
      await md.write(2, small, MIB);
      for (const at of NODES) await md.setSpeed(at, "full");
      await md.settled();
      const sizes = await Promise.all(NODES.map(async (at) => (await md.array(at)).config.size));
      assert.is(sizes[0], sizes[1]);
      assert.ok((sizes[0] ?? 0) >= 60 * MIB, `${sizes[0]}`);
      await md.write(2, (sizes[0] ?? 0) - MIB, MIB);

      for (const at of NODES) {
        assert.is(await md.changeRefused(at, { size: small }), "RAID_SHRINK_REFUSED");
        await md.settled();
      }
      // 01r10_Grow_resize goes on with chunks of 128 KiB: a reshape, and there is none.
      const reshape = { chunk_size: 128 * 1024 };
      assert.is(await md.changeRefused(1, reshape), "API_VALIDATION_FAILED");
      await md.settled();
      await md.verify();
      await md.end(disks);
    }),
  );
};
