/**
 * A map with etcd's revisions, in memory: each transaction that changes something has the next
 * revision, and the latest changes are kept for watches. Source: etcd's server/mvcc, and what
 * test/conformance/cluster-store.ts found out about the real one.
 */
import type {
  Compare,
  KeyChange,
  KeyValue,
  LeaseId,
  OpResult,
  Revision,
  StoreOp,
  Txn,
} from "./cluster-store.ts";

/** Changes kept for watches that start in the past. */
export const HISTORY_MAX = 4096;

export interface AppliedTxn {
  readonly type: "committed" | "refused";
  readonly revision: Revision;
  readonly results: readonly OpResult[];
  /** In order; empty when nothing was written. */
  readonly changes: readonly KeyChange[];
}

export class RevisionedMap {
  readonly #keys = new Map<string, KeyValue>();
  #history: KeyChange[] = [];
  #revision: Revision = 1;
  /** Changes up to this one are not known any more. */
  #compacted: Revision = 0;

  get revision(): Revision {
    return this.#revision;
  }

  get(key: string): KeyValue | null {
    return this.#keys.get(key) ?? null;
  }

  /** The keys that begin with the prefix, by key. */
  list(prefix: string): readonly KeyValue[] {
    return [...this.#keys.values()]
      .filter(({ key }) => key.startsWith(prefix))
      .sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  /** Whether all compares hold now. */
  holds(compares: readonly Compare[]): boolean {
    return compares.every((compare) => compareHolds(this.get(compare.key), compare));
  }

  apply({ compares, success, failure }: Txn): AppliedTxn {
    const isHeld = this.holds(compares);
    const changes: KeyChange[] = [];
    const results = (isHeld ? success : failure).map((op) => this.#carryOut(op, changes));
    this.#commit(changes);
    const type = isHeld ? "committed" : "refused";
    return { type, revision: this.#revision, results, changes };
  }

  /** All keys of the lease go, in one revision. */
  deleteLease(lease: LeaseId): readonly KeyChange[] {
    const changes: KeyChange[] = [];
    for (const { key } of this.list("").filter((found) => found.lease === lease))
      this.#carryOut({ type: "delete", key }, changes);
    this.#commit(changes);
    return changes;
  }

  /** The kept changes from `revision` on; null when some of them are not known any more. */
  changesFrom(revision: Revision): readonly KeyChange[] | null {
    if (revision <= this.#compacted) return null;
    return this.#history.filter((change) => revisionOf(change) >= revision);
  }

  /** Forgets the changes up to `revision`. */
  compact(revision: Revision): void {
    this.#compacted = Math.max(this.#compacted, Math.min(revision, this.#revision));
    this.#history = this.#history.filter((change) => revisionOf(change) > this.#compacted);
  }

  #commit(changes: readonly KeyChange[]): void {
    if (changes.length === 0) return;
    this.#revision += 1;
    this.#history.push(...changes);
    if (this.#history.length < 2 * HISTORY_MAX) return;
    const oldest = this.#history[this.#history.length - HISTORY_MAX - 1];
    if (oldest !== undefined) this.compact(revisionOf(oldest));
  }

  #carryOut(op: StoreOp, changes: KeyChange[]): OpResult {
    const revision = this.#revision + 1;
    switch (op.type) {
      case "get":
        return { type: "get", found: this.get(op.key) };
      case "list":
        return { type: "list", found: this.list(op.prefix) };
      case "delete": {
        const wasThere = this.#keys.delete(op.key);
        if (wasThere) changes.push({ type: "delete", key: op.key, revision });
        return { type: "delete", wasThere };
      }
      case "put": {
        const { key, value, lease } = op;
        const old = this.#keys.get(key);
        const createRevision = old?.createRevision ?? revision;
        const version = (old?.version ?? 0) + 1;
        const now = { key, value, createRevision, modRevision: revision, version, lease };
        this.#keys.set(key, now);
        changes.push({ type: "put", now });
        return { type: "put" };
      }
    }
  }
}

/** The revision of the change. */
export const revisionOf = (change: KeyChange): Revision =>
  change.type === "put" ? change.now.modRevision : change.revision;

/** The key that changed. */
export const keyOf = (change: KeyChange): string =>
  change.type === "put" ? change.now.key : change.key;

const compareHolds = (found: KeyValue | null, compare: Compare): boolean => {
  if (compare.type === "value") {
    if (found === null) return false;
    return (found.value === compare.value) === (compare.relation === "=");
  }
  const number = numberOf(found, compare.type);
  switch (compare.relation) {
    case "=":
      return number === compare.number;
    case "!=":
      return number !== compare.number;
    case "<":
      return number < compare.number;
    case ">":
      return number > compare.number;
  }
};

const numberOf = (
  found: KeyValue | null,
  type: "create-revision" | "mod-revision" | "version",
): number => {
  if (found === null) return 0;
  if (type === "version") return found.version;
  return type === "create-revision" ? found.createRevision : found.modRevision;
};
