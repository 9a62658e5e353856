/**
 * Messages and locks of whole nodes over real stores: in this process, and a local etcd of one and
 * of three members whose every write reaches the disk. One process plays all nodes.
 */
import { mkdirSync } from "node:fs";
import { DLM_LKF_CONVERT } from "../../src/cluster/dlm/lock-flags.ts";
import { EX, NL } from "../../src/cluster/dlm/lock-mode.ts";
import type { Protocol } from "../../src/cluster/node/cluster-member.ts";
import { EmbeddedStore } from "../../src/cluster/store/embedded-store-driver.ts";
import { EtcdStore } from "../../src/cluster/store/etcd-store-client.ts";
import { MemoryStore } from "../../src/cluster/store/memory-store.ts";
import { MONOTONIC_CLOCK } from "../../src/cluster/store/monotonic-clock-driver.ts";
import { EtcdCluster } from "../../test/helpers/etcd-process.ts";
import { LockMember } from "../../test/helpers/lock-member.ts";
import type { BenchContext } from "../bench.ts";
import { formatMarkdown, formatNumber, medianOf, quantileOf } from "../report.ts";
import { BenchCluster, type BenchStore } from "./bench-cluster.ts";

export const STORES = ["embedded", "etcd", "etcd3"] as const;
type StoreName = (typeof STORES)[number];

export const RECEIVERS = [1, 3, 7];
/** Most milliseconds of the channel's median on a local etcd, by receivers. */
const BARS: Readonly<Record<number, number>> = { 3: 10, 7: 15 };
/** The choreography makes a dozen transactions per receiver, all kept in the database. */
const ROUNDS_MAX: Readonly<Record<Protocol, number>> = { channel: 2000, literal: 300 };

export interface StoreRow {
  readonly name: string;
  readonly group: StoreName;
  readonly description: string;
  readonly store: StoreName;
  readonly protocol: Protocol | null;
  readonly receivers: number;
}

const messageRow = (store: StoreName, protocol: Protocol, receivers: number): StoreRow => ({
  name: `${store}.${protocol}.${receivers}`,
  group: store,
  description: `${protocol}, ${receivers} receiver${receivers === 1 ? "" : "s"}`,
  store,
  protocol,
  receivers,
});

const PROTOCOLS: readonly Protocol[] = ["literal", "channel"];

export const STORE_ROWS: readonly StoreRow[] = STORES.flatMap((store) => [
  ...PROTOCOLS.flatMap((protocol) => RECEIVERS.map((count) => messageRow(store, protocol, count))),
  {
    name: `${store}.locks`,
    group: store,
    description: "lock conversions, NL to EX and back, one node",
    store,
    protocol: null,
    receivers: 0,
  },
]);

export interface StoreResult {
  readonly row: string;
  readonly round: number;
  /** Milliseconds: until all have processed the message. */
  readonly p50: number;
  readonly p99: number;
  /** Milliseconds until the next one may be sent. */
  readonly whole: number;
  readonly perSecond: number;
  /** Bytes that the database has grown by, for each; null where there is none. */
  readonly bytes: number | null;
}

interface OpenStore extends BenchStore {
  readonly used: () => Promise<number | null>;
  readonly close: () => Promise<void>;
}

const openStore = async (name: StoreName, folder: string): Promise<OpenStore> => {
  const clock = MONOTONIC_CLOCK;
  if (name === "embedded") {
    const memory = new MemoryStore("1");
    const client = () => new EmbeddedStore(memory, clock);
    return { clock, client, used: async () => null, close: async () => {} };
  }
  mkdirSync(folder, { recursive: true });
  const etcd = await EtcdCluster.start(name === "etcd" ? 1 : 3, null, folder);
  const clients: EtcdStore[] = [];
  const client = (): EtcdStore => {
    const store = new EtcdStore({ endpoints: etcd.endpoints });
    clients.push(store);
    return store;
  };
  const close = async (): Promise<void> => {
    await Promise.allSettled(clients.map((store) => store.close()));
    await etcd.stop();
  };
  return { clock, client, used: () => etcd.usedBytes(), close };
};

interface Taken {
  readonly answered: readonly number[];
  readonly whole: readonly number[];
}

/** Does it over and over; milliseconds of each. `rest`: what follows before the next one. */
const repeat = async (
  seconds: number,
  most: number,
  once: () => Promise<unknown>,
  rest: () => Promise<void> = async () => {},
): Promise<Taken> => {
  const [answered, whole]: [number[], number[]] = [[], []];
  for (let warm = 0; warm < 5; warm += 1) {
    await once();
    await rest();
  }
  const end = performance.now() + seconds * 1000;
  while (whole.length < most && (performance.now() < end || whole.length < 10)) {
    const began = performance.now();
    await once();
    answered.push(performance.now() - began);
    await rest();
    whole.push(performance.now() - began);
  }
  return { answered, whole };
};

const toResult = (
  row: string,
  round: number,
  { answered, whole }: Taken,
  grown: number | null,
): StoreResult => ({
  row,
  round,
  p50: medianOf(answered),
  p99: quantileOf(answered, 0.99),
  whole: medianOf(whole),
  perSecond: (whole.length * 1000) / whole.reduce((sum, ms) => sum + ms, 0),
  bytes: grown === null ? null : grown / whole.length,
});

const measureMessages = async (
  { name, protocol, receivers }: StoreRow & { readonly protocol: Protocol },
  store: OpenStore,
  round: number,
  seconds: number,
): Promise<StoreResult> => {
  const cluster = await BenchCluster.start(store, `${name}/${round}/`, protocol, receivers + 1);
  const before = await store.used();
  const free = (): Promise<void> => cluster.free(store.clock);
  const taken = await repeat(seconds, ROUNDS_MAX[protocol], () => cluster.message(), free);
  const after = await store.used();
  cluster.stop();
  return toResult(name, round, taken, before === null || after === null ? null : after - before);
};

const measureLocks = async (
  { name }: StoreRow,
  { clock, client }: OpenStore,
  round: number,
  seconds: number,
): Promise<StoreResult> => {
  const options = { store: client(), prefix: `${name}/${round}/`, clock, node: "n" };
  const member = await LockMember.join(options);
  await member.lock("r", NL);
  const convert = { flags: DLM_LKF_CONVERT };
  let isUp = false;
  const taken = await repeat(seconds, 5000, async () => {
    isUp = !isUp;
    await member.lock("r", isUp ? EX : NL, convert);
    member.asts.length = 0;
    member.log.length = 0;
  });
  member.die();
  return toResult(name, round, taken, null);
};

/** All chosen rows, store by store. */
export const runStores = async ({
  settings,
  folder,
  say,
  onEnd,
}: BenchContext): Promise<readonly StoreResult[]> => {
  const results: StoreResult[] = [];
  for (const name of STORES) {
    const rows = STORE_ROWS.filter(
      (row) => row.store === name && settings.workloads.includes(row.name),
    );
    if (rows.length === 0) continue;
    const store = await openStore(name, folder);
    onEnd(store.close);
    for (let round = 0; round < settings.rounds; round += 1)
      for (const row of rows) {
        const { protocol } = row;
        const result =
          protocol === null
            ? await measureLocks(row, store, round, settings.seconds)
            : await measureMessages({ ...row, protocol }, store, round, settings.seconds);
        results.push(result);
        say(`round ${round + 1}/${settings.rounds} ${row.name} p50 ${result.p50.toFixed(2)} ms`);
      }
    await store.close();
  }
  return results;
};

/** Medians over the rounds. */
export const formatStores = (results: readonly StoreResult[]): string => {
  const rows = STORE_ROWS.filter(({ name }) => results.some(({ row }) => row === name));
  const lines = rows.map((row) => {
    const mine = results.filter((result) => result.row === row.name);
    const median = (pick: (result: StoreResult) => number): number => medianOf(mine.map(pick));
    const p50 = median((result) => result.p50);
    const grown = mine.flatMap(({ bytes }) => (bytes === null ? [] : [bytes]));
    const bar = row.protocol === "channel" && row.store !== "embedded" ? BARS[row.receivers] : null;
    const verdict = bar == null ? "" : `≤ ${bar}: ${p50 <= bar ? "met" : "missed"}`;
    return [
      row.store,
      row.description,
      p50.toFixed(2),
      median((result) => result.p99).toFixed(2),
      row.protocol === null ? "" : median((result) => result.whole).toFixed(2),
      formatNumber(median((result) => result.perSecond)),
      grown.length === 0 ? "" : formatNumber(medianOf(grown)),
      verdict,
    ];
  });
  const header = [
    "store",
    "what",
    "p50 ms",
    "p99 ms",
    "until free",
    "per second",
    "bytes each",
    "bar, p50",
  ];
  return formatMarkdown(header, lines);
};
