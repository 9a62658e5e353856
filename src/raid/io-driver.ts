/**
 * The I/O path of one array in one I/O worker: client reads, writes and flushes go to the legs from
 * here, on the worker's own thread. What this path may not decide alone (set a bitmap bit, record a
 * faulty member) it asks of the array thread through `IoLink` and parks the request meanwhile.
 *
 * Order of a write (Source: drivers/md/md-bitmap.c and raid1.c, see docs/architecture.md):
 * 1. count it as started, 2. array dirty and bits durable, else ask and wait, 3. take its regions,
 * 4. write every leg that is in sync or rebuilding, 5. failed legs recorded faulty durably,
 * 6. FUA: flush every leg, 7. count it as done, acknowledge.
 *
 * In a cluster everything waits while the node may do no I/O (io-gate-driver.ts), also the answer
 * to a write that ends then: others may go on without this node. Writes wait, too, where another
 * node resyncs. Both are asked in the turn that submits the write.
 */

import { piecesLength } from "../common/pieces.ts";
import type { AllocationRun, BlockDevice } from "../hal/block-device.ts";
import { HeldWrites, WriteDrains } from "./held-writes.ts";
import { type IoClock, IoGate } from "./io-gate-driver.ts";
import { LegAllocation } from "./leg-allocation-driver.ts";
import { LegFlushes } from "./leg-flush-driver.ts";
import { LegHandles } from "./leg-handles-driver.ts";
import { LegReads } from "./leg-reads-driver.ts";
import { type IoLink, LegReports } from "./leg-reports.ts";
import { LegWrites } from "./leg-writes-driver.ts";
import { RegionLocks } from "./region-lock.ts";
import type { WaitForRegion } from "./region-wait-driver.ts";
import {
  BIT_DURABLE,
  GATE_EXPELLED,
  LEG_BLOCKED,
  RUN_ACTIVE,
  RUN_READ_ONLY,
  type SharedArrayState,
} from "./shared-state.ts";
import {
  forgetLegs,
  IO_EIO,
  IO_EPERM,
  IO_ESHUTDOWN,
  IO_OK,
  type IoCompletion,
  isWritten,
  makeWriteRequest,
  type WriteContent,
  type WriteRequest,
  writesOverlap,
} from "./write-request.ts";

export interface ArrayIoOptions {
  readonly state: SharedArrayState;
  /** This worker's lane and lock owner number. */
  readonly worker: number;
  readonly link: IoLink;
  /** Whole seconds since the epoch, never 0; for the stall clock. */
  readonly seconds: () => number;
  readonly clock: IoClock;
  readonly waitForRegion: WaitForRegion;
}

export class ArrayIo {
  readonly #state: SharedArrayState;
  readonly #worker: number;
  readonly #link: IoLink;
  readonly #waitForRegion: WaitForRegion;
  readonly #locks: RegionLocks;
  readonly #legs: LegHandles;
  readonly #reports: LegReports;
  readonly #reads: LegReads;
  readonly #writes: LegWrites;
  readonly #flushes: LegFlushes;
  readonly #allocation: LegAllocation;
  readonly #gate: IoGate;
  /** Writes that wait for the cluster's sake: later overlapping ones wait for them. */
  readonly #held: HeldWrites;
  readonly #drains: WriteDrains;
  /** Leg states as `#permitted` saw them last: a write goes by what it was permitted on. */
  readonly #seenLegs: Int32Array;
  #seenEpoch = -1;
  #isLegBlocked = false;
  /** Writes waiting for an intent to be sent, and those of the intent under way. */
  #intentNext: WriteRequest[] = [];
  #intentSent: WriteRequest[] = [];
  /** Writes under way that did not finish at once: later overlapping ones wait for them. */
  readonly #slowWrites = new Set<WriteRequest>();
  /** Writes waiting for a region or for an overlapping write, in order of arrival. */
  #waiting: WriteRequest[] = [];
  #retryQueued = false;
  /** Writes that arrived so far. */
  #arrivals = 0;
  readonly #onLegsDone = (request: WriteRequest): void => this.#legsDone(request);
  readonly #onRetried = (): void => this.#drains.look();
  readonly #regionWaits = new Set<number>();
  #open = 0;
  readonly #whenIdle: (() => void)[] = [];
  #closed = false;

  constructor(options: ArrayIoOptions) {
    this.#state = options.state;
    this.#worker = options.worker;
    this.#link = options.link;
    this.#waitForRegion = options.waitForRegion;
    this.#locks = new RegionLocks(options.state.lockWords, options.worker, true);
    this.#legs = new LegHandles(options.state, options.worker, options.seconds);
    this.#seenLegs = new Int32Array(this.#legs.legs);
    this.#reports = new LegReports(options.link);
    this.#reads = new LegReads(options.state, this.#legs, options.link, options.clock);
    this.#writes = new LegWrites(options.state, this.#legs, this.#reports);
    this.#flushes = new LegFlushes(options.state, this.#legs, this.#reports);
    this.#allocation = new LegAllocation(options.state, this.#legs);
    this.#gate = new IoGate(options.state, options.clock);
    this.#held = new HeldWrites(options.state, options.worker);
    this.#drains = new WriteDrains(this.#slowWrites);
  }

  get sizeBytes(): number {
    return this.#state.map.sizeBytes;
  }

  get state(): SharedArrayState {
    return this.#state;
  }

  /**
   * Gives the worker its own handle of a leg; `dataOffset`: bytes from the start of the member to
   * the array's content. BEFORE the leg's state says anybody may use it.
   */
  openLeg(leg: number, device: BlockDevice, dataOffset: number): void {
    this.#legs.open(leg, device, dataOffset);
    const handle = this.#legs.device(leg);
    void device.gone?.then(({ message }) => {
      if (this.#legs.device(leg) === handle) this.#link.legGone(leg, message);
    });
  }

  /**
   * Closes the handle once no I/O uses it. AFTER the leg's state says nobody may use it. `reason`
   * to give the leg up: reads under way go to others, writes and flushes do without it.
   */
  dropLeg(leg: number, reason: string | null = null): Promise<void> {
    return this.#legs.drop(leg, reason);
  }

  /** Refuses new requests, waits for those under way, closes the legs. Asked again: waits, too. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#open > 0) await new Promise<void>((resolve) => void this.#whenIdle.push(resolve));
    for (let leg = 0; leg < this.#legs.legs; leg++) await this.dropLeg(leg);
  }

  read(target: Uint8Array, offset: number, complete: IoCompletion): void {
    if (this.#closed) return complete(IO_ESHUTDOWN);
    this.#state.countOperation(this.#worker);
    if (this.#gate.isOpen) this.#read(target, offset, complete);
    else this.#later(() => this.#read(target, offset, complete), complete);
  }

  #read(target: Uint8Array, offset: number, complete: IoCompletion): void {
    if (this.#reads.readNow(target, offset)) return complete(IO_OK);
    this.#open++;
    this.#reads.read(target, offset, (errno) => {
      this.#leave();
      complete(errno);
    });
  }

  /** Once the gate is open; `refuse` when it will not open for this request. */
  #later(act: () => void, refuse: IoCompletion): void {
    this.#open++;
    this.#gate.pass((errno) => {
      if (errno === IO_OK) act();
      else refuse(errno);
      this.#leave();
    });
  }

  write(source: readonly Uint8Array[], offset: number, fua: boolean, complete: IoCompletion): void {
    const place = { offset, length: piecesLength(source) };
    this.#begin({ type: "data", pieces: source }, place, fua, complete);
  }

  /**
   * Makes `[offset, offset + length)` read as zeroes on every leg; `mayUnmap`: the members may give
   * the space back. Ordered, recorded and acknowledged as a write is.
   */
  zero(
    offset: number,
    length: number,
    options: { readonly mayUnmap: boolean; readonly fua: boolean },
    complete: IoCompletion,
  ): void {
    const { mayUnmap, fua } = options;
    this.#begin({ type: "zero", mayUnmap }, { offset, length }, fua, complete);
  }

  #begin(
    content: WriteContent,
    place: { readonly offset: number; readonly length: number },
    fua: boolean,
    complete: IoCompletion,
  ): void {
    if (this.#closed) return complete(IO_ESHUTDOWN);
    this.#state.countOperation(this.#worker);
    if (place.length === 0) return complete(IO_OK);
    this.#open++;
    const order = this.#arrivals++;
    const request = makeWriteRequest(content, place, fua, this.#state, complete, order);
    this.#state.beginWrite(this.#worker, request.firstChunk, request.lastChunk);
    this.#advance(request);
  }

  /** True while every leg in use can free the space of what is zeroed without writing zeroes. */
  get punches(): boolean {
    return this.#isEvery((device) => device.punches);
  }

  /** True while every leg in use is known to zero without writing data; `mayUnmap` as in `zero`. */
  zeroesFast(mayUnmap: boolean): boolean {
    return this.#isEvery((device) => device.zeroesFast || (mayUnmap && device.punches));
  }

  #isEvery(holds: (device: BlockDevice) => boolean): boolean {
    for (let leg = 0; leg < this.#legs.legs; leg++) {
      const device = this.#legs.device(leg);
      if (device !== null && !holds(device)) return false;
    }
    return true;
  }

  /**
   * What the array holds from `offset` on, in order: at most ALLOCATION_RUNS_MAX runs of at least
   * one byte and at most `length` together. A hole is told only where every read finds zeroes.
   */
  allocation(
    offset: number,
    length: number,
    complete: (errno: number, runs: readonly AllocationRun[]) => void,
  ): void {
    if (this.#closed) return complete(IO_ESHUTDOWN, []);
    const ask = (): void => {
      this.#open++;
      void this.#allocation.runs(offset, length).then((runs) => {
        this.#leave();
        complete(IO_OK, runs);
      });
    };
    if (this.#gate.isOpen) ask();
    else this.#later(ask, (errno) => complete(errno, []));
  }

  /** Makes every write acknowledged before this call durable on every leg. */
  flush(complete: IoCompletion): void {
    if (this.#closed) return complete(IO_ESHUTDOWN);
    if (this.#gate.isOpen) this.#flush(complete);
    else this.#later(() => this.#flush(complete), complete);
  }

  #flush(complete: IoCompletion): void {
    this.#open++;
    this.#flushes.flush((errno) => {
      this.#leave();
      complete(errno);
    });
  }

  /**
   * `done` once this worker has no write to a member under way in bytes `[from, to)` of the array;
   * one that only waits for a failure to be recorded counts as done. AFTER the range is suspended.
   */
  drain(from: number, to: number, done: () => void): void {
    this.#drains.drain(from, to, done);
  }

  /** What waits for the cluster's sake looks again: a range, or the gate, has changed. */
  poke(): void {
    if (this.#state.gateUntil === GATE_EXPELLED) this.#giveUp();
    this.#gate.look();
    this.#waiting.push(...this.#held.releaseRanges(this.#gate.now()));
    this.#retryWaiting();
  }

  /** Nothing that waits for the array thread is carried out any more: the node was expelled. */
  #giveUp(): void {
    for (const request of this.#intentSent.splice(0)) this.#finish(request, IO_EIO);
    for (const request of this.#intentNext.splice(0)) this.#finish(request, IO_EIO);
    this.#reports.giveUp();
  }

  /** The intent sent last is done (or the array refuses writes): look at its writes again. */
  onIntentReady(): void {
    const ready = this.#intentSent;
    this.#intentSent = [];
    for (const request of ready) this.#advance(request);
    this.#sendIntent();
  }

  /** The array thread has dealt with the report `request`. */
  onLegResolved(request: number, isRecorded: boolean): void {
    this.#reports.onResolved(request, isRecorded);
  }

  #leave(): void {
    this.#open--;
    if (this.#open > 0 || this.#whenIdle.length === 0) return;
    for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  // --- writes -----------------------------------------------------------------------------------

  /** Takes a write as far as it can go now: acknowledged, under way, or parked. */
  #advance(request: WriteRequest): void {
    const state = this.#state;
    if (state.run !== RUN_ACTIVE) {
      return this.#finish(request, state.run === RUN_READ_ONLY ? IO_EPERM : IO_EIO);
    }
    if (this.#isBehind(request)) {
      this.#waiting.push(request);
      return;
    }
    if (!this.#gate.isOpen) return this.#holdForGate(request);
    if (state.isSuspended(request.offset, request.length)) {
      return this.#held.hold(request, "range", this.#gate.now());
    }
    const contended = this.#locks.tryAcquire(request.offset, request.length);
    if (contended >= 0) {
      this.#waiting.push(request);
      return this.#awaitRegion(contended);
    }
    // Under the region lock: only there does the state of the legs count.
    if (!this.#permitted(request)) {
      this.#locks.release(request.offset, request.length);
      return this.#park(request);
    }
    const isDone = this.#writes.write(request, this.#seenLegs, this.#onLegsDone);
    if (!isDone || request.failures.length + request.healed.length > 0)
      this.#slowWrites.add(request);
    if (isDone) this.#legsDone(request);
  }

  /**
   * True when an overlapping write that arrived before is under way, parked or waiting: a client
   * that has both under way gets them in the order it sent them.
   */
  #isBehind(request: WriteRequest): boolean {
    const isEarlier = (other: WriteRequest): boolean =>
      other.order < request.order && writesOverlap(other, request);
    if (this.#slowWrites.size > 0) {
      for (const slow of this.#slowWrites) if (writesOverlap(slow, request)) return true;
    }
    return (
      this.#held.isAhead(request) ||
      (this.#intentNext.length > 0 && this.#intentNext.some(isEarlier)) ||
      (this.#intentSent.length > 0 && this.#intentSent.some(isEarlier)) ||
      (this.#waiting.length > 0 && this.#waiting.some(isEarlier))
    );
  }

  #holdForGate(request: WriteRequest): void {
    const since = this.#gate.now();
    this.#held.hold(request, "gate", since);
    this.#gate.pass((errno) => {
      this.#held.release(request, this.#gate.now());
      if (errno === IO_OK) this.#advance(request);
      else this.#finish(request, errno);
    }, since);
  }

  #permitted(request: WriteRequest): boolean {
    const state = this.#state;
    if (state.clean) return false;
    for (let chunk = request.firstChunk; chunk <= request.lastChunk; chunk++) {
      if (state.bit(chunk) !== BIT_DURABLE) return false;
    }
    this.#lookAtLegs();
    return !this.#isLegBlocked;
  }

  #lookAtLegs(): void {
    const state = this.#state;
    const { epoch } = state;
    if (epoch === this.#seenEpoch) return;
    this.#seenEpoch = epoch;
    this.#isLegBlocked = false;
    for (let leg = 0; leg < this.#seenLegs.length; leg++) {
      const legState = state.leg(leg);
      this.#seenLegs[leg] = legState;
      if (legState === LEG_BLOCKED) this.#isLegBlocked = true;
    }
  }

  #park(request: WriteRequest): void {
    this.#intentNext.push(request);
    this.#sendIntent();
  }

  #sendIntent(): void {
    if (this.#intentSent.length > 0 || this.#intentNext.length === 0) return;
    this.#intentSent = this.#intentNext;
    this.#intentNext = [];
    this.#link.intent(
      this.#intentSent.map((write) => [write.firstChunk, write.lastChunk] as const),
    );
  }

  /** One wait per region word, however many writes are parked on it. */
  #awaitRegion(slot: number): void {
    if (this.#regionWaits.has(slot)) return;
    this.#regionWaits.add(slot);
    void this.#waitForRegion(this.#locks.words, slot).then(() => {
      this.#regionWaits.delete(slot);
      this.#retryWaiting();
    });
  }

  /** However many writes end at once, those that wait look again once. */
  #retrySoon(): void {
    if (this.#waiting.length === 0 || this.#retryQueued) return;
    this.#retryQueued = true;
    queueMicrotask(() => {
      this.#retryQueued = false;
      this.#retryWaiting();
    });
  }

  /** Everything that waited looks again, in order of arrival. */
  #retryWaiting(): void {
    const waiting = this.#waiting.sort((a, b) => a.order - b.order);
    this.#waiting = [];
    for (const request of waiting) this.#advance(request);
  }

  /**
   * Every leg has answered: record failures, then flush if asked, then acknowledge. The regions are
   * held until failures are recorded, so that no copy takes a failed leg's old content for good.
   */
  #legsDone(request: WriteRequest): void {
    this.#drains.look();
    if (request.failures.length + request.healed.length === 0) return this.#written(request);
    this.#writes.settle(request, this.#onRetried, () => this.#written(request));
  }

  #written(request: WriteRequest): void {
    this.#locks.release(request.offset, request.length);
    if (this.#slowWrites.size > 0) this.#slowWrites.delete(request);
    this.#retrySoon();
    if (!isWritten(request)) return this.#finish(request, IO_EIO);
    if (request.isOvertaken) return this.#writeAgain(request);
    if (!request.fua) return this.#finish(request, IO_OK);
    this.#makeDurable(request);
  }

  #writeAgain(request: WriteRequest): void {
    forgetLegs(request);
    this.#advance(request);
  }

  /**
   * In a cluster another node may resync there meanwhile, from a leg that turns out not to keep the
   * write. No drain waits for this: what a failed flush is recorded by waits for that node.
   */
  #makeDurable(request: WriteRequest): void {
    if (this.#state.gateUntil !== 0) this.#slowWrites.add(request);
    this.#flushes.flush((errno, hasFailed) => {
      this.#slowWrites.delete(request);
      const isLost = errno === IO_OK && hasFailed && request.isOvertaken;
      if (isLost) this.#writeAgain(request);
      else this.#finish(request, errno);
    });
  }

  #finish(request: WriteRequest, errno: number): void {
    this.#state.endWrite(this.#worker, request.firstChunk, request.lastChunk);
    this.#retrySoon();
    if (errno !== IO_OK || this.#gate.isOpen) return this.#answer(request, errno);
    this.#gate.pass((verdict) => this.#answer(request, verdict));
  }

  #answer(request: WriteRequest, errno: number): void {
    this.#leave();
    request.complete(errno);
  }
}
