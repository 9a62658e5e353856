/**
 * Keys of an array's cluster that hold what no node wrote. What needs such a key waits until it
 * holds a right value again; nothing here overwrites it.
 */
import { CodedError } from "../../common/errors.ts";
import { LVB_BYTES } from "../dlm/lvb-text.ts";
import { decodeResource } from "../dlm/resource-codec.ts";
import { decodeAck, decodeChannel } from "../md/channel-record.ts";
import type { KeyValue } from "../store/cluster-store.ts";
import { decodeSlot } from "../store/member-records.ts";
import type { StoreKeys } from "../store/store-keys.ts";
import type { DamagedKeyView } from "./cluster-view.ts";

/** Locks that every join waits for. Source: the steps of a join, docs/md-cluster.md. */
const JOIN_LOCKS: readonly string[] = ["no-new-dev", "resync"];

/** A value is read once: the same key with another value is another object. */
const verdicts = new WeakMap<KeyValue, CodedError | null>();

/** Why the value is none of ours; null: it is one, or the key is of a kind that has no form. */
const damageOf = (keys: StoreKeys, found: KeyValue): CodedError | null => {
  const known = verdicts.get(found);
  if (known !== undefined) return known;
  const verdict = judge(keys, found);
  verdicts.set(found, verdict);
  return verdict;
};

const judge = (keys: StoreKeys, { key, value }: KeyValue): CodedError | null => {
  try {
    if (key === keys.channel) decodeChannel(value);
    else if (keys.slotIn(key) !== null && key.startsWith(keys.acks)) decodeAck(value);
    else if (keys.slotIn(key) !== null && key.startsWith(keys.slots)) decodeSlot(value);
    else if (keys.resourceIn(key) !== null) decodeResource(value, LVB_BYTES);
    return null;
  } catch (error) {
    if (error instanceof CodedError) return error;
    throw error;
  }
};

/** In the order of the keys; names without the array's prefix, as `lk/resync`. */
export const damagedKeys = (
  keys: StoreKeys,
  found: ReadonlyMap<string, KeyValue>,
): readonly DamagedKeyView[] =>
  [...found.values()]
    .flatMap((one): readonly DamagedKeyView[] => {
      const error = damageOf(keys, one);
      const key = one.key.slice(keys.prefix.length);
      return error === null ? [] : [{ key, code: error.code, message: error.message }];
    })
    .sort((a, b) => (a.key < b.key ? -1 : 1));

/**
 * BEFORE a node takes a slot: it would wait there without a word for as long as the channel, or a
 * lock that every join needs, cannot be read. Errors: CLUSTER_BAD_CHANNEL, DLM_BAD_RESOURCE.
 */
export const refuseDamaged = (keys: StoreKeys, found: ReadonlyMap<string, KeyValue>): void => {
  for (const one of found.values()) {
    const isChannel = one.key === keys.channel || one.key.startsWith(keys.acks);
    const isLock = JOIN_LOCKS.some((name) => one.key === keys.lock(name));
    const error = isChannel || isLock ? damageOf(keys, one) : null;
    if (error !== null) throw withKey(one.key.slice(keys.prefix.length), error);
  }
};

/** What is wrong with a lock does not say which. */
export const withKey = (key: string, error: CodedError): CodedError => {
  if (error.code !== "DLM_BAD_RESOURCE") return error;
  const { message, remedy } = error;
  const text = `the key ${key} of the cluster store is damaged: ${message}`;
  return new CodedError("DLM_BAD_RESOURCE", text, { remedy, cause: error });
};
