/**
 * A node that stops its part of the array: from the moment on in which it says that it leaves, it
 * carries out, records and writes nothing, and its stop waits for nothing but the answer.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { ClusterNotice } from "../../../src/raid/cluster-port.ts";
import { roles } from "../../helpers/md-samples.ts";
import { NodeBench } from "../../helpers/node-bench.ts";

const FAULTY = 0xfffe;

const test = suite("raid/cluster-leave");

/** A node that has asked to leave, and the number of its stop. */
const leaving = (bench: NodeBench): number => {
  const stop = bench.command({ type: "stop" });
  bench.settle();
  assert.equal(bench.calls, ["leave"]);
  bench.takeLog();
  bench.told.splice(0, bench.told.length, ...bench.told.filter((e) => e.type === "cluster-call"));
  return stop;
};

const started = (): NodeBench => {
  const bench = new NodeBench();
  bench.rest();
  return bench;
};

/** A node that reads what another one has written: its question, and the superblock as it was. */
const reading = () => {
  const bench = started();
  bench.notice({ type: "metadata-updated", deviceNumber: 0, events: 0 });
  const [ask] = bench.told.filter((effect) => effect.type === "read-superblocks");
  const own = bench.superblocks.get(0);
  if (ask?.type !== "read-superblocks" || own === undefined) throw new Error("it does not read");
  return { bench, own, token: ask.token };
};

/** Nothing of what was begun, written or asked is left, and the stop ends with the leave. */
const assertEnds = (bench: NodeBench, stop: number): void => {
  for (const ms of [20, 6000, 6000]) bench.tick(ms);
  bench.settle();
  assert.equal(bench.calls, ["leave"], "it asks for nothing else");
  assert.equal(bench.takeLog(), [], "it writes nothing");
  assert.is(bench.outcome(stop), "waiting");
  bench.answer("leave");
  assert.is(bench.outcome(stop), "ok");
  assert.is(bench.toldOf("stopped").length, 1);
};

const NOTICES: readonly ClusterNotice[] = [
  { type: "metadata-updated", deviceNumber: 0, events: 0 },
  { type: "recover-slot", slot: 1 },
  { type: "resyncing", slot: 1, lo: 0, hi: 2048 },
  { type: "new-disk", uuid: "00".repeat(16), deviceNumber: 2 },
  { type: "remove", deviceNumber: 1 },
  { type: "bitmap-resize", slot: 1, sectors: 2048 },
];

for (const notice of NOTICES)
  test(`${notice.type} that comes while it leaves is not carried out`, () => {
    const bench = started();
    const stop = leaving(bench);
    bench.notice(notice);
    const begun = bench.told.filter(({ type }) => type !== "cluster-call");
    assert.equal(begun, []);
    assertEnds(bench, stop);
  });

test("an update that it is reading when it leaves is not taken over", () => {
  const { bench, own, token } = reading();
  const stop = leaving(bench);
  const superblock = { ...own, events: own.events + 1, devRoles: roles(0, FAULTY) };
  bench.send({ type: "superblocks-read", token, found: [{ member: 0, superblock }] });
  assertEnds(bench, stop);
});

// Seed 401388 of the simulation of boards: its refusal to rest came while the array was stopped.
test("a stop for a new start waits for the update that it is reading, whose sender waits for it", () => {
  const { bench, own, token } = reading();
  const stop = bench.command({ type: "stop", keepOpen: true });
  for (const ms of [20, 6000]) bench.tick(ms);
  bench.settle();
  assert.is(bench.outcome(stop), "waiting");
  const superblock = { ...own, events: own.events + 1 };
  bench.send({ type: "superblocks-read", token, found: [{ member: 0, superblock }] });
  bench.settle();
  assert.is(bench.toldOf("cluster-processed").length, 1);
  assert.is(bench.outcome(stop), "ok");
});

test("a member that vanishes while it leaves is not recorded: the others do that", () => {
  const bench = started();
  const stop = leaving(bench);
  bench.send({ type: "member-vanished", path: "/m1", reason: "unplugged" });
  assertEnds(bench, stop);
});

test("a device that another node was adding is closed: the next start looks for itself", () => {
  const bench = started();
  const own = bench.superblocks.get(0);
  bench.notice({ type: "new-disk", uuid: "09".repeat(16), deviceNumber: 2 });
  const [ask] = bench.told.filter((effect) => effect.type === "find-device");
  assert.ok(ask?.type === "find-device" && own !== undefined);
  if (ask?.type !== "find-device" || own === undefined) return;
  const superblock = { ...own, devNumber: 2, deviceUuid: new Uint8Array(16).fill(9) };
  const newcomer = bench.newcomer("/n", { superblock });
  bench.send({ type: "device-found", token: ask.token, newcomer });
  bench.answer("new-disk-ack");
  assertEnds(bench, leaving(bench));
  const closed = bench.told.flatMap((e) => (e.type === "close-member" ? [e.member] : []));
  assert.ok(closed.includes(newcomer.member), closed.join());
});

test.run();
