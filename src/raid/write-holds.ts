/**
 * How many client writes waited for the cluster's sake, and for how long: words that the threads of
 * an array share, a lane for each I/O worker, which alone writes it. Times fall into buckets that
 * grow by a quarter of a doubling, so a percentile is at most a fifth too high.
 */

import { assert } from "../common/assert.ts";
import type { HoldReason, WriteHoldFigures } from "./hold-status.ts";

const BY_RANGE = 0;
const BY_GATE = 1;
const ENDED = 2;
const MAX_MICROSECONDS = 3;
const BUCKETS_AT = 4;
const BUCKETS_PER_DOUBLING = 4;
/** Choice: the last bucket begins at two minutes, twice as long as a write waits for the gate. */
const BUCKETS = 108;
/** Words of one lane. */
export const HOLD_WORDS = BUCKETS_AT + BUCKETS;

const bucketOf = (microseconds: number): number =>
  Math.min(BUCKETS - 1, Math.floor(BUCKETS_PER_DOUBLING * Math.log2(microseconds + 1)));

/** Where the bucket ends, milliseconds. */
const endOf = (bucket: number): number => 2 ** ((bucket + 1) / BUCKETS_PER_DOUBLING) / 1000;

export class WriteHolds {
  readonly #lanes: readonly Int32Array[];

  /** One lane of HOLD_WORDS for each I/O worker. */
  constructor(lanes: readonly Int32Array[]) {
    this.#lanes = lanes;
  }

  /** Worker `worker` holds a write. */
  began(worker: number, reason: HoldReason): void {
    this.#add(worker, reason === "range" ? BY_RANGE : BY_GATE);
  }

  /** The write goes on, or has failed, AFTER `began`. */
  ended(worker: number, milliseconds: number): void {
    const microseconds = Math.min(2 ** 31 - 1, Math.max(0, Math.round(milliseconds * 1000)));
    const lane = this.#lane(worker);
    if (microseconds > Atomics.load(lane, MAX_MICROSECONDS))
      Atomics.store(lane, MAX_MICROSECONDS, microseconds);
    this.#add(worker, BUCKETS_AT + bucketOf(microseconds));
    this.#add(worker, ENDED);
  }

  /** Sums over all workers. */
  figures(): WriteHoldFigures {
    const sum = new Float64Array(HOLD_WORDS);
    let max = 0;
    for (const lane of this.#lanes) {
      max = Math.max(max, Atomics.load(lane, MAX_MICROSECONDS));
      for (let word = 0; word < HOLD_WORDS; word++)
        sum[word] = (sum[word] ?? 0) + Atomics.load(lane, word);
    }
    const [byRange = 0, byGate = 0, ended = 0] = sum;
    const maxMs = max / 1000;
    const percentile = (part: number): number => {
      const buckets = sum.subarray(BUCKETS_AT);
      const wanted = part * buckets.reduce((total, count) => total + count, 0);
      let seen = 0;
      for (const [bucket, count] of buckets.entries()) {
        seen += count;
        if (count > 0 && seen >= wanted) return Math.min(endOf(bucket), maxMs);
      }
      return 0;
    };
    const held = Math.max(0, byRange + byGate - ended);
    return { byRange, byGate, held, p50Ms: percentile(0.5), p99Ms: percentile(0.99), maxMs };
  }

  #lane(worker: number): Int32Array {
    const lane = this.#lanes[worker];
    assert(lane !== undefined, "a lane for each worker");
    return lane;
  }

  #add(worker: number, word: number): void {
    const lane = this.#lane(worker);
    Atomics.store(lane, word, (Atomics.load(lane, word) + 1) | 0);
  }
}
