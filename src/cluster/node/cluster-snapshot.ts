/** What a node knows now, as plain values, with a sentence for everything that waits. */
import { MODE_NAMES } from "../dlm/lock-mode.ts";
import type { DlmLock, LockResource } from "../dlm/lock-resource.ts";
import { decodeLvb, isLvbText, LVB_BYTES } from "../dlm/lvb-text.ts";
import { decodeResource } from "../dlm/resource-codec.ts";
import { toBitmapSlot } from "../dlm/slot-table.ts";
import { awaited, type ChannelView } from "../md/channel-view.ts";
import { decodeMessage } from "../md/message-codec.ts";
import { decodeResyncRange } from "../md/resync-range.ts";
import type { KeyValue } from "../store/cluster-store.ts";
import { readForced, readNewest } from "../store/copy-records.ts";
import type { Session, StoreKeys } from "../store/store-keys.ts";
import type { ClusterNode } from "./cluster-node.ts";
import type {
  ClusterView,
  DamagedKeyView,
  LockHolderView,
  LockView,
  MemberView,
  MessageView,
  SlotView,
} from "./cluster-view.ts";
import { damagedKeys } from "./damaged-keys.ts";
import type { ExporterWait } from "./exporter-watch.ts";
import { isUnfenced, type Membership, nodeName, type SeenSlot, seenAt } from "./membership.ts";
import { messageName } from "./message-desk.ts";
import type { Trace } from "./trace.ts";

export interface SnapshotInput {
  readonly node: ClusterNode;
  readonly keys: StoreKeys;
  readonly found: ReadonlyMap<string, KeyValue>;
  /** Null: the literal protocol, or nothing was seen yet. */
  readonly channel: ChannelView | null;
  /** When its message was first seen. */
  readonly messageSince: number;
  /** By its own confirmations. */
  readonly fencedAt: (slot: number) => number;
  /** What its fence waits for besides. */
  readonly exportersOf: (gone: Session) => readonly ExporterWait[];
  /** When a node was seen to confirm last. */
  readonly heardAt: (slot: number) => number;
  readonly now: number;
  readonly trace: Trace;
}

export const snapshot = (input: SnapshotInput): ClusterView => {
  const { node, keys, found, channel, now, trace } = input;
  const { ctx, recoveries } = node;
  const { membership } = ctx;
  const phase = ctx.phase === "probing" ? "joined" : ctx.phase;
  const locks = readLocks(input);
  const damaged = damagedKeys(keys, found);
  return {
    protocol: ctx.isLiteral ? "literal" : "channel",
    phase,
    slot: toBitmapSlot(ctx.me.slot),
    epoch: ctx.me.epoch,
    nodes: ctx.nodes,
    members: membership.slots.flatMap((seen) => memberOf(seen, ctx.me.slot)),
    slots: membership.slots.map(slotOf),
    locks,
    damaged,
    aside: [...found.keys()].flatMap((key) => keys.asideIn(key) ?? []).sort(),
    knownSince: readNewest(found.get(keys.base)?.value ?? ""),
    forced: readForced(found.get(keys.forced)?.value ?? ""),
    message: channel === null ? null : messageOf(channel),
    ranges: [...ctx.ranges].map(([slot, { lo, hi }]) => ({ slot: toBitmapSlot(slot), lo, hi })),
    isBalancingSuspended: recoveries.isSuspended,
    waits: [...damaged.map(damageSentence), ...waitsOf(input, locks)],
    calls: [...ctx.calls].map(([id, { call, since }]) => ({
      id,
      call: call.type,
      waitedMs: now - since,
    })),
    trace: trace.entries,
    at: now,
  };
};

const memberOf = (seen: SeenSlot, me: number): readonly MemberView[] => {
  if (seen.type !== "live") return [];
  const { slot, member } = seen;
  return [{ slot: toBitmapSlot(slot), ...member, isMe: slot === me }];
};

const slotOf = (seen: SeenSlot): SlotView => ({
  slot: toBitmapSlot(seen.slot),
  condition: seen.type,
  recoveredBy: seen.type === "recovering" ? toBitmapSlot(seen.by.slot) : null,
});

const readLocks = ({ keys, found, node }: SnapshotInput): readonly LockView[] => {
  const locks: LockView[] = [];
  for (const [key, { value }] of found) {
    const resource = keys.resourceIn(key);
    const state = resource === null ? null : readResource(value);
    if (resource === null || state === null) continue;
    const owners = (all: readonly DlmLock[]): readonly LockHolderView[] =>
      all.map((lock) => holderOf(node.ctx.membership, lock));
    locks.push({
      resource,
      granted: owners(state.granted),
      converting: owners(state.converting),
      waiting: owners(state.waiting),
      isLvbInvalid: state.isLvbInvalid,
      range: resource.startsWith("bitmap") ? rangeOf(state) : null,
    });
  }
  return locks.sort((a, b) => (a.resource < b.resource ? -1 : 1));
};

const readResource = (text: string): LockResource | null => {
  try {
    return decodeResource(text, LVB_BYTES);
  } catch {
    return null;
  }
};

const holderOf = (membership: Membership, lock: DlmLock): LockHolderView => {
  const seen = seenAt(membership, lock.slot);
  return {
    slot: toBitmapSlot(lock.slot),
    node: seen?.type === "live" ? seen.member.node : "",
    granted: lock.granted === null ? null : (MODE_NAMES[lock.granted] ?? null),
    requested: lock.requested === null ? null : (MODE_NAMES[lock.requested] ?? null),
  };
};

const rangeOf = ({ lvb }: LockResource): LockView["range"] => {
  if (lvb === null || !isLvbText(lvb, LVB_BYTES)) return null;
  const range = decodeResyncRange(decodeLvb(lvb));
  return range === "malformed" ? null : range;
};

const messageOf = (channel: ChannelView): MessageView | null => {
  const { seq, payload, origin, isDone } = channel.record;
  if (payload === null || origin === null) return null;
  const envelope = decodeMessage(decodeLvb(payload));
  const type = "message" in envelope ? envelope.message.type : "malformed";
  return {
    seq,
    name: messageName(type),
    origin: toBitmapSlot(origin.slot),
    isDone,
    awaited: awaited(channel).map(({ owner, what }) => ({ slot: toBitmapSlot(owner.slot), what })),
  };
};

/** Seconds with one decimal: "0.4 s". */
const seconds = (ms: number): string => `${(Math.max(0, ms) / 1000).toFixed(1)} s`;

/** "the key lk/resync of the cluster store is damaged: what needs it waits (DLM_BAD_RESOURCE)" */
const damageSentence = ({ key, code }: DamagedKeyView): string =>
  `the key ${key} of the cluster store is damaged: what needs it waits (${code})`;

const waitsOf = (input: SnapshotInput, locks: readonly LockView[]): readonly string[] => [
  ...messageWaits(input),
  ...lockWaits(input, locks),
  ...memberWaits(input),
  ...ownWaits(input),
];

/** "node 3 (board-c), which last confirmed 0.8 s ago,"; of this node its name alone. */
const whoConfirmed = ({ node, now, heardAt }: SnapshotInput, slot: number): string => {
  const name = nodeName(node.ctx.membership, slot);
  if (slot === node.ctx.me.slot) return name;
  return `${name}, which last confirmed ${seconds(now - heardAt(slot))} ago,`;
};

/** "waiting for node 3, which last confirmed 0.8 s ago, to process RESYNCING, 0.4 s" */
const messageWaits = (input: SnapshotInput) => {
  const { channel, messageSince, now, node } = input;
  const message = channel === null ? null : messageOf(channel);
  if (message === null || message.isDone) return [];
  return message.awaited.flatMap(({ slot, what }) => {
    const name = whoConfirmed(input, slot + 1);
    if (what === "process")
      return [`waiting for ${name} to process ${message.name}, ${seconds(now - messageSince)}`];
    const seen = seenAt(node.ctx.membership, slot + 1);
    return fenceWaits(input, slot + 1, seen, ` before ${message.name} is finished`);
  });
};

/**
 * "waiting for node 2, which last confirmed 2.9 s ago, to be fenced, 4.2 s left", "waiting for
 * board-b to acknowledge the fence of node 2"
 */
const fenceWaits = (
  input: SnapshotInput,
  slot: number,
  seen: SeenSlot | undefined,
  what: string,
): readonly string[] => {
  const { now, fencedAt, exportersOf } = input;
  const others = seen !== undefined && isUnfenced(seen) ? exportersOf(seen) : [];
  const waits = others.map((wait) => {
    if (wait.type === "acknowledge")
      return `waiting for ${wait.board} to acknowledge the fence of node ${slot}${what}`;
    const who = `${wait.board}, which last confirmed ${seconds(now - wait.heardAt)} ago,`;
    return `waiting for ${who} to be fenced${what}, ${seconds(wait.dueAt - now)} left`;
  });
  if (waits.length > 0 && fencedAt(slot) <= now) return waits;
  const who = whoConfirmed(input, slot);
  return [
    `waiting for ${who} to be fenced${what}, ${seconds(fencedAt(slot) - now)} left`,
    ...waits,
  ];
};

/**
 * "waiting for node 2 (board-b), which last confirmed 0.8 s ago, to end its sync action (it has the
 * lock resync in EX), 3.1 s"; of other locks their names: "waiting for the lock token in EX, which
 * node 2 has in EX, 0.1 s"
 */
const lockWaits = (input: SnapshotInput, locks: readonly LockView[]) => {
  const { node, now } = input;
  return node.ctx.locks.pending.map(({ resource, mode, since }) => {
    const state = locks.find((lock) => lock.resource === resource);
    const holders = [...(state?.granted ?? []), ...(state?.converting ?? [])].filter(
      ({ slot, granted }) => granted !== "NL" && slot !== toBitmapSlot(node.ctx.me.slot),
    );
    const names = holders.map(
      ({ slot, granted }) => `${nodeName(node.ctx.membership, slot + 1)} has in ${granted}`,
    );
    const [first] = holders;
    if (resource === "resync" && first !== undefined) {
      const who = whoConfirmed(input, first.slot + 1);
      const has = `it has the lock ${resource} in ${first.granted}`;
      return `waiting for ${who} to end its sync action (${has}), ${seconds(now - since)}`;
    }
    const which = names.length === 0 ? "" : `, which ${names.join(" and ")}`;
    return `waiting for the lock ${resource} in ${mode}${which}, ${seconds(now - since)}`;
  });
};

/** "waiting for node 2, which last confirmed 2.9 s ago, to be fenced, 4.2 s left" */
const memberWaits = (input: SnapshotInput): readonly string[] => {
  const { node } = input;
  return node.ctx.membership.slots.flatMap((seen) => {
    const { slot, type } = seen;
    const name = `node ${slot}`;
    if (type === "gone") return fenceWaits(input, slot, seen, "");
    if (type === "dead") return [`waiting for somebody to recover the bitmap of ${name}`];
    if (seen.type !== "recovering") return [];
    const by = nodeName(node.ctx.membership, seen.by.slot);
    return [`waiting for ${by} to recover the bitmap of ${name}`];
  });
};

/** "waiting for the right to send, which node 2 (board-b) has, 0.4 s" */
const ownWaits = ({ node, channel, now }: SnapshotInput): readonly string[] => {
  const { notices, messages, membership, me } = node.ctx;
  const waits: string[] = [];
  const notice = notices.pending;
  if (notice !== null)
    waits.push(
      `waiting for this array to carry out ${notice.type}, ${seconds(now - notice.since)}`,
    );
  for (const name of messages.keptBack)
    waits.push(`waiting for the metadata update that ends the rest of others, to send ${name}`);
  const { pending } = messages;
  if (pending !== null && !pending.isGranted) {
    const what = pending.name === "" ? "" : ` ${pending.name}`;
    const slot = channel?.record.holder?.slot ?? me.slot;
    const who = slot === me.slot ? "" : `, which ${nodeName(membership, slot)} has`;
    waits.push(`waiting for the right to send${what}${who}, ${seconds(now - pending.since)}`);
  }
  return waits;
};
