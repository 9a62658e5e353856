/** What the cluster remembers of the array's copies: how new they are, members put aside. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Txn } from "../../../../src/cluster/store/cluster-store.ts";
import { type ClusterHost, ClusterWorld, QUICK } from "../../../helpers/cluster-host.ts";

const test = suite("cluster node: copies");
const DEVICE = "00112233445566778899aabbccddeeff";

test("a member that an administrator puts aside is so for every node, until it is taken back", async () => {
  const world = ClusterWorld.embedded("channel");
  const a = await world.enter("a");
  const b = await world.enter("b");
  await world.finish("it is noted", a.cluster?.copies.setAside(DEVICE, true) ?? Promise.reject());
  await world.until("b sees it", () => b.view.aside.includes(DEVICE));
  a.die();
  world.put(`${world.keys.asides}no-device`, "");
  await world.until("a is gone", () => b.view.slots[0]?.condition === "free");
  assert.equal(b.view.aside, [DEVICE], "it outlives the node that noted it");
  await world.finish(
    "it is taken back",
    b.cluster?.copies.setAside(DEVICE, false) ?? Promise.reject(),
  );
  await world.until("b sees it", () => b.view.aside.length === 0);
  world.end();
});

test("a node that is out notes nothing", async () => {
  const world = ClusterWorld.embedded("channel");
  const a = await world.enter("a");
  await world.revoke(a);
  const outcome = await world.finish(
    "it is refused",
    a.cluster?.copies.setAside(DEVICE, true).catch(({ code }) => code) ?? Promise.reject(),
  );
  assert.is(outcome, "CLUSTER_EXPELLED");
  assert.is(world.memory.map.get(world.keys.aside(DEVICE)), null);
  world.end();
});

const copiesOf = ({ cluster }: ClusterHost) => {
  if (cluster === null) throw new Error("it has joined");
  return cluster.copies;
};

const update = async (world: ClusterWorld, host: ClusterHost, events: number): Promise<void> => {
  await world.ok(host, { type: "metadata-update-start" });
  await world.ok(host, { type: "metadata-update-finish", deviceNumber: 1, events });
};

test("no two updates are given the same events to end at, whoever asks and whoever died with his", async () => {
  const world = ClusterWorld.embedded("channel");
  const a = await world.enter("a");
  const b = await world.enter("b");
  const given = async (host: ClusterHost, events: number) => {
    const answer = await world.ask(host, { type: "outrun", events });
    return answer.ok ? answer.events : answer.code;
  };
  assert.is(await given(a, 21), 21);
  const both = await Promise.all([given(a, 21), given(b, 21)]);
  assert.equal(both.sort(), [29, 37]);
  a.die();
  assert.is(await given(b, 40), 45);
  assert.is(await given(b, 200), 200);
  world.put(world.keys.given, "nonsense");
  await world.until("b sees it", () => b.view !== undefined);
  assert.is(await given(b, 90), 90, "what something else has written there tells nothing");
  world.end();
});

for (const protocol of ["channel", "literal"] as const)
  test(`${protocol}: how new superblocks are is known before anybody is told of them`, async () => {
    const world = ClusterWorld.embedded(protocol);
    const a = await world.enter("a");
    const b = await world.enter("b");
    const newest = () => world.get(world.keys.newest);
    assert.is(newest(), "");
    assert.is(await world.finish("it is asked", copiesOf(a).newest()), null);
    b.holds = new Set(["metadata-updated"]);
    await world.ok(a, { type: "metadata-update-start" });
    const finish = a.ask({ type: "metadata-update-finish", deviceNumber: 1, events: 7 });
    await world.until("b is told", () => b.held !== null);
    assert.is(newest(), "7");
    b.carryOut();
    b.holds = new Set();
    await world.answered(a, finish);
    await update(world, b, 9);
    assert.is(await world.finish("it is asked", copiesOf(a).newest()), 9);
    await update(world, a, 8);
    assert.is(newest(), "9", "it never goes back");
    world.put(world.keys.newest, "no number");
    assert.is(await world.finish("it is asked", copiesOf(a).newest()), null);
    await update(world, a, 10);
    assert.is(newest(), "10", "who has written the newest ones puts it right");
    world.end();
  });

const isAbout = (txn: Txn, key: string): boolean =>
  txn.success.some((op) => op.type === "put" && op.key === key);

for (const isMade of [false, true])
  test(`a node that dies when it says so ${isMade ? "has" : "has not"} told nobody`, async () => {
    const world = ClusterWorld.embedded("channel");
    world.timing = QUICK;
    const { host: a, store } = await world.enterMortal("a");
    const b = await world.enter("b");
    await update(world, a, 7);
    b.log.length = 0;
    await world.ok(a, { type: "metadata-update-start" });
    store.counts = (txn) => isAbout(txn, world.keys.newest);
    store.isMade = isMade;
    store.left = 0;
    a.ask({ type: "metadata-update-finish", deviceNumber: 3, events: 8 });
    await world.until("it dies", () => a.isDead);
    await world.until("it is recovered", () => b.view.slots[0]?.condition === "free");
    assert.not.match(b.notices.join(), "metadata-updated");
    assert.is(world.get(world.keys.newest), isMade ? "8" : "7");
    await update(world, b, 10);
    assert.is(world.get(world.keys.newest), "10");
    world.end();
  });

test("an update that cannot be noted is told to nobody, however long it takes", async () => {
  const world = ClusterWorld.embedded("channel");
  const a = await world.enter("a");
  const b = await world.enter("b");
  await world.ok(a, { type: "metadata-update-start" });
  const { txn } = world.memory;
  world.memory.txn = (asked) => {
    if (isAbout(asked, world.keys.newest)) throw new Error("away");
    return txn.call(world.memory, asked);
  };
  const id = a.ask({ type: "metadata-update-finish", deviceNumber: 1, events: 5 });
  await world.rest(20_000);
  assert.not.ok(a.answers.has(id));
  assert.not.match(b.notices.join(), "metadata-updated");
  world.memory.txn = txn;
  assert.is((await world.answered(a, id)).ok, true);
  assert.is(world.get(world.keys.newest), "5");
  world.end();
});

for (const needsSync of [false, true])
  test(`a node that leaves while it notes an update tells nobody: ${needsSync ? "with" : "without"} bits`, async () => {
    const world = ClusterWorld.embedded("channel");
    const a = await world.enter("a");
    const b = await world.enter("b");
    await world.ok(a, { type: "metadata-update-start" });
    a.ask({ type: "metadata-update-finish", deviceNumber: 1, events: 5 });
    await world.ok(a, { type: "leave", needsSync });
    await world.until("its slot is free", () => b.view.slots[0]?.condition === "free");
    assert.not.match(b.notices.join(), "metadata-updated");
    await update(world, b, 8);
    world.end();
  });

test("a start by force is remembered with all that went before", async () => {
  const world = ClusterWorld.embedded("channel");
  const a = await world.enter("a");
  const copies = copiesOf(a);
  const begin = (...args: Parameters<typeof copies.begin>) =>
    world.finish("it is noted", copies.begin(...args));
  await begin(20, null);
  await world.until("it is seen", () => a.view.knownSince === 20);
  assert.is(world.get(world.keys.newest), "20", "from where it starts is as new as any");
  await begin(12, { from: 12, to: 36 });
  assert.is(world.get(world.keys.newest), "36", "no other copy counts, before anything is written");
  assert.equal(a.view.forced, { from: 12, to: 36 }, "known where it was written, at once");
  await begin(40, { from: 15, to: 52 });
  assert.equal(a.view.forced, { from: 12, to: 52 });
  await begin(50, { from: 50, to: Number.MAX_SAFE_INTEGER });
  assert.is(world.get(world.keys.newest), "52", "how far others had gone is not known");
  await update(world, a, 60);
  await world.until("it is seen", () => world.get(world.keys.newest) === "60");
  assert.is(a.view.knownSince, 20, "since then the cluster knows");
  world.end();
});

test.run();
