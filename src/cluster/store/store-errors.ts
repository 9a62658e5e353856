/** Failures that every cluster store has. */
import { CodedError } from "../../common/errors.ts";
import type { LeaseId, Revision, StoreIdentity } from "./cluster-store.ts";

export const storeClosed = (): CodedError =>
  new CodedError("CLUSTER_STORE_CLOSED", "the connection to the cluster store is closed");

/** Nobody answered. */
export const storeUnreachable = (what: string, cause?: unknown): CodedError =>
  new CodedError("CLUSTER_STORE_UNREACHABLE", `the cluster store did not answer: ${what}`, {
    remedy: "check that a majority of the etcd members runs and can be reached",
    details: { reason: what },
    cause,
  });

/** The changes from this revision on are not known any more. */
export const storeCompacted = (revision: Revision): CodedError =>
  new CodedError(
    "CLUSTER_STORE_COMPACTED",
    `the cluster store has forgotten what changed in revision ${revision}`,
    { remedy: "list the keys, then watch from there", details: { revision } },
  );

/** The store is not the one that was known, or it has lost what it had acknowledged. */
export const storeReplaced = (known: StoreIdentity, seen: StoreIdentity): CodedError =>
  new CodedError(
    "CLUSTER_STORE_REPLACED",
    `the cluster store is ${seen.clusterId} at revision ${seen.revision}, but was ${known.clusterId} at ${known.revision}`,
    {
      remedy:
        "make sure that no board of the cluster does I/O, then confirm that this store is the right one",
      details: {
        known_cluster_id: known.clusterId,
        known_revision: known.revision,
        seen_cluster_id: seen.clusterId,
        seen_revision: seen.revision,
      },
    },
  );

/** What answered is no cluster store that we understand. */
export const badAnswer = (reason: string, cause?: unknown): CodedError =>
  new CodedError(
    "CLUSTER_STORE_BAD_ANSWER",
    `the cluster store answered something else: ${reason}`,
    {
      remedy: "check that the endpoints are etcd's client URLs, and etcd's version",
      details: { reason },
      cause,
    },
  );

/** The store is full, or holds as many leases as it may. */
export const storeFull = (reason: string): CodedError =>
  new CodedError("CLUSTER_STORE_NO_SPACE", `the cluster store is full: ${reason}`, {
    remedy: "compact and defragment etcd, raise its quota, then clear the NOSPACE alarm",
    details: { reason },
  });

/** Of a lease that has ended, or never was. */
export const leaseGone = (lease: LeaseId): CodedError =>
  new CodedError("CLUSTER_STORE_LEASE_GONE", `the cluster store has no lease ${lease} any more`, {
    remedy: "join the cluster again",
    details: { lease },
  });

/** The request breaks a limit; it was not sent, or the store refused it. */
export const badRequest = (reason: string): CodedError =>
  new CodedError(
    "CLUSTER_STORE_BAD_REQUEST",
    `the cluster store takes no such request: ${reason}`,
    {
      remedy: "report it: the program asked for something that it must not ask for",
      details: { reason },
    },
  );
