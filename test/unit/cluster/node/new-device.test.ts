/** The document's chapter 5: a new device has to be seen by all. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type ClusterHost, ClusterWorld } from "../../../helpers/cluster-host.ts";
import { DEVICE_UUID } from "../../../helpers/md-messages.ts";

const test = suite("cluster node: a new device");

const ADD = { type: "add-new-disk-start", uuid: DEVICE_UUID, deviceNumber: 2 } as const;

const three = async (protocol: "channel" | "literal") => {
  const world = ClusterWorld.embedded(protocol);
  const a = await world.enter("a");
  const b = await world.enter("b");
  const c = await world.enter("c");
  for (const host of [a, b, c]) host.log.length = 0;
  return { world, a, b, c };
};

const modes = (host: ClusterHost): Record<string, string | null> => {
  const lock = host.view.locks.find(({ resource }) => resource === "no-new-dev");
  return Object.fromEntries((lock?.granted ?? []).map(({ node, granted }) => [node, granted]));
};

for (const protocol of ["channel", "literal"] as const) {
  test(`${protocol}: "normally all nodes hold a concurrent-read lock" on no-new-dev (2.3)`, async () => {
    const { world, a } = await three(protocol);
    assert.equal(modes(a), { a: "CR", b: "CR", c: "CR" });
    world.end();
  });

  test(`${protocol}: steps 2 to 10 of a device that all see (5)`, async () => {
    const { world, a, b } = await three(protocol);
    b.seesDevices = null;
    const before = a.view.trace.length;
    const start = a.ask(ADD);
    await world.until("2: NEWDISK with uuid and slot number", () => b.notices.length > 0);
    assert.equal(b.notices, [`new-disk ${DEVICE_UUID} 2`]);
    await world.rest(500);
    assert.is(a.answers.has(start), false, "b searches still");
    await world.ok(b, { type: "new-disk-ack", isFound: true });
    assert.equal(await world.answered(a, start), { ok: true });
    const { a: mine, ...others } = modes(a);
    assert.equal(others, { b: "NL", c: "NL" }, "6: others drop no-new-dev");
    const calls = a.view.trace.slice(before).filter(({ what }) => what === "lock");
    assert.equal(
      calls.flatMap(({ text }) => (text.startsWith("no-new-dev") ? [text] : [])),
      ["no-new-dev EX", "no-new-dev CR"],
      "7: attempts EX lock, which was to be had",
    );
    assert.is(mine, "CR");
    await world.ok(a, { type: "add-new-disk-finish", isAdded: true });
    const update = b.ask({ type: "metadata-update-start" });
    await world.rest(500);
    assert.is(b.answers.has(update), false, "the right to write superblocks is still a's");
    await world.ok(a, { type: "metadata-update-start" });
    await world.ok(a, { type: "metadata-update-finish", deviceNumber: 2, events: 1 });
    assert.is(b.notices.at(-1), "metadata-updated 2 1", "8: METADATA_UPDATED");
    assert.equal(await world.answered(b, update), { ok: true });
    assert.equal(modes(a), { a: "CR", b: "CR", c: "CR" });
    world.end();
  });

  test(`${protocol}: steps 9 and 10: who does not see it keeps no-new-dev, and the add fails (5)`, async () => {
    const { world, a, b, c } = await three(protocol);
    b.seesDevices = false;
    const answer = await world.ask(a, ADD);
    assert.is(answer.ok, false);
    if (!answer.ok) {
      assert.is(answer.code, "CLUSTER_DEVICE_NOT_SEEN");
      const who = protocol === "channel" ? /^node 2 \(b\) does not see/ : /^a node of the cluster/;
      assert.match(answer.message, who);
    }
    assert.equal([modes(a)["b"], modes(a)["c"]], ["CR", "NL"]);
    await world.ok(a, { type: "add-new-disk-finish", isAdded: false });
    await world.ok(a, { type: "metadata-update-start" });
    await world.ok(a, { type: "metadata-update-finish", deviceNumber: 0, events: 1 });
    assert.is(c.notices.at(-1), "metadata-updated 0 1", "sends METADATA_UPDATED all the same");
    assert.equal(modes(a), { a: "CR", b: "CR", c: "CR" });
    b.seesDevices = true;
    await world.ok(a, ADD);
    world.end();
  });

  test(`${protocol}: who does not answer within 5 s does not see it`, async () => {
    const { world, a, b } = await three(protocol);
    b.seesDevices = null;
    const from = world.clock.now();
    const answer = await world.ask(a, ADD);
    const took = world.clock.now() - from;
    assert.is(answer.ok, false);
    assert.ok(took >= 5000 && took < 6000, `${took} ms`);
    await world.ok(b, { type: "new-disk-ack", isFound: true });
    assert.is(modes(a)["b"], "CR", "it is too late");
    world.end();
  });

  test(`${protocol}: a cancel after the device gives the right to write superblocks back`, async () => {
    const { world, a, b } = await three(protocol);
    await world.ok(a, ADD);
    const update = b.ask({ type: "metadata-update-start" });
    await world.rest(500);
    assert.is(b.answers.has(update), false);
    await world.ok(a, { type: "metadata-update-cancel" });
    assert.equal(await world.answered(b, update), { ok: true });
    world.end();
  });

  test(`${protocol}: an update that is asked for while a device is told of tells what became of it`, async () => {
    const { world, a, b } = await three(protocol);
    b.seesDevices = null;
    const start = a.ask(ADD);
    await world.until("b is asked", () => b.notices.length > 0);
    const update = a.ask({ type: "metadata-update-start" });
    await world.rest(500);
    assert.is(a.answers.has(update), false, "b would take it for the device's");
    await world.ok(b, { type: "new-disk-ack", isFound: true });
    assert.equal(await world.answered(a, start), { ok: true });
    assert.equal(await world.answered(a, update), { ok: true });
    await world.ok(a, { type: "metadata-update-finish", deviceNumber: 2, events: 1 });
    world.end();
  });
}

test.run();
