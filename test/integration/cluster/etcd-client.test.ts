/** A client of a real etcd that hangs, is cut off, or meets a store that is another one. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { EX } from "../../../src/cluster/dlm/lock-mode.ts";
import { EtcdStore } from "../../../src/cluster/store/etcd-store-client.ts";
import { MONOTONIC_CLOCK } from "../../../src/cluster/store/monotonic-clock-driver.ts";
import { StoreKeys } from "../../../src/cluster/store/store-keys.ts";
import { ViewDriver } from "../../../src/cluster/store/view-driver.ts";
import { codeOf, get, put, write } from "../../conformance/cluster-store-subject.ts";
import { CutProxy } from "../../helpers/cut-proxy.ts";
import { EtcdCluster } from "../../helpers/etcd-process.ts";
import { LockMember } from "../../helpers/lock-member.ts";
import { skipUnless } from "../../helpers/skip.ts";
import { eventually, withTimeout } from "../../helpers/timeout.ts";

const test = suite("a client of etcd");
const etcdTest = skipUnless("etcd", test);
const CHILD = join(import.meta.dirname, "..", "..", "helpers", "lock-child.ts");

const withEtcd = (body: (etcd: EtcdCluster) => Promise<void>) =>
  withTimeout(60_000, async () => {
    const etcd = await EtcdCluster.start(1);
    try {
      await body(etcd);
    } finally {
      await etcd.stop();
    }
  });

etcdTest(
  "that hung longer than its lease changes nothing when it wakes up",
  withEtcd(async ({ endpoints }) => {
    const store = new EtcdStore({ endpoints });
    const keys = new StoreKeys("stuck/");
    const child = fork(CHILD, [endpoints.join(), keys.prefix, "1500"]);
    const [gone] = (await once(child, "message")) as [{ slot: number; epoch: number }];
    const options = { store, prefix: keys.prefix, clock: MONOTONIC_CLOCK, node: "other" };
    const other = await LockMember.join(options);
    const waiting = other.lock("r", EX);
    child.kill("SIGSTOP");
    await eventually("its lease ends", 20_000, async () => {
      const key = await get(store, keys.member(gone.slot));
      return key === null;
    });
    assert.equal(other.log, [], "its lock is held until its end is proven");
    assert.equal(await other.session.declareDead(gone), [{ resource: "r", owner: gone }]);
    await other.locks.purge("r", [gone]);
    assert.is((await waiting).status, "granted");
    const before = await get(store, keys.lock("r"));
    child.send("write");
    child.kill("SIGCONT");
    const [answer] = await once(child, "message");
    assert.equal(answer, { type: "refused", isExpelled: true });
    assert.equal(await get(store, keys.lock("r")), before);
    if (child.exitCode === null) await once(child, "exit");
    other.die();
    await store.close();
  }),
);

etcdTest(
  "that was cut off while the store forgot what it missed lists anew",
  withEtcd(async (etcd) => {
    const [endpoint = ""] = etcd.endpoints;
    const store = new EtcdStore({ endpoints: [endpoint] });
    const proxy = await CutProxy.start(endpoint);
    const far = new EtcdStore({ endpoints: [proxy.url] });
    const view = new ViewDriver({
      store: far,
      prefix: "k/",
      clock: MONOTONIC_CLOCK,
      random: Math.random,
    });
    await write(store, put("k/kept", "1"), put("k/gone", "1"));
    await view.start();
    proxy.cut();
    await write(store, { type: "delete", key: "k/gone" }, put("k/kept", "2"));
    await etcd.compact(await write(store, put("k/new", "1")));
    proxy.mend();
    await eventually("the view has what it missed", 10_000, () => view.view.keys.has("k/new"));
    const now = [...view.view.keys.values()].map(({ key, value }) => `${key} ${value}`);
    assert.equal(now.sort(), ["k/kept 2", "k/new 1"]);
    await write(store, put("k/later", ""));
    await eventually("it watches again", 10_000, () => view.view.keys.has("k/later"));
    view.close();
    await far.close();
    await store.close();
    await proxy.close();
  }),
);

etcdTest(
  "refuses a store that is another one, or has gone back",
  withEtcd(async ({ endpoints }) => {
    const first = new EtcdStore({ endpoints });
    await write(first, put("k", "1"));
    const { clusterId, revision } = first.identity;
    await first.close();
    for (const known of [
      { clusterId: "1", revision: 1 },
      { clusterId, revision: revision + 1000 },
    ]) {
      const store = new EtcdStore({ endpoints, known });
      const txn = { compares: [], success: [put("k", "2")], failure: [] };
      const outcome = await store.txn(txn);
      assert.is(outcome.type === "unknown" && outcome.error.code, "CLUSTER_STORE_REPLACED");
      assert.is(await codeOf(() => store.list("k")), "CLUSTER_STORE_REPLACED");
      assert.is(await codeOf(() => store.txn(txn)), "CLUSTER_STORE_REPLACED");
      await store.close();
    }
    const same = new EtcdStore({ endpoints, known: { clusterId, revision } });
    await write(same, put("k", "3"));
    await same.close();
  }),
);

test.run();
