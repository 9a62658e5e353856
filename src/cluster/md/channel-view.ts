/**
 * The message channel as one node sees it: a consistent state of the store, perhaps an old one, and
 * what follows from it. Whoever acts on a view guards the transaction by what it has seen.
 */
import { isSameOwner, type LockOwner } from "../dlm/lock-resource.ts";
import {
  type ChannelAck,
  type ChannelRecord,
  decodeAck,
  decodeChannel,
  EMPTY_CHANNEL,
} from "./channel-record.ts";

export interface SeenAck extends ChannelAck {
  /** DLM slot. */
  readonly slot: number;
  /** Revision of its key. */
  readonly modRevision: number;
}

export interface ChannelView {
  /** The state is that of this revision, whole: no key older or newer. */
  readonly revision: number;
  readonly record: ChannelRecord;
  /** Revision of the record's key; 0: there is none yet. */
  readonly modRevision: number;
  readonly acks: readonly SeenAck[];
  /** Sessions whose member key exists. */
  readonly members: readonly LockOwner[];
  /**
   * Sessions that are no members any more but may still write to members of the array: not every
   * condition for the start of their recovery holds. Each stands for the earlier ones of its slot,
   * too. Members may be among them.
   */
  readonly unfenced: readonly LockOwner[];
}

/** A key of the store; what a cluster store's KeyValue has and this needs. */
export interface SeenKey {
  readonly key: string;
  readonly value: string;
  readonly createRevision: number;
  readonly modRevision: number;
}

/** Where the channel of an array is, by the prefix of all its keys. */
export const channelKey = (prefix: string): string => `${prefix}ch`;
export const ackKey = (prefix: string, slot: number): string => `${prefix}ack/${slot}`;
export const memberKey = (prefix: string, slot: number): string => `${prefix}m/${slot}`;

/** Reads views, one after the other; what did not change in between is read once. */
export class ChannelReader {
  readonly #prefix: string;
  #record: { readonly modRevision: number; readonly record: ChannelRecord } | null = null;
  #acks: ReadonlyMap<string, SeenAck> = new Map();

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** Whether a view depends on the key, which has the prefix. */
  isAbout(key: string): boolean {
    const at = this.#prefix.length;
    return key.startsWith("m/", at) || key.startsWith("ack/", at) || key.startsWith("ch", at);
  }

  /**
   * The view of all keys with the prefix at `revision`; those of others are passed over.
   * Errors: CLUSTER_BAD_CHANNEL.
   */
  read(revision: number, keys: Iterable<SeenKey>, unfenced: readonly LockOwner[]): ChannelView {
    const members: LockOwner[] = [];
    const acks = new Map<string, SeenAck>();
    let found: SeenKey | null = null;
    for (const seen of keys) {
      if (!this.isAbout(seen.key)) continue;
      const slot = slotOf(seen.key);
      if (seen.key === channelKey(this.#prefix)) found = seen;
      else if (seen.key === memberKey(this.#prefix, slot))
        members.push({ slot, epoch: seen.createRevision });
      else if (seen.key === ackKey(this.#prefix, slot)) acks.set(seen.key, this.#ackOf(seen, slot));
    }
    this.#acks = acks;
    const { record, modRevision } = this.#recordOf(found);
    return { revision, record, modRevision, acks: [...acks.values()], members, unfenced };
  }

  #ackOf({ key, value, modRevision }: SeenKey, slot: number): SeenAck {
    const known = this.#acks.get(key);
    return known?.modRevision === modRevision ? known : { ...decodeAck(value), slot, modRevision };
  }

  #recordOf(found: SeenKey | null): Pick<ChannelView, "record" | "modRevision"> {
    if (found === null) return { record: EMPTY_CHANNEL, modRevision: 0 };
    const { value, modRevision } = found;
    if (this.#record?.modRevision !== modRevision)
      this.#record = { modRevision, record: decodeChannel(value) };
    return this.#record;
  }
}

/** The view of all keys with `prefix` at `revision`. Errors: CLUSTER_BAD_CHANNEL. */
export const readChannelView = (
  prefix: string,
  revision: number,
  keys: readonly SeenKey[],
  unfenced: readonly LockOwner[],
): ChannelView => new ChannelReader(prefix).read(revision, keys, unfenced);

/** The number at the end of the key, or 0. */
const slotOf = (key: string): number => Number(/\/([1-9]\d{0,2})$/.exec(key)?.[1] ?? 0);

export const isMember = (view: ChannelView, owner: LockOwner): boolean =>
  view.members.some((member) => isSameOwner(member, owner));

export const isUnfenced = (view: ChannelView, owner: LockOwner): boolean =>
  view.unfenced.some(({ slot, epoch }) => slot === owner.slot && owner.epoch <= epoch);

/** The session's own acknowledgement, not one of an earlier session in its slot. */
export const ackOf = (view: ChannelView, owner: LockOwner): SeenAck | undefined =>
  view.acks.find(({ slot, epoch }) => slot === owner.slot && epoch === owner.epoch);

/** Why a message is not finished yet. */
export interface Awaited {
  readonly owner: LockOwner;
  /** It has to process the message, or it was removed and could still write. */
  readonly what: "process" | "fence";
}

/**
 * Whom the message in flight waits for. A removed member that has not acknowledged counts only once
 * it is fenced; so does a removed origin, whose own I/O the message is about.
 */
export const awaited = (view: ChannelView): readonly Awaited[] => {
  const { record, members, acks } = view;
  if (record.isDone) return [];
  const owners = acks.map(({ slot, epoch }): LockOwner => ({ slot, epoch }));
  const removed = owners.filter((owner) => isUnfenced(view, owner) && !isMember(view, owner));
  return [...members, ...removed].flatMap((owner) => {
    const ack = ackOf(view, owner);
    if (ack === undefined) return [];
    const isOrigin = record.origin !== null && isSameOwner(owner, record.origin);
    const isThere = isMember(view, owner);
    if (isOrigin ? isThere : ack.seq >= record.seq) return [];
    return [{ owner, what: isThere ? "process" : "fence" } as const];
  });
};

/** A message in flight whose sender is no member: somebody else has to finish it. */
export const isAbandoned = (view: ChannelView): boolean => {
  const { isDone, holder } = view.record;
  return !isDone && holder !== null && !isMember(view, holder);
};

/**
 * Whether the right to send is to be had: nothing is in flight, and who had it gave it back or is
 * fenced. A removed one may be in the midst of writing superblocks.
 */
export const isFree = (view: ChannelView): boolean => {
  const { isDone, holder } = view.record;
  if (!isDone) return false;
  return holder === null || (!isMember(view, holder) && !isUnfenced(view, holder));
};

/**
 * Whether a node that joins may take the right to send. Who had it and died may have left
 * superblocks, or a change of the array, half done: those who take part end that first, by an
 * update of their own. Where nobody takes part, nobody would.
 */
export const isFreeToEnter = (view: ChannelView): boolean => {
  const isOrphaned = view.record.holder !== null;
  const isAnybodyThere = view.members.some((member) => ackOf(view, member) !== undefined);
  return isFree(view) && !(isOrphaned && isAnybodyThere);
};

/** Whether others take part; nobody begins to while this node has the right to send. */
export const doOthersTakePart = (view: ChannelView, me: LockOwner): boolean =>
  view.members.some((member) => !isSameOwner(member, me) && ackOf(view, member) !== undefined);

/** DLM slots of the members that answered the last message with a refusal. */
export const refusers = (view: ChannelView): readonly number[] =>
  view.acks
    .filter((ack) => ack.isRefused && ack.seq === view.record.seq && isMember(view, ack))
    .map(({ slot }) => slot);
