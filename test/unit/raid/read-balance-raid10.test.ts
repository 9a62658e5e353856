/** Which leg a read goes to: flags, bad blocks, the second leg of a raid slot, raid10 layouts. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseRaid10Layout } from "../../../src/raid/raid10-layout.ts";
import { READ_STRIPE_BYTES, ReadBalance } from "../../../src/raid/read-balance.ts";
import {
  createSharedArray,
  LEG_IN_SYNC,
  LEG_REBUILDING,
  LEG_WRITE_MOSTLY,
  SharedArrayState,
  SYNCED_ALL,
} from "../../../src/raid/shared-state.ts";

const KIB = 1024;
const CHUNK = 64 * KIB;
const STRIPE = READ_STRIPE_BYTES;

/** `layout`: `n2`, `f2` …, md's word, or null for raid1. */
const setUp = (raidSlots: number, layout: string | number | null = null) => {
  const parsed = typeof layout === "string" ? parseRaid10Layout(layout) : layout;
  const raid10 = parsed === null ? null : { layout: parsed, chunkSectors: CHUNK / 512 };
  const map = { raidSlots, componentSectors: 2 ** 21, raid10 };
  const shape = createSharedArray({ workers: 1, chunks: 1, chunkBytes: 2 ** 40, map });
  const state = new SharedArrayState(shape);
  for (let slot = 0; slot < raidSlots; slot++) state.setLeg(slot, LEG_IN_SYNC);
  state.syncedMib = SYNCED_ALL;
  const slow = new Set<number>();
  const tried = new Set<number>();
  const balance = new ReadBalance(state, (leg) => !slow.has(leg));
  /** `leg at position` in KiB; null when none is left. */
  const choose = (offset: number, length = 512): string | null => {
    const extent = state.map.isMirror ? null : state.map.extents(offset, length)[0];
    assert.ok(extent !== undefined);
    const choice = balance.choose(offset, length, extent, (leg) => tried.has(leg));
    return choice === null ? null : `${choice.leg} at ${choice.position / KIB}`;
  };
  /** Every leg that reads of this extent go to, over many stripes of the array. */
  const legs = (): number[] => {
    const found = new Set<number>();
    for (let offset = 0; offset < 32 * STRIPE; offset += STRIPE / 2 + 3 * CHUNK)
      found.add(Number(choose(offset)?.split(" ")[0]));
    return [...found].sort();
  };
  return { state, slow, tried, balance, choose, legs };
};

const test = suite("raid/read-balance of flags and layouts");

// --- flags ---------------------------------------------------------------------------------------

test("a write-mostly leg is read only when no other one can be", () => {
  const { state, choose, legs, tried, slow } = setUp(3);
  state.setFlags(1, LEG_WRITE_MOSTLY);
  assert.equal(legs(), [0, 2]);
  slow.add(0);
  slow.add(2);
  assert.equal(legs(), [0, 2], "a slow leg is better");
  tried.add(0);
  tried.add(2);
  assert.is(choose(0), "1 at 0");
});

test("when all are write-mostly the stripes choose among them", () => {
  const { state, legs } = setUp(2);
  for (const leg of [0, 1]) state.setFlags(leg, LEG_WRITE_MOSTLY);
  assert.equal(legs(), [0, 1]);
});

test("beyond the resync position flags count for nothing: everybody reads the first copy", () => {
  const { state, legs, slow } = setUp(3);
  state.syncedMib = 0;
  state.setFlags(0, LEG_WRITE_MOSTLY);
  slow.add(0);
  assert.equal(legs(), [0]);
});

test("a change of flags counts from the next read on", () => {
  const { state, choose } = setUp(2);
  assert.is(choose(0), "0 at 0");
  state.setFlags(0, LEG_WRITE_MOSTLY);
  assert.is(choose(0), "1 at 0");
});

// --- bad blocks ----------------------------------------------------------------------------------

test("a leg with bad blocks under the read is passed over, there only", () => {
  const { state, balance, choose } = setUp(2);
  state.badBlocks(0).set([[8 * KIB, 12 * KIB]]);
  assert.is(choose(8 * KIB), "1 at 8");
  assert.is(balance.isHeldBack, true);
  assert.is(choose(7 * KIB, 2 * KIB), "1 at 7");
  assert.is(choose(12 * KIB), "0 at 12");
  assert.is(choose(7 * KIB, KIB), "0 at 7");
  assert.is(balance.isHeldBack, false);
});

test("a stripe never points at a leg with bad blocks", () => {
  const { state, choose } = setUp(3);
  for (const bad of [0, 1, 2]) {
    for (const leg of [0, 1, 2]) state.badBlocks(leg).set(leg === bad ? [[0, 64 * STRIPE]] : []);
    const found = new Set([0, 1, 2, 3].map((stripe) => choose(stripe * STRIPE)?.[0]));
    assert.equal(
      [...found].sort(),
      ["0", "1", "2"].filter((leg) => leg !== String(bad)),
    );
  }
});

test("where all have bad blocks none is left, and the read may be tried in pieces", () => {
  const { state, balance, choose } = setUp(2);
  for (const leg of [0, 1]) state.badBlocks(leg).set([[leg * 4 * KIB, (leg + 1) * 4 * KIB]]);
  assert.is(choose(0, 8 * KIB), null);
  assert.is(balance.isHeldBack, true);
  assert.is(choose(0, 4 * KIB), "1 at 0");
  assert.is(choose(4 * KIB, 4 * KIB), "0 at 4");
});

test("beyond the resync position the next copy in md's order takes over a bad spot", () => {
  const { state, choose } = setUp(3);
  state.syncedMib = 0;
  state.badBlocks(0).set([[0, 4 * KIB]]);
  assert.is(choose(0), "1 at 0");
  assert.is(choose(4 * KIB), "0 at 4");
});

// --- two legs of one raid slot -------------------------------------------------------------------

test("a raid slot whose member sits on its second leg is read there", () => {
  const { state, choose } = setUp(2);
  state.setLeg(0, 0);
  state.setLeg(2, LEG_IN_SYNC);
  assert.is(choose(0), "2 at 0");
  state.syncedMib = 0;
  assert.is(choose(STRIPE), `2 at ${STRIPE / KIB}`, "it is the first copy, not the last");
});

test("the same in a raid10", () => {
  const { state, choose } = setUp(4, "n2");
  state.setLeg(2, 0);
  state.setLeg(3, 0);
  state.setLeg(6, LEG_IN_SYNC);
  assert.equal([choose(0), choose(CHUNK)], ["0 at 0", "6 at 0"]);
});

test("a leg that is written beside is not read before it is in sync", () => {
  const { state, legs } = setUp(2);
  state.setLeg(2, LEG_REBUILDING);
  assert.equal(legs(), [0, 1]);
});

// --- raid10 --------------------------------------------------------------------------------------

test("near copies: the two legs of a chunk share its reads by stripe, nobody else gets any", () => {
  const { choose, legs } = setUp(4, "n2");
  assert.is(choose(0), "0 at 0");
  assert.is(choose(CHUNK), "2 at 0");
  assert.is(choose(STRIPE), `1 at ${STRIPE / 2 / KIB}`);
  assert.equal(legs(), [0, 1, 2, 3]);
});

test("far copies: the first half of the members, as a raid0 would", () => {
  const { choose, tried, state } = setUp(2, "f2");
  for (let chunk = 0; chunk < 400; chunk += 7) {
    const row = Math.floor(chunk / 2) * 64;
    assert.is(choose(chunk * CHUNK), `${chunk % 2} at ${row}`);
  }
  const half = state.map.memberBytes / 2 / KIB;
  tried.add(0);
  assert.is(choose(2 * CHUNK), `1 at ${half + 64}`, "the far copy when the near one failed");
});

test("far copies: a slow or write-mostly near copy is worse than a far one", () => {
  const { choose, slow, state } = setUp(2, "f2");
  const half = state.map.memberBytes / 2 / KIB;
  slow.add(0);
  assert.is(choose(0), `1 at ${half}`);
  slow.clear();
  state.setFlags(0, LEG_WRITE_MOSTLY);
  assert.is(choose(0), `1 at ${half}`);
});

test("near and far copies together: of the quick legs the one with the lowest position", () => {
  const { choose, slow, state } = setUp(4, 0x202);
  const first = state.map.extents(0, 512)[0]?.places ?? [];
  assert.equal(
    first.map(({ slot, position }) => [slot, position > 0]),
    [
      [0, false],
      [2, true],
      [1, false],
      [3, true],
    ],
  );
  slow.add(0);
  assert.is(choose(0), "1 at 0");
});

test("offset copies: both legs share the reads, each at its own place", () => {
  const { choose, tried, balance, state } = setUp(3, "o2");
  const copies = new Set<number>();
  for (let offset = 0; offset < 20 * STRIPE; offset += STRIPE / 2 + 3 * CHUNK) {
    const [extent] = state.map.extents(offset, 512);
    assert.ok(extent !== undefined);
    const choice = balance.choose(offset, 512, extent, null);
    copies.add(extent.places.findIndex(({ slot }) => slot === choice?.leg));
  }
  assert.equal([...copies].sort(), [0, 1]);
  assert.is(choose(0), "0 at 0");
  tried.add(0);
  assert.is(choose(0), "1 at 64");
});

test("beyond the resync position every layout reads md's first copy", () => {
  for (const layout of ["n2", "f2", "o2"]) {
    const { state, balance } = setUp(3, layout);
    state.syncedMib = 1;
    for (let offset = 2 * 2 ** 20; offset < 40 * 2 ** 20; offset += 5 * CHUNK) {
      const [extent] = state.map.extents(offset, 512);
      assert.ok(extent !== undefined);
      const first = extent.places[0];
      const choice = balance.choose(offset, 512, extent, null);
      assert.equal([choice?.leg, choice?.position], [first?.slot, first?.position], layout);
    }
  }
});

test("bad blocks lie where the member has the bytes, not where the array has", () => {
  const { state, choose } = setUp(2, "f2");
  const half = state.map.memberBytes / 2;
  state.badBlocks(1).set([[half, half + 4 * KIB]]);
  state.badBlocks(0).set([[0, 4 * KIB]]);
  assert.is(choose(0, 8 * KIB), null);
  assert.is(choose(4 * KIB), "0 at 4");
  assert.is(choose(CHUNK), "1 at 0");
});

test.run();
