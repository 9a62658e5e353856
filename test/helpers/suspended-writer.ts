/**
 * The thread of test/unit/raid/suspend-threads.test.ts: an I/O worker whose clients write all over
 * the array without a pause, over members in memory that all threads see.
 */
import { parentPort, workerData } from "node:worker_threads";
import { assert } from "../../src/common/assert.ts";
import { MemoryDevice } from "../../src/hal/sim/memory-device.ts";
import { ArrayIo } from "../../src/raid/io-driver.ts";
import { waitForRegion } from "../../src/raid/region-wait-driver.ts";
import { type SharedArrayShape, SharedArrayState } from "../../src/raid/shared-state.ts";
import { afterMs, monotonicMs } from "../../src/workers/monotonic-clock.ts";

/** What the thread is given. */
export interface SuspendedWriterData {
  readonly shape: SharedArrayShape;
  readonly worker: number;
  readonly members: readonly SharedArrayBuffer[];
  /** Writes answered, of all threads; not 0 in the second word: the end. */
  readonly words: Int32Array;
}

/** What the test asks, as an array thread does. */
export type SuspendedWriterRequest =
  | { readonly type: "drain"; readonly from: number; readonly to: number }
  | { readonly type: "poke" };

const WRITES_AT_ONCE = 8;
const WRITE_BYTES = 512;

const { shape, worker, members, words }: SuspendedWriterData = workerData;
const state = new SharedArrayState(shape);
const io = new ArrayIo({
  state,
  worker,
  link: {
    intent: () => assert(false, "every bit is durable"),
    legReport: () => assert(false, "no leg fails"),
    legGone: () => assert(false, "no leg is gone"),
    readError: () => undefined,
  },
  seconds: () => 1,
  clock: { now: monotonicMs, after: afterMs },
  waitForRegion,
});
for (const [leg, buffer] of members.entries())
  io.openLeg(leg, new MemoryDevice(`leg${leg}`, new Uint8Array(buffer), { isSlow: leg > 0 }), 0);

let next = worker;
let underWay = 0;

const write = (): void => {
  const value = (next % 255) + 1;
  const offset = ((next * 7919) % (io.sizeBytes / WRITE_BYTES)) * WRITE_BYTES;
  next++;
  underWay++;
  io.write([new Uint8Array(WRITE_BYTES).fill(value)], offset, false, (errno) => {
    assert(errno === 0, "every write succeeds");
    underWay--;
    Atomics.add(words, 0, 1);
  });
};

/** Held writes count: the array can be held whole, and then nothing moves. */
const turn = (): void => {
  if (Atomics.load(words, 1) !== 0) return void (underWay === 0 ? parentPort?.close() : again());
  while (underWay < WRITES_AT_ONCE) {
    const before = underWay;
    write();
    if (underWay === before) break;
  }
  again();
};

const again = (): void => void setImmediate(turn);

parentPort?.on("message", (request: SuspendedWriterRequest) => {
  if (request.type === "poke") io.poke();
  else io.drain(request.from, request.to, () => parentPort?.postMessage("drained"));
});
turn();
