/**
 * The port to what the boards of a cluster agree in: a map of small texts that is changed by
 * guarded transactions, as etcd's. One board has it in its own memory, several have etcd.
 *
 * What may be built on which answer (docs/cluster-store.md gives the defects that teach it):
 * - COMMITTED and REFUSED transactions with writes on either branch have gone through the store's
 *   consensus. They alone decide anything about data.
 * - Reads may be old. Watches are hints to look: late, coalesced, repeated, broken, or silent.
 * - A keepalive that is answered proves nothing: not even that the lease still exists.
 *
 * A rejected `txn` means that nothing was written and nothing will be. What may have been written,
 * or may be later, is the outcome `unknown`.
 */
import type { CodedError } from "../../common/errors.ts";

/** Longest key, and prefix, in characters; printable ASCII without space. */
export const KEY_CHARACTERS_MAX = 512;
/** Longest value, in bytes of UTF-8. The store keeps history, so values are small. */
export const VALUE_BYTES_MAX = 64 * 1024;
/** Most bytes of all values in a transaction. Source: etcd --max-request-bytes, 1.5 MiB. */
export const TXN_BYTES_MAX = 1024 * 1024;
/** Most compares, and most operations on a branch. Source: etcd --max-txn-ops, 128. */
export const TXN_PARTS_MAX = 64;

/** Number of a change of the store, from 1: each committed write has a higher one than the last. */
export type Revision = number;

/** Decimal text of a positive 64-bit number. */
export type LeaseId = string;

export interface KeyValue {
  readonly key: string;
  readonly value: string;
  /** Of the transaction that made the key; never the same for two lives of a key. */
  readonly createRevision: Revision;
  /** Of the transaction that wrote it last. */
  readonly modRevision: Revision;
  /** Writes since the key was made, from 1. */
  readonly version: number;
  /** The key goes when this lease ends; null: it stays. */
  readonly lease: LeaseId | null;
}

/** A key that does not exist has createRevision, modRevision and version 0. */
export type Compare =
  | {
      readonly type: "create-revision" | "mod-revision" | "version";
      readonly key: string;
      readonly relation: "=" | "!=" | "<" | ">";
      readonly number: number;
    }
  /** False, whatever the relation, for a key that does not exist. */
  | {
      readonly type: "value";
      readonly key: string;
      readonly relation: "=" | "!=";
      readonly value: string;
    };

export type StoreOp =
  /** With lease null the key outlives every lease, also one that it had before. */
  | {
      readonly type: "put";
      readonly key: string;
      readonly value: string;
      readonly lease: LeaseId | null;
    }
  | { readonly type: "delete"; readonly key: string }
  | { readonly type: "get"; readonly key: string }
  /** All keys that begin with `prefix`, by key. */
  | { readonly type: "list"; readonly prefix: string };

/** If all compares hold, `success` is done, else `failure`. A branch writes a key at most once. */
export interface Txn {
  readonly compares: readonly Compare[];
  readonly success: readonly StoreOp[];
  readonly failure: readonly StoreOp[];
}

/** Of the operation in the same place; each sees what those before it did. */
export type OpResult =
  | { readonly type: "put" }
  | { readonly type: "delete"; readonly wasThere: boolean }
  | { readonly type: "get"; readonly found: KeyValue | null }
  | { readonly type: "list"; readonly found: readonly KeyValue[] };

export type TxnOutcome =
  /** The compares held and `success` was done. */
  | {
      readonly type: "committed";
      readonly revision: Revision;
      readonly results: readonly OpResult[];
    }
  /** They did not, and `failure` was done. */
  | { readonly type: "refused"; readonly revision: Revision; readonly results: readonly OpResult[] }
  /** Done, or not done, or still to be done: nobody answered. */
  | { readonly type: "unknown"; readonly error: CodedError };

export interface Listing {
  readonly revision: Revision;
  readonly found: readonly KeyValue[];
}

export type KeyChange =
  | { readonly type: "put"; readonly now: KeyValue }
  | { readonly type: "delete"; readonly key: string; readonly revision: Revision };

export type WatchHint =
  /** In the order of revisions; of several changes of a key the earlier ones may be missing. */
  | { readonly type: "changes"; readonly changes: readonly KeyChange[] }
  /** The last hint. CLUSTER_STORE_COMPACTED: the revisions asked for are gone, list instead. */
  | { readonly type: "ended"; readonly error: CodedError };

export interface StoreWatch {
  /** No hint comes after this. */
  close(): void;
}

export interface Lease {
  readonly id: LeaseId;
  /** What the store gave, which may be more than was asked for. */
  readonly ttlMs: number;
}

/** Which store this is: a board that remembers it notices when the store was replaced. */
export interface StoreIdentity {
  /** Decimal text. */
  readonly clusterId: string;
  /** Highest revision that any answer of this store has shown. */
  readonly revision: Revision;
}

/**
 * Errors of all calls: CLUSTER_STORE_BAD_REQUEST for what breaks a limit above (a defect of the
 * caller), CLUSTER_STORE_CLOSED, CLUSTER_STORE_REPLACED when the store is another one than before
 * or has gone back: nothing may be done until an operator has looked.
 */
export interface ClusterStore {
  /** The store as known from its answers so far. */
  readonly identity: StoreIdentity;

  /**
   * Errors: also CLUSTER_STORE_UNREACHABLE when it cannot have been sent, CLUSTER_STORE_LEASE_GONE
   * when a put names a lease that is not there, CLUSTER_STORE_NO_SPACE.
   */
  txn(txn: Txn): Promise<TxnOutcome>;

  /**
   * All keys that begin with `prefix`, by key; it may be old.
   * Errors: also CLUSTER_STORE_UNREACHABLE.
   */
  list(prefix: string): Promise<Listing>;

  /**
   * Hints about changes under `prefix` from `fromRevision` on. The listener is never called before
   * this returns, and must not throw.
   */
  watch(prefix: string, fromRevision: Revision, listener: (hint: WatchHint) => void): StoreWatch;

  /** Errors: also CLUSTER_STORE_UNREACHABLE; a lease that nobody knows of ends by itself. */
  leaseGrant(ttlMs: number): Promise<Lease>;

  /**
   * Makes the lease live on for its whole time. Whether it does, only a guarded transaction tells.
   * Errors: also CLUSTER_STORE_UNREACHABLE, CLUSTER_STORE_LEASE_GONE when it has ended for sure.
   */
  leaseKeepAlive(lease: LeaseId): Promise<void>;

  /** Ends the lease and deletes its keys. Nothing happens if it had ended. */
  leaseRevoke(lease: LeaseId): Promise<void>;

  /** Ends all watches and connections. */
  close(): Promise<void>;
}
