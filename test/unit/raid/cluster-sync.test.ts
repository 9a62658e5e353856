/** What other nodes' sync actions and recoveries mean for a node: ranges, reads, the end. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { GATE_EXPELLED, RUN_BROKEN } from "../../../src/raid/shared-state.ts";
import { MIB } from "../../helpers/machine-bench.ts";
import { NodeBench } from "../../helpers/node-bench.ts";

const MIB_SECTORS = MIB / 512;
const resyncing = (slot: number, lo: number, hi: number) =>
  ({ type: "resyncing", slot, lo: lo * MIB_SECTORS, hi: hi * MIB_SECTORS }) as const;

/** A node at rest; nobody asks for anything. */
const rested = (): NodeBench => {
  const bench = new NodeBench();
  bench.rest();
  bench.told.length = 0;
  return bench;
};

const isHeld = (bench: NodeBench, from: number, length = 1): boolean =>
  bench.shared.isSuspended(from * MIB, length * MIB);

const test = suite("raid/cluster-sync");

test('§4.1 "On receiving RESYNCING, the node adds the range": writes under way there end first', () => {
  const bench = rested();
  const id = bench.notice(resyncing(1, 2, 4));
  assert.equal(
    [1, 2, 3, 4].map((at) => isHeld(bench, at)),
    [false, true, true, false],
  );
  assert.equal(
    bench.asks("drain").map(({ from, to }) => [from / MIB, to / MIB]),
    [[2, 4]],
  );
  assert.not.ok(bench.isProcessed(id), "a write may be under way there");
  bench.finishDrain();
  assert.ok(bench.isProcessed(id));
});

test('§4.1 "sends RESYNCING with an empty range … other nodes remove the corresponding entry"', () => {
  const bench = rested();
  bench.notice(resyncing(1, 2, 4));
  bench.finishDrain();
  bench.told.length = 0;
  const id = bench.notice(resyncing(1, 0, 0));
  assert.not.ok(isHeld(bench, 2, 2));
  assert.ok(bench.isProcessed(id), "nothing is waited for");
  assert.is(bench.toldOf("poke").length, 1, "what waited looks again");
});

test('§3.1.2 "This overrides any previous notification from that node: only one range"', () => {
  const bench = rested();
  bench.notice(resyncing(1, 0, 4));
  bench.finishDrain();
  bench.told.length = 0;
  bench.notice(resyncing(1, 2, 6));
  assert.equal(
    [0, 1, 2, 5].map((at) => isHeld(bench, at)),
    [false, false, true, true],
  );
  assert.is(bench.toldOf("poke").length, 1, "writes go on where it is over");
});

test('§4.1 "Each node maintains a suspend_list": ranges of several nodes at once', () => {
  const bench = rested();
  bench.notice(resyncing(1, 0, 2));
  bench.finishDrain();
  bench.notice(resyncing(3, 4, 6));
  bench.finishDrain();
  assert.equal(bench.status.cluster?.remote, [
    { slot: 1, from: 0, to: 2 * MIB },
    { slot: 3, from: 4 * MIB, to: 6 * MIB },
  ]);
  bench.notice(resyncing(1, 0, 0));
  assert.equal([isHeld(bench, 0), isHeld(bench, 4)], [false, true]);
});

test("another node's range is resync=REMOTE", () => {
  const bench = rested();
  assert.is(bench.status.cluster?.resync, null);
  bench.notice(resyncing(1, 0, 2));
  assert.is(bench.status.cluster?.resync, "REMOTE");
  bench.notice(resyncing(1, 0, 0));
  assert.is(bench.status.cluster?.resync, null);
});

test("a range behind the array's end holds nobody's writes: the other node syncs, and holds none", () => {
  const bench = rested();
  const end = bench.shared.map.sizeBytes / MIB;
  bench.notice(resyncing(1, end, end + 1));
  assert.equal(bench.status.cluster?.remote, []);
  assert.is(bench.status.cluster?.resync, "REMOTE");
  assert.is(isHeld(bench, 0, end), false);
});

test("B5: a range of a slot that no other node has holds nothing, and is answered", () => {
  const bench = rested();
  for (const slot of [0, -1, 64, 2 ** 31]) {
    const id = bench.notice(resyncing(slot, 0, 2));
    assert.ok(bench.isProcessed(id), `slot ${slot}`);
    assert.not.ok(isHeld(bench, 0, 8), `slot ${slot}`);
  }
});

test('§6.6 "while node recovery is happening it reports that all areas are resyncing for READ"', () => {
  const bench = rested();
  assert.is(bench.shared.balances, true);
  bench.send({ type: "cluster-state", state: { type: "read-balancing", isSuspended: true } });
  assert.equal([bench.shared.balances, isHeld(bench, 0, 8)], [false, false], "writes go on");
  assert.is(bench.status.cluster?.balancesReads, false);
  bench.send({ type: "cluster-state", state: { type: "read-balancing", isSuspended: false } });
  assert.is(bench.shared.balances, true);
});

test("the end of a recovery elsewhere does not let a node balance whose own pass is due", () => {
  const bench = new NodeBench();
  bench.send({ type: "cluster-state", state: { type: "read-balancing", isSuspended: true } });
  bench.send({ type: "cluster-state", state: { type: "read-balancing", isSuspended: false } });
  assert.is(bench.shared.balances, false);
  bench.rest();
  assert.is(bench.shared.balances, true);
});

// --- expelled ------------------------------------------------------------------------------------

const expel = (bench: NodeBench): void =>
  bench.send({ type: "cluster-state", state: { type: "expelled", reason: "its key is gone" } });

test("an expelled node reads and writes no more, and says why", () => {
  const bench = rested();
  expel(bench);
  assert.equal([bench.shared.run, bench.shared.gateUntil], [RUN_BROKEN, GATE_EXPELLED]);
  assert.equal(
    [bench.status.arrayState, bench.status.health, bench.status.cluster?.expelled],
    ["broken", "failed", "its key is gone"],
  );
  assert.is(bench.toldOf("poke").length, 1, "what is parked is failed");
  assert.is(bench.run({ type: "fail", path: "/m1", reason: "test" }), "CLUSTER_EXPELLED");
});

test("an expelled node starts no further step of what it had under way, and answers who waits", () => {
  const bench = rested();
  bench.command({ type: "fail", path: "/m1", reason: "test" });
  bench.answer("metadata-update-start");
  assert.ok(bench.io.length > 0);
  bench.send({ type: "intent", worker: 0, ranges: [[2, 2]] });
  expel(bench);
  bench.takeLog();
  bench.settle();
  for (let rounds = 0; rounds < 20; rounds++) bench.tick(1000);
  assert.equal(bench.takeLog(), [], "nothing more is written");
  assert.equal(
    [...bench.outcomes.values()].map((o) => (o.ok ? "ok" : o.code)),
    ["CLUSTER_EXPELLED"],
  );
  assert.is(bench.toldOf("intent-ready").length, 1, "the writer looks, and finds it broken");
});

test("an expelled node ends its sync action, and issues no more pieces", () => {
  const bench = new NodeBench({ chunks: 100, dirty: [0, 1, 2, 3, 4, 5, 6, 7] });
  bench.tick(20);
  bench.answer("resync-start");
  bench.tick(20);
  bench.answer("resync-info-update");
  bench.tick(20);
  const before = bench.copies.length;
  expel(bench);
  bench.settle();
  bench.tick(20);
  assert.ok(before > 0);
  assert.equal([bench.status.sync, bench.copies, bench.calls], [null, [], []]);
});

test("an expelled node stops without a word, and without a write", () => {
  const bench = rested();
  bench.write(1);
  expel(bench);
  bench.takeLog();
  assert.is(bench.run({ type: "stop" }), "ok");
  assert.equal([bench.takeLog(), bench.calls], [[], []]);
});

test.run();
