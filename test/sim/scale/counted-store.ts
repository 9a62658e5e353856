/** A board's client of the store: as far away as an etcd, and everything it asks is counted. */

import type {
  ClusterStore,
  KeyChange,
  Lease,
  LeaseId,
  Listing,
  Revision,
  StoreIdentity,
  StoreWatch,
  Txn,
  TxnOutcome,
  WatchHint,
} from "../../../src/cluster/store/cluster-store.ts";
import type { MemoryStore } from "../../../src/cluster/store/memory-store.ts";
import { keyOf } from "../../../src/cluster/store/revisioned-map.ts";

/** What a board has asked of the store, and was told. */
export interface StoreCounts {
  transactions: number;
  keepAlives: number;
  lists: number;
  /** Keys in watch events. */
  events: number;
  watches: number;
}

/** How far away the store is: each resolves when that has happened. */
export interface StoreWays {
  /** A request, or an answer, has come to the other end. */
  readonly way: () => Promise<void>;
  /** The store has had the time to commit a transaction. */
  readonly commit: () => Promise<void>;
}

/**
 * Who watches what, by prefix: a store with thousands of watches is asked for those of a key, and
 * not each of them about every key.
 */
export class WatchHub {
  readonly #memory: MemoryStore;
  readonly #watches = new Map<string, Set<(change: KeyChange) => void>>();

  constructor(memory: MemoryStore) {
    this.#memory = memory;
    memory.subscribe((changes) => {
      for (const change of changes) this.#tell(change);
    });
  }

  /** All changes from the revision on; what it returns ends that. */
  watch(prefix: string, from: Revision, tell: (change: KeyChange) => void): () => void {
    const past = this.#memory.map.changesFrom(from) ?? [];
    for (const change of past) if (keyOf(change).startsWith(prefix)) tell(change);
    const listeners = this.#watches.get(prefix) ?? new Set();
    this.#watches.set(prefix, listeners);
    listeners.add(tell);
    return () => listeners.delete(tell);
  }

  #tell(change: KeyChange): void {
    const key = keyOf(change);
    for (let end = key.indexOf("/"); end >= 0; end = key.indexOf("/", end + 1))
      for (const tell of this.#watches.get(key.slice(0, end + 1)) ?? []) tell(change);
  }
}

export const newCounts = (): StoreCounts => ({
  transactions: 0,
  keepAlives: 0,
  lists: 0,
  events: 0,
  watches: 0,
});

export class CountedStore implements ClusterStore {
  readonly #inner: ClusterStore;
  readonly #counts: StoreCounts;
  readonly #hub: WatchHub;
  readonly #ways: StoreWays;

  constructor(inner: ClusterStore, hub: WatchHub, counts: StoreCounts, ways: StoreWays) {
    this.#inner = inner;
    this.#hub = hub;
    this.#counts = counts;
    this.#ways = ways;
  }

  get identity(): StoreIdentity {
    return this.#inner.identity;
  }

  txn(txn: Txn): Promise<TxnOutcome> {
    this.#counts.transactions += 1;
    return this.#ask(async () => {
      await this.#ways.commit();
      return this.#inner.txn(txn);
    });
  }

  list(prefix: string): Promise<Listing> {
    this.#counts.lists += 1;
    return this.#ask(() => this.#inner.list(prefix));
  }

  watch(prefix: string, fromRevision: number, listener: (hint: WatchHint) => void): StoreWatch {
    this.#counts.watches += 1;
    let isOpen = true;
    const stop = this.#hub.watch(prefix, fromRevision, (change) => {
      this.#counts.events += 1;
      void this.#ways.way().then(() => isOpen && listener({ type: "changes", changes: [change] }));
    });
    return {
      close: () => {
        isOpen = false;
        this.#counts.watches -= 1;
        stop();
      },
    };
  }

  leaseGrant(ttlMs: number): Promise<Lease> {
    return this.#ask(() => this.#inner.leaseGrant(ttlMs));
  }

  leaseKeepAlive(lease: LeaseId): Promise<void> {
    this.#counts.keepAlives += 1;
    return this.#ask(() => this.#inner.leaseKeepAlive(lease));
  }

  leaseRevoke(lease: LeaseId): Promise<void> {
    return this.#ask(() => this.#inner.leaseRevoke(lease));
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  async #ask<T>(request: () => Promise<T>): Promise<T> {
    await this.#ways.way();
    const answer = await request();
    await this.#ways.way();
    return answer;
  }
}
