/** A store whose owner dies at a transaction of its choice: before it is made, or just after. */
import type {
  ClusterStore,
  Lease,
  LeaseId,
  Listing,
  Revision,
  StoreIdentity,
  StoreWatch,
  Txn,
  TxnOutcome,
  WatchHint,
} from "../../src/cluster/store/cluster-store.ts";

export class MortalStore implements ClusterStore {
  readonly #below: ClusterStore;
  /** Transactions until the end; null: it lives. */
  left: number | null = null;
  /** The first one that counts. */
  counts: (txn: Txn) => boolean = () => true;
  #isCounting = false;
  /** Whether the last transaction is made before it dies. */
  isMade = true;
  die: () => void = () => {};
  #isDead = false;

  constructor(below: ClusterStore) {
    this.#below = below;
  }

  get identity(): StoreIdentity {
    return this.#below.identity;
  }

  async txn(txn: Txn): Promise<TxnOutcome> {
    if (this.#isDead) return new Promise(() => {});
    this.#isCounting ||= this.left !== null && this.counts(txn);
    const isLast = this.#isCounting && this.left === 0;
    if (this.#isCounting && this.left !== null) this.left -= 1;
    if (!isLast) return this.#below.txn(txn);
    this.#isDead = true;
    if (this.isMade) await this.#below.txn(txn);
    this.die();
    return new Promise(() => {});
  }

  list(prefix: string): Promise<Listing> {
    return this.#below.list(prefix);
  }

  watch(prefix: string, from: Revision, listener: (hint: WatchHint) => void): StoreWatch {
    return this.#below.watch(prefix, from, listener);
  }

  leaseGrant(ttlMs: number): Promise<Lease> {
    return this.#below.leaseGrant(ttlMs);
  }

  async leaseKeepAlive(lease: LeaseId): Promise<void> {
    if (!this.#isDead) await this.#below.leaseKeepAlive(lease);
  }

  async leaseRevoke(lease: LeaseId): Promise<void> {
    if (!this.#isDead) await this.#below.leaseRevoke(lease);
  }

  close(): Promise<void> {
    return this.#below.close();
  }
}
