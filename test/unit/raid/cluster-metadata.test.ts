/** Metadata updates of nodes that share an array: who waits for whom, and what others take over. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ClusterBench } from "../../helpers/cluster-bench.ts";
import type { ClusterNode } from "../../helpers/cluster-node.ts";

const test = suite("raid/cluster-metadata");

const page = (fill: number): Uint8Array => new Uint8Array(4096).fill(fill);

const started = (nodes = 2, disks = 2, more = {}): ClusterBench => {
  const bench = new ClusterBench({ nodes, disks, ...more });
  bench.finishSync();
  return bench;
};

/** Runs what is under way until this holds. */
const until = (bench: ClusterBench, holds: () => boolean): void => {
  for (let steps = 0; steps < 10_000 && !holds(); steps++) assert.ok(bench.step(), "it goes on");
};

const states = (node: ClusterNode, ...paths: string[]): string =>
  paths.map((path) => node.memberState(path)).join();

test("§3.1.1 METADATA_UPDATED informs other nodes, which read the superblock again", () => {
  const bench = started();
  const events = bench.superblock("/m0").events;
  assert.is(bench.run(0, { type: "fail", path: "/m1", reason: "by hand" }), "ok");
  assert.is(states(bench.node(1), "/m0", "/m1"), "in_sync,faulty");
  assert.ok(bench.superblock("/m0").events > events);
  assert.is(bench.superblock("/m0").devRoles[1], 0xfffe);
});

test("§3.1.1 it is performed synchronously: the sender goes on when all have taken it over", () => {
  const bench = started(3);
  const id = bench.node(0).command({ type: "fail", path: "/m1", reason: "by hand" });
  until(bench, () => bench.node(0).outcome(id) !== "waiting");
  for (const slot of [1, 2]) assert.is(states(bench.node(slot), "/m0", "/m1"), "in_sync,faulty");
});

test("§4.2 no writes to the device until the failure has been acknowledged by all", () => {
  const bench = started(3);
  bench.node(0).write(0, page(1));
  bench.settle();
  bench.disk("/m1").breakFor(0);
  const held = bench.node(0).write(0, page(2));
  until(bench, () => held.state === "held");
  const before = bench.disk("/m1").writes.length;
  bench.cluster.log.length = 0;
  until(bench, () => bench.cluster.log.length > 0);
  assert.equal(bench.cluster.log, ["0 metadata-updated 0 21"]);
  // Superblocks are durable; nobody has acknowledged: B4.
  assert.is(held.state, "held");
  const other = bench.node(0).write(4096, page(3));
  bench.steps(1);
  assert.is.not(other.state, "acknowledged");
  bench.settle();
  assert.equal([held.state, other.state], ["acknowledged", "acknowledged"]);
  const content = bench
    .disk("/m1")
    .writes.slice(before)
    .filter(({ offset }) => offset >= 2 ** 20);
  assert.equal(content, []);
});

test("B4: a held write is acknowledged AFTER every node has acknowledged, however long one takes", () => {
  const bench = started(3);
  bench.node(0).write(0, page(1));
  bench.settle();
  bench.disk("/m1").breakFor(0);
  const held = bench.node(0).write(0, page(7));
  until(bench, () => bench.cluster.hasMail(2) && held.state === "held");
  // Node 2 does not get round to its mail; the others do all they can, for minutes.
  const slow = bench.node(2);
  for (let round = 0; round < 50; round++) {
    bench.stepsWithout(slow, 1000);
    bench.now += 20_000;
    bench.node(0).tick();
    bench.node(1).tick();
  }
  assert.is(held.state, "held");
  assert.is(slow.memberState("/m1"), "in_sync");
  bench.settle();
  assert.is(held.state, "acknowledged");
  for (const slot of [0, 1, 2])
    for (const [path, bytes] of bench.node(slot).reads(0, 4096)) {
      assert.is(path, "/m0");
      assert.equal(bytes, page(7));
    }
});

test("bits are set and swept while an update waits for the others", () => {
  const bench = started(2, 3, { raidDisks: 2, spares: 1 });
  const quick = bench.node(0).write(0, page(1));
  bench.settle();
  const id = bench
    .node(0)
    .command({ type: "member-flags", path: "/m1", writeMostly: null, failfast: true });
  until(bench, () => bench.cluster.hasMail(1));
  const slow = bench.node(1);
  const write = bench.node(0).write(5 * 65536, page(2));
  bench.stepsWithout(slow, 1000);
  assert.is(bench.node(0).outcome(id), "waiting");
  assert.equal([quick.state, write.state], ["acknowledged", "acknowledged"]);
  for (let round = 0; round < 100; round++) {
    bench.now += 1000;
    bench.node(0).tick();
    bench.stepsWithout(slow, 1000);
  }
  assert.equal(bench.bits("/m0", 0), []);
  assert.is(bench.node(0).outcome(id), "waiting");
  bench.settle();
  assert.is(bench.node(0).outcome(id), "ok");
});

test("§6.5 if a change is no longer needed once access is granted, it is cancelled", () => {
  const bench = started(2, 3);
  const events = bench.superblock("/m0").events;
  bench.cluster.log.length = 0;
  const ids = [0, 1].map((slot) =>
    bench.node(slot).command({ type: "fail", path: "/m2", reason: "both see it" }),
  );
  bench.settle();
  assert.equal(
    ids.map((id, slot) => bench.node(slot).outcome(id)),
    ["ok", "ok"],
  );
  const sent = bench.cluster.log.filter((line) => line.includes("metadata-updated"));
  assert.is(sent.length, 1);
  assert.is(bench.superblock("/m0").events, events + 1);
  assert.is(bench.cluster.holder, null);
});

test("a clustered array is never clean, and its events never step back", () => {
  const bench = started();
  const seen: number[] = [];
  for (let round = 0; round < 20; round++) {
    bench.node(round % 2).write(0, page(round));
    bench.settle();
    bench.tick(10_000);
    bench.settle();
    seen.push(bench.superblock("/m0").events);
    assert.is(bench.superblock("/m0").resyncOffset, 0);
  }
  assert.equal(
    seen,
    [...seen].sort((a, b) => a - b),
  );
  assert.is(bench.superblock("/m0").featureMap & 0x100, 0x100);
});

test("a member that one node cannot open is failed by that node, for all", () => {
  const bench = new ClusterBench({ nodes: 2, disks: 3, raidDisks: 2, spares: 1 });
  bench.finishSync();
  bench.disk("/m2").hiddenFrom.add(1);
  assert.is(bench.run(0, { type: "fail", path: "/m1", reason: "by hand" }), "ok");
  for (let round = 0; round < 5; round++) {
    bench.tick(20);
    bench.settle();
  }
  for (const slot of [0, 1]) assert.is(bench.node(slot).memberState("/m2"), "faulty");
  const write = bench.node(1).write(0, page(1));
  bench.settle();
  assert.is(write.state, "acknowledged");
});

test("a spare that got a raid slot is written by every node before its rebuild begins", () => {
  const bench = new ClusterBench({ nodes: 3, disks: 3, raidDisks: 2, spares: 1 });
  bench.finishSync();
  bench.node(2).write(3 * 65536, page(9));
  bench.settle();
  assert.is(bench.run(0, { type: "fail", path: "/m1", reason: "by hand" }), "ok");
  bench.finishSync();
  for (const slot of [0, 1, 2])
    assert.is(states(bench.node(slot), "/m0", "/m1", "/m2"), "in_sync,faulty,in_sync");
  assert.ok(bench.isEqual("/m0", "/m2"));
});

test("a spare's bitmap lags, as in Linux, until it gets a raid slot: then every node's is whole on it", () => {
  const bench = new ClusterBench({ nodes: 2, disks: 3, raidDisks: 2, spares: 1 });
  bench.finishSync();
  // A bit that the others have cleared since, and one that they have set.
  const { bytes } = bench.disk("/m2");
  const [at] = [16 * 512 + bench.areaBytes + 256];
  bytes[at] = 1 << 7;
  bench.node(1).write(3 * 65536, page(9));
  bench.settle();
  assert.equal([bench.bits("/m0", 1), bench.bits("/m2", 1)], [[3], [7]]);
  bench.node(0).command({ type: "fail", path: "/m1", reason: "by hand" });
  until(bench, () => bench.node(0).memberState("/m2") === "rebuilding");
  bench.settle();
  assert.equal([bench.bits("/m2", 0), bench.bits("/m2", 1)], [bench.bits("/m0", 0), [3]]);
  bench.finishSync();
  for (const slot of [0, 1]) assert.equal(bench.bits("/m2", slot), bench.bits("/m0", slot));
});

const FLAGS = { type: "member-flags", path: "/m1", writeMostly: null, failfast: true } as const;

/** The node that is left fails `/m0`, which the dead ones had written last; `others` must win. */
const assertOutrun = (bench: ClusterBench, slot: number, ...others: string[]): void => {
  assert.is(bench.run(slot, { type: "fail", path: "/m0", reason: "by hand" }), "ok");
  const { events } = bench.superblock("/m0");
  for (const path of others) {
    const { events: newer, devRoles } = bench.superblock(path);
    assert.is(devRoles[0], 0xfffe, path);
    assert.ok(newer > events, `${path} has ${newer} events, the failed member ${events}`);
  }
};

/** Nodes 0, 1, … die when `/m0` has so many events more than now, of which nobody was told. */
const dieUntold = (bench: ClusterBench, aheads: readonly number[]): void => {
  const { events } = bench.superblock("/m0");
  for (const [slot, ahead] of aheads.entries()) {
    bench.node(slot).command(FLAGS);
    until(bench, () => bench.superblock("/m0").events === events + ahead);
    bench.node(slot).die();
  }
};

test("two nodes die one after the other with an update not told: the next one outruns both", () => {
  const bench = started(3);
  const { events } = bench.superblock("/m0");
  dieUntold(bench, [1, 2]);
  assert.is(bench.superblock("/m1").events, events + 1);
  assertOutrun(bench, 2, "/m1");
});

test("what they wrote on members that cannot be read just now is outrun as well", () => {
  const bench = started(3);
  dieUntold(bench, [1, 3]);
  for (const path of ["/m0", "/m1"]) bench.disk(path).failsReads.add(2);
  assertOutrun(bench, 2, "/m1");
});

test("a node dies while a member fails under its update: the next one outruns all its steps", () => {
  const bench = started(2, 3);
  const { events } = bench.superblock("/m0");
  bench.disk("/m2").failsWrites.add(0);
  bench.node(0).command(FLAGS);
  until(bench, () => bench.superblock("/m0").events === events + 2);
  bench.node(0).die();
  assert.is(bench.superblock("/m1").events, events + 1);
  assertOutrun(bench, 1, "/m1", "/m2");
});

test("a node dies untold while another one is being recovered: the next one outruns it, too", () => {
  const bench = started(3, 3);
  assert.is(bench.run(1, { type: "sync-action", action: "frozen" }), "ok");
  bench.node(0).write(0, page(1));
  bench.settle();
  bench.node(0).die();
  bench.settle();
  assert.is(bench.run(2, { ...FLAGS, path: "/m2" }), "ok");
  assert.is(bench.node(2).shared.balances, false, "the recovery is not over");
  const { events } = bench.superblock("/m0");
  bench.node(1).command(FLAGS);
  until(bench, () => bench.superblock("/m0").events > events);
  bench.node(1).die();
  assertOutrun(bench, 2, "/m1", "/m2");
});

test.run();
