/** One operation on a lock resource as a guarded transaction, and what its refusal says. */
import { EMPTY_RESOURCE, type LockResource } from "../dlm/lock-resource.ts";
import { decodeResource } from "../dlm/resource-codec.ts";
import type { KeyValue, OpResult, Revision, Txn } from "./cluster-store.ts";
import type { Session, StoreKeys } from "./store-keys.ts";

/** A state of a resource that was the store's once. */
export interface KnownResource {
  readonly resource: LockResource;
  /** 0: the key does not exist. */
  readonly modRevision: Revision;
}

export const ABSENT: KnownResource = { resource: EMPTY_RESOURCE, modRevision: 0 };

/** Errors: DLM_BAD_RESOURCE for a key that holds no lock resource. */
export const toKnown = (found: KeyValue | null, lvbBytes: number): KnownResource =>
  found === null
    ? ABSENT
    : { resource: decodeResource(found.value, lvbBytes), modRevision: found.modRevision };

/**
 * Replaces the state by `text` if it is the known one still and the session lives; else it tells
 * both.
 * It writes even when nothing changes, for only writes are never judged from an old state.
 */
export const swapTxn = (
  keys: StoreKeys,
  session: Session,
  name: string,
  known: KnownResource,
  text: string,
): Txn => {
  const key = keys.lock(name);
  return {
    compares: [
      keys.guard(session),
      { type: "mod-revision", key, relation: "=", number: known.modRevision },
    ],
    success: [{ type: "put", key, value: text, lease: null }],
    failure: [
      { type: "get", key: keys.member(session.slot) },
      { type: "get", key },
    ],
  };
};

export type SwapRefusal =
  /** The session is over. */
  | { readonly type: "expelled" }
  /** Somebody else was faster: this is the state now. */
  | { readonly type: "raced"; readonly found: KeyValue | null };

export const readSwapRefusal = (results: readonly OpResult[], session: Session): SwapRefusal => {
  const [member, lock] = results;
  const epoch = member?.type === "get" ? member.found?.createRevision : undefined;
  if (epoch !== session.epoch) return { type: "expelled" };
  return { type: "raced", found: lock?.type === "get" ? lock.found : null };
};
