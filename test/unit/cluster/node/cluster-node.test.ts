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
