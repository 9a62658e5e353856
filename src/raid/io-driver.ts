/**
 * The I/O path of one array in one I/O worker: client reads, writes and flushes go to the legs from
 * here, on the worker's own thread. What this path may not decide alone (set a bitmap bit, record a
 * faulty member) it asks of the array thread through `IoLink` and parks the request meanwhile.
 *
 * Order of a write (Source: drivers/md/md-bitmap.c and raid1.c, see docs/architecture.md):
 * 1. count it as started, 2. array dirty and bits durable, else ask and wait, 3. take its regions,
 * 4. write every leg that is in sync or rebuilding, 5. failed legs recorded faulty durably,
 * 6. FUA: flush every leg, 7. count it as done, acknowledge.
 */

import type { BlockDevice } from "../hal/block-device.ts";
import { LegHandles } from "./leg-handles-driver.ts";
import { chooseReadLeg } from "./read-balance.ts";
import { RegionLocks } from "./region-lock.ts";
import type { WaitForRegion } from "./region-wait-driver.ts";
import {
  BIT_DURABLE,
  LEG_BLOCKED,
  LEG_IN_SYNC,
  LEG_NONE,
  LEG_REBUILDING,
  RUN_ACTIVE,
  RUN_BROKEN,
  RUN_READ_ONLY,
  type SharedArrayState,
} from "./shared-state.ts";
import {
  IO_EIO,
  IO_EPERM,
  IO_ESHUTDOWN,
  IO_OK,
  type IoCompletion,
  makeWriteRequest,
  type WriteRequest,
  writesOverlap,
} from "./write-request.ts";

/** What a worker asks of the array thread. Answers come back through `ArrayIo.onIntentReady` … */
export interface IoLink {
  /** Make the array dirty and these chunk ranges' bits durable; answered by `onIntentReady`. */
  intent(ranges: readonly (readonly [number, number])[]): void;
  /** A leg failed; record it faulty, then answer with `onLegResolved(request)`. */
  legError(request: number, slot: number, op: "write" | "flush", message: string): void;
  /** A leg could not be read here though another could: rewrite it there. */
  readError(slot: number, offset: number, length: number, message: string): void;
}

export interface ArrayIoOptions {
  readonly state: SharedArrayState;
  /** This worker's lane and lock owner number. */
  readonly worker: number;
  readonly link: IoLink;
  /** Whole seconds since the epoch, never 0; for the stall clock. */
  readonly seconds: () => number;
  readonly waitForRegion: WaitForRegion;
}

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

export class ArrayIo {
  readonly #state: SharedArrayState;
  readonly #worker: number;
  readonly #link: IoLink;
  readonly #waitForRegion: WaitForRegion;
  readonly #locks: RegionLocks;
  readonly #legs: LegHandles;
  /** Leg states as `#permitted` saw them last: a write goes by what it was permitted on. */
  readonly #seenLegs: Int32Array;
  /** Writes waiting for an intent to be sent, and those of the intent under way. */
  #intentNext: WriteRequest[] = [];
  #intentSent: WriteRequest[] = [];
  /** Writes under way that did not finish at once: later overlapping ones wait for them. */
  readonly #slowWrites = new Set<WriteRequest>();
  /** Writes waiting for a region or for an overlapping write, in order of arrival. */
  #waiting: WriteRequest[] = [];
  #retryQueued = false;
  readonly #regionWaits = new Set<number>();
  readonly #resolving = new Map<number, () => void>();
  #nextRequest = 1;
  #flushNext: IoCompletion[] = [];
  #flushRunning = false;
  #open = 0;
  #idle: ((value: undefined) => void) | null = null;
  #closed = false;

  constructor(options: ArrayIoOptions) {
    this.#state = options.state;
    this.#worker = options.worker;
    this.#link = options.link;
    this.#waitForRegion = options.waitForRegion;
    this.#locks = new RegionLocks(options.state.lockWords, options.worker, true);
    this.#legs = new LegHandles(options.state, options.worker, options.seconds);
    this.#seenLegs = new Int32Array(this.#legs.slots);
  }

  get sizeBytes(): number {
    return this.#state.shape.sizeBytes;
  }

  get state(): SharedArrayState {
    return this.#state;
  }

  /**
   * Gives the worker its own handle of a leg; `dataOffset`: bytes from the start of the member to
   * the array's content. BEFORE the leg's state says anybody may use it.
   */
  openLeg(slot: number, device: BlockDevice, dataOffset: number): void {
    this.#legs.open(slot, device, dataOffset);
  }

  /** Closes the handle once no I/O uses it. AFTER the leg's state says nobody may use it. */
  dropLeg(slot: number): Promise<void> {
    return this.#legs.drop(slot);
  }

  /** Refuses new requests, waits for those under way, closes the legs. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#open > 0) {
      await new Promise<undefined>((resolve) => {
        this.#idle = resolve;
      });
    }
    for (let slot = 0; slot < this.#legs.slots; slot++) await this.dropLeg(slot);
  }

  read(target: Uint8Array, offset: number, complete: IoCompletion): void {
    if (this.#closed) return complete(IO_ESHUTDOWN);
    this.#state.countOperation(this.#worker);
    this.#open++;
    this.#readFrom(target, offset, 0, complete);
  }

  write(source: readonly Uint8Array[], offset: number, fua: boolean, complete: IoCompletion): void {
    if (this.#closed) return complete(IO_ESHUTDOWN);
    this.#state.countOperation(this.#worker);
    this.#open++;
    const request = makeWriteRequest(source, offset, fua, this.#state.shape.chunkBytes, complete);
    if (request.length === 0) {
      this.#leave();
      return complete(IO_OK);
    }
    this.#state.beginWrite(this.#worker, request.firstChunk, request.lastChunk);
    this.#advance(request);
  }

  /** Makes every write acknowledged before this call durable on every leg. */
  flush(complete: IoCompletion): void {
    if (this.#closed) return complete(IO_ESHUTDOWN);
    this.#open++;
    this.#flushLegs((errno) => {
      this.#leave();
      complete(errno);
    });
  }

  /** The intent sent last is done (or the array refuses writes): look at its writes again. */
  onIntentReady(): void {
    const ready = this.#intentSent;
    this.#intentSent = [];
    for (const request of ready) this.#advance(request);
    this.#sendIntent();
  }

  /** The array thread has dealt with the leg error `request`. */
  onLegResolved(request: number): void {
    const resume = this.#resolving.get(request);
    this.#resolving.delete(request);
    resume?.();
  }

  #leave(): void {
    this.#open--;
    if (this.#open === 0) this.#idle?.(undefined);
  }

  // --- reads ------------------------------------------------------------------------------------

  #slowLegs(): number {
    let slow = 0;
    for (let slot = 0; slot < this.#legs.slots; slot++) {
      if (this.#legs.device(slot)?.sync === null) slow |= 1 << slot;
    }
    return slow;
  }

  #readFrom(target: Uint8Array, offset: number, tried: number, complete: IoCompletion): void {
    const slot = chooseReadLeg(this.#state, offset, target.length, tried, this.#slowLegs());
    const device = this.#legs.device(slot);
    if (device === null) {
      this.#leave();
      return complete(IO_EIO);
    }
    const sync = device.sync;
    if (sync === null) return this.#readSlowly(device, slot, target, offset, tried, complete);
    try {
      sync.read(target, this.#legs.position(slot, offset));
    } catch (error) {
      return this.#readElsewhere(slot, error, target, offset, tried, complete);
    }
    this.#readDone(target, offset, tried, complete);
  }

  #readSlowly(
    device: BlockDevice,
    slot: number,
    target: Uint8Array,
    offset: number,
    tried: number,
    complete: IoCompletion,
  ): void {
    this.#legs.use(slot);
    device.read(target, this.#legs.position(slot, offset)).then(
      () => {
        this.#legs.free(slot);
        this.#readDone(target, offset, tried, complete);
      },
      (error: unknown) => {
        this.#legs.free(slot);
        this.#readElsewhere(slot, error, target, offset, tried, complete);
      },
    );
  }

  #readElsewhere(
    slot: number,
    error: unknown,
    target: Uint8Array,
    offset: number,
    tried: number,
    complete: IoCompletion,
  ): void {
    this.#readErrors.set(slot, messageOf(error));
    this.#readFrom(target, offset, tried | (1 << slot), complete);
  }

  /** Last read error per slot, for the report once another leg has answered. */
  readonly #readErrors = new Map<number, string>();

  #readDone(target: Uint8Array, offset: number, tried: number, complete: IoCompletion): void {
    for (let slot = 0; tried !== 0 && slot < this.#legs.slots; slot++) {
      if ((tried & (1 << slot)) === 0) continue;
      this.#link.readError(slot, offset, target.length, this.#readErrors.get(slot) ?? "read error");
    }
    this.#leave();
    complete(IO_OK);
  }

  // --- writes -----------------------------------------------------------------------------------

  /** Takes a write as far as it can go now: acknowledged, under way, or parked. */
  #advance(request: WriteRequest): void {
    const state = this.#state;
    if (state.run !== RUN_ACTIVE) {
      return this.#finish(request, state.run === RUN_READ_ONLY ? IO_EPERM : IO_EIO);
    }
    if (!this.#permitted(request)) return this.#park(request);
    for (const slow of this.#slowWrites) {
      if (writesOverlap(slow, request)) {
        this.#waiting.push(request);
        return;
      }
    }
    const contended = this.#locks.tryAcquire(request.offset, request.length);
    if (contended >= 0) {
      this.#waiting.push(request);
      return this.#awaitRegion(contended);
    }
    // A leg may have become blocked since: its state counts only under the region lock.
    if (!this.#permitted(request)) {
      this.#locks.release(request.offset, request.length);
      return this.#park(request);
    }
    this.#writeLegs(request);
  }

  #permitted(request: WriteRequest): boolean {
    const state = this.#state;
    if (state.clean) return false;
    for (let chunk = request.firstChunk; chunk <= request.lastChunk; chunk++) {
      if (state.bit(chunk) !== BIT_DURABLE) return false;
    }
    for (let slot = 0; slot < this.#legs.slots; slot++) {
      const leg = state.leg(slot);
      if (leg === LEG_BLOCKED) return false;
      this.#seenLegs[slot] = leg;
    }
    return true;
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
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const request of waiting) this.#advance(request);
  }

  /** A leg that is blocked from here on is written all the same: skipping it takes a record. */
  #writeLegs(request: WriteRequest): void {
    let slow = 0;
    for (let slot = 0; slot < this.#legs.slots; slot++) {
      const leg = this.#seenLegs[slot];
      if (leg !== LEG_IN_SYNC && leg !== LEG_REBUILDING) continue;
      const device = this.#legs.device(slot);
      if (device === null) {
        request.failures.push({ slot, message: "not open in this thread" });
        continue;
      }
      const sync = device.sync;
      if (sync === null) {
        slow++;
        this.#writeSlowly(request, device, slot, leg);
        continue;
      }
      try {
        sync.write(request.source, this.#legs.position(slot, request.offset));
        if (leg === LEG_IN_SYNC) request.legsWritten++;
      } catch (error) {
        request.failures.push({ slot, message: messageOf(error) });
      }
    }
    if (slow > 0 || request.failures.length > 0) this.#slowWrites.add(request);
    if (slow === 0) this.#legsDone(request);
  }

  #writeSlowly(request: WriteRequest, device: BlockDevice, slot: number, leg: number): void {
    request.legsPending++;
    this.#legs.use(slot);
    const settle = () => {
      this.#legs.free(slot);
      request.legsPending--;
      if (request.legsPending === 0) this.#legsDone(request);
    };
    device.write(request.source, this.#legs.position(slot, request.offset)).then(
      () => {
        if (leg === LEG_IN_SYNC) request.legsWritten++;
        settle();
      },
      (error: unknown) => {
        request.failures.push({ slot, message: messageOf(error) });
        settle();
      },
    );
  }

  /**
   * Every leg has answered: record failures, then flush if asked, then acknowledge. The regions are
   * held until failures are recorded, so that no copy takes a failed leg's old content for good.
   */
  #legsDone(request: WriteRequest): void {
    if (request.failures.length === 0) return this.#written(request);
    this.#resolveFailures(request.failures, "write", () => this.#written(request));
  }

  #written(request: WriteRequest): void {
    this.#locks.release(request.offset, request.length);
    this.#slowWrites.delete(request);
    this.#retrySoon();
    if (request.legsWritten === 0 || this.#isUnrecorded(request.failures))
      return this.#finish(request, IO_EIO);
    if (!request.fua) return this.#finish(request, IO_OK);
    this.#flushLegs((errno) => this.#finish(request, errno));
  }

  #resolveFailures(
    failures: readonly { readonly slot: number; readonly message: string }[],
    op: "write" | "flush",
    then: () => void,
  ): void {
    let open = failures.length;
    if (open === 0) return then();
    for (const failure of failures) {
      const id = this.#nextRequest++;
      this.#resolving.set(id, () => {
        open--;
        if (open === 0) then();
      });
      this.#link.legError(id, failure.slot, op, failure.message);
    }
  }

  /**
   * True when a leg that failed is still in use: it is the last one in sync, the others failed
   * meanwhile, or the array broke. What succeeded on the others counts for nothing then.
   */
  #isUnrecorded(failures: readonly { readonly slot: number }[]): boolean {
    const state = this.#state;
    if (failures.length === 0) return false;
    if (state.run === RUN_BROKEN) return true;
    return failures.some(({ slot }) => state.leg(slot) === LEG_IN_SYNC);
  }

  #finish(request: WriteRequest, errno: number): void {
    this.#state.endWrite(this.#worker, request.firstChunk, request.lastChunk);
    this.#leave();
    request.complete(errno);
  }

  // --- flush ------------------------------------------------------------------------------------

  /** Joins the next flush round: one that begins after this call. */
  #flushLegs(complete: IoCompletion): void {
    this.#flushNext.push(complete);
    if (!this.#flushRunning) this.#flushRound();
  }

  #flushRound(): void {
    const round = this.#flushNext;
    this.#flushNext = [];
    this.#flushRunning = true;
    let pending = 1;
    let flushed = 0;
    const failures: { slot: number; message: string }[] = [];
    const settle = () => {
      pending--;
      if (pending > 0) return;
      this.#resolveFailures(failures, "flush", () => {
        this.#flushRunning = false;
        if (this.#flushNext.length > 0) this.#flushRound();
        const isDone = flushed > 0 && !this.#isUnrecorded(failures);
        for (const complete of round) complete(isDone ? IO_OK : IO_EIO);
      });
    };
    for (let slot = 0; slot < this.#legs.slots; slot++) {
      const leg = this.#state.leg(slot);
      const device = this.#legs.device(slot);
      if (leg === LEG_NONE || device === null) continue;
      pending++;
      this.#legs.use(slot);
      device.flush().then(
        () => {
          if (leg === LEG_IN_SYNC) flushed++;
          this.#legs.free(slot);
          settle();
        },
        (error: unknown) => {
          failures.push({ slot, message: messageOf(error) });
          this.#legs.free(slot);
          settle();
        },
      );
    }
    settle();
  }
}
