/** Which leg a read goes to. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { READ_STRIPE_BYTES, ReadBalance } from "../../../src/raid/read-balance.ts";
import {
  createSharedArray,
  LEG_BLOCKED,
  LEG_IN_SYNC,
  LEG_NONE,
  LEG_REBUILDING,
  SharedArrayState,
  SYNCED_ALL,
} from "../../../src/raid/shared-state.ts";

const MIB = 1024 * 1024;
const STRIPE = READ_STRIPE_BYTES;
const [I, R, B, N] = [LEG_IN_SYNC, LEG_REBUILDING, LEG_BLOCKED, LEG_NONE];

const setUp = (legs: readonly number[], syncedMib: number): SharedArrayState => {
  const map = { raidSlots: legs.length, componentSectors: 2 ** 31, raid10: null };
  const shape = createSharedArray({ workers: 1, chunks: 1, chunkBytes: 2 ** 40, map });
  const state = new SharedArrayState(shape);
  for (const [slot, leg] of legs.entries()) state.setLeg(slot, leg);
  state.syncedMib = syncedMib;
  return state;
};

/** The leg that a mirror's read goes to, -1 for none; `tried` and `slow` are masks of legs. */
const legFor = (
  state: SharedArrayState,
  offset: number,
  length: number,
  tried: number,
  slow: number,
): number => {
  const balance = new ReadBalance(state, (leg) => (slow & (1 << leg)) === 0);
  const skip = tried === 0 ? null : (leg: number) => (tried & (1 << leg)) !== 0;
  const choice = balance.choose(offset, length, null, skip);
  if (choice !== null) assert.is(choice.position, offset);
  return choice?.leg ?? -1;
};

const test = suite("raid/read-balance");

// Legs, synced MiB, offset, length, tried, slow -> leg.
const ROWS: readonly (readonly [
  string,
  readonly number[],
  number,
  number,
  number,
  number,
  number,
  number,
])[] = [
  ["the stripe picks the leg", [I, I], SYNCED_ALL, 0, 512, 0, 0, 0],
  ["the next stripe picks the next leg", [I, I], SYNCED_ALL, STRIPE, 512, 0, 0, 1],
  ["and the one behind the first again", [I, I], SYNCED_ALL, 2 * STRIPE, 512, 0, 0, 0],
  ["three legs take turns", [I, I, I], SYNCED_ALL, 5 * STRIPE, 512, 0, 0, 2],
  ["only legs in sync count", [R, I, B, N, I], SYNCED_ALL, STRIPE, 512, 0, 0, 4],
  ["a slow leg is avoided", [I, I], SYNCED_ALL, 0, 512, 0, 0b01, 1],
  ["the others take turns then", [I, I, I], SYNCED_ALL, 2 * STRIPE, 512, 0, 0b001, 1],
  ["when all are slow the stripe picks again", [I, I], SYNCED_ALL, STRIPE, 512, 0, 0b11, 1],
  ["a leg that failed this read is not asked again", [I, I], SYNCED_ALL, 0, 512, 0b01, 0, 1],
  ["a slow leg is better than one that failed", [I, I], SYNCED_ALL, 0, 512, 0b01, 0b10, 1],
  ["nobody is left", [I, R], SYNCED_ALL, 0, 512, 0b01, 0, -1],
  ["no leg in sync at all", [R, N], SYNCED_ALL, 0, 512, 0, 0, -1],
  ["what is resynced is free", [I, I], 16, STRIPE, 8 * MIB, 0, 0, 1],
  ["one byte beyond it is not: the first leg", [I, I], 16, STRIPE, 8 * MIB + 1, 0, 0, 0],
  ["beyond it slowness counts for nothing", [I, I], 0, STRIPE, 512, 0, 0b01, 0],
  ["the first leg in sync, not slot 0", [R, I, I], 0, STRIPE, 512, 0, 0, 1],
  ["the next one when the first failed", [I, I, I], 0, 0, 512, 0b001, 0, 1],
];

for (const [what, legs, synced, offset, length, tried, slow, expected] of ROWS) {
  test(what, () => {
    assert.is(legFor(setUp(legs, synced), offset, length, tried, slow), expected);
  });
}

test("all parts of what is not resynced are read from one leg, whatever the address", () => {
  const state = setUp([LEG_NONE, I, I, I], 4);
  const legs = new Set<number>();
  for (let offset = 0; offset < 100 * STRIPE; offset += 3 * MIB)
    if (offset + 512 > 4 * MIB) legs.add(legFor(state, offset, 512, 0, 0));
  assert.equal([...legs], [1]);
});

test.run();
