/**
 * Slots of a lockspace's members: the lowest free number from 1, kept for life. Unlike the
 * kernel's, the slot of a failed member is not free before whoever recovers its bitmap says so: a
 * newcomer would take over, and clear, a bitmap that still tells what differs.
 * Source: fs/dlm/member.c dlm_slots_assign.
 */
import { assert } from "../../common/assert.ts";

/** Most slots of a lockspace: bitmaps of an array. Source: the nodes that mdadm allows. */
export const SLOTS_MAX = 64;

/** One life of a node in a lockspace. */
export interface Member {
  /** The node's name, the same in all its lives. */
  readonly node: string;
  /** The session epoch: never the same for two lives. */
  readonly epoch: number;
}

export interface SeatedMember extends Member {
  /** DLM slot, from 1. */
  readonly slot: number;
}

export interface SlotTable {
  /** Counts the changes of membership. */
  readonly generation: number;
  /** By slot. */
  readonly members: readonly SeatedMember[];
  /** Failed members whose slots are not recovered, by slot. */
  readonly unrecovered: readonly SeatedMember[];
}

export const EMPTY_SLOTS: SlotTable = { generation: 0, members: [], unrecovered: [] };

export interface Seating {
  readonly table: SlotTable;
  /** Members that vanished: their slots await recovery. */
  readonly failed: readonly SeatedMember[];
  /** Members that left cleanly: their slots are free. */
  readonly departed: readonly SeatedMember[];
  readonly joined: readonly SeatedMember[];
  /** Newcomers for whom no slot is free. */
  readonly unseated: readonly Member[];
}

/** The bitmap of a slot: md counts from 0. Source: md-cluster.c, slot_number - 1. */
export const toBitmapSlot = (slot: number): number => slot - 1;

/** DLM slot, from 1, of a bitmap's. */
export const toDlmSlot = (slot: number): number => slot + 1;

const isSameLife = (a: Member, b: Member): boolean => a.node === b.node && a.epoch === b.epoch;

const bySlot = (a: SeatedMember, b: SeatedMember): number => a.slot - b.slot;

/**
 * The next generation with exactly these members, newcomers seated in the order of their names.
 * A node that comes with another epoch failed and joined. `left`: who of the vanished left cleanly.
 */
export const seatMembers = (
  { generation, members, unrecovered }: SlotTable,
  present: readonly Member[],
  left: readonly Member[],
): Seating => {
  const nodes = new Set(present.map(({ node }) => node));
  assert(nodes.size === present.length, "a node is twice among the members");
  const kept = members.filter((old) => present.some((now) => isSameLife(old, now)));
  const gone = members.filter((old) => !kept.includes(old));
  const departed = gone.filter((old) => left.some((leaver) => isSameLife(old, leaver)));
  const failed = gone.filter((old) => !departed.includes(old));
  const waiting = [...unrecovered, ...failed].sort(bySlot);
  const newcomers = present
    .filter((now) => !kept.some((old) => isSameLife(old, now)))
    .sort((a, b) => (a.node < b.node ? -1 : 1));
  const taken = new Set([...kept, ...waiting].map(({ slot }) => slot));
  const joined: SeatedMember[] = [];
  const unseated: Member[] = [];
  for (const { node, epoch } of newcomers) {
    let slot = 1;
    while (taken.has(slot)) slot += 1;
    if (slot > SLOTS_MAX) {
      unseated.push({ node, epoch });
      continue;
    }
    taken.add(slot);
    joined.push({ node, epoch, slot });
  }
  const seated = [...kept, ...joined].sort(bySlot);
  const table = { generation: generation + 1, members: seated, unrecovered: waiting };
  return { table, failed, departed, joined, unseated };
};

/** The slot's last owner is recovered: the slot is free. Nothing happens if it was. */
export const releaseSlot = (table: SlotTable, slot: number): SlotTable => ({
  ...table,
  unrecovered: table.unrecovered.filter((member) => member.slot !== slot),
});
