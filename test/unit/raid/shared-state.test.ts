/** The words that threads share: one writer each, counted before looked at. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  BIT_CLEAN,
  BIT_DURABLE,
  createSharedArray,
  LEG_BLOCKED,
  LEG_IN_SYNC,
  LEG_NONE,
  RAID_SLOTS_MAX,
  RUN_ACTIVE,
  RUN_STOPPED,
  SharedArrayState,
  SYNCED_ALL,
} from "../../../src/raid/shared-state.ts";

const MIB = 1024 * 1024;

const shapeOf = (workers = 3, chunks = 10) => {
  const map = { raidSlots: RAID_SLOTS_MAX, componentSectors: (chunks * MIB) / 512, raid10: null };
  return createSharedArray({ workers, chunks, chunkBytes: MIB, map });
};

const test = suite("raid/shared-state");

test("a new array is stopped, without legs, bits or writes", () => {
  const state = new SharedArrayState(shapeOf());
  assert.is(state.run, RUN_STOPPED);
  assert.is(state.clean, false);
  for (let slot = 0; slot < RAID_SLOTS_MAX; slot++) assert.is(state.leg(slot), LEG_NONE);
  for (let chunk = 0; chunk < 10; chunk++) assert.is(state.bit(chunk), BIT_CLEAN);
  assert.equal(state.writes(), { underWay: 0, started: 0 });
});

test("what one thread stores every other view of the shape sees, and nothing else changes", () => {
  const shape = shapeOf();
  const writer = new SharedArrayState(shape);
  const reader = new SharedArrayState(shape);
  writer.run = RUN_ACTIVE;
  writer.clean = true;
  writer.syncedMib = SYNCED_ALL;
  writer.setLeg(3, LEG_BLOCKED);
  writer.setLeg(RAID_SLOTS_MAX - 1, LEG_IN_SYNC);
  writer.setBit(9, BIT_DURABLE);
  assert.is(reader.run, RUN_ACTIVE);
  assert.is(reader.clean, true);
  assert.is(reader.syncedMib, SYNCED_ALL);
  assert.equal(
    [0, 1, 2, 3].map((slot) => reader.leg(slot)),
    [0, 0, 0, LEG_BLOCKED],
  );
  assert.is(reader.leg(RAID_SLOTS_MAX - 1), LEG_IN_SYNC);
  assert.equal(
    [8, 9].map((chunk) => reader.bit(chunk)),
    [BIT_CLEAN, BIT_DURABLE],
  );
  assert.equal(reader.writes(), { underWay: 0, started: 0 });
});

test("writes of several workers are under way until each has ended", () => {
  const state = new SharedArrayState(shapeOf());
  state.beginWrite(0, 2, 4);
  state.beginWrite(2, 4, 4);
  assert.equal(state.writes(), { underWay: 2, started: 2 });
  assert.equal(
    [1, 2, 4, 5].map((chunk) => state.chunkWrites(chunk).underWay),
    [false, true, true, false],
  );
  state.endWrite(0, 2, 4);
  assert.equal(
    [2, 4].map((chunk) => state.chunkWrites(chunk).underWay),
    [false, true],
  );
  state.endWrite(2, 4, 4);
  assert.equal(state.writes(), { underWay: 0, started: 2 });
  assert.is(state.chunkWrites(4).underWay, false);
});

test("a write that has ended still shows: it changes the count of its chunks and of the array", () => {
  const state = new SharedArrayState(shapeOf());
  const before = { array: state.writes().started, chunk: state.chunkWrites(3).started };
  state.beginWrite(1, 3, 3);
  state.endWrite(1, 3, 3);
  assert.is.not(state.writes().started, before.array);
  assert.is.not(state.chunkWrites(3).started, before.chunk);
  assert.is(state.chunkWrites(2).started, 0);
});

test("every client request changes the count of operations", () => {
  const state = new SharedArrayState(shapeOf());
  const seen = new Set<number>();
  for (const worker of [0, 1, 2, 1]) {
    state.countOperation(worker);
    seen.add(state.operations());
  }
  assert.is(seen.size, 4);
});

test("the oldest stall of any worker counts", () => {
  const state = new SharedArrayState(shapeOf());
  assert.is(state.stall(1), 0);
  state.setStall(0, 1, 500);
  state.setStall(2, 1, 400);
  assert.is(state.stall(1), 400);
  assert.is(state.stall(0), 0);
  state.setStall(2, 1, 0);
  assert.is(state.stall(1), 500);
});

test("a lane that does not exist is a defect", () => {
  const state = new SharedArrayState(shapeOf(1));
  assert.throws(() => state.beginWrite(1, 0, 0), /no such lane/);
});

test.run();
