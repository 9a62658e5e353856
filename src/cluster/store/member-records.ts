/**
 * The values of m/SLOT and slot/SLOT. Both are read from keys that anybody may have written, so
 * decoding accepts only what encoding writes.
 */
import { CodedError } from "../../common/errors.ts";

/** Longest text of a field of a member. Choice: names and addresses are much shorter. */
const FIELD_MAX = 256;

/** Who a member is. */
export interface MemberRecord {
  /** The node's name, the same in all its lives. */
  readonly node: string;
  /** Another one for each start of the board. */
  readonly boot: string;
  /** Another one for each join: tells a joiner whose answer was lost that the key is its own. */
  readonly life: string;
  /** Where its exports are; for people and peers. */
  readonly address: string;
  readonly protocol: number;
}

export type SlotState =
  /** Nobody's; its bitmap is clean. A key that does not exist says the same. */
  | { readonly type: "free" }
  /**
   * Of the session whose epoch is the key's mod revision: m/SLOT was made with it. `epoch`: of this
   * session instead, which has put right what something else had written there.
   */
  | { readonly type: "live"; readonly epoch?: number }
  /** Its member is gone, fencing is proven, its bitmap is not recovered. */
  | { readonly type: "dead"; readonly epoch: number }
  /** The session `by` recovers the bitmap of the session `epoch`. */
  | {
      readonly type: "recovering";
      readonly epoch: number;
      readonly by: { readonly slot: number; readonly epoch: number };
    };

const bad = (what: string): CodedError =>
  new CodedError("CLUSTER_BAD_RECORD", `this is no ${what} of a cluster`, {
    remedy:
      "see “A damaged key” in docs/clustered-arrays.md; no key is deleted while a member runs",
    details: { what },
  });

const isField = (value: unknown): value is string =>
  typeof value === "string" && value.length <= FIELD_MAX;

export const encodeMember = ({ node, boot, life, address, protocol }: MemberRecord): string =>
  JSON.stringify({ node, boot, life, address, protocol });

/** Errors: CLUSTER_BAD_RECORD. */
export const decodeMember = (text: string): MemberRecord => {
  let fields: Readonly<Record<string, unknown>> = {};
  try {
    fields = JSON.parse(text) ?? {};
  } catch {
    throw bad("member");
  }
  const { node, boot, life, address, protocol } = fields;
  if (!isField(node) || !isField(boot) || !isField(life) || !isField(address)) throw bad("member");
  if (typeof protocol !== "number" || !Number.isSafeInteger(protocol)) throw bad("member");
  const record = { node, boot, life, address, protocol };
  if (encodeMember(record) !== text) throw bad("member");
  return record;
};

export const encodeSlot = (state: SlotState): string => {
  switch (state.type) {
    case "free":
      return state.type;
    case "live":
      return state.epoch === undefined ? "live" : `live ${state.epoch}`;
    case "dead":
      return `dead ${state.epoch}`;
    case "recovering":
      return `recovering ${state.epoch} by ${state.by.slot}/${state.by.epoch}`;
  }
};

/** `text` null: no such key. Errors: CLUSTER_BAD_RECORD. */
export const decodeSlot = (text: string | null): SlotState => {
  if (text === null || text === "free") return { type: "free" };
  if (text === "live") return { type: "live" };
  const state = readEpochs(text);
  if (state === null || encodeSlot(state) !== text) throw bad("slot");
  return state;
};

const readEpochs = (text: string): SlotState | null => {
  const one = /^(live|dead) (\d{1,16})$/.exec(text);
  if (one !== null) return { type: one[1] === "live" ? "live" : "dead", epoch: Number(one[2]) };
  const match = /^recovering (\d{1,16}) by (\d{1,3})\/(\d{1,16})$/.exec(text);
  if (match === null) return null;
  const [epoch = 0, slot = 0, by = 0] = match.slice(1).map(Number);
  return { type: "recovering", epoch, by: { slot, epoch: by } };
};

/** As decodeSlot; null: something else, which tells nothing. */
export const readSlotState = (text: string | null): SlotState | null => {
  try {
    return decodeSlot(text);
  } catch {
    return null;
  }
};
