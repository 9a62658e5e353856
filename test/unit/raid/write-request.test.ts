/** What one write stores on which leg: extents merged, bad blocks left out or made good. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { slicePieces } from "../../../src/common/pieces.ts";
import { parseRaid10Layout } from "../../../src/raid/raid10-layout.ts";
import {
  createSharedArray,
  LEG_BLOCKED,
  LEG_IN_SYNC,
  LEG_NONE,
  LEG_REBUILDING,
  LEG_WRITE_ERROR,
  SharedArrayState,
} from "../../../src/raid/shared-state.ts";
import {
  extentsOutside,
  isWritten,
  type LegWrite,
  makeWriteRequest,
  planLegWrites,
  type WriteContent,
} from "../../../src/raid/write-request.ts";

const KIB = 1024;
const CHUNK = 64 * KIB;
const SECTORS = (16 * CHUNK) / 512;

/** An array of 1 MiB members; every first leg is in sync. */
const setUp = (raidSlots: number, layout: string | null = null) => {
  const parsed = layout === null ? null : parseRaid10Layout(layout);
  const raid10 = parsed === null ? null : { layout: parsed, chunkSectors: CHUNK / 512 };
  const map = { raidSlots, componentSectors: SECTORS, raid10 };
  const state = new SharedArrayState(
    createSharedArray({ workers: 1, chunks: 1, chunkBytes: 2 ** 40, map }),
  );
  for (let leg = 0; leg < raidSlots; leg++) state.setLeg(leg, LEG_IN_SYNC);
  return state;
};

const requestOf = (
  state: SharedArrayState,
  content: WriteContent,
  offset: number,
  length: number,
) => makeWriteRequest(content, { offset, length }, false, state, () => undefined);

/** Bytes that count up, so that a slice shows where it comes from. */
const counting = (length: number): Uint8Array => Uint8Array.from({ length }, (_, at) => at & 0xff);

const plan = (
  state: SharedArrayState,
  offset: number,
  length: number,
  content: WriteContent = { type: "data", pieces: [counting(length)] },
) => {
  const seen = Int32Array.from({ length: state.legs }, (_, leg) => state.leg(leg));
  const request = requestOf(state, content, offset, length);
  return { request, writes: planLegWrites(state, request, seen) };
};

/** `leg position+length extents` in KiB, `heals` and `rebuild` where they hold. */
const words = (writes: readonly LegWrite[]): string[] =>
  writes.map(({ leg, position, length, extents, heals, isInSync }) => {
    const flags = `${heals ? " heals" : ""}${isInSync ? "" : " rebuild"}`;
    return `${leg} ${position / KIB}+${length / KIB} ${extents.join()}${flags}`;
  });

const test = suite("raid/write-request");

for (const [what, slots, layout, offset, length, expected] of [
  [
    "a mirror takes the whole on every leg",
    2,
    null,
    100 * KIB,
    8 * KIB,
    ["0 100+8 0", "1 100+8 0"],
  ],
  ["within a chunk of n2 only its two legs", 4, "n2", 70 * KIB, 8 * KIB, ["2 6+8 0", "3 6+8 0"]],
  [
    "over a chunk's border of n2 on four legs, two and two",
    4,
    "n2",
    60 * KIB,
    8 * KIB,
    ["0 60+4 0", "1 60+4 0", "2 0+4 1", "3 0+4 1"],
  ],
  [
    "what lies in one piece on a leg is one write, however many extents it holds",
    3,
    "n2",
    0,
    3 * 64 * KIB,
    ["0 0+128 0,1", "1 0+128 0,2", "2 0+128 1,2"],
  ],
  [
    "far copies go to the other half, each run of a leg in one piece",
    2,
    "f2",
    0,
    4 * 64 * KIB,
    ["0 0+128 0,2", "0 512+128 1,3", "1 0+128 1,3", "1 512+128 0,2"],
  ],
  [
    "offset copies lie one chunk behind, on the next leg",
    3,
    "o2",
    0,
    64 * KIB,
    ["0 0+64 0", "1 64+64 0"],
  ],
  ["a raid10 of two near copies is a mirror", 2, "n2", 0, 200 * KIB, ["0 0+200 0", "1 0+200 0"]],
] as const) {
  test(`where a write goes: ${what}`, () => {
    const { writes } = plan(setUp(slots, layout), offset, length);
    assert.equal(words(writes).sort(), [...expected].sort());
  });
}

test("every byte that is written comes from its own place in the request", () => {
  for (const layout of ["n2", "f2", "o2", "n3"]) {
    const state = setUp(3, layout);
    const offset = 61 * KIB;
    const length = 200 * KIB;
    const data = counting(length);
    const { writes } = plan(state, offset, length, {
      type: "data",
      pieces: [data.subarray(0, 777), data.subarray(777, 150_000), data.subarray(150_000)],
    });
    let stored = 0;
    for (const { leg, position, length: bytes, pieces } of writes) {
      const joined = Buffer.concat(pieces);
      assert.is(joined.length, bytes, layout);
      for (const run of state.map.memberRuns(leg, position, bytes)) {
        const from = run.position - position;
        const expected = data.subarray(run.offset - offset, run.offset - offset + run.length);
        assert.is(Buffer.compare(joined.subarray(from, from + run.length), expected), 0, layout);
        stored += run.length;
      }
    }
    assert.is(stored, length * (layout === "n3" ? 3 : 2), layout);
  }
});

test("legs under rebuild are written and do not count; blocked and empty ones are left out", () => {
  const state = setUp(4);
  state.setLeg(1, LEG_REBUILDING);
  state.setLeg(2, LEG_BLOCKED);
  state.setLeg(3, LEG_NONE);
  assert.equal(words(plan(state, 0, KIB).writes), ["0 0+1 0", "1 0+1 0 rebuild"]);
});

test("the leg beside a raid slot's own is written too, in a mirror and in a raid10", () => {
  for (const layout of [null, "n2"]) {
    const state = setUp(3, layout);
    state.setLeg(0 + 3, LEG_REBUILDING);
    assert.ok(words(plan(state, 0, KIB).writes).includes("3 0+1 0 rebuild"), layout ?? "raid1");
    assert.not.ok(words(plan(state, 0, KIB).writes).some((word) => word.startsWith("4")));
  }
});

// --- bad blocks ----------------------------------------------------------------------------------

test("a leg that failed no write is written over its bad blocks, to make them good", () => {
  const state = setUp(2);
  state.badBlocks(1).set([[8 * KIB, 12 * KIB]]);
  assert.equal(words(plan(state, 0, 16 * KIB).writes), ["0 0+16 0", "1 0+16 0 heals"]);
});

test("a leg that failed a write is written around its bad blocks, and that does not count", () => {
  const state = setUp(2);
  state.setFlags(1, LEG_WRITE_ERROR);
  state.badBlocks(1).set([
    [0, 2 * KIB],
    [8 * KIB, 12 * KIB],
  ]);
  const { writes } = plan(state, KIB, 15 * KIB);
  assert.equal(words(writes), ["0 1+15 0", "1 2+6 ", "1 12+4 "]);
  assert.equal(Buffer.concat(writes[1]?.pieces ?? [])[0], counting(2 * KIB)[KIB]);
  assert.equal(Buffer.concat(writes[2]?.pieces ?? []).length, 4 * KIB);
});

test("a write that lies in bad blocks as a whole is not sent to that leg", () => {
  const state = setUp(2);
  state.setFlags(1, LEG_WRITE_ERROR);
  state.badBlocks(1).set([[0, 64 * KIB]]);
  assert.equal(words(plan(state, 4 * KIB, 4 * KIB).writes), ["0 4+4 0"]);
});

test("bad blocks elsewhere on the leg change nothing", () => {
  const state = setUp(2);
  state.setFlags(1, LEG_WRITE_ERROR);
  state.badBlocks(1).set([[64 * KIB, 68 * KIB]]);
  assert.equal(words(plan(state, 60 * KIB, 4 * KIB).writes), ["0 60+4 0", "1 60+4 0"]);
});

test("in a raid10 only the extent with bad blocks is kept apart", () => {
  const state = setUp(2, "f2");
  state.setFlags(0, LEG_WRITE_ERROR);
  state.badBlocks(0).set([[CHUNK, CHUNK + 4 * KIB]]);
  // Extents 0, 2, 4 lie one behind the other at the front of leg 0.
  const first = words(plan(state, 0, 6 * CHUNK).writes).filter((word) => /^0 \d{1,3}\+/.test(word));
  assert.ok(first.includes("0 0+64 0"), first.join("; "));
  assert.ok(first.includes("0 68+60 "), first.join("; "));
  assert.ok(first.includes("0 128+64 4"), first.join("; "));
});

test("an extent that may make bad blocks good is kept apart too: only it is healed", () => {
  const state = setUp(2, "f2");
  state.badBlocks(0).set([[CHUNK, CHUNK + 4 * KIB]]);
  const first = words(plan(state, 0, 6 * CHUNK).writes).filter((word) => /^0 \d{1,3}\+/.test(word));
  assert.ok(first.includes("0 64+64 2 heals"), first.join("; "));
  assert.ok(first.includes("0 128+64 4"), first.join("; "));
});

test("zeroes are planned as data is, without data", () => {
  const state = setUp(2);
  state.setFlags(1, LEG_WRITE_ERROR);
  state.badBlocks(1).set([[4 * KIB, 8 * KIB]]);
  const { writes } = plan(state, 0, 16 * KIB, { type: "zero", mayUnmap: true });
  assert.equal(words(writes), ["0 0+16 0", "1 0+4 ", "1 8+8 "]);
  assert.ok(writes.every(({ pieces }) => pieces.length === 0));
});

// --- what counts ---------------------------------------------------------------------------------

test("a request is written once an in-sync leg has each of its extents, unless a record is missing", () => {
  const { request } = plan(setUp(4, "n2"), 0, 2 * CHUNK);
  assert.is(isWritten(request), false);
  request.written[0] = 2;
  assert.is(isWritten(request), false);
  request.written[1] = 1;
  assert.is(isWritten(request), true);
  request.isUnrecorded = true;
  assert.is(isWritten(request), false);
});

test("of a merged write the extents that failed ranges touch do not count, the others do", () => {
  const state = setUp(2, "f2");
  const { request, writes } = plan(state, 0, 4 * CHUNK);
  const write = writes.find(({ leg, position }) => leg === 0 && position === 0);
  assert.ok(write !== undefined);
  const outside = (from: number, to: number) =>
    extentsOutside(state.map, request, write, [[from, to]]);
  assert.equal(outside(0, 512), [2]);
  assert.equal(outside(CHUNK - 512, CHUNK), [2]);
  assert.equal(outside(CHUNK, CHUNK + 512), [0]);
  assert.equal(outside(CHUNK - 512, CHUNK + 512), []);
  assert.equal(outside(2 * CHUNK, 3 * CHUNK), [0, 2]);
});

test("the same holds for the leg beside, in a mirror and in a raid10", () => {
  for (const [layout, at] of [
    [null, 4 * KIB],
    ["f2", CHUNK + 4 * KIB],
  ] as const) {
    const state = setUp(2, layout);
    state.setLeg(3, LEG_IN_SYNC);
    const { request, writes } = plan(state, at, 4 * KIB);
    const beside = writes.find(({ leg }) => leg === 3);
    assert.ok(beside !== undefined && beside.position === 4 * KIB);
    assert.equal(extentsOutside(state.map, request, beside, [[0, 4 * KIB]]), [0]);
    assert.equal(extentsOutside(state.map, request, beside, [[7 * KIB, 8 * KIB]]), []);
  }
});

test("pieces are cut where they must be and no byte is lost", () => {
  const pieces = [counting(10), counting(20).subarray(10), counting(25).subarray(20)];
  for (let from = 0; from <= 25; from++) {
    for (let length = 0; from + length <= 25; length++) {
      const joined = Buffer.concat(slicePieces(pieces, from, length));
      assert.equal([...joined], [...counting(25).subarray(from, from + length)]);
    }
  }
});

test.run();
