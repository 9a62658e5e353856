/** The document's chapter 6: the call-backs that the md core makes to the cluster. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { joinArray } from "../../../../src/cluster/node/cluster-driver.ts";
import type { Listing } from "../../../../src/cluster/store/cluster-store.ts";
import { EmbeddedStore } from "../../../../src/cluster/store/embedded-store-driver.ts";
import type { ClusterAnswer, ClusterCall } from "../../../../src/raid/cluster-port.ts";
import { NO_CLUSTER } from "../../../../src/raid/no-cluster.ts";
import { ClusterHost, ClusterWorld } from "../../../helpers/cluster-host.ts";
import { DEVICE_UUID } from "../../../helpers/md-messages.ts";

const test = suite("cluster node: call-backs");

const lockOf = (host: ClusterHost, resource: string) =>
  host.view.locks.find((one) => one.resource === resource);

const holders = (host: ClusterHost, resource: string): readonly string[] =>
  (lockOf(host, resource)?.granted ?? []).flatMap(({ node, granted }) =>
    granted === "NL" ? [] : [`${node} ${granted}`],
  );

const codeOf = (answer: ClusterAnswer): string => (answer.ok ? "ok" : answer.code);

/** A store that does not answer. */
class AbsentStore extends EmbeddedStore {
  isAway = true;

  override list(prefix: string): Promise<Listing> {
    return this.isAway ? Promise.reject(new Error("away")) : super.list(prefix);
  }
}

/** Every call of the document that a node makes while it runs, in an order that makes sense. */
const CALLS: readonly ClusterCall[] = [
  { type: "metadata-update-start" },
  { type: "metadata-update-finish", deviceNumber: 1, events: 1 },
  { type: "metadata-update-start" },
  { type: "metadata-update-cancel" },
  { type: "resync-start" },
  { type: "resync-info-update", lo: 0, hi: 8 },
  { type: "resync-finish" },
  { type: "add-new-disk-start", uuid: DEVICE_UUID, deviceNumber: 2 },
  { type: "add-new-disk-finish", isAdded: true },
  { type: "metadata-update-start" },
  { type: "metadata-update-finish", deviceNumber: 2, events: 1 },
  { type: "new-disk-ack", isFound: false },
  { type: "remove-disk", deviceNumber: 2 },
  { type: "gather-bitmaps", deviceNumber: 1 },
  { type: "lock-all-bitmaps" },
  { type: "unlock-all-bitmaps" },
  { type: "leave", needsSync: false },
];

for (const protocol of ["channel", "literal"] as const) {
  const two = async () => {
    const world = ClusterWorld.embedded(protocol);
    const a = await world.enter("a");
    const b = await world.enter("b");
    for (const host of [a, b]) host.log.length = 0;
    return { world, a, b };
  };

  test(`${protocol}: join(): the bitmap lock is held in PW "during the lifetime" (2.1, 6.1)`, async () => {
    const { world, a, b } = await two();
    assert.equal(holders(a, "bitmap0000"), ["a PW"]);
    assert.equal(holders(a, "bitmap0001"), ["b PW"]);
    await world.ok(b, { type: "leave", needsSync: false });
    await world.rest(500);
    assert.equal(holders(a, "bitmap0001"), []);
    world.end();
  });

  test(`${protocol}: the bitmap lock is asked for in PW only, whatever the node does (2.1)`, async () => {
    const { world, a, b } = await two();
    const before = a.view.trace.length;
    const own = (): string[] =>
      a.view.trace
        .slice(before)
        .flatMap(({ what, text }) =>
          what === "lock" && text.startsWith("bitmap0000 ") ? [text] : [],
        );
    await world.ok(a, { type: "metadata-update-start" });
    await world.ok(a, { type: "metadata-update-finish", deviceNumber: 1, events: 1 });
    await world.ok(a, { type: "resync-start" });
    await world.ok(a, { type: "resync-info-update", lo: 0, hi: 64 });
    assert.equal(holders(b, "bitmap0000"), ["a PW"]);
    await world.ok(a, { type: "resync-finish" });
    await world.ok(a, { type: "remove-disk", deviceNumber: 1 });
    assert.equal(holders(b, "bitmap0000"), ["a PW"]);
    assert.equal([...new Set(own())], ["bitmap0000 PW"]);
    world.end();
  });

  test(`${protocol}: "one is subtracted from the DLM slot number" (2.1)`, async () => {
    const { world } = await two();
    await world.enter("c");
    for (const [at, host] of world.hosts.entries()) {
      const record = world.memory.map.get(world.keys.member(at + 1))?.value ?? "";
      assert.is(JSON.parse(record).node, host.name, "the DLM counts from one");
      assert.is(host.slot, at, "bitmap slots from zero");
      assert.equal(holders(host, `bitmap000${at}`), [`${host.name} PW`]);
    }
    world.end();
  });

  test(`${protocol}: join() "ensures the cluster is available and initializes the various resources" (6.1)`, async () => {
    const world = ClusterWorld.embedded(protocol);
    const store = new AbsentStore(world.memory, world.clock);
    const host = new ClusterHost("a");
    let isJoined = false;
    const joining = joinArray(world.options(host, { store })).then((cluster) => {
      isJoined = true;
      host.cluster = cluster;
    });
    const { revision } = world.memory.map;
    await world.rest(20_000);
    assert.is(isJoined, false);
    assert.is(world.memory.map.revision, revision, "nothing is written meanwhile");
    store.isAway = false;
    await world.finish("it joins", joining);
    const names = host.view.locks.map(({ resource }) => resource);
    for (const name of ["bitmap0000", "no-new-dev"])
      assert.ok(names.includes(name), `${name} of ${names.join()}`);
    host.die();
  });

  test(`${protocol}: each of the "17 call-backs" is answered (6)`, async () => {
    const world = ClusterWorld.embedded(protocol);
    const a = await world.enter("a");
    // join, slot_number and area_resyncing are no calls of a node that runs.
    assert.equal([a.slot, a.isSuspended], [0, false]);
    for (const call of CALLS) assert.is(codeOf(await world.ask(a, call)), "ok", call.type);
    const ofDocument = new Set(CALLS.map(({ type }) => type));
    assert.is(ofDocument.size + 3, 17);
    for (const call of CALLS) assert.equal(NO_CLUSTER.call(1, call), { ok: true });
    world.end();
  });

  test(`${protocol}: "Only the first 'nodes' nodes in the cluster can use the array" (6.1)`, async () => {
    const { world } = await two();
    world.nodes = 2;
    const third = new ClusterHost("c");
    const options = world.options(third);
    const failed = await world.finish(
      "c is refused",
      joinArray(options).catch((error) => error),
    );
    assert.is(failed.code, "CLUSTER_NO_SLOT");
    world.end();
  });

  test(`${protocol}: slot_number(): "Range is from 0 to nodes-1", the lowest that is free (6.2)`, async () => {
    const { world, a, b } = await two();
    const c = await world.enter("c");
    assert.equal([a.slot, b.slot, c.slot], [0, 1, 2]);
    await world.ok(b, { type: "leave", needsSync: false });
    const d = await world.enter("d");
    assert.is(d.slot, 1);
    world.end();
  });

  test(`${protocol}: resync_info_update(): "updates the resync range that is stored in the bitmap lock", for nodes that join (6.3, 2.1)`, async () => {
    const { world, a, b } = await two();
    await world.ok(a, { type: "resync-start" });
    await world.ok(a, { type: "resync-info-update", lo: 64, hi: 128 });
    assert.equal(lockOf(b, "bitmap0000")?.range, { lo: 64, hi: 128 });
    const c = await world.join("c");
    await world.finish("c enters", c.cluster?.start() ?? Promise.resolve());
    assert.is(c.notices[0], "resyncing 0 64 128");
    await world.ok(a, { type: "resync-finish" });
    assert.is(lockOf(b, "bitmap0000")?.range, null);
    assert.is(c.notices.at(-1), "resyncing 0 0 0");
    world.end();
  });

  test(`${protocol}: resync_start(): one node at a time; resync_finish() "reports none of it" (6.4)`, async () => {
    const { world, a, b } = await two();
    await world.ok(a, { type: "resync-start" });
    const second = b.ask({ type: "resync-start" });
    await world.rest(500);
    assert.is(b.answers.has(second), false);
    const waits = b.view.waits.join();
    assert.match(waits, /for node 1 \(a\), which last confirmed [0-3]\.\d s ago, to end/);
    assert.match(waits, /to end its sync action \(it has the lock resync in EX\), 0\.\d s/);
    await world.ok(a, { type: "resync-finish" });
    assert.equal(await world.answered(b, second), { ok: true });
    assert.equal(b.notices, ["resyncing 0 0 0"]);
    world.end();
  });

  test(`${protocol}: a sync action that is given up before its turn leaves the queue`, async () => {
    const { world, a, b } = await two();
    await world.ok(a, { type: "resync-start" });
    const start = b.ask({ type: "resync-start" });
    await world.rest(200);
    await world.ok(b, { type: "resync-finish" });
    assert.is(codeOf(await world.answered(b, start)), "CLUSTER_CANCELLED");
    assert.equal(lockOf(a, "resync")?.converting, []);
    world.end();
  });

  test(`${protocol}: metadata_update_start() gets "exclusive access", cancel() releases it (6.5)`, async () => {
    const { world, a, b } = await two();
    await world.ok(a, { type: "metadata-update-start" });
    const second = b.ask({ type: "metadata-update-start" });
    await world.rest(500);
    assert.is(b.answers.has(second), false);
    await world.ok(a, { type: "metadata-update-cancel" });
    assert.equal(await world.answered(b, second), { ok: true });
    assert.is(
      codeOf(await world.ask(a, { type: "metadata-update-finish", deviceNumber: 0, events: 1 })),
      "CLUSTER_NO_HOLD",
    );
    world.end();
  });

  test(`${protocol}: area_resyncing(): "while node recovery is happening" all areas are, for reads (6.6)`, async () => {
    const { world, a, b } = await two();
    assert.is(a.isSuspended, false);
    b.die();
    await world.until("b is gone", () => a.view.slots[1]?.condition === "gone" || a.isSuspended);
    assert.is(a.isSuspended, true);
    await world.until("b is recovered", () => a.notices.includes("recover-slot 1"));
    await world.pass(a);
    await world.until("reads are balanced", () => !a.isSuspended);
    world.end();
  });

  test(`${protocol}: a node that joins owes a pass: nobody balances reads before it is over`, async () => {
    const { world, a, b } = await two();
    const c = await world.join("c");
    await world.until("a knows", () => a.isSuspended);
    await world.finish("c enters", c.cluster?.start() ?? Promise.resolve());
    await world.rest(1000);
    assert.equal([a.isSuspended, b.isSuspended, c.isSuspended], [true, true, true]);
    await world.pass(c);
    await world.until("all do", () => !(a.isSuspended || b.isSuspended || c.isSuspended));
    world.end();
  });

  test(`${protocol}: remove_disk() and gather_bitmaps() are answered when all know (6.8, 6.9)`, async () => {
    const { world, a, b } = await two();
    await world.ok(a, { type: "remove-disk", deviceNumber: 1 });
    await world.ok(a, { type: "gather-bitmaps", deviceNumber: 1 });
    assert.equal(b.notices, ["remove 1", "re-add 1"]);
    world.end();
  });

  test(`${protocol}: lock_all_bitmaps(): "no other nodes are using the raid" (6.10)`, async () => {
    const { world, a, b } = await two();
    const answer = await world.ask(a, { type: "lock-all-bitmaps" });
    assert.is(codeOf(answer), "CLUSTER_BITMAP_IN_USE");
    assert.match(answer.ok ? "" : answer.message, /node 2 \(b\) uses the array as well/);
    assert.equal(holders(b, "bitmap0002"), [], "none is kept");
    await world.ok(b, { type: "leave", needsSync: false });
    await world.ok(a, { type: "lock-all-bitmaps" });
    assert.equal(holders(a, "bitmap0001"), ["a PW"]);
    await world.ok(a, { type: "unlock-all-bitmaps" });
    assert.equal(
      [1, 2, 3].flatMap((slot) => holders(a, `bitmap000${slot}`)),
      [],
    );
    world.end();
  });

  for (const end of ["unlock-all-bitmaps", "leave"] as const) {
    test(`${protocol}: nobody joins while all bitmaps are locked; ${end} lets it in (6.10)`, async () => {
      const { world, a, b } = await two();
      await world.ok(b, { type: "leave", needsSync: false });
      await world.ok(a, { type: "lock-all-bitmaps" });
      let hasJoined = false;
      const joining = world.join("c").then((host) => {
        hasJoined = true;
        return host;
      });
      await world.rest(5000);
      assert.is(hasJoined, false);
      await world.ok(a, end === "leave" ? { type: "leave", needsSync: false } : { type: end });
      const c = await joining;
      assert.is(c.slot, 1);
      world.end();
    });
  }

  test(`${protocol}: who joins an array that is not clustered yet sees to the end of dead nodes`, async () => {
    const { world, a, b } = await two();
    for (const host of [a, b]) host.die();
    const c = await world.join("c");
    const call = { type: "lock-all-bitmaps", isNew: true } as const;
    assert.is(codeOf(await world.ask(c, call)), "CLUSTER_BITMAP_IN_USE");
    await world.rest(30_000);
    await world.ok(c, call);
    world.end();
  });

  test(`${protocol}: a dead slot keeps the bitmaps from going, not from being new`, async () => {
    const { world, a, b } = await two();
    await world.ok(a, { type: "leave", needsSync: false });
    await world.ok(b, { type: "leave", needsSync: true });
    const c = await world.join("c");
    const kept = await world.ask(c, { type: "lock-all-bitmaps" });
    assert.is(codeOf(kept), "CLUSTER_BITMAP_IN_USE");
    await world.ok(c, { type: "lock-all-bitmaps", isNew: true });
    assert.equal(holders(c, "bitmap0001"), ["c PW"]);
    world.end();
  });

  test(`${protocol}: leave() with a clean bitmap frees the slot, and nobody recovers anything`, async () => {
    const { world, a, b } = await two();
    await world.ok(a, { type: "resync-start" });
    const pending = a.ask({ type: "metadata-update-start" });
    await world.ok(a, { type: "leave", needsSync: false });
    await world.rest(20_000);
    assert.equal(b.notices, []);
    assert.is(b.view.slots[0]?.condition, "free");
    assert.is(b.isSuspended, false);
    assert.ok(a.answers.has(pending), "every call is answered");
    await world.pass(b);
    world.end();
  });

  test(`${protocol}: a node that the others have removed is told so, once, and does no more`, async () => {
    const { world, a, b } = await two();
    const start = await world.ask(a, { type: "metadata-update-start" });
    assert.ok(start.ok);
    const pending = a.ask({ type: "resync-start" });
    const finish = a.ask({ type: "metadata-update-finish", deviceNumber: 1, events: 1 });
    await world.revoke(a);
    await world.until("a knows", () => a.isExpelled);
    const gate = a.gateUntil;
    await world.rest(30_000);
    assert.is(a.gateUntil, gate, "nothing is permitted any more");
    assert.ok(!a.answers.has(finish) || a.answers.get(finish)?.ok === true);
    assert.equal(a.log.filter((line) => line.includes("expelled")).length, 1);
    assert.ok(pending > 0);
    await world.until("b goes on", () => b.notices.includes("recover-slot 0"));
    await world.ok(a, { type: "leave", needsSync: true });
    world.end();
  });

  test(`${protocol}: when all are gone, who joins adopts a slot once its node can write no more`, async () => {
    const world = ClusterWorld.embedded(protocol);
    world.nodes = 2;
    const a = await world.enter("a");
    const b = await world.enter("b");
    a.die();
    b.die();
    const gates = Math.max(a.gateUntil, b.gateUntil);
    const c = await world.enter("a");
    assert.ok(world.clock.now() > gates + 500);
    assert.is(c.slot, 0);
    await world.until("the other slot is recovered", () => c.notices.includes("recover-slot 1"));
    await world.until("it is free", () => c.view.slots[1]?.condition === "free");
    await world.pass(c);
    const d = await world.enter("d");
    assert.is(d.slot, 1);
    await world.until("reads are balanced", () => !c.isSuspended && !d.isSuspended);
    world.end();
  });

  test(`${protocol}: keys that hold something else stop what depends on them, and are told`, async () => {
    const { world, a, b } = await two();
    world.put(world.keys.slot(3), "garbage");
    await world.rest(500);
    assert.is(a.view.slots[2]?.condition, "damaged");
    assert.is(a.isSuspended, true, "nobody knows what its bitmap holds");
    world.put(world.keys.lock("resync"), "garbage");
    const start = b.ask({ type: "resync-start" });
    await world.rest(3000);
    assert.is(b.answers.has(start), false);
    const damaged = b.happened.flatMap((one) => (one.type === "damaged" ? [one.key] : []));
    assert.ok(damaged.includes("lk/resync"), damaged.join());
    await world.ok(b, { type: "remove-disk", deviceNumber: 1 });
    world.end();
  });
}

test.run();
