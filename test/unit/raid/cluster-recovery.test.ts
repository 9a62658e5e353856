/**
 * Nodes on shared disks with real bytes: what one has under way when it dies or stops is resynced
 * by another, whatever dies next, and a member that returns has what any node wrote meanwhile.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Prng } from "../../../src/common/prng.ts";
import { CHUNK_BYTES, ClusterBench } from "../../helpers/cluster-bench.ts";
import { Story } from "../../helpers/cluster-story.ts";
import { withSeeds } from "../../helpers/seed.ts";

const test = suite("raid/cluster-recovery");

test("§4.1 the writes that a dead node had under way are resynced by another one", () => {
  const story = Story.rested();
  story.dieInWrite(0, 5);
  story.rest();
  story.checkEnd("/m0", "/m1");
  assert.equal(story.bench.bits("/m0", 0), [], "cleared in the slot of the dead node");
  story.idle(30);
  assert.equal(story.bench.bits("/m0", 1), [], "and in that of the one who resynced");
});

test("§6.6 until that is over every node reads one and the same copy", () => {
  const story = Story.rested({ nodes: 3 });
  story.dieInWrite(0, 5);
  const [node1, node2] = [story.bench.node(1), story.bench.node(2)];
  story.step();
  story.step();
  const seen = new Set<string>();
  for (let steps = 0; steps < 1000; steps++) {
    const isOver = node1.shared.balances && node2.shared.balances;
    if (isOver) break;
    if (!node1.shared.balances && !node2.shared.balances)
      for (const node of [node1, node2]) seen.add(story.read(node, 5).join());
    if (!story.step()) story.bench.tick(20);
  }
  assert.is(seen.size, 1, `reads saw ${[...seen].join(" and ")}`);
  assert.ok(node1.shared.balances && node2.shared.balances);
  story.checkEnd("/m0", "/m1");
});

for (let steps = 0; steps < 40; steps++) {
  test(`a recoverer that dies after ${steps} steps loses nothing: the next one takes over both`, () => {
    const story = Story.rested({ nodes: 3 });
    story.write(story.bench.node(1), 9, 1);
    story.settle();
    story.dieInWrite(0, 5);
    for (let at = 0; at < steps; at++) if (!story.step()) story.bench.tick(20);
    story.bench.node(1).die();
    story.rest();
    story.checkEnd("/m0", "/m1");
    assert.equal([story.bench.bits("/m0", 0), story.bench.bits("/m1", 1)], [[], []]);
  });
}

test("all nodes die: the next one finds every node's bits, and resyncs them", () => {
  const story = Story.rested({ nodes: 3 });
  for (const slot of [0, 1, 2]) story.dieInWrite(slot, 3 + slot);
  story.bench.join(0);
  story.rest();
  story.checkEnd("/m0", "/m1");
});

// --- hand-over -----------------------------------------------------------------------------------

const all = (chunks: number): number[] => Array.from({ length: chunks }, (_, chunk) => chunk);

/** Nodes 0 and 1; node 0 is in the middle of the first resync of copies that differ. */
const inFirstResync = (): Story => {
  // Eight pieces, of which four are under way at once.
  const bench = new ClusterBench({ nodes: 0, chunks: 128, bits: { 0: all(128) } });
  bench.content("/m0").fill(7);
  const story = new Story(bench);
  bench.join(0);
  for (let steps = 0; steps < 1000 && bench.node(0).status.sync === null; steps++)
    if (!story.step()) bench.tick(20);
  bench.join(1);
  for (let steps = 0; steps < 1000; steps++) {
    const { completedBytes = 0 } = bench.node(0).status.sync ?? {};
    if (completedBytes > 0) break;
    if (!story.step()) bench.tick(20);
  }
  const { sync } = bench.node(0).status;
  assert.ok(sync !== null && sync.completedBytes < sync.totalBytes, "it is in the middle");
  return story;
};

test("00r1_Create: node 1 resyncs, node 2 has resync=PENDING, both end in sync", () => {
  const story = inFirstResync();
  assert.is(story.bench.node(1).status.cluster?.resync, "PENDING");
  assert.is(story.bench.node(1).shared.balances, false);
  story.rest();
  story.checkEnd("/m0", "/m1");
  assert.is(story.bench.node(1).shared.balances, true);
});

test("03r1_switch-resync: node 1 stops in the middle of a resync, node 2 goes on", () => {
  const story = inFirstResync();
  const { bench } = story;
  bench.node(0).command({ type: "stop" });
  story.settle();
  assert.ok(bench.cluster.log.includes("0 leave needs sync"));
  story.rest();
  assert.is(bench.node(1).status.health, "optimal");
  story.checkEnd("/m0", "/m1");
});

test("a node dies in the middle of a resync: the next one goes on, and nobody's writes stay held", () => {
  const story = inFirstResync();
  story.bench.node(0).die();
  story.rest();
  story.checkEnd("/m0", "/m1");
  const write = story.write(story.bench.node(1), 0);
  story.settle();
  assert.is(write.state, "acknowledged");
});

test("writes of node 2 during the resync of node 1 wait for the window, and are in both copies", () => {
  const story = inFirstResync();
  const { bench } = story;
  const write = story.write(bench.node(1), 31);
  assert.is(write.state, "parked");
  story.rest();
  assert.is(write.state, "acknowledged");
  story.checkEnd("/m0", "/m1");
});

test("§4.1 a node that resyncs does not block others from writing anywhere else", () => {
  // Linux's document: "it blocks all other nodes from writing anywhere on the array".
  const chunks = 160;
  const windowBytes = 16 * CHUNK_BYTES;
  const bench = new ClusterBench({ nodes: 0, chunks, windowBytes, bits: { 0: all(chunks) } });
  bench.content("/m0").fill(7);
  const story = new Story(bench);
  for (const slot of [0, 1]) bench.join(slot);
  const isSuspended = (chunk: number): boolean =>
    bench.node(1).shared.isSuspended(chunk * CHUNK_BYTES, 1);
  for (let steps = 0; steps < 2000 && !isSuspended(0); steps++) if (!story.step()) bench.tick(20);
  assert.is(isSuspended(0), true);
  const write = story.write(bench.node(1), chunks - 1);
  for (let steps = 0; steps < 200 && write.state !== "acknowledged"; steps++) story.step();
  assert.is(write.state, "acknowledged");
  assert.is(bench.node(0).status.sync?.action, "resync", "which is not over");
  story.rest();
  story.checkEnd("/m0", "/m1");
});

test("§2.1 a node that joins holds its writes where another one resyncs, from its first one on", () => {
  const story = inFirstResync();
  const node = story.bench.join(2);
  story.bench.steps(2);
  assert.is(node.shared.isSuspended(31 * CHUNK_BYTES, 4096), true);
  assert.is(node.shared.balances, false);
  const write = story.write(node, 31, 2);
  story.rest();
  assert.is(write.state, "acknowledged");
  assert.is(node.shared.balances, true);
  story.checkEnd("/m0", "/m1");
});

// --- members that return -------------------------------------------------------------------------

/** /m1 failed on node 0 and is removed; node 1 has written since. */
const degraded = (prng: Prng | null = null): Story => {
  const story = Story.rested({}, prng);
  const { bench } = story;
  story.write(bench.node(0), 1, 0);
  story.write(bench.node(1), 2, 1);
  story.settle();
  assert.is(bench.run(0, { type: "fail", path: "/m1", reason: "test" }), "ok");
  story.settle();
  assert.is(bench.run(0, { type: "remove", path: "/m1" }), "ok");
  story.settle();
  story.write(bench.node(1), 5, 1);
  story.write(bench.node(0), 6, 0);
  story.settle();
  return story;
};

test("B1: what another node wrote while a member was away is on it when it is in sync again", () => {
  const story = degraded();
  const { bench } = story;
  const newcomer = bench.node(0).newcomer("/m1");
  assert.is(bench.run(0, { type: "re-add", newcomer }), "ok");
  story.rest();
  assert.is(bench.node(1).memberState("/m1"), "in_sync");
  const [copied] = bench
    .node(0)
    .happenings()
    .filter(({ type }) => type === "sync.finished")
    .map(({ details }) => details["scope"])
    .slice(-1);
  assert.is(copied, "bitmap", "and it was rebuilt by the bits, not as a whole");
  story.checkEnd("/m0", "/m1");
  assert.ok(
    bench.cluster.log.some((line) => line.startsWith("0 re-add")),
    "RE_ADD was sent",
  );
});

test("B1: nodes that write all the while lose nothing", () =>
  withSeeds({ fixed: [1, 2, 3], more: 3 }, (prng) => {
    const story = degraded(prng);
    const { bench } = story;
    story.storm(prng, 20, 32);
    const newcomer = bench.node(0).newcomer("/m1");
    const id = bench.node(0).command({ type: "re-add", newcomer });
    story.storm(prng, 60, 32);
    story.rest();
    assert.is(bench.node(0).outcome(id), "ok");
    assert.is(bench.node(1).memberState("/m1"), "in_sync");
    story.checkEnd("/m0", "/m1");
  }));

test("03r1_switch-recovery: the node that rebuilds stops, another one gathers again and goes on", () => {
  const story = degraded();
  const { bench } = story;
  bench.node(0).command({ type: "re-add", newcomer: bench.node(0).newcomer("/m1") });
  for (let steps = 0; steps < 1000 && bench.node(0).status.sync === null; steps++)
    if (!story.step()) bench.tick(20);
  assert.is(bench.node(0).status.sync?.action, "recover");
  bench.node(0).command({ type: "stop" });
  story.rest();
  assert.is(bench.node(1).memberState("/m1"), "in_sync");
  assert.ok(bench.cluster.log.some((line) => line.startsWith("1 re-add")));
  story.checkEnd("/m0", "/m1");
});

test("the node that rebuilds dies: another one goes on, with the dead one's bits", () => {
  for (let steps = 0; steps < 30; steps += 3) {
    const story = degraded();
    const { bench } = story;
    bench.node(0).command({ type: "re-add", newcomer: bench.node(0).newcomer("/m1") });
    for (let at = 0; at < 1000 && bench.node(1).memberState("/m1") !== "rebuilding"; at++)
      if (!story.step()) bench.tick(20);
    for (let at = 0; at < steps; at++) if (!story.step()) bench.tick(20);
    bench.node(0).die();
    story.rest();
    assert.is(bench.node(1).memberState("/m1"), "in_sync", `after ${steps} steps`);
    story.checkEnd("/m0", "/m1");
  }
});

test("a spare is rebuilt by one node, and what others write meanwhile is on it", () =>
  withSeeds({ fixed: [1, 2], more: 2 }, (prng) => {
    const story = Story.rested({ disks: 3, spares: 1 }, prng);
    const { bench } = story;
    story.storm(prng, 20, 32);
    bench.node(1).command({ type: "fail", path: "/m0", reason: "test" });
    story.storm(prng, 60, 32);
    story.rest();
    assert.is(bench.node(0).memberState("/m2"), "in_sync");
    story.checkEnd("/m1", "/m2");
  }));

test("nodes write, die and join in any order", () =>
  withSeeds({ fixed: [1, 2, 3, 4], more: 6 }, (prng) => {
    const story = Story.rested({ nodes: 3 }, prng);
    const { bench } = story;
    for (let round = 0; round < 6; round++) {
      story.storm(prng, 10, 32);
      const living = bench.nodes.filter((node) => !node.isDead);
      const victim = living[prng.below(living.length)];
      if (living.length > 1 && victim !== undefined) victim.die();
      story.storm(prng, 5, 32);
      const free = [0, 1, 2, 3].find((slot) => bench.cluster.isFree(slot));
      if (free !== undefined && prng.below(2) === 0) bench.join(free);
    }
    story.rest();
    story.checkEnd("/m0", "/m1");
    story.idle(40);
    for (const slot of [0, 1, 2, 3]) assert.equal(bench.bits("/m1", slot), [], `slot ${slot}`);
  }));

test.run();
