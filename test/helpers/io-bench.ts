/**
 * The I/O path of one worker on the test's bench: legs in memory with switchable faults, and the
 * test in the place of the array thread.
 */
import { assert } from "../../src/common/assert.ts";
import type { BlockDevice } from "../../src/hal/block-device.ts";
import { FaultDevice, type FaultKind, FaultSwitch } from "../../src/hal/layers/fault-device.ts";
import { MemoryDevice } from "../../src/hal/sim/memory-device.ts";
import { ArrayMap, type ArrayMapShape } from "../../src/raid/array-map.ts";
import type { BadRange } from "../../src/raid/bad-block-table.ts";
import { ArrayIo } from "../../src/raid/io-driver.ts";
import type { LegReportKind } from "../../src/raid/leg-reports.ts";
import { parseRaid10Layout } from "../../src/raid/raid10-layout.ts";
import { RegionLocks } from "../../src/raid/region-lock.ts";
import { waitForRegion } from "../../src/raid/region-wait-driver.ts";
import {
  BIT_DURABLE,
  createSharedArray,
  LEG_IN_SYNC,
  RUN_ACTIVE,
  SharedArrayState,
  SYNCED_ALL,
} from "../../src/raid/shared-state.ts";
import { ManualClock } from "./manual-clock.ts";

const MIB = 1024 * 1024;
export const CHUNK = MIB;
export const DATA_AT = 4096;

const done = Promise.resolve();

export interface IoBenchOptions {
  /** Raid slots, each with one leg. */
  readonly legs?: number;
  /** Raid slots with a second leg, `slot + legs`. */
  readonly beside?: readonly number[];
  /** MiB of each member. */
  readonly chunks?: number;
  /** `n2`, `f2` … in chunks of `stripeBytes`; null for raid1. */
  readonly layout?: string | null;
  readonly stripeBytes?: number;
  /** Legs without synchronous calls. */
  readonly slow?: readonly number[];
  /** Flags of every leg. */
  readonly flags?: number;
  /** A layer over a leg's device. */
  readonly wrap?: (device: BlockDevice, leg: number) => BlockDevice;
}

/** A request's answer, once there is one. */
export interface Answer {
  errno: number | null;
}

interface BenchLeg {
  readonly leg: number;
  readonly bytes: Uint8Array;
  readonly faults: FaultSwitch;
  readonly device: BlockDevice;
}

export class IoBench {
  readonly state: SharedArrayState;
  readonly io: ArrayIo;
  readonly legs: readonly BenchLeg[];
  /** What the worker asked of the array thread, oldest first. */
  readonly intents: (readonly (readonly [number, number])[])[] = [];
  readonly legReports: {
    readonly request: number;
    readonly leg: number;
    readonly kind: LegReportKind;
    readonly ranges: readonly BadRange[] | null;
  }[] = [];
  /** Legs of which this worker's handle fails every call. */
  readonly gone: number[] = [];
  readonly readErrors: {
    readonly leg: number;
    readonly offset: number;
    readonly length: number;
  }[] = [];
  /** Locks as another thread holds them. */
  readonly others: RegionLocks;
  now = 1000;
  /** Of the gate. */
  readonly clock = new ManualClock();
  readonly #held = Promise.withResolvers<undefined>();

  /** A dirty, whole array whose bits are durable; legs differ from nobody. */
  constructor(options: IoBenchOptions = {}) {
    const { legs = 2, beside = [], chunks = 4, slow = [], flags = 0 } = options;
    const map = mapOf(legs, (chunks * CHUNK) / 512, options);
    const bits = Math.ceil(new ArrayMap(map).sizeBytes / CHUNK);
    this.state = new SharedArrayState(
      createSharedArray({ workers: 2, chunks: bits, chunkBytes: CHUNK, map }),
    );
    this.others = new RegionLocks(this.state.lockWords, 1, false);
    this.io = new ArrayIo({
      state: this.state,
      worker: 0,
      seconds: () => this.now,
      clock: this.clock,
      waitForRegion,
      link: {
        intent: (ranges) => void this.intents.push(ranges),
        legReport: (request, leg, kind, _message, ranges) =>
          void this.legReports.push({ request, leg, kind, ranges }),
        legGone: (leg) => void this.gone.push(leg),
        readError: (leg, offset, length) => void this.readErrors.push({ leg, offset, length }),
      },
    });
    const numbers = Array.from({ length: legs }, (_, slot) => slot);
    this.legs = [...numbers, ...beside.map((slot) => slot + legs)].map((leg) => {
      const bytes = new Uint8Array(DATA_AT + chunks * CHUNK);
      const faults = new FaultSwitch();
      const memory = new MemoryDevice(`leg${leg}`, bytes, { isSlow: slow.includes(leg) });
      const faulty = new FaultDevice(memory, faults, (ms) => (ms > 0 ? this.#held.promise : done));
      const device = options.wrap?.(faulty, leg) ?? faulty;
      this.io.openLeg(leg, device, DATA_AT);
      this.state.setLeg(leg, LEG_IN_SYNC);
      this.state.setFlags(leg, flags);
      return { leg, bytes, faults, device };
    });
    for (let chunk = 0; chunk < bits; chunk++) this.state.setBit(chunk, BIT_DURABLE);
    this.state.syncedMib = SYNCED_ALL;
    this.state.run = RUN_ACTIVE;
  }

  leg(number: number): BenchLeg {
    const found = this.legs.find(({ leg }) => leg === number);
    assert(found !== undefined, "a leg of the bench");
    return found;
  }

  fault(leg: number, kind: FaultKind, count: number | null = null): void {
    this.leg(leg).faults.arm({ kind, after: 0, count, range: null, stallMs: 0 });
  }

  /** From now on the leg's calls wait until `release`. */
  hang(leg: number): void {
    const fault = { kind: "stall", after: 0, count: null, range: null, stallMs: 1 } as const;
    this.leg(leg).faults.arm(fault);
  }

  /** What was held goes on, and nothing more is. */
  async release(): Promise<void> {
    for (const { faults } of this.legs) faults.disarmAll();
    this.#held.resolve(undefined);
    await this.rest();
  }

  /** From now on `[from, to)` of the leg's data fails. */
  spoil(leg: number, kind: FaultKind, [from, to]: BadRange): void {
    const range = { offset: DATA_AT + from, length: to - from };
    this.leg(leg).faults.arm({ kind, after: 0, count: null, range, stallMs: 0 });
  }

  write(offset: number, value: number, length = 512, fua = false): Answer {
    const answer: Answer = { errno: null };
    this.io.write([new Uint8Array(length).fill(value)], offset, fua, (errno) => {
      assert(answer.errno === null, "a write is answered once");
      answer.errno = errno;
    });
    return answer;
  }

  flush(): Answer {
    const answer: Answer = { errno: null };
    this.io.flush((errno) => {
      answer.errno = errno;
    });
    return answer;
  }

  /** Reads one byte's worth: the errno, or the value found. */
  read(offset: number, length = 1): Answer & { readonly target: Uint8Array } {
    const target = new Uint8Array(length);
    const answer = { errno: null as number | null, target };
    this.io.read(target, offset, (errno) => {
      answer.errno = errno;
    });
    return answer;
  }

  /** The byte behind a leg's data offset. */
  on(leg: number, position: number): number {
    return this.leg(leg).bytes[DATA_AT + position] ?? -1;
  }

  /** Puts bytes behind a leg's data offset, past the worker. */
  store(leg: number, position: number, data: Uint8Array): void {
    this.leg(leg).bytes.set(data, DATA_AT + position);
  }

  /** What was reported of which leg. */
  get reported(): (readonly [leg: number, kind: LegReportKind])[] {
    return this.legReports.map(({ leg, kind }) => [leg, kind]);
  }

  /**
   * The array thread has dealt with what was reported: the legs are in this state now (null: as
   * before), and the requests go on.
   */
  resolve(legState: number | null, isRecorded: boolean): void {
    for (const { request, leg } of this.legReports.splice(0)) {
      if (legState !== null) this.state.setLeg(leg, legState);
      this.io.onLegResolved(request, isRecorded);
    }
  }

  /** Everything asynchronous that can go on has gone on. */
  async rest(): Promise<void> {
    for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
  }
}

const mapOf = (
  raidSlots: number,
  componentSectors: number,
  { layout = null, stripeBytes = 64 * 1024 }: IoBenchOptions,
): ArrayMapShape => {
  if (layout === null) return { raidSlots, componentSectors, raid10: null };
  const parsed = parseRaid10Layout(layout);
  assert(parsed !== null, "a layout that md accepts");
  return {
    raidSlots,
    componentSectors,
    raid10: { layout: parsed, chunkSectors: stripeBytes / 512 },
  };
};
