/**
 * What etcd's error messages mean for the request. Only what is refused before it is proposed to
 * the members, or while it is carried out by all, has certainly not been done.
 * Source: etcd server/etcdserver/v3_server.go, api/v3rpc/rpctypes/error.go, texts since 3.4.
 */
import type { CodedError } from "../../common/errors.ts";
import { badRequest, leaseGone, storeFull, storeUnreachable } from "./store-errors.ts";

export type Refusal =
  /** Not done, and no member will do it. */
  | { readonly type: "refused"; readonly error: CodedError }
  /** Not done; another member may. */
  | { readonly type: "not-sent"; readonly error: CodedError }
  | { readonly type: "lost"; readonly error: CodedError };

/** Refused for what they ask. */
const BAD_REQUEST = /too many operations|duplicate key given|request is too large|too large lease/;
/** Refused before they were proposed. */
const NOT_PROPOSED = /etcdserver: (no leader|too many requests)/;

/** Of the message of a failed request, null for a request that did not fail. */
export const judgeRefusal = (message: string | null, body: unknown): Refusal | null => {
  if (message === null) return null;
  if (message.includes("requested lease not found"))
    return { type: "refused", error: leaseGone(leaseNamed(body)) };
  if (message.includes("database space exceeded"))
    return { type: "refused", error: storeFull(message) };
  if (BAD_REQUEST.test(message)) return { type: "refused", error: badRequest(message) };
  const isSure = NOT_PROPOSED.test(message);
  return { type: isSure ? "not-sent" : "lost", error: storeUnreachable(message) };
};

/** The lease that the request was about, for people. */
const leaseNamed = (body: unknown): string =>
  /"(?:ID|lease)":"([1-9]\d*)"/.exec(JSON.stringify(body))?.[1] ?? "0";
