/**
 * The cluster of one array, in its array thread: joins it, passes calls and events between it and
 * the array driver (in order, never one within the other), keeps the time until which the node may
 * do I/O, and asks the I/O workers to drain and to look again.
 */

import { randomUUID } from "node:crypto";
import { toDlmSlot } from "../cluster/dlm/slot-table.ts";
import { joinArray } from "../cluster/node/cluster-driver.ts";
import type {
  ArrayCopies,
  ClusterListener,
  JoinedCluster,
} from "../cluster/node/cluster-member.ts";
import type { ClusterHappening, ClusterView } from "../cluster/node/cluster-view.ts";
import { arrayPrefix, BoardKeys } from "../cluster/store/board-keys.ts";
import type { ClusterStore } from "../cluster/store/cluster-store.ts";
import { openEtcd } from "../cluster/store/etcd-start-client.ts";
import { assert } from "../common/assert.ts";
import { CodedError } from "../common/errors.ts";
import type { SeenStore } from "../control/engine.ts";
import type { DeviceGate } from "../hal/layers/gated-device.ts";
import type { ClusterHost } from "../raid/array-driver.ts";
import type { ArrayEvent, Newcomer } from "../raid/array-messages.ts";
import type { ArrayPeersStatus } from "../raid/array-status.ts";
import type { AssembleOptions } from "../raid/assemble-driver.ts";
import type { ClusterFacts } from "../raid/cluster-facts-driver.ts";
import type { ClusterAnswer, ClusterCall, ClusterState } from "../raid/cluster-port.ts";
import {
  GATE_CLOSED,
  GATE_EXPELLED,
  RUN_BROKEN,
  type SharedArrayState,
} from "../raid/shared-state.ts";
import type { ThreadCluster } from "./array-messages.ts";
import { gateSentence } from "./gate-words.ts";
import { afterMs, monotonicMs } from "./monotonic-clock.ts";
import { nodeWord } from "./node-words.ts";
import type { OwnSession } from "./own-sessions.ts";
import { handleOwner, type PeerUse } from "./peer-links.ts";
import { noteSession } from "./session-notes.ts";
import { ThreadGate } from "./thread-gate.ts";

/** The board remembers the store's revision, as it was so long ago at most. Choice. */
const STORE_TOLD_MS = 10_000;
/** Version of what nodes say to each other. */
const PROTOCOL = 1;
/** A node whose array does not run waits so long until the others have let it go, milliseconds. */
const LEAVE_MS = 3000;

/** What the array thread does for its cluster. */
export interface ArrayClusterHost {
  dispatch(event: ArrayEvent): void;
  /** Resolves once no I/O worker has a write to members under way in bytes `[from, to)`. */
  drain(from: number, to: number): Promise<void>;
  /** The I/O workers look again at what is parked. */
  poke(): void;
  /** Resolves once nothing that was given up is owed in any thread; false: something still is. */
  settle(): Promise<boolean>;
  findDevice(uuid: string, deviceNumber: number): Promise<Newcomer | null>;
  /** Node `slot` changes the array as a whole: stop it here, then `processed`. */
  rest(notice: number, slot: number): void;
  happened(happening: ClusterHappening): void;
  storeSeen(seen: SeenStore): void;
  /** Nothing is read or written any more; `isBroken`: the array is, so the node has left. */
  expelled(reason: string, isBroken: boolean): void;
}

/** The others go on without this node: it is asked nothing any more. */
const OUT: ClusterAnswer = {
  ok: false,
  code: "CLUSTER_EXPELLED",
  message: "the cluster goes on without this board",
};

export class ArrayCluster implements ClusterHost {
  /** When this thread may do I/O on the members. */
  readonly gate: DeviceGate = new ThreadGate(() => this.#until);
  readonly name: string;
  readonly #data: ThreadCluster;
  readonly #uuid: string;
  readonly #store: ClusterStore;
  #joined: JoinedCluster | null = null;
  #host: ArrayClusterHost | null = null;
  #shared: SharedArrayState | null = null;
  /** What came before there was anybody to tell. */
  #early: ((host: ArrayClusterHost) => void)[] = [];
  /** As SharedArrayState.gateUntil; closed until the first confirmation. */
  #until = GATE_CLOSED;
  #isShut = false;
  /** The thread's own calls, which no array machine makes: their numbers are negative. */
  readonly #asked = new Map<number, (answer: ClusterAnswer) => void>();
  #nextAsk = -1;
  /** The array runs without a cluster from now on: nothing is told any more. */
  #isLeaving = false;
  #distrusted: ReadonlySet<string> = new Set();
  #tellStoreAt = 0;

  private constructor(data: ThreadCluster, uuid: string, store: ClusterStore) {
    this.name = data.name;
    this.#data = data;
    this.#uuid = uuid;
    this.#store = store;
  }

  /**
   * `paths`: of the members. Errors: CLUSTER_*; the node is in no cluster then. CLUSTER_EXPELLED
   * also when the others are past its session before this board may use its disks in it.
   */
  static async join(
    data: ThreadCluster,
    facts: ClusterFacts,
    paths: readonly string[],
  ): Promise<ArrayCluster> {
    const prefix = arrayPrefix(data.name, facts.uuid);
    const { endpoints, tls, seen, learnsMembers = false } = data;
    const known = seen === null ? {} : { known: seen };
    const { store } = await openEtcd({ endpoints, tls, learnsMembers, ...known }, prefix);
    const cluster = new ArrayCluster(data, facts.uuid, store);
    const { node, boot, address, exporter } = data;
    try {
      cluster.#joined = await joinArray({
        store,
        prefix,
        member: { node, boot, life: randomUUID(), address, protocol: PROTOCOL },
        nodes: facts.nodes,
        clock: { now: monotonicMs, after: afterMs },
        random: Math.random,
        listener: cluster.#listener(),
        ...(exporter !== null ? { boards: new BoardKeys(data.name) } : {}),
      });
      if (exporter !== null) cluster.#distrusted = await noteSession(cluster.session, paths);
    } catch (error) {
      await cluster.close();
      throw error;
    }
    return cluster;
  }

  /**
   * False of a disk of this board that the nodes which run the array have not met since the board
   * began anew: what is on it may be old, until they have recorded it as faulty.
   */
  isTrusted(path: string): boolean {
    return !this.isRunElsewhere || !this.#distrusted.has(path);
  }

  /** Of this node: what its requests at exporters are part of. */
  get session(): OwnSession {
    const { slot, epoch } = this.#cluster.view();
    return { uuid: this.#uuid, slot: toDlmSlot(slot), epoch };
  }

  /** As whom this node opens peers' disks; null: it uses none. */
  get peerUse(): PeerUse | null {
    const { exporter, node, boot } = this.#data;
    if (exporter === null) return null;
    const session = { kind: "node", ...this.session } as const;
    return { tls: exporter.tls, owner: handleOwner(node, boot), session };
  }

  /** Number of this node's bitmap, from 0. */
  get slot(): number {
    return this.#cluster.slot;
  }

  /** This life of the node: what it asks of other boards' disks carries it. */
  get epoch(): number {
    return this.#cluster.epoch;
  }

  /** Other nodes run the array. */
  get isRunElsewhere(): boolean {
    return this.#cluster.isRunElsewhere;
  }

  /** What the cluster remembers of the array's copies. */
  get copies(): ArrayCopies {
    return this.#cluster.copies;
  }

  /**
   * What an array has to go by that starts again after a change: another node may have made it, and
   * told of superblocks that this one cannot read. A node that is out asks nobody.
   */
  async copiesNow(): Promise<AssembleOptions["copies"]> {
    const newest = await unlessExpelled(this.copies.newest());
    return { newest, isForced: false, doubt: null };
  }

  /**
   * It has started again with so many events, BEFORE clients go on: a member that failed within the
   * change takes no part in what they write, and nobody was told of that yet.
   */
  async goesOn(events: number): Promise<void> {
    await unlessExpelled(this.copies.begin(events, null));
  }

  get #cluster(): JoinedCluster {
    assert(this.#joined !== null, "the node has joined");
    return this.#joined;
  }

  /** The array runs in this shared state from now on. */
  serve(host: ArrayClusterHost, shared: SharedArrayState): void {
    this.#host = host;
    this.#shared = shared;
    shared.gateUntil = this.#until;
    for (const tell of this.#early.splice(0)) tell(host);
  }

  /** AFTER the workers are attached; resolves when client I/O may begin. */
  start(): Promise<void> {
    return this.#cluster.start();
  }

  call(id: number, call: ClusterCall): void {
    this.#cluster.call(id, call);
  }

  processed(id: number, isRefused = false): void {
    this.#cluster.processed(id, isRefused);
  }

  rest(notice: number, slot: number): void {
    this.#host?.rest(notice, slot);
  }

  async drain(from: number, to: number): Promise<void> {
    await this.#host?.drain(from, to);
  }

  poke(): void {
    this.#host?.poke();
  }

  closeGate(): void {
    this.#shut(GATE_CLOSED);
  }

  /** The gate does not open again. */
  #shut(until: number): void {
    this.#isShut = true;
    this.#until = until;
    if (this.#shared !== null) this.#shared.gateUntil = until;
    this.poke();
  }

  async settle(): Promise<boolean> {
    return (await this.#host?.settle()) ?? true;
  }

  brokenAway(reason: string): void {
    this.#shut(GATE_EXPELLED);
    this.#host?.expelled(reason, true);
  }

  async findDevice(uuid: string, deviceNumber: number): Promise<Newcomer | null> {
    return (await this.#host?.findDevice(uuid, deviceNumber)) ?? null;
  }

  /** What the node knows; first of what waits: all I/O, behind a closed gate. */
  view(): ClusterView {
    const view = this.#cluster.view();
    const stand = { until: this.#until, isShut: this.#isShut, now: monotonicMs() };
    const gate = gateSentence(stand);
    return gate === null ? view : { ...view, waits: [gate, ...view.waits] };
  }

  /** Who else runs the array. */
  peers(): ArrayPeersStatus {
    const { phase, members, waits, damaged } = this.view();
    const nodes = members.map(({ slot, node }) => ({ slot, node }));
    return { phase, nodes, awaited: waits[0] ?? null, damaged };
  }

  /** "node 2 (board-b)": who else uses the array, as far as is known; null: nobody. */
  get otherUser(): string | null {
    const { slots, members, slot: me } = this.#cluster.view();
    const user = slots.find(({ slot, condition }) => slot !== me && condition !== "free");
    if (user === undefined) return null;
    return nodeWord(user.slot, members);
  }

  /**
   * Nobody else may run the array, or begin to, until `unlockBitmaps`: it is about to become
   * clustered. Refused with CLUSTER_BITMAP_IN_USE, CLUSTER_EXPELLED.
   */
  lockBitmaps(): Promise<ClusterAnswer> {
    return this.#ask({ type: "lock-all-bitmaps", isNew: true });
  }

  /** AFTER the last superblock says what the array is. */
  async unlockBitmaps(): Promise<void> {
    await this.#ask({ type: "unlock-all-bitmaps" });
  }

  /**
   * The array machine does not run: it could not be started though the node had joined, or the
   * array belongs to no cluster any more. Others may join as soon as it is left.
   */
  async leave(): Promise<void> {
    this.#isLeaving = true;
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const forget = afterMs(LEAVE_MS, resolve);
    await Promise.race([this.#ask({ type: "leave", needsSync: false }), late]);
    forget();
    await this.close();
  }

  /** AFTER the node has left, or to end without a word. */
  async close(): Promise<void> {
    this.#joined?.stop();
    await this.#store.close();
  }

  /** Answered by the cluster, or when the others go on without this node. */
  #ask(call: ClusterCall): Promise<ClusterAnswer> {
    if (this.#until === GATE_EXPELLED) return Promise.resolve(OUT);
    const id = this.#nextAsk--;
    return new Promise((resolve) => {
      this.#asked.set(id, resolve);
      this.#cluster.call(id, call);
    });
  }

  #listener(): ClusterListener {
    return {
      answer: (id, answer) => {
        const resolve = this.#asked.get(id);
        this.#asked.delete(id);
        if (resolve !== undefined) resolve(answer);
        else this.#tell((host) => host.dispatch({ type: "cluster-answer", id, answer }));
      },
      notice: (id, notice) =>
        this.#tell((host) => host.dispatch({ type: "cluster-notice", id, notice })),
      state: (state) => this.#onState(state),
      gate: (until) => this.#moveGate(until),
      happened: (happening) => this.#tell((host) => host.happened(happening)),
    };
  }

  /** In order, and never within a call of the array. */
  #tell(tell: (host: ArrayClusterHost) => void): void {
    queueMicrotask(() => {
      if (this.#isLeaving) return;
      if (this.#host === null) this.#early.push(tell);
      else tell(this.#host);
    });
  }

  #moveGate(until: number): void {
    if (this.#isShut) return;
    const wasOpen = this.gate.isOpen;
    this.#until = until;
    if (this.#shared !== null) this.#shared.gateUntil = until;
    if (!wasOpen) this.poke();
    this.#tellStore();
  }

  #tellStore(): void {
    const now = monotonicMs();
    if (now < this.#tellStoreAt) return;
    this.#tellStoreAt = now + STORE_TOLD_MS;
    const seen = this.#store.identity;
    this.#tell((host) => host.storeSeen(seen));
  }

  #onState(state: ClusterState): void {
    if (state.type === "expelled") {
      if (this.#shared !== null) this.#shared.run = RUN_BROKEN;
      this.#shut(GATE_EXPELLED);
      for (const resolve of this.#asked.values()) resolve(OUT);
      this.#asked.clear();
    }
    this.#tell((host) => {
      host.dispatch({ type: "cluster-state", state });
      if (state.type === "expelled") host.expelled(state.reason, false);
    });
  }
}

const unlessExpelled = async <T>(asked: Promise<T>): Promise<T | null> => {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof CodedError && error.code === "CLUSTER_EXPELLED") return null;
    throw error;
  }
};
