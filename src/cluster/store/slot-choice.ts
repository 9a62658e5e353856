/**
 * Which slot a node that joins may take, from a listing that may be old: the transaction that takes
 * it decides.
 *
 * A slot whose last session is gone waits for its recovery by a member. Where there is no member at
 * all, nobody would ever recover it: after all boards lost power, an array with as many nodes as
 * boards has no free slot. Then the joiner ADOPTS such a slot, as md does with a node's own bitmap
 * after a crash: its bits are the joiner's own from the start. Like any recovery, only once the
 * last session can write no more.
 */
import type { KeyValue, Revision } from "./cluster-store.ts";
import { decodeMember, type MemberRecord, readSlotState } from "./member-records.ts";
import type { StoreKeys } from "./store-keys.ts";

export type SlotChoice =
  | { readonly type: "free"; readonly slot: number; readonly revision: Revision }
  /** As `free`, but only when it is still so after the time that fencing takes. */
  | { readonly type: "adopt"; readonly slot: number; readonly revision: Revision }
  /** A slot is being recovered, or is about to be: this node's own last life ends there, too. */
  | { readonly type: "wait" }
  /** Each slot has a living member. */
  | { readonly type: "full" };

/** The lowest slot that is free, or that an earlier attempt of this member already has. */
export const chooseSlot = (
  keys: StoreKeys,
  found: readonly KeyValue[],
  slots: number,
  member: MemberRecord,
): SlotChoice => {
  const byKey = new Map(found.map((one) => [one.key, one]));
  const unrecovered: { readonly slot: number; readonly revision: Revision }[] = [];
  let hasMembers = false;
  let hasOwnPast = false;
  for (let slot = 1; slot <= slots; slot += 1) {
    const key = byKey.get(keys.slot(slot));
    const holder = byKey.get(keys.member(slot));
    const state = readSlotState(key?.value ?? null);
    const revision = key?.modRevision ?? 0;
    const held = holder === undefined ? null : readHolder(holder.value);
    if (held?.life === member.life) return { type: "free", slot, revision };
    if (held?.node === member.node) hasOwnPast = true;
    if (holder !== undefined) hasMembers = true;
    else if (state?.type === "free") return { type: "free", slot, revision };
    // Of a key that holds something else, too: who had the slot may have left bits.
    else unrecovered.push({ slot, revision });
  }
  const [first] = unrecovered;
  if (first === undefined) return { type: hasOwnPast ? "wait" : "full" };
  return hasMembers ? { type: "wait" } : { type: "adopt", ...first };
};

const readHolder = (text: string): MemberRecord | null => {
  try {
    return decodeMember(text);
  } catch {
    return null;
  }
};
