/**
 * The cluster store of a single board: in its own memory. It always answers, its watches miss
 * nothing, and it is empty after each start. Several handles may share one memory.
 */
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
} from "./cluster-store.ts";
import type { MemoryStore } from "./memory-store.ts";
import { keyOf } from "./revisioned-map.ts";
import type { StoreClock } from "./store-clock.ts";
import { storeClosed, storeCompacted } from "./store-errors.ts";
import { checkPrefix } from "./store-request.ts";

export class EmbeddedStore implements ClusterStore {
  readonly #memory: MemoryStore;
  readonly #clock: StoreClock;
  readonly #watches = new Set<StoreWatch>();
  #disarm: (() => void) | null = null;
  #isClosed = false;

  constructor(memory: MemoryStore, clock: StoreClock) {
    this.#memory = memory;
    this.#clock = clock;
  }

  get identity(): StoreIdentity {
    return { clusterId: this.#memory.clusterId, revision: this.#memory.map.revision };
  }

  async txn(txn: Txn): Promise<TxnOutcome> {
    this.#enter();
    const { type, revision, results } = this.#memory.txn(txn);
    return { type, revision, results };
  }

  async list(prefix: string): Promise<Listing> {
    this.#enter();
    checkPrefix(prefix);
    const { map } = this.#memory;
    return { revision: map.revision, found: map.list(prefix) };
  }

  watch(prefix: string, fromRevision: Revision, listener: (hint: WatchHint) => void): StoreWatch {
    this.#enter();
    checkPrefix(prefix);
    let isOpen = true;
    // In order, and never inside a call of the listener's owner.
    const later = (hint: WatchHint): void =>
      queueMicrotask(() => {
        if (isOpen) listener(hint);
      });
    const tell = (all: readonly KeyChange[]): void => {
      const changes = all.filter((change) => keyOf(change).startsWith(prefix));
      if (changes.length > 0) later({ type: "changes", changes });
    };
    const past = this.#memory.map.changesFrom(fromRevision);
    const stop = past === null ? () => {} : this.#memory.subscribe(tell);
    const watch = {
      close: () => {
        isOpen = false;
        stop();
        this.#watches.delete(watch);
      },
    };
    this.#watches.add(watch);
    if (past === null) later({ type: "ended", error: storeCompacted(fromRevision) });
    else tell(past);
    return watch;
  }

  async leaseGrant(ttlMs: number): Promise<Lease> {
    this.#enter();
    const lease = this.#memory.grant(ttlMs, this.#clock.now());
    this.#arm();
    return lease;
  }

  async leaseKeepAlive(lease: LeaseId): Promise<void> {
    this.#enter();
    this.#memory.keepAlive(lease, this.#clock.now());
  }

  async leaseRevoke(lease: LeaseId): Promise<void> {
    this.#enter();
    this.#memory.end(lease);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#disarm?.();
    for (const watch of [...this.#watches]) watch.close();
  }

  #enter(): void {
    if (this.#isClosed) throw storeClosed();
    this.#memory.expire(this.#clock.now());
  }

  /** Leases end in time although nobody calls. */
  #arm(): void {
    this.#disarm?.();
    this.#disarm = null;
    const end = this.#memory.nextEnd;
    if (end === null || this.#isClosed) return;
    this.#disarm = this.#clock.after(Math.max(1, end - this.#clock.now()), () => {
      this.#memory.expire(this.#clock.now());
      this.#arm();
    });
  }
}
