/**
 * A cluster store's whole state in memory, synchronous and without a clock of its own: keys, leases
 * and who wants to hear of changes. The embedded store gives it the machine's clock; tests and
 * simulation give it theirs.
 */
import type { KeyChange, Lease, LeaseId, StoreOp, Txn } from "./cluster-store.ts";
import { type AppliedTxn, RevisionedMap } from "./revisioned-map.ts";
import { leaseGone, storeFull } from "./store-errors.ts";
import { checkLeaseId, checkLeaseTime, checkTxn } from "./store-request.ts";

/** Most leases at a time: each board has one, and some for those that nobody knew of. */
export const LEASES_MAX = 1024;

interface HeldLease {
  readonly ttlMs: number;
  endsAt: number;
}

export class MemoryStore {
  readonly clusterId: string;
  readonly map = new RevisionedMap();
  readonly #leases = new Map<LeaseId, HeldLease>();
  readonly #listeners = new Set<(changes: readonly KeyChange[]) => void>();
  #lastLease = 0;

  constructor(clusterId: string) {
    this.clusterId = clusterId;
  }

  /** When the next lease ends, in the clock's milliseconds; null without leases. */
  get nextEnd(): number | null {
    const ends = [...this.#leases.values()].map(({ endsAt }) => endsAt);
    return ends.length === 0 ? null : Math.min(...ends);
  }

  get leases(): readonly LeaseId[] {
    return [...this.#leases.keys()];
  }

  /** Tells of all changes from now on, as they are made. What it returns ends that. */
  subscribe(listener: (changes: readonly KeyChange[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Errors: as ClusterStore.txn of a store that always answers. */
  txn(txn: Txn): AppliedTxn {
    checkTxn(txn);
    const branch = this.map.holds(txn.compares) ? txn.success : txn.failure;
    for (const lease of branch.flatMap(leaseOf)) this.#held(lease);
    const applied = this.map.apply(txn);
    this.#tell(applied.changes);
    return applied;
  }

  grant(ttlMs: number, now: number): Lease {
    checkLeaseTime(ttlMs);
    if (this.#leases.size >= LEASES_MAX) throw storeFull(`it holds ${LEASES_MAX} leases`);
    this.#lastLease += 1;
    const id = String(this.#lastLease);
    this.#leases.set(id, { ttlMs, endsAt: now + ttlMs });
    return { id, ttlMs };
  }

  /** Errors: CLUSTER_STORE_LEASE_GONE. */
  keepAlive(lease: LeaseId, now: number): void {
    const held = this.#held(lease);
    held.endsAt = now + held.ttlMs;
  }

  /** The lease ends, whatever its time. */
  end(lease: LeaseId): void {
    checkLeaseId(lease);
    if (this.#leases.delete(lease)) this.#tell(this.map.deleteLease(lease));
  }

  /** Ends the leases whose time is over. */
  expire(now: number): void {
    for (const [lease, { endsAt }] of [...this.#leases]) if (endsAt <= now) this.end(lease);
  }

  #held(lease: LeaseId): HeldLease {
    checkLeaseId(lease);
    const held = this.#leases.get(lease);
    if (held === undefined) throw leaseGone(lease);
    return held;
  }

  #tell(changes: readonly KeyChange[]): void {
    if (changes.length === 0) return;
    for (const listener of [...this.#listeners]) listener(changes);
  }
}

const leaseOf = (op: StoreOp): readonly LeaseId[] =>
  op.type === "put" && op.lease !== null ? [op.lease] : [];
