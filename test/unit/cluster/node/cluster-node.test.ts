/** Nodes of an array's cluster: joining, and the end of one of them, over the embedded store. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ClusterWorld } from "../../../helpers/cluster-host.ts";

const test = suite("cluster node");

for (const protocol of ["channel", "literal"] as const) {
  test(`${protocol}: nodes get the lowest slots, and take over the bitmaps that nobody has`, async () => {
    const world = ClusterWorld.embedded(protocol);
    const a = await world.enter("a");
    const b = await world.enter("b");
    assert.equal([a.slot, b.slot], [0, 1]);
    assert.equal(a.notices.slice(0, 3), ["recover-slot 1", "recover-slot 2", "recover-slot 3"]);
    assert.equal(b.notices, ["recover-slot 2", "recover-slot 3"]);
    world.end();
  });

  test(`${protocol}: a node that still takes over bitmaps nobody has cannot rest for a change`, async () => {
    const world = ClusterWorld.embedded(protocol);
    const a = await world.enter("a");
    const b = await world.join("b");
    b.holds = new Set(["recover-slot"]);
    const entered = b.cluster?.start();
    await world.until("b takes over a slot", () => b.held !== null);
    await world.ok(a, { type: "metadata-update-start" });
    const answer = await world.ask(a, { type: "bitmap-resize", sectors: 8 });
    assert.is(answer.ok ? "" : answer.code, "CLUSTER_NODE_BUSY");
    await world.ok(a, { type: "metadata-update-cancel" });
    b.holds = new Set();
    b.carryOut();
    await world.finish("b takes part", entered ?? Promise.resolve());
    await world.ok(a, { type: "metadata-update-start" });
    await world.ok(a, { type: "metadata-update-finish", deviceNumber: 1, events: 1 });
    await world.ok(a, { type: "metadata-update-start" });
    await world.ok(a, { type: "bitmap-resize", sectors: 8 });
    await world.rest(2000);
    const told = b.notices.filter((one) => !one.startsWith("recover-slot"));
    assert.equal(told, ["metadata-updated 1 1", "bitmap-resize 8 0"]);
    assert.is(b.notices.at(-1), "bitmap-resize 8 0", "nothing that would start its array anew");
    world.end();
  });

  test(`${protocol}: a node that dies is recovered by the other one, after its lease`, async () => {
    const world = ClusterWorld.embedded(protocol);
    const a = await world.enter("a");
    const b = await world.enter("b");
    const died = world.clock.now();
    a.die();
    await world.until("b recovers a", () => b.notices.includes("recover-slot 0"));
    const waited = world.clock.now() - died;
    assert.ok(waited > 6000 && waited < 11_000, `${waited} ms`);
    assert.is(b.isSuspended, true);
    await world.pass(b);
    await world.until("reads are balanced", () => !b.isSuspended);
    assert.equal(b.view.waits, []);
    world.end();
  });
}

test.run();
