/**
 * Every change of every kind of array, with power going at any call and every unflushed sector kept
 * or lost on its own: the array assembles, with the same members, and needs at least what it needed
 * before; asked for again, the change is made.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CodedError } from "../../../src/common/errors.ts";
import type { Prng } from "../../../src/common/prng.ts";
import type { SimMedium } from "../../../src/hal/sim/crash-device.ts";
import type { ArrayChange } from "../../../src/raid/array-change.ts";
import { changeArray } from "../../../src/raid/change-array-driver.ts";
import { runChange } from "../../../src/raid/change-driver.ts";
import { planChange } from "../../../src/raid/change-plan.ts";
import type { ChangePlan } from "../../../src/raid/change-types.ts";
import { superblockName } from "../../../src/raid/superblock.ts";
import {
  assembleMedia,
  type BenchShape,
  copyMedia,
  makeMedia,
  membersOf,
  NEW_UUID,
  NOW,
  openMedium,
  randomChunks,
  superblockOn,
  turnsUntilCut,
} from "../../helpers/change-bench.ts";
import { assertNothingLost, needsOf } from "../../helpers/change-needs.ts";
import { withSeeds } from "../../helpers/seed.ts";

const CHUNKS = 16;
const SMALL = { size: 2048 };
const REBUILDING = { featureMap: 0x3, recoveryOffset: 1024 };
const GUIDED = { featureMap: 0x83, recoveryOffset: 1024 };
const CLUSTERED_GUIDED = { featureMap: 0x183, recoveryOffset: 1024 };

const SHAPES: Readonly<Record<string, (prng: Prng) => BenchShape>> = {
  "a clean mirror": () => ({ options: SMALL }),
  "a mirror that was not stopped": (prng) => ({
    options: SMALL,
    alter: () => ({ resyncOffset: 0 }),
    alterBitmap: () => ({ set: randomChunks(prng, CHUNKS, 3) }),
  }),
  "a mirror without a bitmap, half synced": () => ({
    options: { ...SMALL, bitmap: "none" },
    alter: () => ({ resyncOffset: 1000 }),
  }),
  "a mirror of three without its last member": (prng) => {
    const set = randomChunks(prng, CHUNKS, 3);
    return {
      options: SMALL,
      sizes: [3072, 3072, null],
      alterBitmap: () => ({ set }),
    };
  },
  "a mirror of three without its first member, and a spare": (prng) => {
    const set = randomChunks(prng, CHUNKS, 3);
    return {
      options: { ...SMALL, spareDevices: 1 },
      sizes: [null, 3072, 3072, 3072],
      alterBitmap: () => ({ set }),
    };
  },
  "a member under recovery by bitmap": (prng) => ({
    options: SMALL,
    sizes: [3072, 3072, 3072],
    alter: (_, index) => (index === 1 ? GUIDED : {}),
    alterBitmap: () => ({ set: randomChunks(prng, CHUNKS, 4) }),
  }),
  "a member under recovery by bitmap, not stopped": (prng) => ({
    options: SMALL,
    sizes: [3072, 3072, 3072],
    alter: (_, index) => ({ resyncOffset: 0, ...(index === 1 ? GUIDED : {}) }),
    alterBitmap: () => ({ set: randomChunks(prng, CHUNKS, 4) }),
  }),
  "a member under recovery": (prng) => ({
    options: SMALL,
    alter: (_, index) => (index === 1 ? REBUILDING : {}),
    alterBitmap: () => ({ set: randomChunks(prng, CHUNKS, 2) }),
  }),
  "a member one update behind": (prng) => ({
    options: SMALL,
    alter: (_, index) => (index === 0 ? { events: 19 } : { setName: new Uint8Array(32).fill(65) }),
    alterBitmap: () => ({ set: randomChunks(prng, CHUNKS, 2), header: { events: 20 } }),
  }),
  "members that became larger": (prng) => ({
    options: SMALL,
    alter: () => ({ dataSize: 2048, resyncOffset: 512 }),
    alterBitmap: () => ({ set: randomChunks(prng, CHUNKS, 2) }),
  }),
  "metadata 1.0": (prng) => ({
    options: { ...SMALL, minor: 0 },
    alter: () => ({ resyncOffset: 0 }),
    alterBitmap: () => ({ set: randomChunks(prng, CHUNKS, 2) }),
  }),
  "a clustered mirror": (prng) => ({
    options: { ...SMALL, bitmap: "clustered" },
    alter: () => ({ resyncOffset: 0 }),
    alterBitmap: () => ({ set: randomChunks(prng, CHUNKS, 1) }),
  }),
  "a clustered mirror of three, one member under recovery, bits of two nodes": (prng) => ({
    options: { ...SMALL, bitmap: "clustered" },
    sizes: [3072, 3072, 3072],
    alter: (_, index) => ({ resyncOffset: 0, ...(index === 1 ? CLUSTERED_GUIDED : {}) }),
    alterBitmap: (_, slot) => ({ set: slot < 2 ? randomChunks(prng, CHUNKS, 2) : [] }),
  }),
  "clustered raid10 with near copies": (prng) => ({
    options: { size: 2048, level: 10, layout: 0x102, chunkSectors: 128, bitmap: "clustered" },
    sizes: [4096, 4096, 4096],
    alter: () => ({ resyncOffset: 0 }),
    alterBitmap: () => ({ set: randomChunks(prng, 2 * CHUNKS, 1) }),
  }),
  "raid10 with near copies": (prng) => ({
    options: { size: 2048, level: 10, layout: 0x102, chunkSectors: 128 },
    sizes: [4096, 4096, 4096, 4096],
    alter: () => ({ resyncOffset: 0 }),
    alterBitmap: () => ({ set: randomChunks(prng, 2 * CHUNKS, 2) }),
  }),
  "raid10 with offset copies, one member lost": (prng) => {
    const set = randomChunks(prng, CHUNKS, 2);
    return {
      options: { size: 2048, level: 10, layout: 0x1_0201, chunkSectors: 128 },
      sizes: [4096, 4096, null],
      alterBitmap: () => ({ set }),
    };
  },
  "a bitmap that missed updates": () => ({
    options: SMALL,
    alterBitmap: () => ({ header: { events: 18 } }),
  }),
};

const CLUSTER = { nodes: 4, clusterName: "attic" };
const bitmap = (kind: "none" | "internal" | "clustered", chunkBytes: number | null = null) =>
  ({ type: "bitmap", bitmap: kind, chunkBytes, ...CLUSTER }) as const;

const CHANGES: Readonly<Record<string, ArrayChange>> = {
  "grow to all there is": { type: "size", sizeBytes: "max" },
  "grow a little": { type: "size", sizeBytes: 1280 * 1024 },
  "more raid devices": { type: "raid-devices", count: 5 },
  "fewer raid devices": { type: "raid-devices", count: 2 },
  "no bitmap": bitmap("none"),
  "an internal bitmap": bitmap("internal"),
  "a bitmap of small chunks": bitmap("internal", 4096),
  "a bitmap of large chunks": bitmap("internal", 1024 * 1024),
  "a clustered bitmap": bitmap("clustered"),
  "a clustered bitmap of small chunks": bitmap("clustered", 8192),
  "another name": { type: "name", name: "attic" },
  "another cluster": { type: "home-cluster", clusterName: "attic" },
  "more nodes": { type: "nodes", nodes: 6 },
  "fewer nodes": { type: "nodes", nodes: 2 },
  "another UUID": { type: "uuid", setUuid: NEW_UUID },
  "a resync": { type: "resync" },
  "no bad-block lists": { type: "bad-block-list", enabled: false },
  "bad-block lists": { type: "bad-block-list", enabled: true },
};

/** Calls of a plan: how often power can go. */
function callsOf({ phases }: ChangePlan): number {
  return phases.reduce(
    (sum, { ops }) => sum + [...ops.values()].reduce((calls, list) => calls + list.length, 0),
    0,
  );
}

const devicesOf = (media: readonly SimMedium[], turn?: () => Promise<void>) =>
  media.map((medium, id) => ({ id, ...openMedium(medium, id, turn) }));

/** Features of the bitmap, and of a recovery by it. */
const BITMAP_FEATURES = 0x101;
const GUIDED_FEATURE = 0x80;

/** What the change was to bring on each member. */
function outcomeOf(media: readonly SimMedium[], withBitmap: boolean): readonly string[] {
  return media.map((medium) => {
    const sb = superblockOn(medium);
    const words = [
      sb.featureMap & ~GUIDED_FEATURE & ~(withBitmap ? 0 : BITMAP_FEATURES),
      sb.setUuid[0],
      superblockName(sb),
      sb.size,
      sb.dataSize,
      sb.raidDisks,
      sb.bblogOffset,
      withBitmap ? sb.bitmapOffset : "",
      sb.devRoles.slice(0, 6),
    ];
    return words.join(" ");
  });
}

/**
 * True when power went while the array had no bitmap: nothing but a change of the bitmap brings it
 * back.
 */
function lostBitmap(torn: readonly SimMedium[], had: boolean): boolean {
  const [freshest] = torn.map(superblockOn).sort((a, b) => b.events - a.events);
  return had && freshest !== undefined && (freshest.featureMap & 1) === 0;
}

async function cutAt(
  media: readonly SimMedium[],
  plan: ChangePlan,
  calls: number,
  prng: Prng,
): Promise<readonly SimMedium[]> {
  const torn = copyMedia(media);
  const { turn, cut } = turnsUntilCut(calls, prng);
  const devices = devicesOf(torn, turn);
  const used = devices.filter(({ id }) => plan.phases.some(({ ops }) => ops.has(id)));
  await Promise.race([runChange(plan, used, () => true), cut]);
  for (const medium of torn) medium.crash(prng);
  return torn;
}

async function cutEverywhere(shape: BenchShape, change: ArrayChange, prng: Prng): Promise<number> {
  const media = makeMedia(shape);
  const { members, freshest } = await membersOf(media);
  const plan = planChange(members, change, { now: NOW, freshest });
  if (!plan.ok || plan.phases.length === 0) return 0;
  const before = await needsOf(media);
  const whole = copyMedia(media);
  await changeArray(devicesOf(whole), change, NOW);
  assertNothingLost(before, await needsOf(whole));
  const calls = callsOf(plan);
  for (let at = 0; at <= calls; at += 1 + prng.below(5)) {
    const torn = await cutAt(media, plan, at, prng);
    const verdict = await assembleMedia(torn);
    if (verdict.verdict === "start") assertNothingLost(before, await needsOf(torn));
    else assert.equal([verdict.code, change.type], ["RAID_MIXED_ARRAYS", "uuid"], verdict.message);
    const hadBitmap = before.start.bitmap.state !== "none";
    const withBitmap = change.type === "bitmap" || !lostBitmap(torn, hadBitmap);
    await changeArray(devicesOf(torn), change, NOW);
    assertNothingLost(before, await needsOf(torn));
    const [is, wanted] = [torn, whole].map((list) => outcomeOf(list, withBitmap));
    assert.equal(is, wanted, `cut after ${at} of ${calls} calls`);
  }
  return calls;
}

const test = suite("raid/change power cut");

for (const [shapeName, shape] of Object.entries(SHAPES)) {
  test(`power goes in every change of ${shapeName}`, async () => {
    let calls = 0;
    for (const [changeName, change] of Object.entries(CHANGES)) {
      await withSeeds({ fixed: [], more: 1 }, async (prng) => {
        try {
          calls += await cutEverywhere(shape(prng), change, prng);
        } catch (error) {
          if (error instanceof CodedError) throw new Error(`${changeName}: ${error.message}`);
          if (error instanceof Error) error.message += `\n    in: ${changeName}`;
          throw error;
        }
      });
    }
    assert.ok(calls > 20, `only ${calls} calls were cut`);
  });
}

test.run();
