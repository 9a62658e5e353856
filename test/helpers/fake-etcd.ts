/**
 * An etcd in memory that does everything the real one may do, when the seed says so: answers that
 * are lost before or after the transaction was done, or long before it is; old listings; watches
 * that lag, coalesce, repeat, break, lose events, tell old ones and are silent; leases that end at
 * any time, and keepalives answered all the same; a database that is full.
 */
import type {
  ClusterStore,
  KeyChange,
  Lease,
  LeaseId,
  Listing,
  StoreIdentity,
  StoreWatch,
  Txn,
  TxnOutcome,
  WatchHint,
} from "../../src/cluster/store/cluster-store.ts";
import { MemoryStore } from "../../src/cluster/store/memory-store.ts";
import { keyOf } from "../../src/cluster/store/revisioned-map.ts";
import {
  storeClosed,
  storeCompacted,
  storeFull,
  storeUnreachable,
} from "../../src/cluster/store/store-errors.ts";
import { checkPrefix } from "../../src/cluster/store/store-request.ts";
import type { Prng } from "../../src/common/prng.ts";

/** Each is "one in so many"; 0 is never. */
export interface EtcdFaults {
  readonly lostTxn: number;
  readonly oldList: number;
  readonly brokenWatch: number;
  readonly coalesced: number;
  readonly repeated: number;
  /** An event that no watch of the client tells. */
  readonly lostEvent: number;
  /** What a watch has told some time ago, or what was before it, is told again. */
  readonly oldEvents: number;
  /** A watch is silent for a while, and then tells all. */
  readonly starved: number;
  readonly endedLease: number;
  readonly deadKeepAlive: number;
}

export const NO_FAULTS: EtcdFaults = {
  lostTxn: 0,
  oldList: 0,
  brokenWatch: 0,
  coalesced: 0,
  repeated: 0,
  lostEvent: 0,
  oldEvents: 0,
  starved: 0,
  endedLease: 0,
  deadKeepAlive: 0,
};

/** A client's own way to the store; as the store's when left out. */
export interface EtcdClientWays {
  /** Resolves when an answer or a hint has reached the client. */
  readonly answered?: () => Promise<void>;
  /** No request of this client arrives. */
  readonly isAway?: () => boolean;
  /** The member that answers it has been deposed, and does not know: only its leases are kept. */
  readonly isDeposed?: () => boolean;
}

const LISTINGS_KEPT = 16;
/** Events that a watch may tell again. */
const EVENTS_KEPT = 32;
/** Events before its first one that a watch may tell. */
const REVISIONS_BACK = 8;
/** Tellings that a starved watch leaves out. */
const STARVED_MAX = 120;

export class FakeEtcd {
  readonly memory: MemoryStore;
  readonly prng: Prng;
  /** Resolves when it is the waiter's turn. */
  readonly turn: () => Promise<void>;
  faults: EtcdFaults;
  /** Milliseconds, for leases. */
  now = 0;
  /** No answers, and nothing is done. */
  isAway = false;
  /** The quota is reached: what puts anything is refused; all else goes on. */
  isFull = false;
  readonly #listings = new Map<string, Listing[]>();

  constructor(prng: Prng, turn: () => Promise<void>, faults: EtcdFaults = NO_FAULTS) {
    this.memory = new MemoryStore("1");
    this.prng = prng;
    this.turn = turn;
    this.faults = faults;
  }

  /** `own`: how long answers take to this client, and whether it is cut off. */
  client(own: EtcdClientWays = {}): FakeEtcdClient {
    return new FakeEtcdClient(this, own);
  }

  happens(oneIn: number): boolean {
    return oneIn > 0 && this.prng.chance(1, oneIn);
  }

  passTime(ms: number): void {
    this.now += ms;
    this.memory.expire(this.now);
  }

  /** It was down for a while: leases get their whole time anew. */
  restart(): void {
    for (const lease of this.memory.leases) this.memory.keepAlive(lease, this.now);
  }

  /** As it was when somebody asked last. */
  oldListing(prefix: string): Listing {
    const past = this.#listings.get(prefix)?.at(-1);
    if (past === undefined) throw storeUnreachable("deposed");
    return past;
  }

  /** Now, or as it was one of the last times that somebody asked. */
  listing(prefix: string): Listing {
    const { map } = this.memory;
    const past = this.#listings.get(prefix) ?? [];
    this.#listings.set(prefix, past);
    past.push({ revision: map.revision, found: map.list(prefix) });
    if (past.length > LISTINGS_KEPT) past.shift();
    return this.happens(this.faults.oldList) ? this.prng.pick(past) : (past.at(-1) as Listing);
  }
}

class FakeEtcdClient implements ClusterStore {
  readonly #etcd: FakeEtcd;
  readonly #answered: () => Promise<void>;
  /** Of answers that take no time where clients have no ways of their own. */
  readonly #told: () => Promise<void>;
  readonly #isAway: () => boolean;
  readonly #isDeposed: () => boolean;
  readonly #watches = new Set<StoreWatch>();
  #isClosed = false;

  constructor(etcd: FakeEtcd, own: EtcdClientWays) {
    this.#etcd = etcd;
    this.#answered = own.answered ?? etcd.turn;
    this.#told = own.answered ?? (() => Promise.resolve());
    this.#isAway = own.isAway ?? (() => false);
    this.#isDeposed = own.isDeposed ?? (() => false);
  }

  get identity(): StoreIdentity {
    const { clusterId, map } = this.#etcd.memory;
    return { clusterId, revision: map.revision };
  }

  async txn(txn: Txn): Promise<TxnOutcome> {
    const etcd = this.#etcd;
    await this.#arrive();
    const lost = { type: "unknown", error: storeUnreachable("lost") } as const;
    if (this.#isDeposed()) {
      await this.#told();
      return lost;
    }
    if (etcd.happens(etcd.faults.endedLease) && etcd.memory.leases.length > 0)
      etcd.memory.end(etcd.prng.pick(etcd.memory.leases));
    if (etcd.isFull && [...txn.success, ...txn.failure].some(({ type }) => type === "put")) {
      await this.#told();
      throw storeFull("database space exceeded");
    }
    const isLost = etcd.happens(etcd.faults.lostTxn);
    const isNever = isLost && etcd.prng.chance(1, 3);
    if (isNever || (isLost && etcd.prng.chance(1, 2))) {
      if (!isNever) void this.#doLate(txn);
      await this.#told();
      return lost;
    }
    const { type, revision, results } = etcd.memory.txn(txn);
    await this.#answered();
    return isLost || this.#isAway() ? lost : { type, revision, results };
  }

  async list(prefix: string): Promise<Listing> {
    this.#check();
    checkPrefix(prefix);
    await this.#arrive();
    const listing = this.#isDeposed() ? this.#etcd.oldListing(prefix) : this.#etcd.listing(prefix);
    await this.#answered();
    if (this.#isAway()) throw storeUnreachable("away");
    return listing;
  }

  watch(prefix: string, fromRevision: number, listener: (hint: WatchHint) => void): StoreWatch {
    this.#check();
    checkPrefix(prefix);
    const etcd = this.#etcd;
    const { memory } = etcd;
    const isOurs = (change: KeyChange): boolean => keyOf(change).startsWith(prefix);
    const past = memory.map.changesFrom(fromRevision);
    const waiting: KeyChange[] = [];
    const kept: KeyChange[] = [];
    let isOpen = true;
    let starvedFor = 0;
    const stop = memory.subscribe((changes) => {
      const isTold = (): boolean => !etcd.happens(etcd.faults.lostEvent);
      waiting.push(...changes.filter((change) => isOurs(change) && isTold()));
      if (waiting.length > 0) void deliver();
    });
    const watch = {
      close: () => {
        isOpen = false;
        stop();
        this.#watches.delete(watch);
      },
    };
    const end = (error: ReturnType<typeof storeClosed>): void => {
      watch.close();
      listener({ type: "ended", error });
    };
    const deliver = async (): Promise<void> => {
      await this.#answered();
      // A member that has lost its peers is silent.
      if (!isOpen || this.#isDeposed()) return;
      if (this.#isAway()) return end(storeUnreachable("away"));
      if (etcd.happens(etcd.faults.brokenWatch)) return end(storeUnreachable("broken"));
      if (etcd.happens(etcd.faults.starved)) starvedFor = etcd.prng.below(STARVED_MAX);
      if (starvedFor-- > 0 || waiting.length === 0) return;
      kept.push(...this.#tell(waiting, listener));
      if (etcd.happens(etcd.faults.oldEvents)) listener({ type: "changes", changes: [...kept] });
      kept.splice(0, kept.length - EVENTS_KEPT);
    };
    this.#watches.add(watch);
    if (past === null)
      void this.#etcd.turn().then(() => isOpen && end(storeCompacted(fromRevision)));
    else {
      const isEarly = etcd.happens(etcd.faults.oldEvents) && fromRevision > REVISIONS_BACK;
      const early = isEarly ? memory.map.changesFrom(fromRevision - REVISIONS_BACK) : null;
      waiting.push(...(early ?? past).filter(isOurs));
      if (waiting.length > 0) void deliver();
    }
    return watch;
  }

  async leaseGrant(ttlMs: number): Promise<Lease> {
    await this.#arrive();
    if (this.#isDeposed()) throw storeUnreachable("deposed");
    if (this.#etcd.isFull) throw storeFull("database space exceeded");
    const lease = this.#etcd.memory.grant(ttlMs, this.#etcd.now);
    await this.#told();
    return lease;
  }

  async leaseKeepAlive(lease: LeaseId): Promise<void> {
    await this.#arrive();
    const isPretended = this.#isDeposed() || this.#etcd.happens(this.#etcd.faults.deadKeepAlive);
    if (!isPretended) this.#etcd.memory.keepAlive(lease, this.#etcd.now);
    await this.#told();
  }

  async leaseRevoke(lease: LeaseId): Promise<void> {
    await this.#arrive();
    if (this.#isDeposed()) throw storeUnreachable("deposed");
    this.#etcd.memory.end(lease);
    await this.#told();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const watch of [...this.#watches]) watch.close();
  }

  #check(): void {
    if (this.#isClosed) throw storeClosed();
  }

  async #arrive(): Promise<void> {
    this.#check();
    await this.#etcd.turn();
    if (!this.#etcd.isAway && !this.#isAway()) return;
    await this.#told();
    throw storeUnreachable("away");
  }

  /** The answer was given up, but the request still arrives. */
  async #doLate(txn: Txn): Promise<void> {
    for (let turns = this.#etcd.prng.below(8); turns >= 0; turns -= 1) await this.#etcd.turn();
    try {
      this.#etcd.memory.txn(txn);
    } catch {
      // Its lease is gone: refused, and nobody waits for the answer.
    }
  }

  /** Returns what it has told. */
  #tell(waiting: KeyChange[], listener: (hint: WatchHint) => void): readonly KeyChange[] {
    const { faults } = this.#etcd;
    const all = waiting.splice(0);
    const changes = this.#etcd.happens(faults.coalesced)
      ? all.filter(
          (change, at) => !all.slice(at + 1).some((later) => keyOf(later) === keyOf(change)),
        )
      : all;
    listener({ type: "changes", changes });
    if (this.#etcd.happens(faults.repeated)) listener({ type: "changes", changes });
    return changes;
  }
}
