/** §1: each node writes the bitmap of its own slot, and starts by what it finds there. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { refusalToRun } from "../../../src/raid/assembly-runnable.ts";
import type { AssemblyStart } from "../../../src/raid/assembly-types.ts";
import { BIT_DURABLE } from "../../../src/raid/shared-state.ts";
import { ClusterBench } from "../../helpers/cluster-bench.ts";
import { Story } from "../../helpers/cluster-story.ts";
import { inSync, rebuilding } from "../../helpers/machine-bench.ts";
import { sampleBitmap, sampleSuperblock } from "../../helpers/md-samples.ts";
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

test.run();
