/**
 * What is said to etcd's JSON gateway and what it says: the only place that knows field names. The
 * gateway drops unknown fields without a word, and a guard with them, so requests are built here
 * from checked values and nowhere else. In JSON 64-bit numbers are strings, keys and values base64,
 * and what is 0, false or empty is absent. Source: etcd api/etcdserverpb/rpc.proto.
 */
import type {
  Compare,
  KeyChange,
  KeyValue,
  LeaseId,
  OpResult,
  Revision,
  StoreIdentity,
  StoreOp,
  Txn,
} from "./cluster-store.ts";
import { badAnswer } from "./store-errors.ts";

type Json = Readonly<Record<string, unknown>>;

const toBase64 = (text: string): string => Buffer.from(text, "utf8").toString("base64");

/** The first key behind all that begin with the prefix; keys are ASCII below 0x7f. */
const rangeEnd = (prefix: string): string =>
  prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);

const rangeOf = (prefix: string): Json => ({
  key: toBase64(prefix),
  range_end: toBase64(rangeEnd(prefix)),
});

export const rangeRequest = (prefix: string): Json => rangeOf(prefix);

export const txnRequest = ({ compares, success, failure }: Txn): Json => ({
  compare: compares.map(compareRequest),
  success: success.map(opRequest),
  failure: failure.map(opRequest),
});

export const watchRequest = (prefix: string, fromRevision: Revision): Json => ({
  create_request: { ...rangeOf(prefix), start_revision: String(fromRevision), fragment: true },
});

export const grantRequest = (ttlMs: number): Json => ({ TTL: String(Math.ceil(ttlMs / 1000)) });

export const leaseRequest = (lease: LeaseId): Json => ({ ID: lease });

const RELATIONS = { "=": "EQUAL", "!=": "NOT_EQUAL", "<": "LESS", ">": "GREATER" } as const;

const compareRequest = (compare: Compare): Json => {
  const key = toBase64(compare.key);
  const result = RELATIONS[compare.relation];
  switch (compare.type) {
    case "value":
      return { target: "VALUE", result, key, value: toBase64(compare.value) };
    case "version":
      return { target: "VERSION", result, key, version: String(compare.number) };
    case "create-revision":
      return { target: "CREATE", result, key, create_revision: String(compare.number) };
    case "mod-revision":
      return { target: "MOD", result, key, mod_revision: String(compare.number) };
  }
};

const opRequest = (op: StoreOp): Json => {
  switch (op.type) {
    case "put": {
      const { key, value, lease } = op;
      return {
        request_put: { key: toBase64(key), value: toBase64(value), lease: lease ?? "0" },
      };
    }
    case "delete":
      return { request_delete_range: { key: toBase64(op.key) } };
    case "get":
      return { request_range: { key: toBase64(op.key) } };
    case "list":
      return { request_range: rangeOf(op.prefix) };
  }
};

/** The object in a field. Errors: CLUSTER_STORE_BAD_ANSWER. */
const objectOf = (value: unknown): Json => {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Json;
  throw badAnswer("no object");
};

const arrayOf = (value: unknown): readonly unknown[] => {
  if (value === undefined) return [];
  if (Array.isArray(value)) return value;
  throw badAnswer("no array");
};

/** A 64-bit number that we calculate with; revisions do not get near 2^53. */
const numberOf = (value: unknown): number => {
  const number = value === undefined ? 0 : typeof value === "string" ? Number(value) : Number.NaN;
  if (Number.isSafeInteger(number) && number >= 0) return number;
  throw badAnswer("no number");
};

const decimalOf = (value: unknown): string => {
  if (typeof value === "string" && /^[1-9][0-9]{0,19}$/.test(value)) return value;
  throw badAnswer("no id");
};

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const textOf = (value: unknown): string => {
  if (value === undefined) return "";
  if (typeof value !== "string") throw badAnswer("no bytes");
  try {
    return utf8.decode(Buffer.from(value, "base64"));
  } catch (cause) {
    throw badAnswer("bytes that are no UTF-8", cause);
  }
};

/** Client URLs of the members that have a vote and have started. */
export const memberUrls = (reply: unknown): readonly string[] =>
  arrayOf(objectOf(reply)["members"])
    .map(objectOf)
    .filter(({ isLearner }) => isLearner !== true)
    .flatMap(({ clientURLs }) => arrayOf(clientURLs))
    .filter((url) => typeof url === "string");

/** Who answered, and its revision. */
export const headerOf = (reply: unknown): StoreIdentity => {
  const header = objectOf(objectOf(reply)["header"]);
  return { clusterId: decimalOf(header["cluster_id"]), revision: numberOf(header["revision"]) };
};

const keyValueOf = (value: unknown): KeyValue => {
  const fields = objectOf(value);
  const lease = fields["lease"];
  return {
    key: textOf(fields["key"]),
    value: textOf(fields["value"]),
    createRevision: numberOf(fields["create_revision"]),
    modRevision: numberOf(fields["mod_revision"]),
    version: numberOf(fields["version"]),
    lease: lease === undefined || lease === "0" ? null : decimalOf(lease),
  };
};

export const rangeReply = (reply: unknown): readonly KeyValue[] => {
  const fields = objectOf(reply);
  if (fields["more"] === true) throw badAnswer("a part of the keys");
  return arrayOf(fields["kvs"]).map(keyValueOf);
};

export interface TxnReply {
  readonly type: "committed" | "refused";
  readonly results: readonly OpResult[];
}

export const txnReply = (reply: unknown, { success, failure }: Txn): TxnReply => {
  const fields = objectOf(reply);
  const isHeld = fields["succeeded"] === true;
  const ops = isHeld ? success : failure;
  const responses = arrayOf(fields["responses"]);
  if (responses.length !== ops.length) throw badAnswer(`${responses.length} results`);
  const results = ops.map((op, at) => opReply(op, objectOf(responses[at])));
  return { type: isHeld ? "committed" : "refused", results };
};

const opReply = (op: StoreOp, response: Json): OpResult => {
  switch (op.type) {
    case "put":
      objectOf(response["response_put"]);
      return { type: "put" };
    case "delete": {
      const { deleted } = objectOf(response["response_delete_range"]);
      return { type: "delete", wasThere: numberOf(deleted) > 0 };
    }
    case "get":
      return { type: "get", found: rangeReply(response["response_range"])[0] ?? null };
    case "list":
      return { type: "list", found: rangeReply(response["response_range"]) };
  }
};

export const grantReply = (reply: unknown): { readonly id: LeaseId; readonly ttlMs: number } => {
  const fields = objectOf(reply);
  return { id: decimalOf(fields["ID"]), ttlMs: numberOf(fields["TTL"]) * 1000 };
};

/** Whether the member that answered believes that the lease exists. */
export const keepAliveReply = (reply: unknown): boolean =>
  numberOf(objectOf(objectOf(reply)["result"])["TTL"]) > 0;

export type WatchReply =
  | { readonly type: "created" }
  | { readonly type: "changes"; readonly changes: readonly KeyChange[] }
  /** `compacted`: the start is not known any more. */
  | { readonly type: "cancelled"; readonly compacted: boolean; readonly reason: string };

export const watchReply = (line: unknown): WatchReply => {
  const { result, error } = objectOf(line);
  if (error !== undefined)
    return { type: "cancelled", compacted: false, reason: String(objectOf(error)["message"]) };
  const fields = objectOf(result);
  if (fields["canceled"] === true) {
    const compacted = numberOf(fields["compact_revision"]) > 0;
    return { type: "cancelled", compacted, reason: String(fields["cancel_reason"] ?? "cancelled") };
  }
  if (fields["created"] === true) return { type: "created" };
  return { type: "changes", changes: arrayOf(fields["events"]).map(changeOf) };
};

const changeOf = (event: unknown): KeyChange => {
  const fields = objectOf(event);
  const now = keyValueOf(fields["kv"]);
  return fields["type"] === "DELETE"
    ? { type: "delete", key: now.key, revision: now.modRevision }
    : { type: "put", now };
};

/** The message of a failure; null when the reply is none. */
export const errorReply = (reply: unknown): string | null => {
  const { error } = objectOf(reply);
  if (error === undefined) return null;
  return typeof error === "string" ? error : String(objectOf(error)["message"]);
};
