/**
 * What must hold in the store, whatever the watch has told or lost, for a record of the channel to
 * be written over one that another node holds: a message in flight is taken over only from a node
 * that is a member no more, the right to send only from one that was declared dead. Without these
 * guards a node that has missed another one's joining would take both from it while it lives.
 * Source of how a slot stands: member-txns.ts.
 */
import { isSameOwner, type LockOwner } from "../dlm/lock-resource.ts";
import type { ChannelRecord } from "../md/channel-record.ts";
import type { Compare, KeyValue } from "../store/cluster-store.ts";
import { encodeSlot } from "../store/member-records.ts";
import type { StoreKeys } from "../store/store-keys.ts";

/** `record`: the one that is written over, as `me` has seen it; `found`: the keys, likewise. */
export const holderGuards = (
  keys: StoreKeys,
  { holder, isDone }: Pick<ChannelRecord, "holder" | "isDone">,
  me: LockOwner,
  found: ReadonlyMap<string, KeyValue>,
): readonly Compare[] => {
  if (holder === null || isSameOwner(holder, me)) return [];
  const { slot, epoch: number } = holder;
  const relation = "!=";
  const isGone: Compare = { type: "create-revision", key: keys.member(slot), relation, number };
  if (!isDone) return [isGone];
  // The transaction that joins writes the slot. Before it is declared dead only its own session
  // does again, with its epoch; a comparison of values is false for a key that is not there.
  const key = keys.slot(slot);
  const isDead: Compare = { type: "mod-revision", key, relation, number };
  const value = encodeSlot({ type: "live", epoch: number });
  const isNotRestored: Compare = found.has(key)
    ? { type: "value", key, relation, value }
    : { type: "create-revision", key, relation: "=", number: 0 };
  return [isGone, isDead, isNotRestored];
};
