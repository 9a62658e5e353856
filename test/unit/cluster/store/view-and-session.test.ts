/** Watches that say nothing, and sessions that are over while their lease is answered for. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { EmbeddedStore } from "../../../../src/cluster/store/embedded-store-driver.ts";
import { joinCluster } from "../../../../src/cluster/store/join-driver.ts";
import { MemoryStore } from "../../../../src/cluster/store/memory-store.ts";
import { StoreKeys } from "../../../../src/cluster/store/store-keys.ts";
import { ECHO_MS, RELIST_MS, ViewDriver } from "../../../../src/cluster/store/view-driver.ts";
import { Prng } from "../../../../src/common/prng.ts";
import { FakeEtcd, NO_FAULTS } from "../../../helpers/fake-etcd.ts";
import { ManualClock } from "../../../helpers/manual-clock.ts";
import { settle } from "../../../sim/scheduler.ts";

const test = suite("view and session");
const random = (): number => 0.5;

/** A store whose watches open and tell nothing. */
class SilentStore extends EmbeddedStore {
  lists = 0;
  override watch(): { close(): void } {
    return { close: () => {} };
  }
  override list(prefix: string): ReturnType<EmbeddedStore["list"]> {
    this.lists += 1;
    return super.list(prefix);
  }
}

const put = (key: string) => ({ type: "put", key, value: "", lease: null }) as const;

test("a watch that does not show our own write in 3 s is given up, and the keys are listed", async () => {
  const clock = new ManualClock();
  const store = new SilentStore(new MemoryStore("1"), clock);
  const view = new ViewDriver({ store, prefix: "k/", clock, random });
  await view.start();
  const outcome = await store.txn({ compares: [], success: [put("k/a")], failure: [] });
  assert.is(outcome.type, "committed");
  if (outcome.type === "committed") view.expect(outcome.revision);
  await clock.pass(ECHO_MS - 1);
  assert.is(view.view.keys.has("k/a"), false);
  await clock.pass(1);
  assert.is(view.view.keys.has("k/a"), true);
  await clock.pass(10 * ECHO_MS - 1);
  assert.is(store.lists, 2, "once");
  view.close();
});

test("the keys are listed every half minute, for what a watch has lost", async () => {
  const clock = new ManualClock();
  const store = new SilentStore(new MemoryStore("1"), clock);
  const view = new ViewDriver({ store, prefix: "k/", clock, random });
  const told: number[] = [];
  view.subscribe((changes) => told.push(changes.length));
  await view.start();
  await store.txn({ compares: [], success: [put("k/a"), put("k/b")], failure: [] });
  await clock.pass(RELIST_MS - 1);
  assert.equal(told, []);
  await clock.pass(1);
  assert.equal(told, [2]);
  view.close();
});

const joined = async () => {
  const etcd = new FakeEtcd(new Prng(1), settle);
  const clock = new ManualClock();
  const keys = new StoreKeys("p/");
  const store = etcd.client();
  const view = new ViewDriver({ store, prefix: keys.prefix, clock, random });
  await view.start();
  const log: string[] = [];
  const member = { node: "n", boot: "b", life: "l", address: "", protocol: 1 };
  const session = await joinCluster({
    store,
    view,
    keys,
    clock,
    random,
    member,
    slots: 4,
    listener: {
      confirmed: (sentAt) => log.push(`confirmed ${sentAt}`),
      expelled: () => log.push("expelled"),
      restored: (key) => log.push(`restored ${key}`),
    },
  });
  return { etcd, clock, keys, view, log, session };
};

test("a confirmation counts from when it was sent, each second", async () => {
  const { etcd, clock, log, session, view, keys } = await joined();
  const start = clock.now();
  assert.is(etcd.memory.map.get(keys.member(1))?.createRevision, session.session.epoch);
  await clock.pass(2000);
  assert.equal(
    log,
    [0, 1000, 2000].map((ms) => `confirmed ${start + ms}`),
  );
  etcd.isAway = true;
  await clock.pass(3000);
  etcd.isAway = false;
  await clock.pass(1000);
  assert.equal(log.slice(3), [`confirmed ${start + 6000}`]);
  session.stop();
  view.close();
});

test("a session is over when its key is gone, though keepalives are answered", async () => {
  const { etcd, clock, log, session, view } = await joined();
  await clock.pass(0);
  etcd.faults = { ...NO_FAULTS, deadKeepAlive: 1, brokenWatch: 1 };
  etcd.memory.end(session.lease);
  await clock.pass(10_000);
  assert.equal(log.slice(1), ["expelled"]);
  assert.is(session.isOver, true);
  view.close();
});

test("a join whose answer was lost is the same join", async () => {
  const etcd = new FakeEtcd(new Prng(5), settle);
  const clock = new ManualClock();
  const keys = new StoreKeys("p/");
  const store = etcd.client();
  const view = new ViewDriver({ store, prefix: keys.prefix, clock, random });
  const member = { node: "n", boot: "b", life: "l", address: "", protocol: 1 };
  etcd.faults = { ...NO_FAULTS, lostTxn: 1 };
  const listener = { confirmed: () => {}, expelled: () => {}, restored: () => {} };
  const options = { store, view, keys, clock, random, member, slots: 4, listener };
  let isDone = false;
  const joining = joinCluster(options).finally(() => {
    isDone = true;
  });
  for (let tries = 0; !isDone && tries < 100; tries += 1) {
    await clock.pass(100);
    if (etcd.memory.map.get(keys.member(1)) !== null) etcd.faults = NO_FAULTS;
  }
  const { session } = await joining;
  const members = etcd.memory.map.list(keys.members);
  assert.equal(
    members.map(({ createRevision }) => createRevision),
    [session.epoch],
  );
});

test.run();
