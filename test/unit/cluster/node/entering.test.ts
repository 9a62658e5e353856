/**
 * Nobody writes superblocks while a node reads them to take part, and nobody takes part while they
 * are written, or were left half done.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { joinArray } from "../../../../src/cluster/node/cluster-driver.ts";
import { ClusterHost, ClusterWorld } from "../../../helpers/cluster-host.ts";

const test = suite("cluster node: entering");
const PROTOCOLS = ["channel", "literal"] as const;

const START = { type: "metadata-update-start" } as const;
const FINISH = { type: "metadata-update-finish", deviceNumber: 7, events: 1 } as const;

/** A node that begins to join now. */
const joining = (world: ClusterWorld, name: string): ClusterHost => {
  const host = new ClusterHost(name);
  void joinArray(world.options(host)).then((cluster) => {
    host.cluster = cluster;
    world.hosts.push(host);
  });
  return host;
};

const enter = async (world: ClusterWorld, host: ClusterHost): Promise<void> => {
  await world.finish(`${host.name} enters`, host.cluster?.start() ?? Promise.resolve());
};

/** The joiner waits until the recoverer has told what the superblocks say. */
const joinsOnceTold = async (
  world: ClusterWorld,
  recoverer: ClusterHost,
  joiner: ClusterHost,
): Promise<void> => {
  await world.rest(3000);
  assert.is(joiner.cluster, null, `${recoverer.name} has not told what holds`);
  await world.ok(recoverer, START);
  await world.ok(recoverer, FINISH);
  await world.until(`${joiner.name} has joined`, () => joiner.cluster !== null);
};

for (const protocol of PROTOCOLS) {
  test(`${protocol}: who has joined and does not take part yet is waited for`, async () => {
    const world = ClusterWorld.embedded(protocol);
    const a = await world.enter("a");
    const b = await world.join("b");
    const asked = a.ask(START);
    await world.rest(3000);
    assert.not(a.answers.has(asked), "b may be reading superblocks");
    assert.match(a.view.waits.join(), /waiting for the right to send/);
    await enter(world, b);
    assert.equal(await world.answered(a, asked), { ok: true });
    await world.ok(a, FINISH);
    assert.equal(b.notices.slice(-1), ["metadata-updated 7 1"]);
    world.end();
  });

  test(`${protocol}: who has joined knows whether others take part`, async () => {
    const world = ClusterWorld.embedded(protocol);
    const a = await world.join("a");
    assert.is(a.cluster?.isRunElsewhere, false, "a is the first one");
    await enter(world, a);
    const b = await world.join("b");
    assert.is(b.cluster?.isRunElsewhere, true);
    await world.ok(a, { type: "leave", needsSync: false });
    assert.is(b.cluster?.isRunElsewhere, false, "a has left");
    world.end();
  });

  test(`${protocol}: nobody joins while another node may write superblocks`, async () => {
    const world = ClusterWorld.embedded(protocol);
    const a = await world.enter("a");
    await world.ok(a, START);
    const b = joining(world, "b");
    await world.rest(3000);
    assert.is(b.cluster, null);
    await world.ok(a, FINISH);
    await world.until("b has joined", () => b.cluster !== null);
    world.end();
  });

  test(`${protocol}: what the node asked for before it took part is served then`, async () => {
    const world = ClusterWorld.embedded(protocol);
    const a = await world.enter("a");
    const b = await world.join("b");
    const first = b.ask(START);
    const second = a.ask(START);
    await world.rest(500);
    assert.not(b.answers.has(first));
    await enter(world, b);
    const both = [
      { host: b, id: first },
      { host: a, id: second },
    ];
    // The token goes to who waits for it; in the channel the node has the right already.
    for (const { host, id } of protocol === "channel" ? both : both.reverse()) {
      assert.equal(await world.answered(host, id), { ok: true });
      await world.ok(host, FINISH);
    }
    world.end();
  });

  test(`${protocol}: a node that dies or leaves before it takes part holds nobody up`, async () => {
    const world = ClusterWorld.embedded(protocol);
    const a = await world.enter("a");
    const b = await world.join("b");
    await world.ok(b, { type: "leave", needsSync: false });
    await world.ok(a, START);
    await world.ok(a, FINISH);
    const c = await world.join("c");
    c.die();
    await world.ok(a, START);
    await world.ok(a, FINISH);
    world.end();
  });

  test(`${protocol}: who had the right and died last does not keep anybody out`, async () => {
    const world = ClusterWorld.embedded(protocol);
    const a = await world.enter("a");
    await world.ok(a, START);
    a.die();
    const b = joining(world, "b");
    await world.until("b has joined", () => b.cluster !== null);
    await enter(world, b);
    await world.ok(b, START);
    world.end();
  });
}

test("channel: who waits to join takes no part", async () => {
  const world = ClusterWorld.embedded("channel");
  const a = await world.join("a");
  const b = joining(world, "b");
  await world.rest(3000);
  assert.is(b.cluster, null);
  assert.is(a.cluster?.isRunElsewhere, false);
  world.end();
});

for (const protocol of PROTOCOLS)
  test(`${protocol}: a node that leaves in the midst of an update leaves`, async () => {
    const world = ClusterWorld.embedded(protocol);
    const a = await world.enter("a");
    const b = await world.enter("b");
    await world.ok(a, START);
    await world.ok(a, { type: "leave", needsSync: true });
    await world.until("a is recovered", () => b.notices.includes("recover-slot 0"));
    await world.ok(b, START);
    await world.ok(b, FINISH);
    world.end();
  });

for (const protocol of PROTOCOLS)
  test(`${protocol}: reads are not balanced from BITMAP_NEEDS_SYNC on, before its node is gone`, async () => {
    const world = ClusterWorld.embedded(protocol);
    const a = await world.enter("a");
    const b = await world.enter("b");
    const c = await world.enter("c");
    assert.is(b.isSuspended, false);
    // The exchange is busy with c's array: a cannot leave before that has carried the notice out.
    c.holds = new Set(["remove"]);
    const sent = b.ask({ type: "remove-disk", deviceNumber: 1 });
    await world.until("c is busy", () => c.held !== null);
    const leaving = a.ask({ type: "leave", needsSync: true });
    await world.rest(500);
    assert.is(b.isSuspended, false);
    c.carryOut();
    await world.answered(b, sent);
    await world.answered(a, leaving);
    assert.equal([b.isSuspended, c.isSuspended], [true, true]);
    world.end();
  });

/** a has died with the right to send, and c waits to join b. */
const deadHolder = async () => {
  const world = ClusterWorld.embedded("channel");
  const a = await world.enter("a");
  const b = await world.enter("b");
  await world.ok(a, START);
  a.die();
  return { world, b, c: joining(world, "c") };
};

test("channel: nobody joins by superblocks that a node which has left may have half written", async () => {
  const world = ClusterWorld.embedded("channel");
  const a = await world.enter("a");
  const b = await world.enter("b");
  await world.ok(a, START);
  await world.ok(a, { type: "leave", needsSync: true });
  const c = joining(world, "c");
  await world.until("a is recovered", () => b.notices.includes("recover-slot 0"));
  await joinsOnceTold(world, b, c);
  world.end();
});

test("channel: a node that leaves waits for nobody to declare dead who had the right", async () => {
  const world = ClusterWorld.embedded("channel");
  const a = await world.enter("a");
  const b = await world.enter("b");
  await world.ok(a, START);
  a.die();
  await world.ok(b, { type: "leave", needsSync: true });
  world.end();
});

test("channel: who had the right dies: nobody joins before the superblocks are told anew", async () => {
  const { world, b, c } = await deadHolder();
  await world.until("a is recovered", () => b.notices.includes("recover-slot 0"));
  await world.until("its slot is free", () => b.view.slots[0]?.condition !== "recovering");
  await joinsOnceTold(world, b, c);
  world.end();
});

test("channel: nor when the end of its message is another node's", async () => {
  const world = ClusterWorld.embedded("channel");
  const a = await world.enter("a");
  const b = await world.enter("b");
  b.holds = new Set(["resyncing"]);
  await world.ok(a, { type: "resync-start" });
  await world.ok(a, START);
  a.ask({ type: "resync-info-update", lo: 0, hi: 64 });
  await world.until("it is in flight", () => b.held !== null);
  a.die();
  const c = joining(world, "c");
  b.holds = new Set();
  b.carryOut();
  await world.until("a is recovered", () => b.notices.includes("recover-slot 0"));
  await joinsOnceTold(world, b, c);
  world.end();
});

test("channel: nor because another node sends something, or looks whether an update is due", async () => {
  const { world, b, c } = await deadHolder();
  await world.ok(b, { type: "remove-disk", deviceNumber: 3 });
  await world.ok(b, START);
  await world.ok(b, { type: "remove-disk", deviceNumber: 4 });
  await world.ok(b, { type: "metadata-update-cancel" });
  await joinsOnceTold(world, b, c);
  world.end();
});

test("a recovery that its node cannot finish goes to another one when it leaves", async () => {
  for (const protocol of PROTOCOLS) {
    const world = ClusterWorld.embedded(protocol);
    const a = await world.enter("a");
    const b = await world.enter("b");
    const c = await world.enter("c");
    b.holds = new Set(["recover-slot"]);
    a.die();
    await world.until("b is told", () => b.held !== null);
    await world.ok(b, { type: "leave", needsSync: true });
    const recovered = (): readonly string[] =>
      c.notices.filter((one) => one.startsWith("recover-slot")).slice(-2);
    await world.until("c has recovered both", () => recovered().length === 2);
    assert.equal([...recovered()].sort(), ["recover-slot 0", "recover-slot 1"], protocol);
    const isFree = (slot: number): boolean => c.view.slots[slot]?.condition === "free";
    await world.until("both are free", () => isFree(0) && isFree(1));
    await world.pass(c);
    await world.until("reads are balanced", () => !c.isSuspended);
    world.end();
  }
});

test.run();
