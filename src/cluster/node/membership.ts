/** Who is in the cluster and how each slot stands, read from the keys of the store. */
import type { KeyValue } from "../store/cluster-store.ts";
import type { KeyView } from "../store/key-view.ts";
import { decodeMember, type MemberRecord, readSlotState } from "../store/member-records.ts";
import type { Session, StoreKeys } from "../store/store-keys.ts";

export interface SeenMember {
  readonly epoch: number;
  readonly node: string;
  readonly address: string;
}

/** `slot`: DLM slot, from 1. */
export type SeenSlot =
  | { readonly type: "free"; readonly slot: number }
  | {
      readonly type: "live";
      readonly slot: number;
      readonly member: SeenMember;
      /** Mod revision of its key: later than the epoch where its session has put it right. */
      readonly written: number;
    }
  /**
   * Its member key is gone, or something else has written the slot, and nobody has said that who
   * had it can write no more. Its session is that of this epoch, or of an earlier one.
   */
  | { readonly type: "gone"; readonly slot: number; readonly epoch: number }
  | { readonly type: "dead"; readonly slot: number; readonly epoch: number }
  | {
      readonly type: "recovering";
      readonly slot: number;
      readonly epoch: number;
      readonly by: Session;
    }
  /** As `gone`: the key holds something else. */
  | {
      readonly type: "damaged";
      readonly slot: number;
      readonly epoch: number;
      /** Without the array's prefix. */
      readonly key: string;
    };

export interface Membership {
  /** By slot, from 1: its key is known as of this revision at least. */
  readonly known: readonly number[];
  /** Slots 1 to the array's nodes, in order. */
  readonly slots: readonly SeenSlot[];
  /** Nodes that owe a resync pass, and since which revision. */
  readonly passes: readonly { readonly slot: number; readonly revision: number }[];
}

/** Keys of slots that the array does not have are passed over. */
export const readMembership = (
  keys: StoreKeys,
  view: Pick<KeyView, "keys" | "knownAt">,
  nodes: number,
): Membership => {
  const { keys: found } = view;
  const known: number[] = [0];
  const slots: SeenSlot[] = [];
  const passes: { slot: number; revision: number }[] = [];
  for (let slot = 1; slot <= nodes; slot += 1) {
    slots.push(readSlot(keys, found, slot));
    known.push(view.knownAt(keys.slot(slot)));
    const pass = found.get(keys.pass(slot));
    if (pass !== undefined) passes.push({ slot, revision: pass.modRevision });
  }
  return { known, slots, passes };
};

const readSlot = (
  keys: StoreKeys,
  found: ReadonlyMap<string, KeyValue>,
  slot: number,
): SeenSlot => {
  const key = found.get(keys.slot(slot));
  const member = found.get(keys.member(slot));
  const written = key?.modRevision ?? 0;
  const state = readSlotState(key?.value ?? null);
  if (state === null) {
    const name = keys.slot(slot).slice(keys.prefix.length);
    return { type: "damaged", slot, epoch: written, key: name };
  }
  if (state.type === "free") return { ...readFree(member, key), slot };
  if (state.type !== "live") {
    // Of another session than the member: an older state, which something else has put back.
    const isOld = member !== undefined && member.createRevision !== state.epoch;
    return isOld && isTakenBefore(member, written)
      ? { type: "gone", slot, epoch: written }
      : { ...state, slot };
  }
  // The member key was made by the transaction that wrote `live`.
  const epoch = state.epoch ?? written;
  if (member?.createRevision !== epoch) return { type: "gone", slot, epoch: written };
  return { type: "live", slot, member: { epoch, ...readMember(member.value) }, written };
};

/** Nobody but its session may have written the slot since its member key was made. */
const isTakenBefore = ({ createRevision }: KeyValue, written: number): boolean =>
  createRevision < written;

/** A slot that its member has taken is not free, whatever something else has done to its key. */
const readFree = (
  member: KeyValue | undefined,
  key: KeyValue | undefined,
): { readonly type: "free" } | { readonly type: "gone"; readonly epoch: number } => {
  if (member === undefined) return { type: "free" };
  if (key === undefined) return { type: "gone", epoch: member.createRevision };
  const { modRevision: epoch } = key;
  return isTakenBefore(member, epoch) ? { type: "gone", epoch } : { type: "free" };
};

const readMember = (text: string): Pick<MemberRecord, "node" | "address"> => {
  try {
    const { node, address } = decodeMember(text);
    return { node, address };
  } catch {
    // It is a member all the same: its name is for people only.
    return { node: "?", address: "" };
  }
};

export const seenAt = ({ slots }: Membership, slot: number): SeenSlot | undefined =>
  slots[slot - 1];

/**
 * Whether the session is a member, or was and may still write: nobody has declared it dead. While
 * something else had written its slot, it may have been taken for one of a later epoch.
 */
export const isUnfinished = (membership: Membership, { slot, epoch }: Session): boolean => {
  const seen = seenAt(membership, slot);
  if (seen?.type === "live") return seen.member.epoch <= epoch && epoch <= seen.written;
  return seen !== undefined && isUnfenced(seen) && epoch <= seen.epoch;
};

/** Who had the slot may still write: nobody has declared it dead. */
export const isUnfenced = (
  seen: SeenSlot,
): seen is Extract<SeenSlot, { type: "gone" | "damaged" }> =>
  seen.type === "gone" || seen.type === "damaged";

/**
 * Whether the session is known to write no more. One that is not seen yet is not over: it has
 * written its slot with its epoch, and what the watch tells of other keys proves nothing.
 */
export const isOver = (membership: Membership, session: Session): boolean =>
  (membership.known[session.slot] ?? 0) >= session.epoch && !isUnfinished(membership, session);

/** "node 2 (board-b), node 3 (board-c)"; no slots: the protocol does not tell who. */
export const nodeNames = (membership: Membership, slots: readonly number[]): string =>
  slots.length === 0
    ? "a node of the cluster"
    : slots.map((slot) => nodeName(membership, slot)).join(", ");

/** "node 3 (board-c)": as the document counts nodes, from 1. */
export const nodeName = (membership: Membership, slot: number): string => {
  const seen = seenAt(membership, slot);
  const name = seen?.type === "live" ? ` (${seen.member.node})` : "";
  return `node ${slot}${name}`;
};
