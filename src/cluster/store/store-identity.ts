/**
 * Whether a store is still the one that it was: the same cluster, and never at a lower revision
 * than it has acknowledged. One that was restored from a backup, or lost its data, gives the same
 * revisions a second time, and with them the same session epochs.
 */
import type { StoreIdentity } from "./cluster-store.ts";

/** Before the first answer. */
export const UNKNOWN_STORE: StoreIdentity = { clusterId: "", revision: 0 };

/**
 * What is known after an answer. `floor`: what was known when the request was SENT, for an answer
 * that has gone through consensus; it cannot be lower. Answers of reads may be old: they have none.
 * Null: the store is another one.
 */
export const learnIdentity = (
  known: StoreIdentity,
  seen: StoreIdentity,
  floor: StoreIdentity | null,
): StoreIdentity | null => {
  if (known.clusterId !== "" && known.clusterId !== seen.clusterId) return null;
  if (floor !== null && seen.revision < floor.revision) return null;
  return { clusterId: seen.clusterId, revision: Math.max(known.revision, seen.revision) };
};
