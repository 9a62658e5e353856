/** An array that several nodes run is changed as a whole: the others rest meanwhile. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Superblock } from "../../../src/raid/superblock-fields.ts";
import { CHUNK_BYTES, ClusterBench } from "../../helpers/cluster-bench.ts";
import { withSeeds } from "../../helpers/seed.ts";

const test = suite("raid/cluster-change");

const page = (fill: number): Uint8Array => new Uint8Array(4096).fill(fill);

const grown = (superblock: Superblock): Superblock => ({ ...superblock, raidDisks: 3 });

const started = (): ClusterBench => {
  const bench = new ClusterBench({ nodes: 3, disks: 3, raidDisks: 2, spares: 1 });
  bench.finishSync();
  bench.cluster.log.length = 0;
  return bench;
};

const raidDisks = (bench: ClusterBench): number[] =>
  bench.nodes.filter(({ isDead }) => !isDead).map((node) => node.shared.map.raidSlots);

test("every node is at rest while the array is changed, and then runs it as it is", () => {
  const bench = started();
  assert.is(bench.change(0, grown), "ok");
  const told = bench.cluster.log.map((line) => line.split(" ").slice(0, 2).join(" "));
  assert.equal(told.slice(0, 3), ["0 bitmap-resize", "0 change-capacity", "0 metadata-updated"]);
  assert.equal(raidDisks(bench), [3, 3, 3]);
  bench.finishSync();
  for (const node of bench.nodes) {
    assert.is(node.memberState("/m2"), "in_sync");
    assert.is(node.isPaused, false);
  }
  assert.ok(bench.isEqual("/m0", "/m1", "/m2"));
});

test("nothing is written by the others between the rest and the update that ends it", () => {
  const bench = started();
  const ids: number[] = [];
  const node = bench.node(0);
  ids.push(node.command({ type: "begin-change", sectors: 1 }));
  bench.settle();
  assert.is(node.outcome(ids[0] ?? 0), "ok");
  const write = bench.node(1).write(0, page(1));
  bench.tick(60_000);
  bench.settle();
  assert.is(write.state, "parked");
  assert.ok(bench.node(1).machine.stopped);
  node.pause(() => node.startAnew("held"));
  bench.settle();
  assert.is(write.state, "acknowledged");
});

test("a resync that a change makes due is told of only when the others run again", async () => {
  await withSeeds({ fixed: [1, 2, 3], more: 20 }, (prng) => {
    const bench = new ClusterBench({ nodes: 3 }, prng);
    bench.finishSync();
    const id = bench.node(0).command({ type: "begin-change", sectors: 1 });
    bench.settle();
    assert.is(bench.node(0).outcome(id), "ok");
    bench.cluster.log.length = 0;
    bench.edit(0, (superblock, disk) => {
      const bits = (superblock.superOffset + superblock.bitmapOffset) * 512 + 256;
      disk.bytes[bits] = 0xff;
      return superblock;
    });
    bench.finishSync();
    const told = bench.cluster.log.map((line) => line.split(" ")[1]);
    assert.equal(told.slice(0, 2), ["change-capacity", "metadata-updated"]);
    assert.ok(told.includes("resyncing"), told.join());
    for (const node of bench.nodes) assert.is(node.isPaused, false);
  });
});

test("a node that cannot rest refuses: nothing is changed, and the others go on", () => {
  const bench = started();
  // Node 2 runs a check.
  bench.node(2).command({ type: "sync-action", action: "check" });
  for (let steps = 0; steps < 100 && bench.node(2).status.sync === null; steps++)
    if (!bench.step()) bench.tick(20);
  assert.is.not(bench.node(2).status.sync, null);
  const id = bench.node(0).command({ type: "begin-change", sectors: 1 });
  for (let steps = 0; steps < 1000 && bench.node(0).outcome(id) === "waiting"; steps++)
    assert.ok(bench.step());
  assert.is(bench.node(0).outcome(id), "CLUSTER_NODE_BUSY");
  bench.finishSync();
  assert.equal(raidDisks(bench), [2, 2, 2]);
  const writes = bench.nodes.map((node) => node.write(node.slot * CHUNK_BYTES, page(7)));
  bench.settle();
  assert.ok(writes.every(({ state }) => state === "acknowledged"));
  assert.is(bench.cluster.holder, null);
});

test("nothing else begins on a node that waits for the others to rest", () => {
  const bench = started();
  const node = bench.node(0);
  node.command({ type: "begin-change", sectors: 1 });
  const asked = node.command({ type: "sync-action", action: "check" });
  bench.settle();
  assert.is(node.outcome(asked), "RAID_ARRAY_CHANGING");
  assert.is(node.status.sync, null);
});

// Seed 1085 of the simulation: its write waited for the window, whose end waited for the change.
test("a node whose writes wait where another one resyncs refuses, too, and they go on", () => {
  const bench = started();
  bench.node(2).command({ type: "sync-action", action: "check" });
  const isHeld = (): boolean => bench.node(1).shared.isSuspended(0, 4096);
  for (let steps = 0; steps < 1000 && !isHeld(); steps++) if (!bench.step()) bench.tick(20);
  assert.ok(isHeld());
  const write = bench.node(1).write(0, page(9));
  assert.is(write.state, "parked");
  for (const [slot, nodes] of [
    [1, [2]],
    [2, [2]],
  ] as const) {
    const node = bench.node(slot);
    const refused = node.outcomes.get(node.command({ type: "begin-change", sectors: 1 }));
    assert.ok(refused?.ok === false && refused.code === "CLUSTER_NODE_BUSY");
    assert.match(refused.message, /cannot come to rest while .* runs a sync action$/);
    assert.equal(refused.nodes, nodes, "it tells whose sync action that is");
  }
  const notice = { type: "bitmap-resize", slot: 0, sectors: 1 } as const;
  bench.node(1).send({ type: "cluster-notice", id: 9999, notice });
  assert.is(bench.node(1).isPaused, false);
  bench.finishSync();
  assert.is(write.state, "acknowledged");
});

test("the node that changes the array dies: the others start from what they find", () => {
  const bench = started();
  const node = bench.node(0);
  node.command({ type: "begin-change", sectors: 1 });
  bench.settle();
  const write = bench.node(2).write(CHUNK_BYTES, page(3));
  node.die();
  bench.finishSync();
  assert.is(write.state, "acknowledged");
  for (const slot of [1, 2]) assert.is(bench.node(slot).isPaused, false);
});

test("what a resting node had asked is answered before it starts anew", async () => {
  await withSeeds({ fixed: [1, 2, 3], more: 20 }, (prng) => {
    const bench = new ClusterBench({ nodes: 3 }, prng);
    bench.finishSync();
    const writes = bench.nodes.map((node) => node.write(node.slot * CHUNK_BYTES, page(7)));
    const id = bench.node(0).command({ type: "begin-change", sectors: 1 });
    for (let steps = prng.below(30); steps > 0; steps--) bench.step();
    for (const slot of [0, 1, 2]) bench.disk("/m1").failsWrites.add(slot);
    bench.settle();
    const [changer] = bench.nodes;
    if (changer?.outcome(id) === "ok") changer.pause(() => changer.startAnew("held"));
    bench.finishSync();
    assert.ok(writes.every(({ state }) => state === "acknowledged"));
    for (const node of bench.nodes) assert.is(node.isPaused, false);
  });
});

for (let before = 0; before < 12; before++) {
  test(`a failure ${before} steps after the question is recorded when the others rest, or with them`, () => {
    const bench = started();
    const node = bench.node(0);
    node.command({ type: "begin-change", sectors: 1 });
    for (let at = 0; at < before; at++) bench.step();
    bench.disk("/m1").failsWrites.add(0);
    const write = node.write(CHUNK_BYTES, page(3));
    const knows = (slot: number): boolean =>
      bench.node(slot).machine.stopped || bench.node(slot).memberState("/m1") === "faulty";
    while (bench.step()) if (write.state === "acknowledged") assert.ok(knows(1) && knows(2));
  });
}

const leave = { type: "begin-change", sectors: 1, isLeaving: true } as const;

test('§6.10 "no other nodes are using the raid": an array that another node runs leaves no cluster', () => {
  const bench = started();
  assert.is(bench.run(0, leave), "CLUSTER_BITMAP_IN_USE");
  assert.is(bench.cluster.holder, null, "the right to write superblocks is free again");
  assert.equal(bench.cluster.log, [], "nobody was asked to rest");
  const writes = bench.nodes.map((node) => node.write(node.slot * CHUNK_BYTES, page(7)));
  bench.settle();
  assert.ok(writes.every(({ state }) => state === "acknowledged"));
  assert.is(bench.change(0, grown), "ok", "it can still be changed in its cluster");
});

test("a node alone stops with the right to write superblocks: the array may leave the cluster", () => {
  const bench = started();
  for (const slot of [1, 2]) bench.run(slot, { type: "stop" });
  bench.finishSync();
  const node = bench.node(0);
  const before = node.write(0, page(1));
  bench.settle();
  assert.is(bench.run(0, leave), "ok");
  assert.is(bench.cluster.holder, 0);
  assert.is(before.state, "acknowledged");
  let isAtRest = false;
  node.pause(() => {
    isAtRest = true;
  });
  const later = node.write(CHUNK_BYTES, page(2));
  bench.settle();
  assert.ok(isAtRest);
  assert.ok(node.machine.stopped);
  assert.is(later.state, "parked", "clients are held until it runs again");
});

test("a node with a sync action refuses to leave", () => {
  const bench = started();
  for (const slot of [1, 2]) bench.run(slot, { type: "stop" });
  bench.node(0).command({ type: "sync-action", action: "check" });
  for (let steps = 0; steps < 100 && bench.node(0).status.sync === null; steps++)
    if (!bench.step()) bench.tick(20);
  const id = bench.node(0).command(leave);
  assert.is(bench.node(0).outcome(id), "CLUSTER_NODE_BUSY");
});

test("writes of every node go on around a change, in any order of what is under way", async () => {
  await withSeeds({ fixed: [1, 2, 3], more: 40 }, (prng) => {
    const options = { nodes: 3, disks: 3, raidDisks: 2, spares: 1 };
    const bench = new ClusterBench(options, prng);
    bench.finishSync();
    const writes: ReturnType<ClusterBench["nodes"][number]["write"]>[] = [];
    const load = (rounds: number): void => {
      for (let round = 0; round < rounds; round++) {
        const slot = prng.below(3);
        const at = (slot * 8 + prng.below(8)) * CHUNK_BYTES;
        if (prng.chance(1, 3)) writes.push(bench.node(slot).write(at, page(1 + prng.below(200))));
        bench.step();
      }
    };
    load(30);
    const id = bench.node(0).command({ type: "begin-change", sectors: 1 });
    load(60);
    bench.settle();
    const outcome = bench.node(0).outcome(id);
    if (outcome === "ok") {
      load(10);
      bench.edit(0, grown);
      load(30);
    } else assert.is(outcome, "CLUSTER_NODE_BUSY");
    bench.finishSync();
    assert.equal([...new Set(writes.map(({ state }) => state))], ["acknowledged"]);
    assert.equal(raidDisks(bench), outcome === "ok" ? [3, 3, 3] : [2, 2, 2]);
    assert.ok(bench.isEqual("/m0", "/m1"));
  });
});

test.run();
