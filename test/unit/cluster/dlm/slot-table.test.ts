/** Slots: lowest free from 1, kept for life, a dead one not free before it is recovered. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  EMPTY_SLOTS,
  type Member,
  releaseSlot,
  SLOTS_MAX,
  type SlotTable,
  seatMembers,
  toBitmapSlot,
} from "../../../../src/cluster/dlm/slot-table.ts";
import { withSeeds } from "../../../helpers/seed.ts";

const test = suite("cluster/dlm/slot-table");

const member = (text: string): Member => {
  const [node = "", epoch = "1"] = text.split("/");
  return { node, epoch: Number(epoch) };
};

const seat = (table: SlotTable, present: string, left = "") => {
  const parse = (text: string) => (text === "" ? [] : text.split(" ").map(member));
  return seatMembers(table, parse(present), parse(left));
};

const shown = (members: readonly (Member & { slot: number })[]): string =>
  members.map(({ slot, node, epoch }) => `${slot}=${node}/${epoch}`).join(" ");

test("newcomers get the lowest free numbers from 1, in the order of their names", () => {
  const { table } = seat(EMPTY_SLOTS, "c/3 a/1 b/2");
  assert.is(shown(table.members), "1=a/1 2=b/2 3=c/3");
  assert.is(toBitmapSlot(1), 0);
});

test("a member keeps its slot for life", () => {
  const first = seat(EMPTY_SLOTS, "b/1 c/1").table;
  const second = seat(first, "a/1 b/1 c/1").table;
  assert.is(shown(second.members), "1=b/1 2=c/1 3=a/1");
});

test("the slot of a failed member is taken until it is recovered", () => {
  const first = seat(EMPTY_SLOTS, "a/1 b/1 c/1").table;
  const { table, failed, departed } = seat(first, "b/1 c/1 d/1");
  assert.is(shown(failed), "1=a/1");
  assert.equal(departed, []);
  assert.is(shown(table.unrecovered), "1=a/1");
  assert.is(shown(table.members), "2=b/1 3=c/1 4=d/1");
  const released = releaseSlot(table, 1);
  assert.is(shown(seat(released, "b/1 c/1 d/1 e/1").table.members), "1=e/1 2=b/1 3=c/1 4=d/1");
});

test("the slot of a member that left is free at once", () => {
  const first = seat(EMPTY_SLOTS, "a/1 b/1").table;
  const { table, failed, departed } = seat(first, "b/1 c/1", "a/1");
  assert.equal(failed, []);
  assert.is(shown(departed), "1=a/1");
  assert.is(shown(table.members), "1=c/1 2=b/1");
});

test("a node that comes back with another epoch failed and joined", () => {
  const first = seat(EMPTY_SLOTS, "a/1 b/1").table;
  const { table, failed, joined } = seat(first, "a/2 b/1");
  assert.is(shown(failed), "1=a/1");
  assert.is(shown(joined), "3=a/2");
  assert.is(shown(table.members), "2=b/1 3=a/2");
});

test("the generation counts every change", () => {
  const first = seat(EMPTY_SLOTS, "a/1").table;
  assert.equal([first.generation, seat(first, "a/1").table.generation], [1, 2]);
});

test("who finds no slot is no member", () => {
  const nodes = Array.from({ length: SLOTS_MAX }, (_, index) => ({ node: `n${index}`, epoch: 1 }));
  const full = seatMembers(EMPTY_SLOTS, nodes, []);
  assert.is(full.table.members.length, SLOTS_MAX);
  const more = seatMembers(full.table, [...nodes, { node: "z", epoch: 9 }], []);
  assert.equal(more.unseated, [{ node: "z", epoch: 9 }]);
  assert.is(more.table.members.length, SLOTS_MAX);
});

test("a node twice is a broken membership", () => {
  assert.throws(() => seat(EMPTY_SLOTS, "a/1 a/2"), /twice/);
});

test("random memberships: no slot twice, none changes, none is reused before its recovery", async () => {
  await withSeeds({ fixed: [1], more: 2 }, (prng) => {
    let table = EMPTY_SLOTS;
    let epoch = 0;
    const nodes = new Map<string, number>();
    for (let round = 0; round < 2000; round++) {
      const node = `n${prng.below(12)}`;
      if (nodes.has(node) && prng.chance(1, 2)) nodes.delete(node);
      else nodes.set(node, ++epoch);
      const present = [...nodes].map(([name, life]) => ({ node: name, epoch: life }));
      const before = table;
      const left = prng.chance(1, 2) ? before.members : [];
      ({ table } = seatMembers(before, prng.shuffle(present), left));
      const slots = [...table.members, ...table.unrecovered].map(({ slot }) => slot);
      assert.is(new Set(slots).size, slots.length);
      for (const old of before.members) {
        const now = table.members.find((one) => one.node === old.node && one.epoch === old.epoch);
        assert.is(now?.slot ?? old.slot, old.slot);
      }
      if (prng.chance(1, 3))
        for (const { slot } of table.unrecovered) table = releaseSlot(table, slot);
    }
  });
});

test.run();
