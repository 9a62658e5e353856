/** A running array that goes into its board's cluster or out of it: when, and in which order. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CodedError } from "../../../src/common/errors.ts";
import type { SimMedium } from "../../../src/hal/sim/crash-device.ts";
import type { ArrayChange } from "../../../src/raid/array-change.ts";
import {
  type ChangeGround,
  changeMembers,
  changeRefusal,
  directionOf,
} from "../../../src/workers/running-change.ts";
import {
  type BenchShape,
  makeMedia,
  openMedium,
  superblockOn,
} from "../../helpers/change-bench.ts";

const test = suite("workers/running-change");

const bitmap = (kind: "none" | "internal" | "clustered", clusterName = "attic"): ArrayChange => ({
  type: "bitmap",
  bitmap: kind,
  chunkBytes: null,
  nodes: kind === "clustered" ? 4 : 0,
  clusterName: kind === "clustered" ? clusterName : "",
});

const GROUND: ChangeGround = {
  readOnly: false,
  isInCluster: false,
  boardCluster: "attic",
  isBusy: false,
};

test("only the kind of the bitmap takes an array into a cluster or out of it", () => {
  assert.is(directionOf(bitmap("clustered"), false), "into-cluster");
  assert.is(directionOf(bitmap("none"), true), "out-of-cluster");
  assert.is(directionOf(bitmap("internal"), true), "out-of-cluster");
  assert.is(directionOf(bitmap("internal"), false), null);
  assert.is(directionOf({ type: "name", name: "x" }, true), null);
});

const REFUSALS: readonly (readonly [string, ArrayChange, Partial<ChangeGround>, string])[] = [
  ["a read-only array", bitmap("none"), { readOnly: true }, "RAID_READ_ONLY"],
  ["another command", bitmap("none"), { isBusy: true }, "RAID_MEMBER_BUSY"],
  ["a board in no cluster", bitmap("clustered"), { boardCluster: null }, "RAID_CLUSTERED_ARRAY"],
  ["another cluster's name", bitmap("clustered", "barn"), {}, "RAID_CLUSTERED_ARRAY"],
  ["a clustered array's chunk", bitmap("clustered"), { isInCluster: true }, "RAID_CLUSTERED_ARRAY"],
  ["its nodes", { type: "nodes", nodes: 8 }, { isInCluster: true }, "RAID_CLUSTERED_ARRAY"],
];

for (const [name, change, ground, code] of REFUSALS) {
  test(`refused: ${name}`, () => {
    const refusal = changeRefusal(change, { ...GROUND, ...ground });
    assert.is(refusal?.ok === false ? refusal.code : "none", code);
  });
}

test("the bitmap's kind changes in both directions", () => {
  assert.is(changeRefusal(bitmap("clustered"), GROUND), null);
  assert.is(changeRefusal(bitmap("internal"), { ...GROUND, isInCluster: true }), null);
});

const SMALL = { size: 2048 };
const PLAIN: BenchShape = {
  options: SMALL,
  alter: () => ({ bblogSize: 0, bblogOffset: 0, featureMap: 1 }),
};
const CLUSTERED: BenchShape = { options: { ...SMALL, bitmap: "clustered" } };

const isClustered = (medium: SimMedium): boolean => (superblockOn(medium).featureMap & 0x100) !== 0;

/** Members at rest, and what is done with them, in order. */
const atRest = (shape: BenchShape) => {
  const media = makeMedia(shape);
  const log: string[] = [];
  const told = (what: string): string => `${what}${media.every(isClustered) ? " clustered" : ""}`;
  const cluster = {
    unlockBitmaps: async (): Promise<void> => void log.push(told("unlock")),
    leave: async (): Promise<void> => void log.push(told("leave")),
  };
  const host = {
    members: () => media.map((medium, index) => openMedium(medium, index)),
    reopen: async (to: typeof cluster | null): Promise<void> =>
      void log.push(told(to === null ? "alone" : "shared")),
    goOnIn: (to: typeof cluster | null): void => void log.push(to === null ? "plain" : "in"),
  };
  return { cluster, host, log };
};

test("into the cluster: members are shared before, others may join after the last superblock", async () => {
  const { cluster, host, log } = atRest(PLAIN);
  assert.is(await changeMembers(host, bitmap("clustered"), { cluster, isNew: true }), null);
  assert.equal(log, ["shared", "unlock clustered", "in"]);
});

test("out of it: no superblock says clustered, the members are its own, then others get on", async () => {
  for (const kind of ["none", "internal"] as const) {
    const { cluster, host, log } = atRest(CLUSTERED);
    assert.is(await changeMembers(host, bitmap(kind), { cluster, isNew: false }), null);
    assert.equal(log, ["plain", "alone", "leave"]);
  }
});

test("a change that is refused leaves the array where it was, in a cluster or in none", async () => {
  const coarse = { ...bitmap("internal"), chunkBytes: 3 } as ArrayChange;
  const clustered = atRest(CLUSTERED);
  const { cluster } = clustered;
  const kept = await changeMembers(clustered.host, coarse, { cluster, isNew: false });
  assert.instance(kept, CodedError);
  assert.equal(clustered.log, ["unlock clustered", "in"]);
  // It has bad-block lists.
  const plain = atRest({ options: SMALL });
  const refused = await changeMembers(plain.host, bitmap("clustered"), {
    cluster: plain.cluster,
    isNew: true,
  });
  assert.is(refused?.code, "RAID_BAD_CLUSTER");
  assert.equal(plain.log, ["shared", "plain", "alone", "leave"]);
});

test("other changes of a clustered array keep it there, and nobody joins or leaves", async () => {
  const { cluster, host, log } = atRest(CLUSTERED);
  const renamed = await changeMembers(host, { type: "name", name: "x" }, { cluster, isNew: false });
  assert.is(renamed, null);
  assert.equal(log, []);
});

test.run();
