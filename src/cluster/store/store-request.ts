/** Limits of requests to the cluster store: what breaks them is refused before it is sent. */
import {
  type Compare,
  KEY_CHARACTERS_MAX,
  type LeaseId,
  type StoreOp,
  TXN_BYTES_MAX,
  TXN_PARTS_MAX,
  type Txn,
  VALUE_BYTES_MAX,
} from "./cluster-store.ts";
import { badRequest } from "./store-errors.ts";

const KEY = /^[\x21-\x7e]+$/;
/** Up to 2^63 - 1, the largest that a store gives. */
const LEASE = /^[1-9][0-9]{0,18}$/;
/** A lease of less than a second, or of more than a day, is a mistake. */
export const LEASE_MS_MIN = 1000;
export const LEASE_MS_MAX = 24 * 60 * 60 * 1000;

/** Bytes of the text in UTF-8. */
const byteLength = (text: string): number => new TextEncoder().encode(text).length;

export const isStoreKey = (key: string): boolean =>
  key.length <= KEY_CHARACTERS_MAX && KEY.test(key);

/** Whether a value can be stored: whole characters only, and not too long. */
export const isStoreValue = (value: string): boolean =>
  value.length <= VALUE_BYTES_MAX && value.isWellFormed() && byteLength(value) <= VALUE_BYTES_MAX;

/** Errors: CLUSTER_STORE_BAD_REQUEST. */
export const checkPrefix = (prefix: string): void => {
  if (!isStoreKey(prefix)) throw badRequest("a prefix that no key has");
};

/** Errors: CLUSTER_STORE_BAD_REQUEST. */
export const checkLeaseId = (lease: LeaseId): void => {
  if (!LEASE.test(lease)) throw badRequest("a lease that no store gave");
};

/** Errors: CLUSTER_STORE_BAD_REQUEST. */
export const checkLeaseTime = (ttlMs: number): void => {
  if (!(ttlMs >= LEASE_MS_MIN && ttlMs <= LEASE_MS_MAX)) throw badRequest(`a lease of ${ttlMs} ms`);
};

/** Errors: CLUSTER_STORE_BAD_REQUEST for a transaction that breaks a limit. */
export const checkTxn = ({ compares, success, failure }: Txn): void => {
  const most = Math.max(compares.length, success.length, failure.length);
  if (most > TXN_PARTS_MAX) throw badRequest(`${most} parts, at most ${TXN_PARTS_MAX}`);
  for (const compare of compares) checkCompare(compare);
  for (const ops of [success, failure]) {
    for (const op of ops) checkOp(op);
    const written = ops.flatMap((op) => (isWrite(op) ? [op.key] : []));
    if (new Set(written).size !== written.length) throw badRequest("a key written twice");
  }
  const bytes = [...compares, ...success, ...failure].reduce((sum, part) => sum + bytesOf(part), 0);
  if (bytes > TXN_BYTES_MAX) throw badRequest(`values of ${bytes} bytes together`);
};

/** Whether the operation may change the store. */
export const isWrite = (op: StoreOp): op is Extract<StoreOp, { type: "put" | "delete" }> =>
  op.type === "put" || op.type === "delete";

const bytesOf = (part: Compare | StoreOp): number =>
  part.type === "value" || part.type === "put" ? byteLength(part.value) : 0;

const checkCompare = (compare: Compare): void => {
  if (!isStoreKey(compare.key)) throw badRequest("a key that cannot be");
  if (compare.type === "value" ? !isStoreValue(compare.value) : !isCount(compare.number))
    throw badRequest("a compare with what cannot be");
};

const checkOp = (op: StoreOp): void => {
  if (!isStoreKey(op.type === "list" ? op.prefix : op.key))
    throw badRequest("a key that cannot be");
  if (op.type !== "put") return;
  if (!isStoreValue(op.value)) throw badRequest("a value that is too long or no text");
  if (op.lease !== null) checkLeaseId(op.lease);
};

const isCount = (number: number): boolean => Number.isSafeInteger(number) && number >= 0;
