/** What each change writes, and what it refuses. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { SimMedium } from "../../../src/hal/sim/crash-device.ts";
import type { ArrayChange } from "../../../src/raid/array-change.ts";
import {
  bitmapChunks,
  bitmapClusterName,
  decodeBitmapSuperblock,
} from "../../../src/raid/bitmap-superblock.ts";
import { changeArray } from "../../../src/raid/change-array-driver.ts";
import { planChange } from "../../../src/raid/change-plan.ts";
import type { ChangePlanned } from "../../../src/raid/change-types.ts";
import { superblockName } from "../../../src/raid/superblock.ts";
import {
  assembleMedia,
  type BenchShape,
  makeMedia,
  membersOf,
  NEW_UUID,
  NOW,
  openMedium,
  SECTOR,
  superblockOn,
} from "../../helpers/change-bench.ts";

const SMALL = { size: 2048 };
const CLUSTERED: BenchShape = { options: { ...SMALL, bitmap: "clustered" } };
const TEN: BenchShape = {
  options: { size: 2048, level: 10, layout: 0x102, chunkSectors: 128 },
  sizes: [4096, 4096, 4096],
};

const bitmap = (
  kind: "none" | "internal" | "clustered",
  over: { chunkBytes?: number | null; nodes?: number; clusterName?: string } = {},
): ArrayChange => ({
  type: "bitmap",
  bitmap: kind,
  chunkBytes: null,
  nodes: 4,
  clusterName: "attic",
  ...over,
});

async function plan(media: readonly SimMedium[], change: ArrayChange): Promise<ChangePlanned> {
  const { members, freshest } = await membersOf(media);
  return planChange(members, change, { now: NOW, freshest });
}

async function refusal(shape: BenchShape, change: ArrayChange): Promise<string> {
  const planned = await plan(makeMedia(shape), change);
  return planned.ok ? `planned ${planned.phases.length} phases` : planned.code;
}

async function make(shape: BenchShape, change: ArrayChange): Promise<readonly SimMedium[]> {
  const media = makeMedia(shape);
  await changeArray(
    media.map((medium, index) => openMedium(medium, index)),
    change,
    NOW,
  );
  return media;
}

/** Header and set bits of each slot of the first medium. */
function bitmapOn(media: readonly SimMedium[], index = 0) {
  const medium = media[index] ?? media[0];
  if (medium === undefined) throw new Error("no medium");
  const sb = superblockOn(medium);
  const at = (sb.superOffset + sb.bitmapOffset) * SECTOR;
  const head = decodeBitmapSuperblock(medium.durable.subarray(at, at + 256), sb.setUuid);
  if (!head.ok) throw new Error(head.reason);
  const { value } = head;
  const chunks = bitmapChunks(value.syncSize, value.chunkBytes);
  const slots = Array.from({ length: Math.max(value.nodes, 1) }, (_, slot) => {
    const bits = medium.durable.subarray(at + slot * 4096 + 256, at + (slot + 1) * 4096);
    return Array.from({ length: chunks }, (_, chunk) => chunk).filter(
      (chunk) => ((bits[chunk >> 3] ?? 0) & (1 << (chunk & 7))) !== 0,
    );
  });
  return { ...value, slots };
}

const first = (media: readonly SimMedium[]) => superblockOn(media[0] as SimMedium);

const test = suite("raid/change plan");

test("a mirror grows to what its smallest member has, and resyncs what is new", async () => {
  const media = await make(
    { options: SMALL, sizes: [3072, 3073.5], alterBitmap: () => ({ set: [3] }) },
    { type: "size", sizeBytes: "max" },
  );
  const { size, dataSize, resyncOffset, events } = first(media);
  assert.equal(
    { size, dataSize, resyncOffset },
    { size: 4096, dataSize: 4096, resyncOffset: 2048 },
  );
  assert.is(events, 21);
  const { slots, syncSize, chunkBytes } = bitmapOn(media);
  assert.equal([syncSize, chunkBytes], [4096, 64 * 1024]);
  assert.equal(slots, [[3, ...Array.from({ length: 16 }, (_, n) => 16 + n)]]);
});

test("a size is taken to the KiB, and what is asked for again is not done again", async () => {
  const change: ArrayChange = { type: "size", sizeBytes: 1500 * 1024 + 100 };
  const media = await make({ options: SMALL }, change);
  assert.is(first(media).size, 3000);
  const again = await plan(media, change);
  assert.ok(again.ok && again.phases.length === 0);
});

test("a checkpoint before the old end stays when the array grows", async () => {
  const shape: BenchShape = { options: SMALL, alter: () => ({ resyncOffset: 512 }) };
  assert.is(first(await make(shape, { type: "size", sizeBytes: "max" })).resyncOffset, 512);
});

test("bits that would outgrow their sectors get larger chunks, as the kernel does it", async () => {
  const media = await make(
    {
      options: { size: 1024, bitmapChunkBytes: 4096 },
      sizes: [20480, 20480],
      alterBitmap: () => ({ set: [0, 127] }),
    },
    { type: "size", sizeBytes: "max" },
  );
  const { slots, chunkBytes, sectorsReserved } = bitmapOn(media);
  assert.equal([chunkBytes, sectorsReserved], [16384, 1]);
  const [bits = []] = slots;
  assert.equal([bits[0], bits[1], bits[2], bits.length], [0, 31, 32, 1216 - 31 + 1]);
});

test("members without room, and smaller sizes, are refused", async () => {
  const grow = (sizeBytes: number): ArrayChange => ({ type: "size", sizeBytes });
  assert.is(await refusal({ options: SMALL }, grow(4 * 1024 * 1024)), "RAID_MEMBER_TOO_SMALL");
  assert.is(await refusal({ options: SMALL }, grow(512 * 1024)), "RAID_SHRINK_REFUSED");
  assert.is(await refusal({ options: SMALL }, grow(1024 * 1024)), "planned 0 phases");
});

test("raid10 grows to whole chunks, unless its copies are far", async () => {
  const near = await make(TEN, { type: "size", sizeBytes: 1300 * 1024 });
  assert.is(first(near).size, 2560);
  assert.is(bitmapOn(near).syncSize, 3840);
  const far = { ...TEN, options: { ...TEN.options, layout: 0x201 } };
  assert.is(await refusal(far, { type: "size", sizeBytes: "max" }), "RAID_CHANGE_UNSUPPORTED");
});

test("metadata 1.0 grows up to its bitmap", async () => {
  const shape: BenchShape = { options: { ...SMALL, minor: 0 } };
  const media = await make(shape, { type: "size", sizeBytes: "max" });
  const sb = first(media);
  assert.is(sb.size, sb.superOffset - 16);
  assert.is((await assembleMedia(media)).verdict, "start");
});

test("a mirror gets more raid slots, empty ones", async () => {
  const media = await make({ options: SMALL }, { type: "raid-devices", count: 4 });
  assert.is(first(media).raidDisks, 4);
  const verdict = await assembleMedia(media);
  assert.ok(verdict.verdict === "start" && verdict.missingSlots.join() === "2,3");
});

test("empty raid slots go, members close up", async () => {
  const shape: BenchShape = { options: SMALL, sizes: [null, 3072, 3072] };
  const media = await make(shape, { type: "raid-devices", count: 2 });
  assert.equal([...first(media).devRoles.slice(0, 4)], [0xffff, 0, 1, 0xffff]);
  const verdict = await assembleMedia(media);
  assert.ok(verdict.verdict === "start" && verdict.missingSlots.length === 0);
});

test("raid slots with members in them stay", async () => {
  const three: BenchShape = { options: SMALL, sizes: [3072, 3072, 3072] };
  assert.is(await refusal(three, { type: "raid-devices", count: 2 }), "RAID_SLOTS_IN_USE");
  assert.is(await refusal({}, { type: "raid-devices", count: 99 }), "RAID_BAD_MEMBER_COUNT");
  assert.is(await refusal(TEN, { type: "raid-devices", count: 4 }), "RAID_CHANGE_UNSUPPORTED");
});

test("a bitmap that starts from nothing has every bit set", async () => {
  const media = await make({ options: { ...SMALL, bitmap: "none" } }, bitmap("internal"));
  const { slots, events, eventsCleared, chunkBytes } = bitmapOn(media);
  assert.equal(slots, [[0]]);
  assert.equal([events, eventsCleared, chunkBytes], [21, 20, 64 * 1024 * 1024]);
  assert.is(first(media).featureMap, 1);
});

test("bits go over into another chunk, none is lost", async () => {
  const media = await make(
    { options: SMALL, alterBitmap: (index) => ({ set: index === 0 ? [0, 5] : [6] }) },
    bitmap("internal", { chunkBytes: 128 * 1024 }),
  );
  for (const index of [0, 1]) assert.equal(bitmapOn(media, index).slots, [[0, 2, 3]]);
  assert.is(bitmapOn(media).eventsCleared, 10);
});

test("the first slot of a clustered bitmap takes over from an internal one, and back", async () => {
  const shape: BenchShape = {
    options: SMALL,
    alter: () => ({ bblogSize: 0, bblogOffset: 0 }),
    alterBitmap: () => ({ set: [7] }),
  };
  const media = await make(shape, bitmap("clustered", { nodes: 3 }));
  const { slots, version, nodes } = bitmapOn(media);
  assert.equal([slots, version, nodes], [[[7], [], []], 5, 3]);
  assert.is(bitmapClusterName(bitmapOn(media)), "attic");
  assert.is(first(media).featureMap, 0x101);
  const back = await make(
    { ...CLUSTERED, alterBitmap: (_, slot) => ({ set: [slot] }) },
    bitmap("internal"),
  );
  assert.equal([bitmapOn(back).slots, bitmapOn(back).version], [[[0, 1, 2, 3]], 4]);
  assert.is(first(back).featureMap, 1);
});

test("what a bitmap knew goes to resync_offset when it goes", async () => {
  const without = async (resyncOffset: number | "none", set: readonly number[]) => {
    const shape = { options: SMALL, alter: () => ({ resyncOffset }), alterBitmap: () => ({ set }) };
    return first(await make(shape, bitmap("none"))).resyncOffset;
  };
  assert.is(await without("none", [3]), "none");
  assert.is(await without(0, [3]), 0);
  assert.is(await without(0, []), "none");
  assert.is(await without(1024, [3]), 384);
  assert.is(await without(256, [9]), 256);
});

test("a stale bitmap is replaced by one with every bit set, and all is resynced", async () => {
  const shape: BenchShape = { options: SMALL, alterBitmap: () => ({ header: { events: 18 } }) };
  const chunkBytes = 128 * 1024;
  const media = await make(shape, bitmap("internal", { chunkBytes }));
  assert.equal([bitmapOn(media).slots[0]?.length, first(media).resyncOffset], [8, 0]);
  assert.is(await refusal(shape, { type: "name", name: "x" }), "RAID_BITMAP_UNUSABLE");
});

test("bitmaps that do not fit are refused", async () => {
  const tiny = bitmap("internal", { chunkBytes: 4096 });
  const large: BenchShape = { options: { bitmap: "none" }, sizes: [300 * 1024, 300 * 1024] };
  assert.is(await refusal(large, tiny), "RAID_BAD_BITMAP_CHUNK");
  assert.is(await refusal({}, bitmap("internal", { chunkBytes: 5000 })), "RAID_BAD_BITMAP_CHUNK");
  assert.is(await refusal({}, bitmap("internal", { chunkBytes: 2048 })), "RAID_BAD_BITMAP_CHUNK");
});

test("clustered arrays have metadata 1.2, near copies, no bad-block lists, 2 to 64 nodes", async () => {
  const noList = () => ({ bblogSize: 0, bblogOffset: 0 });
  const far = { ...TEN.options, layout: 0x201 };
  const shapes: readonly BenchShape[] = [
    { options: SMALL },
    { options: { ...SMALL, minor: 1 }, alter: noList },
    { ...TEN, options: far, alter: noList },
  ];
  for (const shape of shapes) {
    assert.is(await refusal(shape, bitmap("clustered")), "RAID_BAD_CLUSTER");
  }
  const clean: BenchShape = { options: SMALL, alter: noList };
  const replacing: BenchShape = {
    ...clean,
    alter: (_, index) => ({ ...noList(), ...(index === 1 ? { featureMap: 0x13 } : {}) }),
  };
  assert.is(await refusal(replacing, bitmap("clustered")), "RAID_BAD_CLUSTER");
  for (const over of [{ nodes: 1 }, { nodes: 65 }, { clusterName: "" }]) {
    assert.is(await refusal(clean, bitmap("clustered", over)), "RAID_BAD_CLUSTER");
  }
  assert.is(await refusal({}, { type: "nodes", nodes: 3 }), "RAID_BAD_CLUSTER");
  assert.is(await refusal({}, { type: "home-cluster", clusterName: "x" }), "RAID_BAD_CLUSTER");
  assert.is(
    await refusal(CLUSTERED, { type: "bad-block-list", enabled: true }),
    "RAID_BAD_CLUSTER",
  );
});

test("nodes come and go; who goes leaves its bits to the first slot", async () => {
  const shape: BenchShape = { ...CLUSTERED, alterBitmap: (_, slot) => ({ set: [slot] }) };
  const fewer = await make(shape, { type: "nodes", nodes: 2 });
  assert.equal(bitmapOn(fewer).slots, [[0, 1, 2, 3], [1]]);
  const more = await make(shape, { type: "nodes", nodes: 6 });
  assert.equal(bitmapOn(more).slots, [[0], [1], [2], [3], [], []]);
  const cluster = await make(shape, { type: "home-cluster", clusterName: "cellar" });
  assert.is(bitmapClusterName(bitmapOn(cluster)), "cellar");
});

test("a new name stays behind its host", async () => {
  const media = await make({ options: SMALL }, { type: "name", name: "attic" });
  assert.is(superblockName(first(media)), "lab:attic");
  assert.is(await refusal({}, { type: "name", name: "x".repeat(32) }), "RAID_BAD_NAME");
});

test("a new UUID is in superblock and bitmap", async () => {
  const media = await make({ options: SMALL }, { type: "uuid", setUuid: NEW_UUID });
  assert.equal(first(media).setUuid, NEW_UUID);
  assert.equal(bitmapOn(media).uuid, NEW_UUID);
});

test("a resync is asked for in superblock and bitmap", async () => {
  const media = await make({ options: SMALL }, { type: "resync" });
  assert.is(first(media).resyncOffset, 0);
  assert.is(bitmapOn(media).slots[0]?.length, 16);
});

test("bad-block lists come where mdadm puts them, and go unless they have entries", async () => {
  const none = (minor: 0 | 1 | 2): BenchShape => ({
    options: { ...SMALL, minor },
    alter: () => ({ bblogSize: 0, bblogOffset: 0 }),
  });
  for (const [minor, offset] of [
    [2, 80],
    [1, 72],
    [0, -8],
  ] as const) {
    const media = await make(none(minor), { type: "bad-block-list", enabled: true });
    assert.equal([first(media).bblogSize, first(media).bblogOffset], [8, offset]);
  }
  const off: ArrayChange = { type: "bad-block-list", enabled: false };
  assert.is(first(await make({}, off)).bblogSize, 0);
  const bad: BenchShape = { alter: (_, index) => (index === 0 ? { featureMap: 0x9 } : {}) };
  assert.is(await refusal(bad, off), "RAID_BAD_BLOCKS_RECORDED");
  const forced = await make(bad, { ...off, force: true });
  assert.equal([first(forced).featureMap, first(forced).recoveryOffset], [0x3, 0]);
  const all: BenchShape = { alter: () => ({ featureMap: 0x9 }) };
  assert.is(await refusal(all, { ...off, force: true }), "RAID_BAD_BLOCKS_RECORDED");
});

test("no change touches the content", async () => {
  const changes: readonly ArrayChange[] = [
    { type: "size", sizeBytes: "max" },
    bitmap("none"),
    bitmap("internal", { chunkBytes: 4096 }),
    bitmap("clustered", { chunkBytes: 4096, nodes: 64 }),
    { type: "nodes", nodes: 64 },
    { type: "bad-block-list", enabled: true },
    { type: "uuid", setUuid: NEW_UUID },
  ];
  const shapes = [CLUSTERED, { options: SMALL }, { options: { ...SMALL, minor: 0 as const } }];
  let writes = 0;
  for (const shape of shapes) {
    for (const change of changes) {
      const media = makeMedia(shape);
      const planned = await plan(media, change);
      if (!planned.ok) continue;
      for (const [id, op] of planned.phases.flatMap(({ ops }) =>
        [...ops].flatMap(([id, list]) => list.map((op) => [id, op] as const)),
      )) {
        if (op.type === "flush") continue;
        writes++;
        const { dataOffset, dataSize } = superblockOn(media[id] as SimMedium);
        const [lo, hi] = [dataOffset * SECTOR, (dataOffset + dataSize) * SECTOR];
        assert.ok(op.offset + op.data.length <= lo || op.offset >= hi, `${op.offset}`);
      }
    }
  }
  assert.ok(writes > 50, `${writes} writes`);
});

test.run();
