/** A range that another node resyncs, under real threads: once drained, nobody writes there. */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../../src/common/prng.ts";
import {
  BIT_DURABLE,
  createSharedArray,
  LEG_IN_SYNC,
  RUN_ACTIVE,
  SharedArrayState,
  SYNCED_ALL,
} from "../../../src/raid/shared-state.ts";
import type {
  SuspendedWriterData,
  SuspendedWriterRequest,
} from "../../helpers/suspended-writer.ts";
import { withTimeout } from "../../helpers/timeout.ts";

const BYTES = 64 * 1024;
const WORKERS = 2;
const ROUNDS = 300;

const test = suite("raid/suspend-threads");

const newArray = (): SharedArrayState => {
  const map = { raidSlots: 2, componentSectors: BYTES / 512, raid10: null };
  const shape = createSharedArray({ workers: WORKERS, chunks: 1, chunkBytes: BYTES, map });
  const state = new SharedArrayState(shape);
  state.setBit(0, BIT_DURABLE);
  for (const leg of [0, 1]) state.setLeg(leg, LEG_IN_SYNC);
  state.syncedMib = SYNCED_ALL;
  state.run = RUN_ACTIVE;
  return state;
};

test(
  "once a range is suspended and drained no thread writes there, and elsewhere they go on",
  withTimeout(60_000, async () => {
    const state = newArray();
    const members = [new SharedArrayBuffer(BYTES), new SharedArrayBuffer(BYTES)];
    const legs = members.map((buffer) => new Uint8Array(buffer));
    const words = new Int32Array(new SharedArrayBuffer(8));
    const url = new URL("../../helpers/suspended-writer.ts", import.meta.url);
    const errors: unknown[] = [];
    const threads = Array.from({ length: WORKERS }, (_, worker) => {
      const data: SuspendedWriterData = { shape: state.shape, worker, members, words };
      const thread = new Worker(url, { workerData: data });
      thread.on("error", (error) => errors.push(error));
      return thread;
    });
    const exits = threads.map((thread) => once(thread, "exit"));
    const tell = (request: SuspendedWriterRequest): void => {
      for (const thread of threads) thread.postMessage(request);
    };
    const prng = new Prng(7);
    for (let round = 0; round < ROUNDS && errors.length === 0; round++) {
      const from = prng.below(BYTES / 2);
      const to = from + 1 + prng.below(BYTES - from);
      state.suspend(round % 3, from, to);
      const drained = threads.map((thread) => once(thread, "message"));
      tell({ type: "drain", from, to });
      await Promise.all(drained);
      const copies = legs.map((bytes) => bytes.slice(from, to));
      assert.equal(copies[0], copies[1], "no write is half done");
      const before = Atomics.load(words, 0);
      // One range is left open: the writers go on elsewhere until theirs all land in this one.
      for (let look = 0; look < 20; look++) await new Promise(setImmediate);
      for (const [leg, bytes] of legs.entries()) assert.equal(bytes.slice(from, to), copies[leg]);
      state.suspend(round % 3, 0, 0);
      tell({ type: "poke" });
      while (Atomics.load(words, 0) < before + WORKERS && errors.length === 0)
        await new Promise(setImmediate);
    }
    Atomics.store(words, 1, 1);
    await Promise.all(exits);
    assert.equal(errors, []);
    assert.equal(legs[0], legs[1]);
    assert.ok(state.holds.figures().byRange > ROUNDS / 10, "writes were held");
    assert.is(state.holds.figures().held, 0);
  }),
);

test.run();
