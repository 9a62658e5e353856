/** A store's client that is as far away as a simulated etcd's: nothing else changes. */

import type {
  ClusterStore,
  Lease,
  LeaseId,
  Listing,
  StoreIdentity,
  StoreWatch,
  Txn,
  TxnOutcome,
  WatchHint,
} from "../../../src/cluster/store/cluster-store.ts";

export class DelayedStore implements ClusterStore {
  readonly #inner: ClusterStore;
  readonly #arrive: () => Promise<void>;
  readonly #answered: () => Promise<void>;

  /** `arrive`: a request has come to the store; `answered`: an answer or a hint to the client. */
  constructor(inner: ClusterStore, arrive: () => Promise<void>, answered: () => Promise<void>) {
    this.#inner = inner;
    this.#arrive = arrive;
    this.#answered = answered;
  }

  get identity(): StoreIdentity {
    return this.#inner.identity;
  }

  txn(txn: Txn): Promise<TxnOutcome> {
    return this.#ask(() => this.#inner.txn(txn));
  }

  list(prefix: string): Promise<Listing> {
    return this.#ask(() => this.#inner.list(prefix));
  }

  watch(prefix: string, fromRevision: number, listener: (hint: WatchHint) => void): StoreWatch {
    let isOpen = true;
    const watch = this.#inner.watch(prefix, fromRevision, (hint) => {
      void this.#answered().then(() => isOpen && listener(hint));
    });
    return {
      close: () => {
        isOpen = false;
        watch.close();
      },
    };
  }

  leaseGrant(ttlMs: number): Promise<Lease> {
    return this.#ask(() => this.#inner.leaseGrant(ttlMs));
  }

  leaseKeepAlive(lease: LeaseId): Promise<void> {
    return this.#ask(() => this.#inner.leaseKeepAlive(lease));
  }

  leaseRevoke(lease: LeaseId): Promise<void> {
    return this.#ask(() => this.#inner.leaseRevoke(lease));
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  async #ask<T>(request: () => Promise<T>): Promise<T> {
    await this.#arrive();
    const answer = await request();
    await this.#answered();
    return answer;
  }
}
