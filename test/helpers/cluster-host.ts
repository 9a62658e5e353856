/**
 * Nodes of an array's cluster with a stand-in for their arrays: it carries notices out at once, or
 * when the test says so, and writes down what it was told.
 */

import { joinArray } from "../../src/cluster/node/cluster-driver.ts";
import type {
  ClusterListener,
  ClusterOptions,
  JoinedCluster,
  Protocol,
} from "../../src/cluster/node/cluster-member.ts";
import type { ClusterHappening } from "../../src/cluster/node/cluster-view.ts";
import type { ClusterStore } from "../../src/cluster/store/cluster-store.ts";
import { EmbeddedStore } from "../../src/cluster/store/embedded-store-driver.ts";
import { MemoryStore } from "../../src/cluster/store/memory-store.ts";
import type { StoreClock } from "../../src/cluster/store/store-clock.ts";
import { StoreKeys } from "../../src/cluster/store/store-keys.ts";
import { Prng } from "../../src/common/prng.ts";
import type { ClusterAnswer, ClusterCall, ClusterNotice } from "../../src/raid/cluster-port.ts";
import { settle } from "../sim/scheduler.ts";
import { type EtcdFaults, FakeEtcd } from "./fake-etcd.ts";
import { ManualClock } from "./manual-clock.ts";
import { MortalStore } from "./mortal-store.ts";

export const PREFIX = "/satsuma/test/arrays/a/";
/** Everything happens five times as soon. */
export const QUICK = { leaseMs: 2000, confirmMs: 300, permitMs: 1000 };
/** Turns of the event loop before time has to pass. */
const TURNS = 24;
/** How much simulated time a step of a story may take, and in which steps it passes. */
const PATIENCE_MS = 120_000;
const STEP_MS = 50;

/** "resyncing 0 [0, 100)" */
export const noticeText = (notice: ClusterNotice): string => {
  const { type, ...rest } = notice;
  const values = Object.values(rest).filter((value) => typeof value !== "boolean");
  return [type, ...values].join(" ");
};

export class ClusterHost {
  readonly name: string;
  /** Everything that was told, oldest first; gates are left out. */
  readonly log: string[] = [];
  readonly happened: ClusterHappening[] = [];
  readonly answers = new Map<number, ClusterAnswer>();
  gateUntil = 0;
  isSuspended = true;
  isExpelled = false;
  isDead = false;
  /** Notices of these types are refused. */
  refuses: ReadonlySet<ClusterNotice["type"]> = new Set();
  /** Notices of these types wait for `carryOut`. */
  holds: ReadonlySet<ClusterNotice["type"]> = new Set();
  /** Whether it sees new devices; null: it never answers. */
  seesDevices: boolean | null = true;
  cluster: JoinedCluster | null = null;
  #held: { readonly id: number; readonly notice: ClusterNotice } | null = null;
  #id = 0;
  readonly listener: ClusterListener;

  constructor(name: string) {
    this.name = name;
    this.listener = {
      answer: (id, answer) => void this.answers.set(id, answer),
      notice: (id, notice) => this.#notice(id, notice),
      state: (state) => {
        if (state.type === "expelled") this.isExpelled = true;
        else this.isSuspended = state.isSuspended;
        const text = state.type === "expelled" ? "" : ` ${state.isSuspended ? "off" : "on"}`;
        this.log.push(`state ${state.type}${text}`);
      },
      gate: (untilMs) => {
        this.gateUntil = Math.max(this.gateUntil, untilMs);
      },
      happened: (happening) => void this.happened.push(happening),
    };
  }

  get slot(): number {
    return this.#joined.slot;
  }

  get view() {
    return this.#joined.view();
  }

  /** The notices so far, without anything else. */
  get notices(): readonly string[] {
    return this.log.flatMap((line) => (line.startsWith("notice ") ? [line.slice(7)] : []));
  }

  /** Asks; the number of the call. */
  ask(call: ClusterCall): number {
    this.#id += 1;
    this.#joined.call(this.#id, call);
    return this.#id;
  }

  /** The notice that waits, if one does. */
  get held(): ClusterNotice | null {
    return this.#held?.notice ?? null;
  }

  carryOut(): void {
    const held = this.#held;
    this.#held = null;
    if (held === null) throw new Error(`${this.name} has no notice to carry out`);
    this.#joined.processed(held.id);
  }

  get isOut(): boolean {
    return this.isDead || this.isExpelled;
  }

  die(): void {
    this.isDead = true;
    this.#joined.stop();
  }

  get #joined(): JoinedCluster {
    if (this.cluster === null) throw new Error(`${this.name} has not joined`);
    return this.cluster;
  }

  #notice(id: number, notice: ClusterNotice): void {
    this.log.push(`notice ${noticeText(notice)}`);
    if (this.refuses.has(notice.type)) this.#joined.processed(id, true);
    else if (this.holds.has(notice.type)) this.#held = { id, notice };
    else if (notice.type !== "new-disk") this.#joined.processed(id);
    else if (this.seesDevices !== null)
      this.ask({ type: "new-disk-ack", isFound: this.seesDevices });
  }
}

/** Its nodes are on a store in memory. */
export type EmbeddedWorld = ClusterWorld & {
  readonly memory: MemoryStore;
  /** What a key holds; empty when it is not there. */
  readonly get: (key: string) => string;
  /** Something else writes a key; null deletes it. */
  readonly put: (key: string, value: string | null) => void;
};

/** A store, a clock, and the nodes that share them. */
export class ClusterWorld {
  readonly clock: ManualClock | StoreClock;
  readonly keys = new StoreKeys(PREFIX);
  readonly hosts: ClusterHost[] = [];
  protocol: Protocol;
  nodes = 4;
  /** Leases, confirmations and what they permit; the product's if left out. */
  timing: Pick<ClusterOptions, "leaseMs" | "confirmMs" | "permitMs"> = {};
  readonly client: () => ClusterStore;
  readonly #random: () => number;
  /** What is due happens, and a little time passes. */
  readonly turn: () => Promise<void>;
  #lives = 0;

  constructor(
    protocol: Protocol,
    clock: ManualClock | StoreClock,
    client: () => ClusterStore,
    prng: Prng,
    turn: () => Promise<void>,
  ) {
    this.protocol = protocol;
    this.clock = clock;
    this.client = client;
    this.#random = () => prng.below(1_000_000) / 1_000_000;
    this.turn = turn;
  }

  static embedded(protocol: Protocol): EmbeddedWorld {
    const clock = new ManualClock();
    const memory = new MemoryStore("1");
    const world = new ClusterWorld(
      protocol,
      clock,
      () => new EmbeddedStore(memory, clock),
      new Prng(1),
      async () => {
        for (let turn = 0; turn < TURNS; turn += 1) await settle();
        await clock.pass(STEP_MS);
      },
    );
    const put = (key: string, value: string | null): void => {
      const op =
        value === null
          ? ({ type: "delete", key } as const)
          : ({ type: "put", key, value, lease: null } as const);
      void memory.txn({ compares: [], success: [op], failure: [] });
    };
    const get = (key: string): string => memory.map.get(key)?.value ?? "";
    return Object.assign(world, { memory, get, put });
  }

  static fake(
    protocol: Protocol,
    prng: Prng,
    faults: EtcdFaults,
  ): ClusterWorld & { readonly etcd: FakeEtcd } {
    const clock = new ManualClock();
    const etcd = new FakeEtcd(prng.fork(), settle, faults);
    const world = new ClusterWorld(
      protocol,
      clock,
      () => etcd.client(),
      prng.fork(),
      async () => {
        for (let turn = 0; turn < TURNS; turn += 1) await settle();
        await clock.pass(STEP_MS);
        etcd.passTime(STEP_MS);
      },
    );
    return Object.assign(world, { etcd });
  }

  /** A node that may be made to die at one of its transactions. */
  async enterMortal(
    name: string,
  ): Promise<{ readonly host: ClusterHost; readonly store: MortalStore }> {
    const store = new MortalStore(this.client());
    const host = await this.enter(name, { store });
    store.die = () => host.die();
    return { host, store };
  }

  options(host: ClusterHost, more: Partial<ClusterOptions> = {}): ClusterOptions {
    this.#lives += 1;
    const life = `${host.name}-${this.#lives}`;
    return {
      store: this.client(),
      prefix: PREFIX,
      member: { node: host.name, boot: "b", life, address: "", protocol: 1 },
      nodes: this.nodes,
      clock: this.clock,
      random: this.#random,
      listener: host.listener,
      protocol: this.protocol,
      ...this.timing,
      ...more,
    };
  }

  /** Joins; its array machine does not run yet. */
  async join(name: string, more: Partial<ClusterOptions> = {}): Promise<ClusterHost> {
    const host = new ClusterHost(name);
    host.cluster = await this.finish(`${name} joins`, joinArray(this.options(host, more)));
    this.hosts.push(host);
    return host;
  }

  /** Joins and takes part, and has run its first pass. */
  async enter(name: string, more: Partial<ClusterOptions> = {}): Promise<ClusterHost> {
    const host = await this.join(name, more);
    await this.finish(`${name} enters`, host.cluster?.start() ?? Promise.resolve());
    await this.pass(host);
    return host;
  }

  /** An empty resync pass. */
  async pass(host: ClusterHost): Promise<void> {
    await this.ok(host, { type: "resync-start" });
    await this.ok(host, { type: "resync-finish" });
  }

  async ask(host: ClusterHost, call: ClusterCall): Promise<ClusterAnswer> {
    const id = host.ask(call);
    return this.answered(host, id);
  }

  async answered(host: ClusterHost, id: number): Promise<ClusterAnswer> {
    const got = (): boolean => host.answers.has(id);
    await this.until(`${host.name} is answered`, () => got() || host.isExpelled);
    return host.answers.get(id) ?? { ok: false, code: "expelled", message: "" };
  }

  async ok(host: ClusterHost, call: ClusterCall): Promise<void> {
    const answer = await this.ask(host, call);
    if (!answer.ok) throw new Error(`${host.name} ${call.type}: ${answer.code} ${answer.message}`);
  }

  /** Time passes until it is so. */
  async until(what: string, isSo: () => boolean): Promise<void> {
    for (let waited = 0; waited < PATIENCE_MS; waited += STEP_MS) {
      if (isSo()) return;
      await this.turn();
    }
    if (isSo()) return;
    const waits = this.hosts
      .filter(({ isOut }) => !isOut)
      .flatMap((host) => {
        const { waits, phase } = host.view;
        return [`${host.name} ${phase}`, ...waits.map((wait) => `  ${wait}`)];
      });
    throw new Error(`never: ${what}\n${waits.join("\n")}`);
  }

  async finish<T>(what: string, promise: Promise<T>): Promise<T> {
    let isDone = false;
    const end = (): void => {
      isDone = true;
    };
    promise.then(end, end);
    await this.until(what, () => isDone);
    return promise;
  }

  /** Its lease ends although it lives. */
  async revoke(host: ClusterHost): Promise<void> {
    const store = this.client();
    const { found } = await this.finish("a list", store.list(this.keys.member(host.slot + 1)));
    for (const { lease } of found)
      if (lease !== null) await this.finish("the lease ends", store.leaseRevoke(lease));
  }

  /** So much time passes. */
  async rest(ms: number): Promise<void> {
    for (let waited = 0; waited < ms; waited += STEP_MS) await this.turn();
  }

  /** Ends everybody. */
  end(): void {
    for (const host of this.hosts) host.die();
  }
}
