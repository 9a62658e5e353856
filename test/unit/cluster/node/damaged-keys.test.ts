/** Keys of the store that hold something else: told while they do, and nobody joins by them. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CodedError } from "../../../../src/common/errors.ts";
import { type ClusterHost, ClusterWorld } from "../../../helpers/cluster-host.ts";

const test = suite("cluster node: damaged keys");

/** "ch CLUSTER_BAD_CHANNEL": as the node tells. */
const told = ({ view }: ClusterHost): readonly string[] =>
  view.damaged.map(({ key, code }) => `${key} ${code}`);

/** What it is refused with; empty: it is not. */
const codeOf = (attempt: Promise<unknown>): Promise<string> =>
  attempt.then(
    () => "",
    (error: unknown) => (error instanceof CodedError ? error.code : String(error)),
  );

for (const protocol of ["channel", "literal"] as const) {
  test(`${protocol}: damaged keys are told until they are right again`, async () => {
    const world = ClusterWorld.embedded(protocol);
    const { put, get } = world;
    const a = await world.enter("a");
    const { keys } = world;
    const right = ["lk/bitmap0003", "lk/resync", "slot/3"].map((name) => keys.prefix + name);
    const texts = right.map(get);
    for (const key of right) put(key, "garbage");
    await world.rest(500);
    assert.equal(told(a), [
      "lk/bitmap0003 DLM_BAD_RESOURCE",
      "lk/resync DLM_BAD_RESOURCE",
      "slot/3 CLUSTER_BAD_RECORD",
    ]);
    assert.match(a.view.waits[0] ?? "", "the key lk/bitmap0003 of the cluster store is damaged");
    for (const [at, key] of right.entries()) put(key, texts[at] || null);
    await world.rest(500);
    assert.equal([told(a), a.view.waits, a.isExpelled], [[], [], false]);
    world.end();
  });

  test(`${protocol}: nobody joins by a damaged lock; put right, it goes on`, async () => {
    const world = ClusterWorld.embedded(protocol);
    const { put, get } = world;
    const a = await world.enter("a");
    const { keys } = world;
    const name = protocol === "channel" ? "no-new-dev" : "resync";
    // The second one is that of its slot, which is known when it has one.
    for (const key of [keys.lock(name), keys.lock("bitmap0001")]) {
      const text = get(key);
      put(key, "garbage");
      assert.is(await codeOf(world.join("b")), "DLM_BAD_RESOURCE");
      put(key, text);
    }
    // As after any node that had a slot and is gone; its array does this by itself.
    await world.until("its slot is recovered", () => a.notices.includes("recover-slot 1"));
    await world.ok(a, { type: "metadata-update-start" });
    await world.ok(a, { type: "metadata-update-finish", deviceNumber: 0, events: 1 });
    const b = await world.enter("b");
    await world.ok(a, { type: "remove-disk", deviceNumber: 1 });
    assert.is(b.notices.at(-1), "remove 1");
    world.end();
  });
}

test("nobody joins by a damaged channel, and takes no slot; put right, it goes on", async () => {
  const world = ClusterWorld.embedded("channel");
  const { put, get } = world;
  const a = await world.enter("a");
  const { keys } = world;
  const text = get(keys.channel);
  for (const [key, right] of [
    [keys.channel, text],
    [keys.ack(3), null],
  ] as const) {
    put(key, "garbage");
    assert.is(await codeOf(world.join("b")), "CLUSTER_BAD_CHANNEL");
    const conditions = a.view.slots.map(({ condition }) => condition);
    assert.equal(conditions, ["live", "free", "free", "free"]);
    put(key, right);
  }
  assert.is((await world.enter("b")).slot, 1);
  world.end();
});

test("a channel that is damaged while a node joins refuses it; while it enters, it is out", async () => {
  const world = ClusterWorld.embedded("channel");
  const { put, get } = world;
  const a = await world.enter("a");
  const { keys } = world;
  await world.ok(a, { type: "metadata-update-start" });
  const joining = codeOf(world.join("b"));
  await world.until("b waits for the right to send", () => a.view.members.length === 2);
  const text = get(keys.channel);
  put(keys.channel, "garbage");
  assert.is(await joining, "CLUSTER_BAD_CHANNEL");
  put(keys.channel, text);
  await world.ok(a, { type: "metadata-update-cancel" });
  const c = await world.join("c");
  put(keys.channel, "garbage");
  await world.until("it is out", () => c.isExpelled);
  assert.is(a.isExpelled, false, "who takes part waits");
  world.end();
});

test.run();
