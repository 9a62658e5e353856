/**
 * The thread of test/unit/raid/shared-state-threads.test.ts: an I/O worker that does nothing but
 * ask for permission as a write does, and move two words of "the members" while it has it.
 */
import { workerData } from "node:worker_threads";
import { RegionLocks } from "../../src/raid/region-lock.ts";
import {
  BIT_DURABLE,
  type SharedArrayShape,
  SharedArrayState,
} from "../../src/raid/shared-state.ts";

/** What the thread is given. */
export interface WriterData {
  readonly shape: SharedArrayShape;
  readonly worker: number;
  /** 0: the permission is withdrawn while nobody writes; 1 and 2: two legs; 3: ends the loop. */
  readonly words: Int32Array;
  /** Writes done. */
  readonly done: Int32Array;
}

const { shape, worker, words, done }: WriterData = workerData;
const state = new SharedArrayState(shape);
const locks = new RegionLocks(state.lockWords, worker, true);

while (Atomics.load(words, 3) === 0) {
  state.beginWrite(worker, 0, 0);
  if (!state.clean && state.bit(0) === BIT_DURABLE && locks.tryAcquire(0, 1) < 0) {
    if (Atomics.load(words, 0) === 1) throw new Error("a write runs without permission");
    // Not atomic on purpose: only the region lock keeps the two legs equal.
    words[1] = (words[1] ?? 0) + 1;
    words[2] = (words[2] ?? 0) + 1;
    locks.release(0, 1);
    Atomics.add(done, 0, 1);
  }
  state.endWrite(worker, 0, 0);
}
