/** The stores that the cluster store's tests run on. */
import { EmbeddedStore } from "../../src/cluster/store/embedded-store-driver.ts";
import { EtcdStore } from "../../src/cluster/store/etcd-store-client.ts";
import { MemoryStore } from "../../src/cluster/store/memory-store.ts";
import { Prng } from "../../src/common/prng.ts";
import { EtcdCluster } from "../helpers/etcd-process.ts";
import { FakeEtcd } from "../helpers/fake-etcd.ts";
import { ManualClock } from "../helpers/manual-clock.ts";
import { settle } from "../sim/scheduler.ts";
import type { StoreSubject } from "./cluster-store-subject.ts";

const PREFIX = "test/";

export const embedded = async (): Promise<StoreSubject> => {
  const memory = new MemoryStore("1");
  const clock = new ManualClock();
  const [store, other] = [new EmbeddedStore(memory, clock), new EmbeddedStore(memory, clock)];
  return {
    store,
    other,
    prefix: PREFIX,
    compact: async (revision) => memory.map.compact(revision),
    passTime: (ms) => clock.pass(ms),
    dispose: async () => {
      await Promise.all([store.close(), other.close()]);
    },
  };
};

export const fake = async (): Promise<StoreSubject> => {
  const etcd = new FakeEtcd(new Prng(1), settle);
  const [store, other] = [etcd.client(), etcd.client()];
  return {
    store,
    other,
    prefix: PREFIX,
    compact: async (revision) => etcd.memory.map.compact(revision),
    passTime: async (ms) => etcd.passTime(ms),
    dispose: async () => {
      await Promise.all([store.close(), other.close()]);
    },
  };
};

/** One server for all cases: each has a prefix of its own. */
let server: Promise<EtcdCluster> | null = null;
let cases = 0;

export const real = async (): Promise<StoreSubject> => {
  server ??= EtcdCluster.start(1);
  const etcd = await server;
  const { endpoints } = etcd;
  const [store, other] = [new EtcdStore({ endpoints }), new EtcdStore({ endpoints })];
  cases += 1;
  return {
    store,
    other,
    prefix: `${PREFIX}${cases}/`,
    compact: (revision) => etcd.compact(revision),
    passTime: async () => {},
    dispose: async () => {
      await Promise.all([store.close(), other.close()]);
    },
  };
};

/** What the suite of the real one needs. */
export const REAL = {
  tools: ["etcd"],
  after: async (): Promise<void> => {
    await (await server)?.stop();
  },
};
