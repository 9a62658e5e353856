/**
 * The document's chapter 3, over whole nodes: what is told, in which order, and what the sender may
 * rely on. The same stories for both protocols.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { encodeLvb } from "../../../../src/cluster/dlm/lvb-text.ts";
import { decodeChannel, encodeChannel } from "../../../../src/cluster/md/channel-record.ts";
import type { MemoryStore } from "../../../../src/cluster/store/memory-store.ts";
import type { ClusterCall } from "../../../../src/raid/cluster-port.ts";
import { type ClusterHost, ClusterWorld } from "../../../helpers/cluster-host.ts";
import { DeafStore } from "../../../helpers/deaf-store.ts";
import { blockOf, DEVICE_UUID } from "../../../helpers/md-messages.ts";

const test = suite("cluster node: messages");

const three = async (protocol: "channel" | "literal") => {
  const world = ClusterWorld.embedded(protocol);
  const a = await world.enter("a");
  const b = await world.enter("b");
  const c = await world.enter("c");
  for (const host of [a, b, c]) host.log.length = 0;
  return { world, a, b, c };
};

const lockTrace = (host: ClusterHost): readonly string[] =>
  host.view.trace.filter(({ what }) => what === "lock").map(({ text }) => text);

for (const protocol of ["channel", "literal"] as const) {
  test(`${protocol}: "the sender waits for all other nodes to acknowledge the message before proceeding" (3)`, async () => {
    const { world, a, b, c } = await three(protocol);
    b.holds = new Set(["metadata-updated"]);
    await world.ok(a, { type: "metadata-update-start" });
    const finish = a.ask({ type: "metadata-update-finish", deviceNumber: 1, events: 1 });
    await world.until("b reads", () => b.held !== null);
    await world.rest(20_000);
    assert.equal(c.notices, ["metadata-updated 1 1"]);
    assert.is(a.answers.has(finish), false);
    if (protocol === "channel") {
      const waits = a.view.waits.join();
      assert.match(waits, /waiting for node 2 \(b\), which last confirmed [0-3]\.\d s ago, to pro/);
      assert.match(waits, /ago, to process METADATA_UPDATED, 20\.\d s/);
    }
    b.carryOut();
    assert.equal(await world.answered(a, finish), { ok: true });
    world.end();
  });

  test(`${protocol}: "only one message can be processed at a time" (3)`, async () => {
    const { world, a, b, c } = await three(protocol);
    b.holds = new Set(["remove", "re-add"]);
    const first = a.ask({ type: "remove-disk", deviceNumber: 3 });
    await world.until("b has the first", () => b.held?.type === "remove");
    const second = c.ask({ type: "gather-bitmaps", deviceNumber: 3 });
    await world.rest(3000);
    assert.equal(b.notices, ["remove 3"]);
    b.carryOut();
    await world.until("b has the second", () => b.held?.type === "re-add");
    assert.equal(await world.answered(a, first), { ok: true });
    b.carryOut();
    assert.equal(await world.answered(c, second), { ok: true });
    world.end();
  });

  test(`${protocol}: each type reaches every other node with its fields (3.1)`, async () => {
    const { world, a, b, c } = await three(protocol);
    await world.ok(a, { type: "metadata-update-start" });
    await world.ok(a, { type: "metadata-update-finish", deviceNumber: 5, events: 1 });
    const calls: readonly ClusterCall[] = [
      { type: "resync-info-update", lo: 0, hi: 65_536 },
      { type: "remove-disk", deviceNumber: 3 },
      { type: "gather-bitmaps", deviceNumber: 4 },
      { type: "bitmap-resize", sectors: 4096 },
      { type: "change-capacity" },
      { type: "add-new-disk-start", uuid: DEVICE_UUID, deviceNumber: 2 },
    ];
    for (const call of calls) await world.ok(a, call);
    const expected = [
      "metadata-updated 5 1",
      "resyncing 0 0 65536",
      "remove 3",
      "re-add 4",
      "bitmap-resize 4096 0",
      "change-capacity",
      `new-disk ${DEVICE_UUID} 2`,
    ];
    assert.equal(b.notices, expected);
    assert.equal(c.notices, expected);
    assert.equal(a.notices, []);
    world.end();
  });

  test(`${protocol}: a change of the array for which a node has no rest is refused, and the hold stays`, async () => {
    const { world, a, b, c } = await three(protocol);
    b.refuses = new Set(["bitmap-resize"]);
    await world.ok(a, { type: "metadata-update-start" });
    const answer = await world.ask(a, { type: "bitmap-resize", sectors: 8 });
    assert.is(answer.ok ? "" : answer.code, "CLUSTER_NODE_BUSY");
    const who = protocol === "channel" ? /^node 2 \(b\) cannot/ : /^a node of the cluster cannot/;
    assert.match(answer.ok ? "" : answer.message, who);
    await world.ok(a, { type: "metadata-update-finish", deviceNumber: 1, events: 1 });
    assert.equal(c.notices, ["bitmap-resize 8 0", "metadata-updated 1 1"]);
    b.refuses = new Set();
    await world.ok(a, { type: "metadata-update-start" });
    await world.ok(a, { type: "bitmap-resize", sectors: 8 });
    await world.ok(a, { type: "metadata-update-finish", deviceNumber: 1, events: 1 });
    world.end();
  });

  test(`${protocol}: a RESYNCING "overrides any previous notification from that node" (3.1.2)`, async () => {
    const { world, a, b } = await three(protocol);
    await world.ok(a, { type: "resync-start" });
    await world.ok(a, { type: "resync-info-update", lo: 0, hi: 100 });
    await world.ok(a, { type: "resync-info-update", lo: 100, hi: 200 });
    assert.equal(b.view.ranges, [{ slot: 0, lo: 100, hi: 200 }]);
    await world.ok(a, { type: "resync-finish" });
    assert.equal(b.view.ranges, []);
    assert.equal(b.notices, ["resyncing 0 0 100", "resyncing 0 100 200", "resyncing 0 0 0"]);
    world.end();
  });

  test(`${protocol}: BITMAP_NEEDS_SYNC: a node "is stopped locally but the bitmap isn't clean, then another node is informed" (3.1.6)`, async () => {
    const { world, a, b, c } = await three(protocol);
    await world.ok(c, { type: "leave", needsSync: true });
    await world.until("somebody takes it", () => [...a.notices, ...b.notices].length > 0);
    await world.rest(5000);
    assert.equal(
      [a.notices, b.notices],
      [["recover-slot 2"], []],
      "once, without waiting for fences",
    );
    assert.is(b.isSuspended, true, "until the pass over its bits is over");
    await world.pass(a);
    await world.until("reads are balanced", () => !a.isSuspended && !b.isSuspended);
    world.end();
  });

  test(`${protocol}: "Sender checks that it still needs to send a message" (3.2): what others sent is carried out first`, async () => {
    const { world, a, b, c } = await three(protocol);
    await world.ok(a, { type: "metadata-update-start" });
    const start = b.ask({ type: "metadata-update-start" });
    await world.rest(500);
    assert.is(b.answers.has(start), false, "one at a time");
    await world.ok(a, { type: "metadata-update-finish", deviceNumber: 1, events: 1 });
    assert.equal(await world.answered(b, start), { ok: true });
    assert.equal(b.notices, ["metadata-updated 1 1"], "before the grant");
    await world.ok(b, { type: "metadata-update-cancel" });
    await world.rest(500);
    assert.equal(c.notices, ["metadata-updated 1 1"], "nothing was sent");
    world.end();
  });

  test(`${protocol}: a start that is cancelled before its turn is answered, and nobody waits for it`, async () => {
    const { world, a, b } = await three(protocol);
    await world.ok(a, { type: "metadata-update-start" });
    const start = b.ask({ type: "metadata-update-start" });
    await world.ok(b, { type: "metadata-update-cancel" });
    const answer = await world.answered(b, start);
    assert.is(answer.ok ? "" : answer.code, "CLUSTER_CANCELLED");
    await world.ok(a, { type: "metadata-update-finish", deviceNumber: 1, events: 1 });
    await world.ok(a, { type: "metadata-update-start" });
    world.end();
  });

  test(`${protocol}: messages of a node that may write superblocks go out within its hold`, async () => {
    const { world, a, b } = await three(protocol);
    const start = a.ask({ type: "metadata-update-start" });
    const range = a.ask({ type: "resync-info-update", lo: 0, hi: 8 });
    assert.equal(await world.answered(a, start), { ok: true });
    assert.equal(await world.answered(a, range), { ok: true });
    await world.ok(a, { type: "change-capacity" });
    const other = b.ask({ type: "metadata-update-start" });
    await world.rest(500);
    assert.is(b.answers.has(other), false);
    await world.ok(a, { type: "metadata-update-finish", deviceNumber: 0, events: 1 });
    assert.equal(await world.answered(b, other), { ok: true });
    world.end();
  });
}

test("literal: the locks of a message are taken in the document's order (3.2)", async () => {
  const { world, a, b } = await three("literal");
  const [before, beforeB] = [lockTrace(a).length, lockTrace(b).length];
  await world.ok(a, { type: "remove-disk", deviceNumber: 1 });
  await world.rest(500);
  assert.equal(lockTrace(a).slice(before), [
    "token EX",
    "message EX",
    "message CW",
    "ack EX",
    "ack CR",
    "message NL",
    "token NL",
  ]);
  assert.equal(lockTrace(b).slice(beforeB), [
    "message CR",
    "ack NL",
    "message PR",
    "ack CR",
    "message NL",
  ]);
  const heard = b.view.trace.map(({ what, text }) => `${what} ${text}`);
  const at = (line: string): number => heard.lastIndexOf(line);
  assert.ok(at("bast ack EX") < at("lock message CR"), "triggered by bast of ack");
  assert.ok(at("ast message granted") > at("lock message CR"));
  world.end();
});

/** Puts bytes into the channel that none of these nodes sent. */
const forge = async (
  world: ClusterWorld,
  memory: MemoryStore,
  bytes: Uint8Array,
): Promise<void> => {
  const key = world.keys.channel;
  const { seq } = decodeChannel(memory.map.get(key)?.value ?? "");
  const block = new Uint8Array(bytes);
  new DataView(block.buffer).setBigUint64(48, BigInt(seq + 1), true);
  const origin = { slot: new DataView(block.buffer).getUint32(4, true) + 1, epoch: 1 };
  const record = { seq: seq + 1, holder: origin, origin, payload: encodeLvb(block), isDone: false };
  memory.txn({
    compares: [],
    success: [{ type: "put", key, value: encodeChannel(record), lease: null }],
    failure: [],
  });
  await world.rest(1000);
};

test("a message of a later version is acknowledged and told, nothing else (3.1)", async () => {
  const world = ClusterWorld.embedded("channel");
  const a = await world.enter("a");
  const b = await world.enter("b");
  await forge(world, world.memory, blockOf("63000000 03000000"));
  for (const host of [a, b]) {
    const ignored = host.happened.filter(({ type }) => type === "ignored");
    assert.equal(ignored, [{ type: "ignored", slot: 3, code: 99 }]);
  }
  await world.ok(a, { type: "remove-disk", deviceNumber: 1 });
  world.end();
});

test("a message of a slot that the array does not have puts the node out, unacknowledged (B5)", async () => {
  const world = ClusterWorld.embedded("channel");
  const a = await world.enter("a");
  await forge(world, world.memory, blockOf("03000000 09000000"));
  assert.is(a.isExpelled, true);
  assert.equal(
    a.happened.filter(({ type }) => type === "bad-slot"),
    [{ type: "bad-slot", slot: 9, message: "REMOVE" }],
  );
  assert.is(decodeChannel(world.memory.map.get(world.keys.channel)?.value ?? "").isDone, false);
  world.end();
});

test("a damaged channel is told once, and messages go on when it is repaired", async () => {
  const world = ClusterWorld.embedded("channel");
  const a = await world.enter("a");
  const b = await world.enter("b");
  const key = world.keys.channel;
  const text = world.memory.map.get(key)?.value ?? "";
  const put = (value: string): void =>
    void world.memory.txn({
      compares: [],
      success: [{ type: "put", key, value, lease: null }],
      failure: [],
    });
  put("garbage");
  const sent = a.ask({ type: "remove-disk", deviceNumber: 1 });
  await world.rest(5000);
  assert.is(a.answers.has(sent), false);
  assert.is(a.happened.filter(({ type }) => type === "damaged").length, 1);
  assert.is(world.memory.map.get(key)?.value, "garbage", "nothing is overwritten");
  put(text);
  assert.equal(await world.answered(a, sent), { ok: true });
  assert.equal(b.notices.at(-1), "remove 1");
  world.end();
});

/** The watch of `a` has lost that `b` has joined; `b` has sent nothing yet. */
const deaf = async () => {
  const world = ClusterWorld.embedded("channel");
  const store = new DeafStore(world.memory, world.clock);
  const a = await world.enter("a", { store });
  store.hears = (key) => !/\/(m|ack|slot)\/2$/.test(key);
  const b = await world.join("b");
  await world.finish("b enters", b.cluster?.start() ?? Promise.resolve());
  assert.is(a.view.members.length, 1, "a does not know b yet");
  return { world, a, b };
};

test("who sends knows all receivers from the store, though its watch has lost one", async () => {
  const { world, a, b } = await deaf();
  b.holds = new Set(["metadata-updated"]);
  await world.ok(a, { type: "metadata-update-start" });
  const finish = a.ask({ type: "metadata-update-finish", deviceNumber: 1, events: 1 });
  await world.until("b reads", () => b.held !== null);
  await world.rest(5000);
  assert.is(a.answers.has(finish), false);
  b.carryOut();
  assert.equal(await world.answered(a, finish), { ok: true });
  world.end();
});

test("nobody takes the right to send from a node that lives, though its watch has lost it", async () => {
  const { world, a, b } = await deaf();
  await world.ok(b, { type: "metadata-update-start" });
  const start = a.ask({ type: "metadata-update-start" });
  await world.rest(3000);
  assert.is(a.answers.has(start), false);
  await world.ok(b, { type: "metadata-update-finish", deviceNumber: 1, events: 1 });
  assert.equal(await world.answered(a, start), { ok: true });
  assert.equal(a.notices.at(-1), "metadata-updated 1 1");
  world.end();
});

test("a range of a node that lives is suspended, though the watch has lost it", async () => {
  const { world, a, b } = await deaf();
  await world.ok(b, { type: "resync-start" });
  await world.ok(b, { type: "resync-info-update", lo: 0, hi: 100 });
  assert.is(a.notices.at(-1), "resyncing 1 0 100");
  await world.rest(5000);
  assert.equal(a.view.ranges, [{ slot: 1, lo: 0, hi: 100 }]);
  world.end();
});

test("nobody finishes a message for a node that lives, though its watch has lost it", async () => {
  const { world, a, b } = await deaf();
  await world.ok(b, { type: "remove-disk", deviceNumber: 1 });
  assert.equal(a.notices.at(-1), "remove 1");
  assert.equal(
    a.happened.filter(({ type }) => type === "damaged"),
    [],
  );
  await world.ok(b, { type: "remove-disk", deviceNumber: 2 });
  world.end();
});

test.run();
