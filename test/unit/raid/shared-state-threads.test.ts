/** The two-sided checks of the shared state and the region locks, under real threads. */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { RegionLocks } from "../../../src/raid/region-lock.ts";
import {
  BIT_CLEAN,
  BIT_DURABLE,
  createSharedArray,
  SharedArrayState,
} from "../../../src/raid/shared-state.ts";
import type { WriterData } from "../../helpers/shared-state-writer.ts";
import { withTimeout } from "../../helpers/timeout.ts";

const WRITERS = 2;
const ROUNDS = 2000;
/** The permission must have been taken away this often while nobody was writing. */
const WITHDRAWN = 50;

const test = suite("raid/shared-state-threads");

/** Takes the permission away as the array thread does; true when no write is under way. */
const withdraw = (state: SharedArrayState, by: "clean" | "bit"): boolean => {
  if (by === "clean") state.clean = true;
  else state.setBit(0, BIT_CLEAN);
  const isQuiet = by === "clean" ? state.writes().underWay === 0 : !state.chunkWrites(0).underWay;
  return isQuiet;
};

test(
  "no write runs while its permission is withdrawn, and overlapping writes keep legs equal",
  withTimeout(60_000, async () => {
    const map = { raidSlots: 2, componentSectors: 8, raid10: null };
    const shape = createSharedArray({ workers: WRITERS, chunkBytes: 4096, chunks: 1, map });
    const state = new SharedArrayState(shape);
    const words = new Int32Array(new SharedArrayBuffer(16));
    const done = new Int32Array(new SharedArrayBuffer(4));
    state.setBit(0, BIT_DURABLE);
    const url = new URL("../../helpers/shared-state-writer.ts", import.meta.url);
    const errors: unknown[] = [];
    const writers = Array.from({ length: WRITERS }, (_, worker) => {
      const data: WriterData = { shape, worker, words, done };
      const thread = new Worker(url, { workerData: data });
      thread.on("error", (error) => errors.push(error));
      return once(thread, "exit");
    });
    while (Atomics.load(done, 0) < WRITERS) await new Promise(setImmediate);
    const locks = new RegionLocks(state.lockWords, WRITERS, false);
    let withdrawn = 0;
    const isEnough = (round: number) => round >= ROUNDS && withdrawn >= WITHDRAWN;
    for (let round = 0; !isEnough(round) && errors.length === 0; round++) {
      const by = round % 2 === 0 ? "clean" : "bit";
      if (withdraw(state, by)) {
        withdrawn++;
        Atomics.store(words, 0, 1);
        const seen = Atomics.load(words, 1);
        for (let look = 0; look < 50; look++) assert.is(Atomics.load(words, 1), seen);
        Atomics.store(words, 0, 0);
      }
      state.clean = false;
      state.setBit(0, BIT_DURABLE);
      if (locks.tryAcquire(0, 1) < 0) {
        assert.is(words[1], words[2], "no write is half done under the lock");
        locks.release(0, 1);
      }
      if (round % 64 === 0) await new Promise(setImmediate);
    }
    Atomics.store(words, 3, 1);
    await Promise.all(writers);
    assert.equal(errors, []);
    assert.is(words[1], words[2]);
    assert.is(words[1], Atomics.load(done, 0), "no write was lost");
  }),
);

test.run();
