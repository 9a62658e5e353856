/** Exclusive regions: two owners, one owner twice, waiters that are not starved, shared words. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { REGION_BYTES, REGION_SLOTS, RegionLocks } from "../../../src/raid/region-lock.ts";
import { waitForRegion } from "../../../src/raid/region-wait-driver.ts";

const setUp = () => {
  const words = new Int32Array(new SharedArrayBuffer(REGION_SLOTS * 4));
  return {
    words,
    a: new RegionLocks(words, 0, true),
    b: new RegionLocks(words, 1, true),
    strict: new RegionLocks(words, 2, false),
  };
};

const test = suite("raid/region-lock");

test("what one owner holds another cannot take, down to the byte", () => {
  for (const [offset, length, isTaken] of [
    [0, 1, true],
    [REGION_BYTES - 1, 1, true],
    [REGION_BYTES - 1, 2, true],
    [REGION_BYTES, 1, false],
    [5 * REGION_BYTES, 100, false],
  ] as const) {
    const { a, b } = setUp();
    assert.is(a.tryAcquire(100, 50), -1);
    assert.is(b.tryAcquire(offset, length) >= 0, isTaken, `${length} bytes at ${offset}`);
  }
});

test("a request takes all its regions or none", () => {
  const { a, b, words } = setUp();
  assert.is(a.tryAcquire(3 * REGION_BYTES, 1), -1);
  assert.is(b.tryAcquire(0, 5 * REGION_BYTES), 3);
  assert.equal([words[0], words[1], words[2], words[4]], [0, 0, 0, 0]);
  a.release(3 * REGION_BYTES, 1);
  assert.is(b.tryAcquire(0, 5 * REGION_BYTES), -1);
  b.release(0, 5 * REGION_BYTES);
  assert.ok(words.every((word) => word === 0));
});

test("an owner that orders itself enters twice, and the region is free after as many exits", () => {
  const { a, b, words } = setUp();
  for (let holds = 0; holds < 3; holds++) assert.is(a.tryAcquire(0, 8), -1);
  for (let holds = 0; holds < 2; holds++) {
    a.release(0, 8);
    assert.is(b.tryAcquire(0, 8), 0, "it is still held");
  }
  a.release(0, 8);
  assert.is(words[0], 0);
  assert.is(b.tryAcquire(0, 8), -1);
});

test("an owner that does not order itself waits for itself", () => {
  const { strict } = setUp();
  assert.is(strict.tryAcquire(0, 8), -1);
  assert.is(strict.tryAcquire(0, 8), 0);
  assert.is(strict.tryAcquire(REGION_BYTES, 8), -1);
  strict.release(0, 8);
  assert.is(strict.tryAcquire(0, 8), -1);
});

test("a waiter keeps the owner from entering again, so it gets its turn", () => {
  const { a, b } = setUp();
  assert.is(a.tryAcquire(0, 8), -1);
  assert.is(b.tryAcquire(0, 8), 0);
  assert.is(a.tryAcquire(0, 8), 0, "somebody waits: no entering again");
  a.release(0, 8);
  assert.is(b.tryAcquire(0, 8), -1);
  b.release(0, 8);
  assert.is(a.tryAcquire(0, 8), -1, "the mark went with the hold");
});

test("regions that share a word wait for each other and are never lost", () => {
  const { a, b, words } = setUp();
  const far = REGION_SLOTS * REGION_BYTES;
  assert.is(a.tryAcquire(0, 8), -1);
  assert.is(b.tryAcquire(far, 8), 0);
  a.release(0, 8);
  assert.is(a.tryAcquire(0, 8), -1);
  assert.is(a.tryAcquire(far, 8), -1, "one owner may hold both");
  a.release(far, 8);
  a.release(0, 8);
  assert.is(words[0], 0);
});

test("giving back what is not held is a defect", () => {
  const { a, b } = setUp();
  assert.throws(() => a.release(0, 8), /not held/);
  assert.is(a.tryAcquire(0, 8), -1);
  assert.throws(() => b.release(0, 8), /not held/);
});

test("a request over more regions than there are words is a defect", () => {
  const { a } = setUp();
  assert.throws(() => a.tryAcquire(0, (REGION_SLOTS + 1) * REGION_BYTES), /more regions/);
});

test("a waiter wakes when the holder lets go, also in the same thread", async () => {
  const { a, b, words } = setUp();
  assert.is(a.tryAcquire(0, 8), -1);
  const slot = b.tryAcquire(0, 8);
  const waiting = waitForRegion(words, slot);
  a.release(0, 8);
  await waiting;
  assert.is(b.tryAcquire(0, 8), -1);
});

test("waiting for a region that is free ends at once", async () => {
  const { words } = setUp();
  await waitForRegion(words, 5);
});

test.run();
