/**
 * A node whose array is broken leaves its cluster, whatever it had under way: the others take over
 * what its bitmap says, and what it had begun to recover.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { GATE_EXPELLED, LEG_BLOCKED } from "../../../src/raid/shared-state.ts";
import { CHUNK_BYTES, ClusterBench } from "../../helpers/cluster-bench.ts";
import type { ClusterNode } from "../../helpers/cluster-node.ts";
import { Story } from "../../helpers/cluster-story.ts";
import { withSeeds } from "../../helpers/seed.ts";

const test = suite("raid/cluster-broken");

const started = (nodes: number): Story => {
  const story = new Story(new ClusterBench({ nodes }));
  story.rest();
  return story;
};

/** The node can write nothing any more. */
const breakWrites = ({ bench }: Story, slot: number): void => {
  for (const { failsWrites } of bench.disks.values()) failsWrites.add(slot);
};

/** Steps until the two copies differ in the place that node `slot` writes. */
const untilHalfWritten = (story: Story, slot: number, chunk: number): void => {
  const at = chunk * CHUNK_BYTES + slot * 4096;
  const isHalf = (): boolean => story.bench.content("/m0")[at] !== story.bench.content("/m1")[at];
  for (let steps = 0; steps < 100 && !isHalf(); steps++) story.step();
  assert.ok(isHalf(), "the write is in the middle");
};

const isAway = ({ told }: ClusterNode): boolean => told.some(({ type }) => type === "broken-away");

const left = ({ bench: { cluster } }: Story): string[] =>
  cluster.log.filter((line) => line.includes(" leave"));

test("it leaves with its bits, tells why, and the others resync what it had under way", () => {
  const story = started(2);
  const { bench } = story;
  const [broken, other] = [bench.node(0), bench.node(1)];
  const write = story.write(broken, 5, 0);
  untilHalfWritten(story, 0, 5);
  breakWrites(story, 0);
  for (let steps = 0; steps < 1000 && left(story).length === 0; steps++) story.step();
  assert.is(write.state, "held", "the others balance reads, and the copies differ");
  story.settle();
  assert.is(write.state, "failed", "no failure is recorded, so no write is acknowledged");
  assert.equal(left(story), ["0 leave needs sync"]);
  assert.is(broken.shared.gateUntil, GATE_EXPELLED, "no I/O any more");
  const told = broken.happenings().find(({ type }) => type === "array.broken");
  assert.match(told?.message ?? "", /EIO.*leaves the cluster: the others go on/);
  assert.ok(isAway(broken));
  const next = story.write(other, 5, 1);
  story.rest();
  assert.is(next.state, "acknowledged");
  assert.equal([other.memberState("/m0"), other.memberState("/m1")], ["in_sync", "in_sync"]);
  story.checkEnd("/m0", "/m1");
  assert.equal(bench.bits("/m0", 0), []);
});

test("a call that may still reach a member: it ends without a word, and is fenced first", () => {
  const story = started(2);
  const { bench } = story;
  bench.node(0).owesForEver = true;
  story.write(bench.node(0), 5, 0);
  untilHalfWritten(story, 0, 5);
  breakWrites(story, 0);
  story.rest();
  assert.equal(left(story), []);
  story.checkEnd("/m0", "/m1");
});

test("commands are refused with the reason, a stop is answered when it is out", () => {
  const story = started(2);
  const { bench } = story;
  const node = bench.node(0);
  breakWrites(story, 0);
  story.write(node, 5, 0);
  const isBroken = (): boolean => node.status.arrayState === "broken";
  for (let steps = 0; steps < 100 && !isBroken(); steps++) story.step();
  assert.ok(isBroken());
  const check = node.command({ type: "sync-action", action: "check" });
  assert.is(node.outcome(check), "RAID_ARRAY_BROKEN");
  const stop = node.command({ type: "stop" });
  assert.is(node.outcome(stop), "waiting");
  story.settle();
  assert.is(node.outcome(stop), "ok");
  assert.equal(left(story), ["0 leave needs sync"]);
});

test("what others wrote cannot be read: it leaves, and holds nobody up", () => {
  const story = started(3);
  const { bench } = story;
  for (const { failsReads } of bench.disks.values()) failsReads.add(1);
  assert.is(bench.run(0, { type: "fail", path: "/m1", reason: "test" }), "ok");
  story.rest();
  assert.equal(left(story), ["1 leave needs sync"]);
  assert.is(bench.nodes.find(({ slot }) => slot === 1)?.shared.leg(0), LEG_BLOCKED);
  const write = story.write(bench.node(2), 3, 2);
  story.settle();
  assert.is(write.state, "acknowledged");
});

/** A worker of node `slot` can use the member of this leg no more; its other threads can. */
const goesFor = ({ bench }: Story, slot: number, leg: number): void =>
  bench.node(slot).send({ type: "leg-gone", leg, message: "given up" });

test("a worker that cannot use a member has it recorded as faulty; the last one: its node leaves", () => {
  const story = started(2);
  const { bench } = story;
  goesFor(story, 0, 1);
  story.settle();
  assert.is(bench.node(1).memberState("/m1"), "faulty");
  assert.equal(left(story), []);
  goesFor(story, 0, 0);
  story.settle();
  assert.equal(left(story), ["0 leave needs sync"]);
  const told = bench.nodes[0]?.happenings().find(({ type }) => type === "array.broken");
  assert.match(told?.message ?? "", /The last copy, \/m0, cannot be used here any more: given up/);
  assert.is(bench.node(1).memberState("/m0"), "in_sync");
});

test("another node records the other member first: who cannot use the one that is kept leaves", () => {
  const story = started(2);
  const { bench } = story;
  bench.node(0).send({ type: "member-vanished", path: "/m1", reason: "gone" });
  goesFor(story, 1, 0);
  story.settle();
  assert.is(bench.node(0).memberState("/m0"), "in_sync", "node 0 has its turn first");
  assert.equal(left(story), ["1 leave needs sync"]);
});

for (let steps = 0; steps < 30; steps++) {
  test(`a recoverer that breaks after ${steps} steps: the next node recovers both slots`, () => {
    const story = started(3);
    const { bench } = story;
    story.write(bench.node(0), 5, 0);
    untilHalfWritten(story, 0, 5);
    bench.node(0).die();
    for (let at = 0; at < steps; at++) if (!story.step()) bench.tick(20);
    breakWrites(story, 1);
    story.write(bench.node(1), 9, 1);
    story.rest();
    assert.equal(left(story), ["1 leave needs sync"]);
    assert.equal([bench.bits("/m0", 0), bench.bits("/m1", 1)], [[], []]);
    story.checkEnd("/m0", "/m1");
    assert.is(bench.node(2).shared.balances, true);
  });
}

for (let steps = 10; steps < 30; steps++) {
  test(`a write that its breaking holds up lies where it resyncs, ${steps} steps on: it leaves`, () => {
    const story = started(2);
    const { bench } = story;
    story.dieInWrite(1, 5);
    for (let at = 0; at < steps; at++) if (!story.step()) bench.tick(20);
    breakWrites(story, 0);
    const write = story.write(bench.node(0), 5, 0);
    story.rest();
    assert.equal(left(story), ["0 leave needs sync"]);
    assert.is(write.state, "failed");
  });
}

test("who recovers a slot tells the superblocks again: its node may have left them half done", () => {
  const story = started(3);
  const { bench } = story;
  const { events } = bench.superblock("/m0");
  bench.node(0).die();
  story.rest();
  assert.ok(bench.cluster.log.some((line) => /^1 metadata-updated/.test(line)));
  assert.ok(bench.superblock("/m0").events > events);
  assert.is(bench.superblock("/m0").events, bench.superblock("/m1").events);
});

test("nodes break and die in any order under load: who is left has all that was acknowledged", async () => {
  await withSeeds({ fixed: [1, 2, 3], more: 20 }, (prng) => {
    const story = new Story(new ClusterBench({ nodes: 4 }, prng));
    story.rest();
    story.storm(prng, 10, 8);
    breakWrites(story, prng.below(4));
    story.storm(prng, 10, 8);
    const alive = story.bench.nodes.filter(({ isDead }) => !isDead);
    alive[prng.below(alive.length)]?.die();
    story.storm(prng, 20, 8);
    story.rest();
    // Who had nothing to write has not met its fault.
    for (const node of story.bench.nodes)
      if (!node.isDead && !story.isBusy(9, node.slot)) story.write(node, 9, node.slot);
    story.rest();
    story.checkEnd("/m0", "/m1");
    assert.ok(story.bench.nodes.filter(isAway).length <= 1);
  });
});

test("who breaks while the others rest for its change leaves all the same", () => {
  const story = started(2);
  const [broken] = story.bench.nodes;
  assert.ok(broken !== undefined);
  broken.command({ type: "begin-change", sectors: 1 });
  story.bench.settle();
  breakWrites(story, 0);
  broken.pause(() => broken.startAnew("held"));
  story.bench.settle();
  assert.is(left(story).length, 1);
});

for (let steps = 0; steps < 30; steps++) {
  test(`who breaks ${steps} steps into another node's change leaves, and does not start anew`, () => {
    const story = started(3);
    const { bench } = story;
    const broken = bench.node(1);
    story.write(broken, 5, 1);
    const change = bench.node(0).command({ type: "begin-change", sectors: 1 });
    for (let at = 0; at < steps; at++) story.step();
    breakWrites(story, 1);
    const write = story.write(broken, 6, 1);
    story.settle();
    if (bench.node(0).outcome(change) === "ok")
      bench.node(0).pause(() => bench.node(0).startAnew("held"));
    story.rest();
    assert.equal(left(story), ["1 leave needs sync"]);
    assert.is(write.state, "failed");
    const told = broken.happenings().filter(({ type }) => type === "array.broken");
    assert.is(told.length, 1, "superblocks may be half written: its turn is not given back");
    assert.is(bench.cluster.holder, null);
  });
}

test.run();
