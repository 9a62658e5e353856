/**
 * A board of the scaling table: the product's board session and fence ledger, and a node of each
 * array; what arrays do with their members is left out, so every notice is carried out at once.
 */

import { joinArray } from "../../../src/cluster/node/cluster-driver.ts";
import type { JoinedCluster } from "../../../src/cluster/node/cluster-member.ts";
import type { ClusterHappening } from "../../../src/cluster/node/cluster-view.ts";
import {
  arrayPrefix,
  BoardKeys,
  type BoardLife,
  clusterPrefix,
} from "../../../src/cluster/store/board-keys.ts";
import type { BoardRecord } from "../../../src/cluster/store/board-record.ts";
import { BoardSession } from "../../../src/cluster/store/board-session-driver.ts";
import type { ClusterStore } from "../../../src/cluster/store/cluster-store.ts";
import { PERMIT_MS } from "../../../src/cluster/store/permission.ts";
import type { StoreClock } from "../../../src/cluster/store/store-clock.ts";
import { StoreKeys } from "../../../src/cluster/store/store-keys.ts";
import { ViewDriver } from "../../../src/cluster/store/view-driver.ts";
import { FenceKeys } from "../../../src/peers/fence-keys.ts";
import { FenceLedger, type SlotEpoch } from "../../../src/peers/fence-ledger.ts";
import type { ClusterAnswer, ClusterCall, ClusterNotice } from "../../../src/raid/cluster-port.ts";
import type { StoreCounts } from "./counted-store.ts";

export const CLUSTER = "scale";

/** A connection of each node to each disk, and some. */
const CONNECTIONS_MAX = 4096;

/** What a board needs of its world. */
export interface ScaleHome {
  readonly clock: StoreClock;
  readonly counts: StoreCounts;
  readonly random: () => number;
  /** A client of its own, as each thread has one. */
  storeFor(): ClusterStore;
  happened(uuid: string, happening: ClusterHappening): void;
}

const recordOf = (name: string): BoardRecord => ({
  name,
  boot: `${name}-1`,
  address: "10.0.0.1:10810",
  api: "",
  version: "1",
  disks: [{ id: "disk1", kind: "block", sizeBytes: 2 ** 40, logicalBlockSize: 512 }],
  reaches: [],
});

export class ScaleBoard {
  readonly name: string;
  readonly counts: StoreCounts;
  readonly #home: ScaleHome;
  readonly #keys = new BoardKeys(CLUSTER);
  readonly #nodes: ScaleNode[] = [];
  readonly #ledger: FenceLedger;
  readonly #store: ClusterStore;
  readonly #view: ViewDriver;
  #session: BoardSession | null = null;

  constructor(name: string, home: ScaleHome) {
    this.name = name;
    this.counts = home.counts;
    this.#home = home;
    this.#ledger = new FenceLedger(name, CONNECTIONS_MAX);
    this.#store = home.storeFor();
    const { clock, random } = home;
    this.#view = new ViewDriver({
      store: this.#store,
      prefix: clusterPrefix(CLUSTER),
      clock,
      random,
    });
    const fences = new FenceKeys(CLUSTER, name);
    this.#view.subscribe((changes) => {
      fences.tell(this.#ledger, changes, this.#view.view.revision);
      this.#pump();
    });
  }

  /** Its exporter lives. */
  async begin(): Promise<void> {
    await this.#view.start();
    const { clock, random } = this.#home;
    const session = await BoardSession.take({
      store: this.#store,
      view: this.#view,
      keys: this.#keys,
      clock,
      random,
      record: recordOf(this.name),
      listener: {
        confirmed: (sentAt) => this.#ledger.openGate(sentAt + PERMIT_MS),
        expelled: () => this.#ledger.endLife("expelled"),
      },
    });
    this.#session = session;
    this.#ledger.beginLife(session.life.epoch);
    this.#pump();
  }

  /** Takes part in the array; resolves once its first pass is over. */
  async join(uuid: string, nodes: number): Promise<void> {
    const node = new ScaleNode(uuid, this.#home);
    await node.join(this.name, nodes);
    this.#nodes.push(node);
  }

  /** As kill -9. */
  die(): void {
    for (const node of this.#nodes) node.stop();
    this.#session?.stop();
    this.#view.close();
  }

  /** What the ledger decides; what that leads to as well. */
  #pump(): void {
    for (let effects = this.#ledger.take(); effects.length > 0; effects = this.#ledger.take()) {
      for (const effect of effects) {
        const { type } = effect;
        if (type === "acknowledge") void this.#acknowledge(effect);
        if (type !== "own-fenced") continue;
        this.#ledger.ownDrained(effect.uuid, effect.slot, effect.epoch);
      }
    }
  }

  async #acknowledge(effect: SlotEpoch): Promise<void> {
    const life = this.#session?.life;
    if (life === undefined) return;
    const revision = await this.#tellFence(effect, life);
    this.#ledger.acknowledged(effect, life.epoch, revision);
    this.#pump();
  }

  /** Null: not known to be written. */
  async #tellFence({ uuid, slot, epoch }: SlotEpoch, life: BoardLife): Promise<number | null> {
    const keys = new StoreKeys(arrayPrefix(CLUSTER, uuid));
    const lease = this.#session?.lease ?? null;
    const outcome = await this.#store.txn({
      compares: [
        this.#keys.guard(life),
        { type: "create-revision", key: keys.member(slot), relation: "=", number: 0 },
      ],
      success: [{ type: "put", key: keys.fence(this.name, slot), value: String(epoch), lease }],
      failure: [],
    });
    return outcome.type === "committed" ? outcome.revision : null;
  }
}

/** A node of one array. */
class ScaleNode {
  readonly #uuid: string;
  readonly #home: ScaleHome;
  readonly #answers = new Map<number, (answer: ClusterAnswer) => void>();
  #cluster: JoinedCluster | null = null;
  #id = 0;

  constructor(uuid: string, home: ScaleHome) {
    this.#uuid = uuid;
    this.#home = home;
  }

  async join(node: string, nodes: number): Promise<void> {
    const { clock, random } = this.#home;
    const life = `${node}-${this.#uuid}`;
    const cluster = await joinArray({
      store: this.#home.storeFor(),
      prefix: arrayPrefix(CLUSTER, this.#uuid),
      boards: new BoardKeys(CLUSTER),
      member: { node, boot: `${node}-1`, life, address: "10.0.0.1:10809", protocol: 1 },
      nodes,
      clock,
      random,
      listener: {
        answer: (id, answer) => this.#answered(id, answer),
        notice: (id, notice) => void this.#carryOut(id, notice),
        state: () => undefined,
        gate: () => undefined,
        happened: (happening) => this.#home.happened(this.#uuid, happening),
      },
    });
    this.#cluster = cluster;
    await cluster.start();
    await this.#pass();
  }

  stop(): void {
    this.#cluster?.stop();
  }

  /** An empty resync pass. */
  async #pass(): Promise<void> {
    await this.#call({ type: "resync-start" });
    await this.#call({ type: "resync-finish" });
  }

  #call(call: ClusterCall): Promise<ClusterAnswer> {
    this.#id += 1;
    const id = this.#id;
    return new Promise((resolve) => {
      this.#answers.set(id, resolve);
      this.#cluster?.call(id, call);
    });
  }

  #answered(id: number, answer: ClusterAnswer): void {
    this.#answers.get(id)?.(answer);
    this.#answers.delete(id);
  }

  /** A slot that is recovered is followed by a pass, and by new superblocks that are told. */
  async #carryOut(id: number, notice: ClusterNotice): Promise<void> {
    // What is asked at once is answered after the call that asks.
    await Promise.resolve();
    this.#cluster?.processed(id);
    if (notice.type !== "recover-slot" || notice.isUnused === true) return;
    await this.#pass();
    await this.#call({ type: "metadata-update-start" });
    await this.#call({ type: "metadata-update-finish", deviceNumber: 0, events: 1 });
  }
}
