/** What a node notes for all boards about the array's copies: members put aside. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ClusterWorld } from "../../../helpers/cluster-host.ts";

const test = suite("cluster node: copies");
const DEVICE = "00112233445566778899aabbccddeeff";

test("a member that an administrator puts aside is so for every node, until it is taken back", async () => {
  const world = ClusterWorld.embedded("channel");
  const a = await world.enter("a");
  const b = await world.enter("b");
  await world.finish("it is noted", a.cluster?.setAside(DEVICE, true) ?? Promise.reject());
  await world.until("b sees it", () => b.view.aside.includes(DEVICE));
  a.die();
  world.put(`${world.keys.asides}no-device`, "");
  await world.until("a is gone", () => b.view.slots[0]?.condition === "free");
  assert.equal(b.view.aside, [DEVICE], "it outlives the node that noted it");
  await world.finish("it is taken back", b.cluster?.setAside(DEVICE, false) ?? Promise.reject());
  await world.until("b sees it", () => b.view.aside.length === 0);
  world.end();
});

test("a node that is out notes nothing", async () => {
  const world = ClusterWorld.embedded("channel");
  const a = await world.enter("a");
  await world.revoke(a);
  const outcome = await world.finish(
    "it is refused",
    a.cluster?.setAside(DEVICE, true).catch(({ code }) => code) ?? Promise.reject(),
  );
  assert.is(outcome, "CLUSTER_EXPELLED");
  assert.is(world.memory.map.get(world.keys.aside(DEVICE)), null);
  world.end();
});

test.run();
