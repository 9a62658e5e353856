/** §1: each node writes the bitmap of its own slot, and starts by what it finds there. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { refusalToRun } from "../../../src/raid/assembly-runnable.ts";
import type { AssemblyStart } from "../../../src/raid/assembly-types.ts";
import { BIT_DURABLE } from "../../../src/raid/shared-state.ts";
import { CHUNK_BYTES, ClusterBench } from "../../helpers/cluster-bench.ts";
import { Story } from "../../helpers/cluster-story.ts";
import { inSync, rebuilding } from "../../helpers/machine-bench.ts";
import { roles, sampleBitmap, sampleSuperblock } from "../../helpers/md-samples.ts";
import { NodeBench } from "../../helpers/node-bench.ts";

const BITMAP_AT = 16 * 512;

const test = suite("raid/cluster bitmaps");

test('§1 "Separate write-intent-bitmaps are used for each cluster node"', () => {
  const story = new Story(new ClusterBench({ nodes: 3 }));
  const { bench } = story;
  story.rest();
  for (const slot of [0, 1, 2]) story.write(bench.node(slot), 4 + slot);
  story.settle();
  for (const path of ["/m0", "/m1"])
    assert.equal(
      [0, 1, 2, 3].map((slot) => bench.bits(path, slot)),
      [[4], [5], [6], []],
    );
});

test('§1 "bm super[0] + bits" at 8k, "bm super[1] + bits" behind it, and so on', () => {
  const bench = new ClusterBench({ nodes: 0, bits: { 0: [1], 2: [9] } });
  const { bytes } = bench.disk("/m0");
  for (let slot = 0; slot < 4; slot++) {
    const at = 8192 + slot * bench.areaBytes;
    assert.is(Buffer.from(bytes.subarray(at, at + 4)).toString("latin1"), "bitm");
  }
  const [first, second] = [8192 + 256, 8192 + 2 * bench.areaBytes + 256 + 1];
  assert.equal([bytes[first], bytes[second]], [1 << 1, 1 << 1]);
  const node = bench.join(2);
  assert.is(node.status.bitmap.dirtyChunks, 1, "and a node finds its own there");
});

test('§1 "The bitmaps record all writes that may have been started … and may not yet have finished"', () => {
  const story = new Story(new ClusterBench({ nodes: 2 }));
  const { bench } = story;
  story.rest();
  const write = story.write(bench.node(1), 6);
  for (let steps = 0; steps < 1000 && write.state !== "acknowledged"; steps++) {
    const isStarted = ["/m0", "/m1"].some((path) => bench.content(path)[6 * CHUNK_BYTES] !== 0);
    if (isStarted) for (const path of ["/m0", "/m1"]) assert.equal(bench.bits(path, 1), [6]);
    story.step();
  }
  assert.is(write.state, "acknowledged");
});

test('§1 "commit the write to all mirrors"; "Reads are just handled normally"', () => {
  const story = new Story(new ClusterBench({ nodes: 2, disks: 3 }));
  const { bench } = story;
  story.rest();
  const write = story.write(bench.node(1), 6);
  while (write.state !== "acknowledged") story.step();
  story.checkEnd("/m0", "/m1", "/m2");
  const [value = 0] = bench.content("/m0").subarray(6 * CHUNK_BYTES);
  for (const node of bench.nodes)
    assert.equal(story.read(node, 6), [value, value, value], "from any of them");
});

test('§6.6 "the caller will avoid writing or read-balancing in that range"', () => {
  const story = new Story(new ClusterBench({ nodes: 2 }));
  const { bench } = story;
  story.rest();
  const node = bench.node(1);
  const sectors = CHUNK_BYTES / 512;
  const range = { type: "resyncing", slot: 0, lo: 4 * sectors, hi: 6 * sectors } as const;
  node.send({ type: "cluster-notice", id: 1000, notice: range });
  const writes = [3, 4, 5, 6].map((chunk) => story.write(node, chunk));
  story.settle();
  assert.equal(
    writes.map(({ state }) => state),
    ["acknowledged", "parked", "parked", "acknowledged"],
  );
  assert.equal(
    [3, 4, 5, 6].map((chunk) => story.read(node, chunk).length),
    [2, 1, 1, 2],
  );
  node.send({ type: "cluster-notice", id: 1001, notice: { ...range, lo: 0, hi: 0 } });
  story.settle();
  assert.equal(
    writes.map(({ state }) => state),
    writes.map(() => "acknowledged"),
  );
});

test("§1 a node writes nothing into the slots of others", () => {
  const story = new Story(new ClusterBench({ nodes: 2, bits: { 3: [7] } }));
  const { bench } = story;
  for (let chunk = 0; chunk < 8; chunk++) {
    story.write(bench.node(0), chunk, 0);
    story.write(bench.node(1), chunk, 1);
  }
  story.rest();
  story.idle(40);
  for (const { node, offset } of bench.disk("/m0").writes) {
    const slot = Math.floor((offset - BITMAP_AT) / bench.areaBytes);
    if (slot >= 0 && slot < bench.slots) assert.is(slot, node);
  }
  assert.equal(bench.bits("/m0", 3), [7]);
});

test('§1 "set the appropriate bit (if not already set)": on every mirror, before the data', () => {
  const bench = new NodeBench({ slot: 1 });
  bench.rest();
  bench.takeLog();
  bench.send({ type: "intent", worker: 0, ranges: [[3, 3]] });
  assert.equal(bench.takeLog("bitmap"), [
    "0 bitmap slot 1 e20 c20 bits 3",
    "1 bitmap slot 1 e20 c20 bits 3",
  ]);
  bench.finishIo(null, 0);
  assert.is(bench.toldOf("intent-ready").length, 0, "one mirror does not have it yet");
  bench.finishIo(null, 1);
  assert.is(bench.toldOf("intent-ready").length, 1);
  bench.send({ type: "intent", worker: 1, ranges: [[3, 3]] });
  bench.settle();
  assert.is(bench.shared.bit(3), BIT_DURABLE);
});

test('§1 "schedule the bit to be cleared after a timeout"', () => {
  const bench = new NodeBench({ slot: 1 });
  bench.rest();
  bench.write(3);
  bench.takeLog();
  for (let seconds = 0; seconds < 30; seconds++) {
    bench.tick(1000);
    bench.settle();
  }
  const log = bench.takeLog("0");
  assert.is(log[0], "0 flush", "the data is durable first");
  assert.equal(log.filter((line) => line.includes("bitmap")).slice(-1), [
    "0 bitmap slot 1 e20 c20 bits ",
  ]);
});

test("a node keeps its bits when another one has recorded the failure", () => {
  const story = new Story(new ClusterBench({ nodes: 2 }));
  const { bench } = story;
  story.rest();
  story.write(bench.node(1), 5);
  story.settle();
  bench.node(0).command({ type: "fail", path: "/m1", reason: "test" });
  story.settle();
  story.idle(60);
  assert.is(bench.node(1).memberState("/m1"), "faulty");
  assert.equal(bench.bits("/m0", 1), [5]);
});

// --- start ---------------------------------------------------------------------------------------

test("a node starts by the bits of its own slot: they are resynced", () => {
  const bench = new ClusterBench({ nodes: 0, bits: { 0: [3], 1: [5] } });
  const node = bench.join(1);
  assert.equal(
    [node.status.bitmap.dirtyChunks, node.shared.syncedMib, node.shared.balances],
    [1, 0, false],
  );
  bench.finishSync();
  assert.is(node.status.health, "optimal");
});

test("events of the header are those of the node's own slot", () => {
  const bench = new NodeBench({ slot: 2, events: 20, eventsCleared: 7 });
  bench.rest();
  bench.write(1);
  assert.equal(bench.takeLog("0", "slot 2"), ["0 bitmap slot 2 e20 c7 bits 1"]);
});

test("a clean array becomes dirty BEFORE the first write: no node could tell otherwise", () => {
  const bench = new NodeBench({ resyncOffset: "none" });
  bench.tick(20);
  assert.ok(bench.calls.includes("metadata-update-start"));
  assert.is(bench.shared.clean, true, "writes ask first");
  bench.rest();
  assert.is(bench.shared.clean, false);
  assert.is(bench.superblocks.get(0)?.resyncOffset, 0);
  for (let seconds = 0; seconds < 10; seconds++) bench.tick(1000);
  assert.is(bench.shared.clean, false, "and it never goes clean again");
});

test("bits of one copy alone count: another node may be rebuilding a second one", () => {
  const placements = [inSync(0), rebuilding(1)];
  const bench = new NodeBench({ placements, dirty: [2] });
  bench.rest();
  assert.is(bench.status.degraded, 0);
  const actions = bench.detailsOf("sync.finished").map(({ action }) => action);
  assert.equal(actions, ["recover", "resync"]);
});

test("§6.1 \"Only the first 'nodes' nodes in the cluster can use the array\"", () => {
  const bitmap = sampleBitmap({ version: 5, nodes: 4 });
  const freshest = sampleSuperblock({ featureMap: 0x101 });
  const start = {
    shape: { freshest },
    bitmap: { state: "usable", superblock: bitmap, source: 0 },
  } as unknown as AssemblyStart;
  const cluster = new TextDecoder().decode(bitmap.clusterName).replace(/\0.*$/s, "");
  const refusal = (slot: number): string | null =>
    refusalToRun(start, { readOnly: false, cluster, slot })?.code ?? null;
  assert.equal([refusal(0), refusal(3), refusal(4)], [null, null, "CLUSTER_NO_SLOT"]);
});

test("a node does not join others without a member that may know more than those it can read", () => {
  const bitmap = sampleBitmap({ version: 5, nodes: 4 });
  const cluster = new TextDecoder().decode(bitmap.clusterName).replace(/\0.*$/s, "");
  const freshest = sampleSuperblock({ featureMap: 0x101, devRoles: roles(0, 1) });
  const refusal = (complete: boolean, isRunElsewhere: boolean): string | null => {
    const start = {
      shape: { freshest },
      bitmap: { state: "usable", superblock: bitmap, source: 0 },
      missingSlots: [1],
      complete,
    } as unknown as AssemblyStart;
    return refusalToRun(start, { readOnly: false, cluster, slot: 0, isRunElsewhere })?.code ?? null;
  };
  assert.equal(
    [refusal(false, true), refusal(false, false), refusal(true, true)],
    ["CLUSTER_MEMBER_MISSING", null, null],
  );
});

test("a node that joined does not start an array that has left the cluster meanwhile", () => {
  const freshest = sampleSuperblock({});
  const internal = { state: "usable", superblock: sampleBitmap({}), source: 0 };
  for (const bitmap of [internal, { state: "none" }]) {
    const start = { shape: { freshest }, bitmap } as unknown as AssemblyStart;
    const refusal = (slot?: number): string | null =>
      refusalToRun(start, {
        readOnly: false,
        cluster: "attic",
        ...(slot === undefined ? {} : { slot }),
      })?.code ?? null;
    assert.equal([refusal(), refusal(0)], [null, "RAID_CLUSTERED_ARRAY"]);
  }
});

test.run();
