/**
 * The state of one running array that its threads share, in one SharedArrayBuffer.
 *
 * Every word has one writer: the array thread writes the header, the leg states and the bitmap
 * states; each I/O worker writes its own lane (counts of writes started and done). The region
 * locks are the one exception, see region-lock.ts.
 *
 * The two-sided check that makes this safe (all accesses are sequentially consistent Atomics):
 * a worker first counts its write as started, THEN looks whether it may go on (bit durable, array
 * dirty); the array thread first takes the permission back, THEN looks whether a write is under
 * way, and gives it back if one is. So a write never runs without its bit on the members.
 */

import { ArrayMap, type ArrayMapShape } from "./array-map.ts";
import { BAD_BLOCK_TABLE_BYTES, BadBlockTable } from "./bad-block-table.ts";
import { BITMAP_NODES_MAX } from "./bitmap-superblock.ts";
import { REGION_SLOTS } from "./region-lock.ts";
import { HOLD_WORDS, WriteHolds } from "./write-holds.ts";

/** Most raid slots of an array. Choice: far above any sane mirror, keeps the header fixed. */
export const RAID_SLOTS_MAX = 32;
/**
 * Each raid slot has two legs, `slot` and `slot + raidSlots`: a member, and one that is written
 * beside it to take its place (md's replacement). Either may hold the member; one is the rule.
 */
const LEGS_MAX = 2 * RAID_SLOTS_MAX;
/** Most I/O workers of a daemon. */
export const WORKERS_MAX = 16;

/** Values of `run`. */
export const RUN_STOPPED = 0;
export const RUN_ACTIVE = 1;
export const RUN_READ_ONLY = 2;
/** No in-sync member can be written; reads still go to what is left. */
export const RUN_BROKEN = 3;

/** Leg states. A blocked leg is about to be recorded faulty; nobody writes until that is done. */
export const LEG_NONE = 0;
export const LEG_REBUILDING = 1;
export const LEG_IN_SYNC = 2;
export const LEG_BLOCKED = 3;

/** Leg flags. Read it only when no other leg can be. */
export const LEG_WRITE_MOSTLY = 1;
/** The first error fails it. */
export const LEG_FAILFAST = 2;
/** It failed a write since the start: its bad blocks are not written any more. */
export const LEG_WRITE_ERROR = 4;
/** It has a bad-block list: what cannot be written is noted there instead of failing the leg. */
export const LEG_NOTES_BAD_BLOCKS = 8;

/** Bitmap chunk states: the bit is on every leg's bitmap, or it is not. */
export const BIT_CLEAN = 0;
export const BIT_DURABLE = 1;
/** It was found set at the start: a power cut could still take it away. Not to be written by. */
export const BIT_FOUND = 2;

/** `syncedMib` when no resync is pending: reads may use any in-sync leg. */
export const SYNCED_ALL = 0x7fffffff;

const HEADER_RUN = 0;
const HEADER_CLEAN = 1;
const HEADER_EPOCH = 2;
const HEADER_SYNCED_MIB = 3;
const HEADER_CLUSTER = 4;
const HEADER_LEGS = 16;
const HEADER_FLAGS = HEADER_LEGS + LEGS_MAX;
const HEADER_WORDS = HEADER_FLAGS + LEGS_MAX;
/** Per lane: started, done, operations, then the stall clock of each leg. */
const LANE_STARTED = 0;
const LANE_DONE = 1;
const LANE_OPERATIONS = 2;
const LANE_STALLS = 16;
const LANE_WORDS = LANE_STALLS + LEGS_MAX;
/** In the header's cluster word: how many slots resync a range, and this: no read is balanced. */
const BALANCING_HELD = 1 << 16;
/** Value of `gateUntil`: closed, for now or until the node is out; it waits. */
export const GATE_CLOSED = 1;
/** Value of `gateUntil`: the others go on without this node, it never opens again. */
export const GATE_EXPELLED = -1;
/** Milliseconds until which the node may do I/O, then from and to of what each slot resyncs. */
const GATE = 0;
const SUSPENDED = 1;
const CLUSTER_WORDS = SUSPENDED + 2 * BITMAP_NODES_MAX;

/** What two threads must agree on to share an array; plain values, sent once to each worker. */
export interface SharedArrayShape {
  readonly buffer: SharedArrayBuffer;
  readonly workers: number;
  readonly chunks: number;
  /** Bytes per bitmap chunk; an array without a bitmap has one chunk that covers it all. */
  readonly chunkBytes: number;
  readonly map: ArrayMapShape;
}

const align = (bytes: number): number => Math.ceil(bytes / 64) * 64;

const sizes = (workers: number, chunks: number, raidSlots: number) => {
  const lanesAt = align(HEADER_WORDS * 4);
  const locksAt = lanesAt + align(LANE_WORDS * 4) * workers;
  const bitsAt = locksAt + align(REGION_SLOTS * 4);
  const countsAt = bitsAt + align(chunks);
  const badAt = countsAt + align(chunks * 4) * workers * 2;
  const clusterAt = align(badAt + raidSlots * 2 * BAD_BLOCK_TABLE_BYTES);
  const holdsAt = align(clusterAt + CLUSTER_WORDS * 8);
  const total = holdsAt + align(HOLD_WORDS * 4) * workers;
  return { lanesAt, locksAt, bitsAt, countsAt, badAt, clusterAt, holdsAt, total };
};

/** Makes the shared buffer of an array, zeroed: stopped, no legs, no bits. */
export const createSharedArray = (shape: Omit<SharedArrayShape, "buffer">): SharedArrayShape => ({
  ...shape,
  buffer: new SharedArrayBuffer(sizes(shape.workers, shape.chunks, shape.map.raidSlots).total),
});

export class SharedArrayState {
  readonly shape: SharedArrayShape;
  readonly #header: Int32Array;
  readonly #lanes: readonly Int32Array[];
  readonly #started: readonly Int32Array[];
  readonly #done: readonly Int32Array[];
  readonly #bits: Uint8Array;
  readonly #badBlocks: readonly BadBlockTable[];
  readonly #cluster: Float64Array;
  readonly map: ArrayMap;
  /** Writes that waited for the cluster's sake; each I/O worker writes its own lane. */
  readonly holds: WriteHolds;
  /** Legs there are: two for each raid slot. */
  readonly legs: number;
  readonly lockWords: Int32Array;

  constructor(shape: SharedArrayShape) {
    const { buffer, workers, chunks } = shape;
    const at = sizes(workers, chunks, shape.map.raidSlots);
    this.map = new ArrayMap(shape.map);
    this.legs = shape.map.raidSlots * 2;
    const perWorker = <T>(make: (worker: number) => T): T[] =>
      Array.from({ length: workers }, (_, w) => make(w));
    this.shape = shape;
    this.#header = new Int32Array(buffer, 0, HEADER_WORDS);
    this.#lanes = perWorker(
      (w) => new Int32Array(buffer, at.lanesAt + w * align(LANE_WORDS * 4), LANE_WORDS),
    );
    this.#cluster = new Float64Array(buffer, at.clusterAt, CLUSTER_WORDS);
    this.holds = new WriteHolds(
      perWorker((w) => new Int32Array(buffer, at.holdsAt + w * align(HOLD_WORDS * 4), HOLD_WORDS)),
    );
    this.lockWords = new Int32Array(buffer, at.locksAt, REGION_SLOTS);
    this.#bits = new Uint8Array(buffer, at.bitsAt, chunks);
    const counts = (index: number) =>
      new Int32Array(buffer, at.countsAt + index * align(chunks * 4), chunks);
    this.#started = perWorker((w) => counts(w * 2));
    this.#done = perWorker((w) => counts(w * 2 + 1));
    this.#badBlocks = Array.from(
      { length: this.legs },
      (_, leg) => new BadBlockTable(buffer, at.badAt + leg * BAD_BLOCK_TABLE_BYTES),
    );
  }

  get run(): number {
    return Atomics.load(this.#header, HEADER_RUN);
  }

  set run(value: number) {
    Atomics.store(this.#header, HEADER_RUN, value);
  }

  /** True while the superblocks say clean: a write must ask the array thread first. */
  get clean(): boolean {
    return Atomics.load(this.#header, HEADER_CLEAN) === 1;
  }

  set clean(value: boolean) {
    Atomics.store(this.#header, HEADER_CLEAN, value ? 1 : 0);
  }

  /** Reads that end beyond this many MiB use the first in-sync leg only (stable reads). */
  get syncedMib(): number {
    return Atomics.load(this.#header, HEADER_SYNCED_MIB);
  }

  set syncedMib(value: number) {
    Atomics.store(this.#header, HEADER_SYNCED_MIB, value);
  }

  /**
   * Until when the node may do I/O, milliseconds of the monotonic clock that all threads share
   * (process.hrtime); 0: no gate, as on a board that is in no cluster; GATE_EXPELLED. Array thread
   * only sets it.
   */
  get gateUntil(): number {
    return this.#cluster[GATE] ?? 0;
  }

  set gateUntil(value: number) {
    this.#cluster[GATE] = value;
  }

  /** False while copies may differ anywhere: reads use the first in-sync leg only. */
  get balances(): boolean {
    return (Atomics.load(this.#header, HEADER_CLUSTER) & BALANCING_HELD) === 0;
  }

  set balances(value: boolean) {
    if (value) Atomics.and(this.#header, HEADER_CLUSTER, ~BALANCING_HELD);
    else Atomics.or(this.#header, HEADER_CLUSTER, BALANCING_HELD);
  }

  /**
   * Array thread only: node `slot` resyncs bytes `[from, to)` of the array, instead of what it did
   * before; 0, 0: nothing. AFTER it the workers are asked for what they have under way there.
   */
  suspend(slot: number, from: number, to: number): void {
    const at = SUSPENDED + 2 * slot;
    const was = this.#cluster[at + 1] ?? 0;
    // A reader may see one word of two: between them the range is never smaller than either.
    if (to > 0) Atomics.add(this.#header, HEADER_CLUSTER, was > 0 ? 0 : 1);
    this.#cluster[at] = Math.min(this.#cluster[at] ?? 0, from);
    this.#cluster[at + 1] = Math.max(was, to);
    this.#cluster[at] = from;
    this.#cluster[at + 1] = to;
    if (to === 0 && was > 0) Atomics.sub(this.#header, HEADER_CLUSTER, 1);
  }

  /** Whether another node resyncs any of these bytes: no write may begin there. */
  isSuspended(offset: number, length: number): boolean {
    const word = Atomics.load(this.#header, HEADER_CLUSTER);
    return (word & ~BALANCING_HELD) !== 0 && this.#isInRange(offset, length);
  }

  /**
   * Whether another node may be making copies equal among these bytes: reads go to the first
   * in-sync leg in md's order, and nothing is told of holes.
   */
  isOrdered(offset: number, length: number): boolean {
    const word = Atomics.load(this.#header, HEADER_CLUSTER);
    if (word === 0) return false;
    return (word & BALANCING_HELD) !== 0 || this.#isInRange(offset, length);
  }

  #isInRange(offset: number, length: number): boolean {
    for (let at = SUSPENDED; at < CLUSTER_WORDS; at += 2) {
      const from = this.#cluster[at] ?? 0;
      if ((this.#cluster[at + 1] ?? 0) > offset && from < offset + length) return true;
    }
    return false;
  }

  /** Changes whenever a leg's state or flags do. */
  get epoch(): number {
    return Atomics.load(this.#header, HEADER_EPOCH);
  }

  leg(leg: number): number {
    return Atomics.load(this.#header, HEADER_LEGS + leg);
  }

  /** Array thread only. Bumps the epoch, so that parked writes look again. */
  setLeg(leg: number, value: number): void {
    Atomics.store(this.#header, HEADER_LEGS + leg, value);
    Atomics.add(this.#header, HEADER_EPOCH, 1);
  }

  flags(leg: number): number {
    return Atomics.load(this.#header, HEADER_FLAGS + leg);
  }

  /** Array thread only. */
  setFlags(leg: number, value: number): void {
    Atomics.store(this.#header, HEADER_FLAGS + leg, value);
    Atomics.add(this.#header, HEADER_EPOCH, 1);
  }

  /** Bad blocks of a leg, in bytes behind its data offset. */
  badBlocks(leg: number): BadBlockTable {
    const table = this.#badBlocks[leg];
    if (table === undefined) throw new RangeError("no such leg");
    return table;
  }

  bit(chunk: number): number {
    return Atomics.load(this.#bits, chunk);
  }

  /** Array thread only. */
  setBit(chunk: number, value: number): void {
    Atomics.store(this.#bits, chunk, value);
  }

  /** Array thread only: all chunks at once. */
  fillBits(value: number): void {
    this.#bits.fill(value);
  }

  /** Worker `worker` begins a write on chunks [first, last]. BEFORE it looks at bits or `clean`. */
  beginWrite(worker: number, first: number, last: number): void {
    this.#bump(this.#lanes[worker], LANE_STARTED);
    for (let chunk = first; chunk <= last; chunk++) this.#bump(this.#started[worker], chunk);
  }

  /** Worker `worker` ended the write: all legs took it, or its failure is recorded. */
  endWrite(worker: number, first: number, last: number): void {
    for (let chunk = first; chunk <= last; chunk++) this.#bump(this.#done[worker], chunk);
    this.#bump(this.#lanes[worker], LANE_DONE);
  }

  /** Worker `worker` counts a client request, so that sync actions see the array is busy. */
  countOperation(worker: number): void {
    this.#bump(this.#lanes[worker], LANE_OPERATIONS);
  }

  /** Sum of all lanes: writes started minus done, and a value that changes with every write. */
  writes(): { readonly underWay: number; readonly started: number } {
    let started = 0;
    let underWay = 0;
    for (const lane of this.#lanes) {
      const done = Atomics.load(lane, LANE_DONE);
      const begun = Atomics.load(lane, LANE_STARTED);
      started = (started + begun) | 0;
      underWay += (begun - done) | 0;
    }
    return { underWay, started };
  }

  /** A value that changes with every client request. */
  operations(): number {
    let sum = 0;
    for (const lane of this.#lanes) sum = (sum + Atomics.load(lane, LANE_OPERATIONS)) | 0;
    return sum;
  }

  /** Writes started on a chunk (changes with each), and whether any is under way. */
  chunkWrites(chunk: number): { readonly started: number; readonly underWay: boolean } {
    let started = 0;
    let underWay = false;
    for (let worker = 0; worker < this.shape.workers; worker++) {
      const done = this.#load(this.#done[worker], chunk);
      const begun = this.#load(this.#started[worker], chunk);
      started = (started + begun) | 0;
      if (done !== begun) underWay = true;
    }
    return { started, underWay };
  }

  /** Worker `worker` has an I/O on the leg under way since `seconds` (0 = none). */
  setStall(worker: number, leg: number, seconds: number): void {
    const lane = this.#lanes[worker];
    if (lane !== undefined) Atomics.store(lane, LANE_STALLS + leg, seconds);
  }

  /** The oldest I/O under way on the leg, in seconds of the workers' clock; 0 = none. */
  stall(leg: number): number {
    let oldest = 0;
    for (const lane of this.#lanes) {
      const since = Atomics.load(lane, LANE_STALLS + leg);
      if (since !== 0 && (oldest === 0 || since < oldest)) oldest = since;
    }
    return oldest;
  }

  #bump(words: Int32Array | undefined, index: number): void {
    if (words === undefined) throw new RangeError("no such lane");
    Atomics.store(words, index, ((words[index] ?? 0) + 1) | 0);
  }

  #load(words: Int32Array | undefined, index: number): number {
    return words === undefined ? 0 : Atomics.load(words, index);
  }
}
