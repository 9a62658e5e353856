/**
 * What must hold in the store, whatever the watch has told or lost, for a record of the channel to
 * be written over one that another node holds: a message in flight is taken over only from a node
 * that is a member no more, the right to send only from one that was declared dead. Without these
 * guards a node that has missed another one's joining would take both from it while it lives.
 */
import { isSameOwner, type LockOwner } from "../dlm/lock-resource.ts";
import type { ChannelRecord } from "../md/channel-record.ts";
import type { Compare } from "../store/cluster-store.ts";
import type { StoreKeys } from "../store/store-keys.ts";

/** `record`: the one that is written over, as `me` has seen it. */
export const holderGuards = (
  keys: StoreKeys,
  { holder, isDone }: Pick<ChannelRecord, "holder" | "isDone">,
  me: LockOwner,
): readonly Compare[] => {
  if (holder === null || isSameOwner(holder, me)) return [];
  const { slot, epoch: number } = holder;
  const relation = "!=";
  const isGone: Compare = { type: "create-revision", key: keys.member(slot), relation, number };
  // The transaction that joins writes the slot, and nobody does again before it is declared dead.
  const isDead: Compare = { type: "mod-revision", key: keys.slot(slot), relation, number };
  return isDone ? [isGone, isDead] : [isGone];
};
