/**
 * Nodes of an array's cluster over a real etcd, in both protocols: what the unit tests tell of a
 * store in memory holds over a real one, in real time.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { EtcdStore } from "../../../src/cluster/store/etcd-store-client.ts";
import { MONOTONIC_CLOCK } from "../../../src/cluster/store/monotonic-clock-driver.ts";
import { Prng } from "../../../src/common/prng.ts";
import { type ClusterHost, ClusterWorld, QUICK } from "../../helpers/cluster-host.ts";
import { EtcdCluster } from "../../helpers/etcd-process.ts";
import { DEVICE_UUID } from "../../helpers/md-messages.ts";
import { skipUnless } from "../../helpers/skip.ts";
import { withTimeout } from "../../helpers/timeout.ts";

const test = suite("an array's cluster over etcd");
const etcdTest = skipUnless("etcd", test);

const TURN_MS = 10;

const withWorld = (
  protocol: "channel" | "literal",
  body: (world: ClusterWorld, etcd: EtcdCluster) => Promise<void>,
) =>
  withTimeout(90_000, async () => {
    const etcd = await EtcdCluster.start(1);
    const stores: EtcdStore[] = [];
    const client = (): EtcdStore => {
      const store = new EtcdStore({ endpoints: etcd.endpoints });
      stores.push(store);
      return store;
    };
    const turn = (): Promise<void> =>
      new Promise((resolve) => void MONOTONIC_CLOCK.after(TURN_MS, resolve));
    const world = new ClusterWorld(protocol, MONOTONIC_CLOCK, client, new Prng(1), turn);
    world.timing = QUICK;
    try {
      await body(world, etcd);
    } finally {
      world.end();
      await Promise.allSettled(stores.map((store) => store.close()));
      await etcd.stop();
    }
  });

const three = async (
  world: ClusterWorld,
): Promise<readonly [ClusterHost, ClusterHost, ClusterHost]> => {
  const a = await world.enter("a");
  const b = await world.enter("b");
  const c = await world.enter("c");
  for (const host of [a, b, c]) host.log.length = 0;
  return [a, b, c];
};

for (const protocol of ["channel", "literal"] as const) {
  etcdTest(
    `${protocol}: an update, a window of a resync and a new device are known to all when answered`,
    withWorld(protocol, async (world) => {
      const [a, b, c] = await three(world);
      await world.ok(a, { type: "metadata-update-start" });
      await world.ok(a, { type: "metadata-update-finish", deviceNumber: 1, events: 1 });
      assert.equal([b.notices, c.notices], [["metadata-updated 1 1"], ["metadata-updated 1 1"]]);
      await world.ok(b, { type: "resync-start" });
      await world.ok(b, { type: "resync-info-update", lo: 0, hi: 65_536 });
      for (const host of [a, c]) assert.equal(host.notices.at(-1), "resyncing 1 0 65536");
      await world.ok(b, { type: "resync-finish" });
      c.seesDevices = false;
      const add = { type: "add-new-disk-start", uuid: DEVICE_UUID, deviceNumber: 2 } as const;
      const answer = await world.ask(a, add);
      assert.is(answer.ok ? "" : answer.code, "CLUSTER_DEVICE_NOT_SEEN");
      await world.ok(a, { type: "metadata-update-start" });
      await world.ok(a, { type: "metadata-update-finish", deviceNumber: 2, events: 1 });
      assert.equal(c.notices.at(-1), "metadata-updated 2 1");
    }),
  );

  etcdTest(
    `${protocol}: a node that dies in the midst of a message is followed by the others`,
    withWorld(protocol, async (world) => {
      const [a, b, c] = await three(world);
      b.holds = new Set(["remove"]);
      a.ask({ type: "remove-disk", deviceNumber: 7 });
      await world.until("b is at it", () => b.held !== null);
      const gate = a.gateUntil;
      a.die();
      b.carryOut();
      const recovered = (): number =>
        [b, c].filter(({ notices }) => notices.includes("recover-slot 0")).length;
      await world.until("one recovers its slot", () => recovered() === 1);
      assert.ok(MONOTONIC_CLOCK.now() > gate, "a can write no more");
      for (const host of [b, c])
        assert.is(host.notices.filter((one) => one === "remove 7").length, 1, host.name);
      await world.until("the slot is free", () => c.view.slots[0]?.condition === "free");
      for (const host of [b, c]) await world.pass(host);
      await world.until("reads are balanced", () => !b.isSuspended && !c.isSuspended);
    }),
  );

  etcdTest(
    `${protocol}: while etcd is away everybody waits; when it is back they go on, with the same slots`,
    withWorld(protocol, async (world, etcd) => {
      const [a, b] = await three(world);
      await etcd.kill(0);
      const gate = a.gateUntil;
      const start = a.ask({ type: "metadata-update-start" });
      await world.rest(300);
      etcd.run(0);
      await etcd.ready();
      assert.equal(await world.answered(a, start), { ok: true });
      await world.ok(a, { type: "metadata-update-finish", deviceNumber: 3, events: 1 });
      assert.is(b.notices.at(-1), "metadata-updated 3 1");
      assert.ok(a.gateUntil > gate);
    }),
  );
}

test.run();
