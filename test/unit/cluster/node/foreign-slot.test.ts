/**
 * Slot keys that something else has written or deleted: who has the slot puts them right, and where
 * nobody can any more, nothing that a session had stays for ever.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type ClusterHost, ClusterWorld } from "../../../helpers/cluster-host.ts";

const test = suite("cluster node: slot keys that something else has written");
const PROTOCOLS = ["channel", "literal"] as const;

const condition = (host: ClusterHost, slot: number) => host.view.slots[slot]?.condition;

/** Whose locks there are, without those that hold nothing. */
const holders = ({ view }: ClusterHost): readonly string[] =>
  view.locks.flatMap(({ resource, granted }) =>
    granted.flatMap(({ slot, granted: mode }) =>
      mode === "NL" ? [] : [`${resource} ${slot} ${mode}`],
    ),
  );

/** All of them take part, and say so to each other. */
const works = async (world: ClusterWorld, hosts: readonly ClusterHost[]): Promise<void> => {
  for (const host of hosts) {
    await world.pass(host);
    await world.ok(host, { type: "metadata-update-start" });
    await world.ok(host, { type: "metadata-update-finish", deviceNumber: 1, events: 1 });
  }
};

for (const protocol of PROTOCOLS)
  for (const value of ["garbage", "live", "free", null, "dead 1", "recovering 1 by 1/1"])
    test(`${protocol}: ${value ?? "deleted"} in a member's slot is put right by the member`, async () => {
      const world = ClusterWorld.embedded(protocol);
      const { put, get } = world;
      const a = await world.enter("a");
      const b = await world.enter("b");
      const c = await world.enter("c");
      for (const host of [a, b, c]) host.log.length = 0;
      await world.ok(b, { type: "resync-start" });
      await world.ok(b, { type: "resync-info-update", lo: 0, hi: 64 });
      const { epoch } = b.view;
      put(world.keys.slot(2), value);
      await world.rest(500);
      for (const { view } of [a, c]) assert.equal(view.ranges, [{ slot: 1, lo: 0, hi: 64 }]);
      await world.ok(b, { type: "resync-finish" });
      assert.is(get(world.keys.slot(2)), `live ${epoch}`);
      for (const host of [a, b, c]) {
        assert.equal([host.isExpelled, condition(host, 1)], [false, "live"]);
        assert.is(host.notices.includes("recover-slot 1"), false, "its bitmap is its own");
      }
      const told = b.happened.flatMap((one) => (one.type === "damaged" ? [one.key] : []));
      assert.equal(told, ["slot/2"]);
      await works(world, [a, b, c]);
      b.die();
      await world.until("it is recovered", () => condition(a, 1) === "free");
      assert.equal(
        holders(a).filter((one) => one.includes(" 1 ")),
        [],
        "nothing is the dead session's",
      );
      await works(world, [a, c, await world.enter("b")]);
      world.end();
    });

for (const protocol of PROTOCOLS)
  for (const value of ["garbage", "live"])
    test(`${protocol}: ${value} in the slot of a node that dies then: recovered once it is fenced`, async () => {
      const world = ClusterWorld.embedded(protocol);
      const { put } = world;
      const a = await world.enter("a");
      const b = await world.enter("b");
      await world.ok(b, { type: "resync-start" });
      await world.ok(b, { type: "resync-info-update", lo: 0, hi: 64 });
      a.log.length = 0;
      const gate = b.gateUntil;
      b.die();
      put(world.keys.slot(2), value);
      await world.rest(500);
      assert.equal(a.view.ranges, [{ slot: 1, lo: 0, hi: 64 }], "it may still resync this");
      assert.is(a.isSuspended, true);
      await world.until("its slot is recovered", () => a.notices.includes("recover-slot 1"));
      assert.ok(world.clock.now() > gate, "it could write no more");
      await world.until("its slot is free", () => condition(a, 1) === "free");
      assert.equal(a.view.ranges, []);
      await works(world, [a, await world.enter("b")]);
      world.end();
    });

for (const protocol of PROTOCOLS)
  test(`${protocol}: who joins takes over from a session whose slot was deleted`, async () => {
    const world = ClusterWorld.embedded(protocol);
    const { put } = world;
    const a = await world.enter("a");
    const b = await world.enter("b");
    await world.ok(b, { type: "resync-start" });
    await world.ok(b, { type: "metadata-update-start" });
    const gate = b.gateUntil;
    b.die();
    await world.ok(a, { type: "leave", needsSync: false });
    await world.revoke(b);
    put(world.keys.slot(2), null);
    const c = await world.join("c");
    assert.is(c.slot, 0);
    assert.ok(world.clock.now() > gate, "only when it can write no more");
    assert.equal(
      holders(c).filter((one) => one.includes(" 1 ")),
      [],
    );
    await world.finish("c enters", c.cluster?.start() ?? Promise.resolve());
    assert.ok(c.notices.includes("recover-slot 1"), "and its bits");
    await works(world, [c, await world.enter("d")]);
    world.end();
  });

test("nothing waits where each session has left as nodes do", async () => {
  const world = ClusterWorld.embedded("channel");
  const a = await world.enter("a");
  await world.ok(await world.enter("b"), { type: "leave", needsSync: false });
  const before = world.clock.now();
  await world.join("b");
  assert.ok(world.clock.now() - before < 2000, "no fencing is waited for");
  assert.is(a.isExpelled, false);
  world.end();
});

test.run();
