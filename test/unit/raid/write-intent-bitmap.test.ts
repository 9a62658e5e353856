/** The life of a bit: set, durable, two quiet sweeps, withdrawn, cleared; and what keeps it set. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bitmapSlotBytes, encodeBitmapSuperblock } from "../../../src/raid/bitmap-superblock.ts";
import {
  BIT_CLEAN,
  BIT_DURABLE,
  BIT_FOUND,
  createSharedArray,
  SharedArrayState,
} from "../../../src/raid/shared-state.ts";
import { WriteIntentBitmap } from "../../../src/raid/write-intent-bitmap.ts";
import { sampleBitmap } from "../../helpers/md-samples.ts";

const CHUNK = 64 * 1024;
/** Bits in the first page, behind its superblock. */
const FIRST_PAGE = (4096 - 256) * 8;

const setUp = (chunks = 16) => {
  const sizeBytes = chunks * CHUNK;
  const map = { raidSlots: 2, componentSectors: sizeBytes / 512, raid10: null };
  const shape = createSharedArray({ workers: 2, chunks, chunkBytes: CHUNK, map });
  const shared = new SharedArrayState(shape);
  const head = sampleBitmap({ chunkBytes: CHUNK, syncSize: sizeBytes / 512 });
  const bitmap = new WriteIntentBitmap(head, shared);
  const area = (...set: readonly number[]): Uint8Array => {
    const bytes = new Uint8Array(bitmapSlotBytes(chunks));
    bytes.set(encodeBitmapSuperblock(head));
    for (const chunk of set)
      bytes[256 + (chunk >> 3)] = (bytes[256 + (chunk >> 3)] ?? 0) | (1 << (chunk & 7));
    return bytes;
  };
  const setBits = () => Array.from({ length: chunks }, (_, c) => c).filter((c) => bitmap.isSet(c));
  const bitsThatAre = (state: number) =>
    Array.from({ length: chunks }, (_, c) => c).filter((c) => shared.bit(c) === state);
  const durable = () => bitsThatAre(BIT_DURABLE);
  const found = () => bitsThatAre(BIT_FOUND);
  const write = (chunk: number) => {
    shared.beginWrite(0, chunk, chunk);
    shared.endWrite(0, chunk, chunk);
  };
  return { shared, bitmap, area, setBits, durable, found, write };
};

const test = suite("raid/write-intent-bitmap");

test("a set bit lets writes go on only once it is durable", () => {
  const { shared, bitmap, setBits } = setUp();
  bitmap.set(3, 5);
  assert.equal(setBits(), [3, 4, 5]);
  assert.is(shared.bit(4), BIT_CLEAN);
  bitmap.takeDirtyPages();
  bitmap.markDurable(3, 5);
  assert.is(shared.bit(4), BIT_DURABLE);
  assert.is(shared.bit(6), BIT_CLEAN);
});

test("a bit that is not in the image can never be called durable", () => {
  const { bitmap } = setUp();
  bitmap.set(3, 3);
  assert.throws(() => bitmap.markDurable(3, 4), /not set/);
});

test("a bit is cleared after two sweeps without a write, and no earlier", () => {
  const { bitmap, setBits } = setUp();
  bitmap.set(1, 2);
  bitmap.markDurable(1, 2);
  assert.equal(bitmap.sweep(), []);
  const candidates = bitmap.sweep();
  assert.equal(candidates, [1, 2]);
  assert.equal(bitmap.withdraw(candidates), [1, 2]);
  bitmap.clear([1, 2]);
  assert.equal(setBits(), []);
});

test("a write between two sweeps, or still under way, starts the count again", () => {
  const { shared, bitmap, write } = setUp();
  bitmap.set(0, 1);
  bitmap.markDurable(0, 1);
  bitmap.sweep();
  write(0);
  shared.beginWrite(1, 1, 1);
  assert.equal(bitmap.sweep(), []);
  assert.equal(bitmap.sweep(), []);
  assert.equal(bitmap.sweep(), [0]);
  shared.endWrite(1, 1, 1);
  bitmap.sweep();
  assert.equal(bitmap.sweep(), [0, 1]);
});

test("making a set bit durable again starts the count again", () => {
  const { bitmap } = setUp();
  bitmap.set(2, 2);
  bitmap.markDurable(2, 2);
  bitmap.sweep();
  bitmap.markDurable(2, 2);
  assert.equal(bitmap.sweep(), []);
  assert.equal(bitmap.sweep(), [2]);
});

test("a chunk that a write used since the sweep keeps bit and permission", () => {
  const { shared, bitmap, write, setBits } = setUp();
  bitmap.set(1, 3);
  bitmap.markDurable(1, 3);
  bitmap.sweep();
  const candidates = bitmap.sweep();
  write(1);
  shared.beginWrite(0, 3, 3);
  assert.equal(bitmap.withdraw(candidates), [2]);
  assert.equal(
    [1, 2, 3].map((chunk) => shared.bit(chunk)),
    [BIT_DURABLE, BIT_CLEAN, BIT_DURABLE],
  );
  bitmap.clear(candidates);
  assert.equal(setBits(), [1, 3]);
});

test("a withdrawn chunk that is asked for again before it is cleared stays set", () => {
  const { bitmap, setBits } = setUp();
  bitmap.set(1, 1);
  bitmap.markDurable(1, 1);
  bitmap.sweep();
  const withdrawn = bitmap.withdraw(bitmap.sweep());
  bitmap.markDurable(1, 1);
  bitmap.clear(withdrawn);
  assert.equal(setBits(), [1]);
});

test("a chunk whose bit was not durable gains nothing from a withdrawal that fails", () => {
  const { shared, bitmap, area, write } = setUp();
  bitmap.load([area(4), area()]);
  bitmap.sweep();
  const candidates = bitmap.sweep();
  assert.equal(candidates, [4]);
  write(4);
  assert.equal(bitmap.withdraw(candidates), []);
  assert.is(shared.bit(4), BIT_FOUND);
});

test("chunks that need a resync are never offered and never cleared", () => {
  const { bitmap, setBits } = setUp();
  bitmap.set(0, 2);
  bitmap.markDurable(0, 2);
  bitmap.needSetChunks();
  assert.is(bitmap.neededChunks, 3);
  bitmap.settle(1);
  for (let sweep = 0; sweep < 5; sweep++) bitmap.sweep();
  assert.equal(bitmap.sweep(), [1]);
  bitmap.withdraw([0, 1, 2]);
  bitmap.clear([0, 1, 2]);
  assert.equal(setBits(), [0, 2]);
});

test("a settled chunk ages from then on", () => {
  const { bitmap } = setUp();
  bitmap.set(7, 7);
  bitmap.need(7);
  bitmap.need(7);
  assert.is(bitmap.neededChunks, 1);
  bitmap.sweep();
  bitmap.settle(7);
  bitmap.settle(7);
  assert.is(bitmap.neededChunks, 0);
  assert.equal(bitmap.sweep(), []);
  assert.equal(bitmap.sweep(), [7]);
});

for (const [what, areas, set] of [
  [
    "both legs agree",
    [
      [1, 2],
      [1, 2],
    ],
    [1, 2],
  ],
  [
    "a bit is on one leg only",
    [
      [1, 2],
      [2, 3],
    ],
    [1, 2, 3],
  ],
  ["a leg's bitmap could not be read", [[1, 2]], [1, 2]],
  ["three legs, one behind", [[5], [], [5]], [5]],
] as const) {
  test(`loading: ${what}`, () => {
    const { bitmap, area, setBits, found, durable } = setUp();
    bitmap.load(areas.map((bits) => area(...bits)));
    assert.equal(setBits(), set);
    assert.equal(found(), set);
    assert.equal(durable(), [], "who wrote them may not have flushed them");
    assert.ok(bitmap.takeDirtyPages().length > 0, "the legs are brought in line");
  });
}

test("merging adds the bits of a leg that comes back and counts the new ones", () => {
  const { bitmap, area, setBits, durable } = setUp();
  bitmap.set(1, 2);
  bitmap.markDurable(1, 2);
  assert.is(bitmap.merge(area(2, 9)), 1);
  assert.equal(setBits(), [1, 2, 9]);
  assert.equal(durable(), [1, 2]);
});

test("a filled bitmap has every bit set and none durable", () => {
  const { bitmap, durable } = setUp();
  bitmap.fill();
  assert.is(bitmap.setChunks, 16);
  assert.equal(durable(), []);
});

test("pages are written once per change, neighbours together, and again when a leg failed", () => {
  const { bitmap } = setUp(3 * 32768);
  bitmap.takeDirtyPages();
  bitmap.set(0, 0);
  bitmap.set(FIRST_PAGE, FIRST_PAGE);
  bitmap.set(FIRST_PAGE + 2 * 32768, FIRST_PAGE + 2 * 32768);
  const writes = bitmap.takeDirtyPages();
  assert.equal(
    writes.map(({ offset, data }) => [offset, data.length]),
    [
      [0, 8192],
      [3 * 4096, 4096],
    ],
  );
  assert.equal(bitmap.takeDirtyPages(), []);
  bitmap.markPagesDirty(writes);
  assert.equal(bitmap.takeDirtyPages().length, 2);
});

test("what was handed out to be written does not change with the next bit", () => {
  const { bitmap } = setUp();
  bitmap.set(0, 0);
  const [write] = bitmap.takeDirtyPages();
  bitmap.set(1, 1);
  assert.is(write?.data[256], 1);
  assert.is(bitmap.wholeArea().data[256], 3);
});

test("the header is due only when it changed", () => {
  const { bitmap } = setUp();
  bitmap.takeDirtyPages();
  bitmap.setHeader(20, 20);
  assert.equal(bitmap.takeDirtyPages(), []);
  bitmap.setHeader(21, 20);
  assert.is(bitmap.takeDirtyPages().length, 1);
  assert.is(bitmap.superblock.events, 21);
});

test("an area that is too short for the chunks is a defect", () => {
  const { bitmap } = setUp();
  assert.throws(() => bitmap.load([new Uint8Array(100)]), /short/);
});

test.run();
