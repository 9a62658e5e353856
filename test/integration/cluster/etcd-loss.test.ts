/** Locks go on while members of a real etcd come and go. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { openEtcd } from "../../../src/cluster/store/etcd-start-client.ts";
import { EtcdStore } from "../../../src/cluster/store/etcd-store-client.ts";
import { MONOTONIC_CLOCK } from "../../../src/cluster/store/monotonic-clock-driver.ts";
import { StoreKeys } from "../../../src/cluster/store/store-keys.ts";
import { Hints } from "../../conformance/cluster-store-subject.ts";
import { EtcdCluster } from "../../helpers/etcd-process.ts";
import { LockMember } from "../../helpers/lock-member.ts";
import { LockTurns } from "../../helpers/lock-turns.ts";
import { skipUnless } from "../../helpers/skip.ts";
import { withTimeout } from "../../helpers/timeout.ts";

const test = suite("etcd loses members");
const etcdTest = skipUnless("etcd", test);
const WAIT_MS = 20_000;

let cluster: EtcdCluster | null = null;
let stories = 0;

interface Story {
  readonly etcd: EtcdCluster;
  readonly members: readonly LockMember[];
  readonly turns: LockTurns;
  readonly store: EtcdStore;
}

/** Two members, each with a connection of its own, that take turns under a lock. */
const withTurns = (body: (story: Story) => Promise<void>) =>
  withTimeout(60_000, async () => {
    cluster ??= await EtcdCluster.start(3);
    const etcd = cluster;
    stories += 1;
    const prefix = `s${stories}/`;
    const stores = [0, 1].map(() => new EtcdStore({ endpoints: etcd.endpoints }));
    const members = await Promise.all(
      stores.map((store, at) =>
        LockMember.join({
          store,
          prefix,
          node: `n${at}`,
          clock: MONOTONIC_CLOCK,
          random: Math.random,
          leaseMs: 30_000,
          confirmMs: 200,
        }),
      ),
    );
    const turns = new LockTurns("r", members);
    try {
      await turns.more(4, WAIT_MS);
      await body({ etcd, members, turns, store: stores[0] as EtcdStore });
      assert.is(await turns.end(), turns.turns, "every turn counts once");
      assert.not(members.some(({ isExpelled }) => isExpelled));
    } finally {
      for (const member of members) member.die();
      for (const store of stores) await store.close();
    }
  });

etcdTest(
  "the leader",
  withTurns(async ({ etcd, turns }) => {
    const leader = await etcd.leader();
    await etcd.kill(leader);
    await turns.more(10, WAIT_MS);
    etcd.run(leader);
    await etcd.ready();
    await turns.more(4, WAIT_MS);
  }),
);

etcdTest(
  "the leader, which hangs and comes back believing in itself",
  withTurns(async ({ etcd, turns }) => {
    const leader = await etcd.leader();
    etcd.signal(leader, "SIGSTOP");
    await turns.more(10, WAIT_MS);
    etcd.signal(leader, "SIGCONT");
    await turns.more(10, WAIT_MS);
    await etcd.ready();
  }),
);

etcdTest(
  "each member in turn, the one that the boards talk to too",
  withTurns(async ({ etcd, turns }) => {
    for (const at of etcd.endpoints.keys()) {
      await etcd.kill(at);
      await turns.more(6, WAIT_MS);
      etcd.run(at);
      await etcd.ready();
    }
  }),
);

etcdTest(
  "the majority: nothing is decided until it is back, then all goes on",
  withTurns(async ({ etcd, turns, store, members }) => {
    const near = new EtcdStore({ endpoints: etcd.endpoints.slice(0, 1) });
    const hints = new Hints();
    near.watch("silent/", 1, hints.listener);
    await near.list("silent/");
    await etcd.kill(1);
    await etcd.kill(2);
    const keys = new StoreKeys("probe/");
    const write = { type: "put", key: keys.config, value: "", lease: null } as const;
    const outcomes = [];
    for (let at = 0; at < 3; at += 1) {
      const asked = store.txn({ compares: [], success: [write], failure: [] });
      outcomes.push(
        await asked.then(
          ({ type }) => type,
          (error) => error.code,
        ),
      );
    }
    assert.not(outcomes.includes("committed"), outcomes.join());
    await hints.until(({ ended }) => ended !== null);
    await near.close();
    const before = turns.turns;
    const epochs = members.map(({ session }) => session.session.epoch);
    etcd.run(1);
    etcd.run(2);
    await etcd.ready();
    await turns.more(4, WAIT_MS);
    assert.ok(before < turns.turns);
    assert.equal(
      members.map(({ session }) => session.session.epoch),
      epochs,
    );
  }),
);

etcdTest(
  "all members, which start again with what they had",
  withTurns(async ({ etcd, turns }) => {
    await Promise.all([0, 1, 2].map((at) => etcd.kill(at)));
    for (const at of [0, 1, 2]) etcd.run(at);
    await etcd.ready();
    await turns.more(4, WAIT_MS);
  }),
);

etcdTest(
  "opens while its leader is lost, and says which version is not the best",
  withTimeout(30_000, async () => {
    cluster ??= await EtcdCluster.start(3);
    await cluster.kill(await cluster.leader());
    const { store, warnings } = await openEtcd({ endpoints: cluster.endpoints }, "open/");
    assert.ok(warnings.every((warning) => warning.startsWith("etcd 3.")));
    assert.ok(store.identity.revision > 0);
    await store.close();
  }),
);

test.after(async () => {
  await cluster?.stop();
});
test.run();
