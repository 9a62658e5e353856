/** Changes of the cluster's records, each one guarded transaction. */

import { clusterPrefix } from "../cluster/store/board-keys.ts";
import type { Compare, StoreOp, TxnOutcome } from "../cluster/store/cluster-store.ts";
import { EtcdStore } from "../cluster/store/etcd-store-client.ts";
import { CodedError } from "../common/errors.ts";
import { type BoardTraces, tracesIn } from "./board-traces.ts";
import { type CertifiedKey, createRefusedList } from "./certificates.ts";
import type { Identity } from "./identity-driver.ts";
import {
  encodePulse,
  encodeRecord,
  LifeKeys,
  type LifePulse,
  type LifeRecord,
  type LifeView,
  viewOf,
} from "./life-records.ts";

/** A board that is silent for so long counts as off, milliseconds. */
const PULSE_TTL_MS = 15_000;
/** etcd may be electing. */
const ATTEMPTS_MAX = 8;
const PAUSE_MS = 500;

/** The records of one cluster. */
export class Registry {
  readonly keys: LifeKeys;
  readonly #cluster: string;
  readonly #store: EtcdStore;
  #lease: string | null = null;

  constructor({ cluster, endpoints, ca, own }: Identity) {
    this.keys = new LifeKeys(cluster);
    this.#cluster = cluster;
    this.#store = new EtcdStore({
      endpoints,
      tls: { ca, cert: own.cert, key: own.key },
      learnsMembers: true,
    });
  }

  /** Where etcd is asked: its members, then what was known before. */
  get endpoints(): readonly string[] {
    return this.#store.endpoints;
  }

  /** Client URLs of etcd's members as they were last told; empty before that. */
  get members(): readonly string[] {
    return this.#store.members;
  }

  /** Asks for the members. Never rejects. */
  async learn(): Promise<void> {
    await this.#store.learnMembers();
  }

  /** By a transaction: what it lists is not old. Errors: CLUSTER_STORE_*. */
  async view(attempts = ATTEMPTS_MAX): Promise<LifeView> {
    const { prefix } = this.keys;
    const outcome = await this.#insist([], [{ type: "list", prefix }], [], attempts);
    const [listed] = outcome.results;
    return viewOf(this.keys, listed?.type === "list" ? listed.found : []);
  }

  /** Which boards live and what they run, by a transaction too. Errors: CLUSTER_STORE_*. */
  async traces(): Promise<BoardTraces> {
    const prefix = clusterPrefix(this.#cluster);
    const { results } = await this.#insist([], [{ type: "list", prefix }]);
    const [listed] = results;
    return tracesIn(this.#cluster, listed?.type === "list" ? listed.found : []);
  }

  /** A new board. Errors: LIFE_NAME_TAKEN, CLUSTER_STORE_*. */
  async add(record: LifeRecord): Promise<void> {
    const { id, name } = record;
    const free: Compare = { type: "version", key: this.keys.name(name), relation: "=", number: 0 };
    const outcome = await this.#insist(
      [free],
      [
        { type: "put", key: this.keys.record(id), value: encodeRecord(record), lease: null },
        { type: "put", key: this.keys.name(name), value: id, lease: null },
      ],
    );
    if (outcome.type === "committed") return;
    // The answer of an earlier attempt may have been lost.
    if ((await this.view()).records.some((one) => one.id === id && one.name === name)) return;
    throw nameTaken(name);
  }

  /** Marks a board as leaving, or not: one that is loses its vote. Errors: CLUSTER_STORE_*. */
  async markLeaving(record: LifeRecord, isLeaving: boolean): Promise<void> {
    const value = encodeRecord({ ...record, isLeaving });
    await this.#insist(this.#still(record), [
      { type: "put", key: this.keys.record(record.id), value, lease: null },
    ]);
  }

  /**
   * Takes a board out; its certificate is refused from now on.
   * Errors: CLUSTER_STORE_*.
   */
  async remove(record: LifeRecord, ca: CertifiedKey): Promise<void> {
    await this.#insist(this.#still(record), [
      { type: "delete", key: this.keys.record(record.id) },
      { type: "delete", key: this.keys.name(record.name) },
      { type: "delete", key: this.keys.pulse(record.id) },
      this.#refusal(record),
    ]);
    await this.publishRefused(ca);
  }

  /** Gives a board another name; it makes its new certificate by itself. */
  async rename(record: LifeRecord, name: string): Promise<void> {
    const free: Compare = { type: "version", key: this.keys.name(name), relation: "=", number: 0 };
    const outcome = await this.#insist(
      [free, ...this.#still(record)],
      [
        { type: "delete", key: this.keys.name(record.name) },
        { type: "put", key: this.keys.name(name), value: record.id, lease: null },
        {
          type: "put",
          key: this.keys.record(record.id),
          value: encodeRecord({ ...record, name }),
          lease: null,
        },
      ],
    );
    if (outcome.type === "committed") return;
    const renamed = (await this.view()).records.find(({ id }) => id === record.id);
    if (renamed?.name !== name) throw nameTaken(name);
  }

  /** The board has another certificate; the one before is refused. */
  async certify(record: LifeRecord, serial: string, ca: CertifiedKey): Promise<void> {
    const value = encodeRecord({ ...record, serial });
    await this.#insist(this.#still(record), [
      { type: "put", key: this.keys.record(record.id), value, lease: null },
      this.#refusal(record),
    ]);
    await this.publishRefused(ca);
  }

  /** Signs the list of refused certificates anew where it lacks one. */
  async publishRefused(ca: CertifiedKey): Promise<void> {
    const { refused } = await this.view();
    const serials = refused.map(({ serial }) => serial).sort();
    const list = await createRefusedList(ca, serials);
    const value = list.toString("base64");
    await this.#insist([], [{ type: "put", key: this.keys.refusedList, value, lease: null }]);
  }

  /**
   * Says that this board runs, and asks to be the one that takes steps for etcd; true: it is.
   * Errors: CLUSTER_STORE_*.
   */
  async pulse(id: string, pulse: LifePulse, asks: boolean): Promise<boolean> {
    const lease = await this.#keepLease();
    const put: StoreOp = {
      type: "put",
      key: this.keys.pulse(id),
      value: encodePulse(pulse),
      lease,
    };
    const mine: Compare = { type: "value", key: this.keys.coordinator, relation: "=", value: id };
    const free: Compare = {
      type: "version",
      key: this.keys.coordinator,
      relation: "=",
      number: 0,
    };
    const take: StoreOp = { type: "put", key: this.keys.coordinator, value: id, lease };
    if (!asks) {
      await this.#insist([], [put]);
      return false;
    }
    if ((await this.#insist([mine], [put])).type === "committed") return true;
    const outcome = await this.#insist([free], [put, take], [put]);
    return outcome.type === "committed";
  }

  /** Says that it runs no more. */
  async close(): Promise<void> {
    const lease = this.#lease;
    this.#lease = null;
    try {
      if (lease !== null) await this.#store.leaseRevoke(lease);
    } catch {
      // It ends by itself.
    }
    await this.#store.close();
  }

  async #keepLease(): Promise<string> {
    if (this.#lease !== null) {
      try {
        await this.#store.leaseKeepAlive(this.#lease);
        return this.#lease;
      } catch (error) {
        if ((error as CodedError).code !== "CLUSTER_STORE_LEASE_GONE") throw error;
      }
    }
    this.#lease = (await this.#store.leaseGrant(PULSE_TTL_MS)).id;
    return this.#lease;
  }

  #still({ id }: LifeRecord): readonly Compare[] {
    return [{ type: "version", key: this.keys.record(id), relation: ">", number: 0 }];
  }

  #refusal({ serial, name }: LifeRecord): StoreOp {
    return { type: "put", key: this.keys.refused(serial), value: name, lease: null };
  }

  /** Every one of these may be done twice, so what is not known is done again. */
  async #insist(
    compares: readonly Compare[],
    success: readonly StoreOp[],
    failure: readonly StoreOp[] = [],
    attempts = ATTEMPTS_MAX,
  ): Promise<Exclude<TxnOutcome, { readonly type: "unknown" }>> {
    for (let attempt = 1; ; attempt += 1) {
      let error: unknown;
      try {
        const outcome = await this.#store.txn({ compares, success, failure });
        if (outcome.type !== "unknown") return outcome;
        error = outcome.error;
      } catch (thrown) {
        if ((thrown as CodedError).code === "CLUSTER_STORE_LEASE_GONE") this.#lease = null;
        if ((thrown as CodedError).code !== "CLUSTER_STORE_UNREACHABLE") throw thrown;
        error = thrown;
      }
      if (attempt >= attempts) throw error;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}

const nameTaken = (name: string): CodedError =>
  new CodedError("LIFE_NAME_TAKEN", `the cluster has a board or a witness ${name} already`, {
    remedy: "give another one with --name; new hardware for it joins by cluster token --replace",
  });
