/**
 * The I/O path of one worker on the test's bench: legs in memory with switchable faults, and the
 * test in the place of the array thread.
 */
import { assert } from "../../src/common/assert.ts";
import type { BlockDevice } from "../../src/hal/block-device.ts";
import { FaultDevice, type FaultKind, FaultSwitch } from "../../src/hal/layers/fault-device.ts";
import { MemoryDevice } from "../../src/hal/sim/memory-device.ts";
import type { BadRange } from "../../src/raid/bad-block-table.ts";
import { ArrayIo } from "../../src/raid/io-driver.ts";
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

const MIB = 1024 * 1024;
export const CHUNK = MIB;
export const DATA_AT = 4096;

export interface IoBenchOptions {
  readonly legs?: number;
  readonly chunks?: number;
  /** Legs without synchronous calls. */
  readonly slow?: readonly number[];
}

/** A request's answer, once there is one. */
export interface Answer {
  errno: number | null;
}

interface BenchLeg {
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
    readonly kind: string;
    readonly ranges: readonly BadRange[] | null;
  }[] = [];
  readonly readErrors: { readonly leg: number; readonly offset: number }[] = [];
  /** Locks as another thread holds them. */
  readonly others: RegionLocks;
  now = 1000;

  /** A dirty, whole array whose bits are durable; legs differ from nobody. */
  constructor(options: IoBenchOptions = {}) {
    const { legs = 2, chunks = 4, slow = [] } = options;
    const sizes = { chunks, chunkBytes: CHUNK, sizeBytes: chunks * CHUNK };
    const map = { raidSlots: legs, componentSectors: sizes.sizeBytes / 512, raid10: null };
    const shape = createSharedArray({ workers: 2, chunks, chunkBytes: CHUNK, map });
    this.state = new SharedArrayState(shape);
    this.others = new RegionLocks(this.state.lockWords, 1, false);
    this.io = new ArrayIo({
      state: this.state,
      worker: 0,
      seconds: () => this.now,
      waitForRegion,
      link: {
        intent: (ranges) => void this.intents.push(ranges),
        legReport: (request, leg, kind, _message, ranges) =>
          void this.legReports.push({ request, leg, kind, ranges }),
        readError: (leg, offset) => void this.readErrors.push({ leg, offset }),
      },
    });
    this.legs = Array.from({ length: legs }, (_, slot) => {
      const bytes = new Uint8Array(DATA_AT + sizes.sizeBytes);
      const faults = new FaultSwitch();
      const memory = new MemoryDevice(`leg${slot}`, bytes, { isSlow: slow.includes(slot) });
      const device = new FaultDevice(memory, faults, () => Promise.resolve());
      this.io.openLeg(slot, device, DATA_AT);
      this.state.setLeg(slot, LEG_IN_SYNC);
      return { bytes, faults, device };
    });
    for (let chunk = 0; chunk < chunks; chunk++) this.state.setBit(chunk, BIT_DURABLE);
    this.state.syncedMib = SYNCED_ALL;
    this.state.run = RUN_ACTIVE;
  }

  leg(slot: number): BenchLeg {
    const leg = this.legs[slot];
    assert(leg !== undefined, "a leg of the bench");
    return leg;
  }

  fault(slot: number, kind: FaultKind, count: number | null = null): void {
    this.leg(slot).faults.arm({ kind, after: 0, count, range: null, stallMs: 0 });
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

  /** The byte of the array's content on a leg. */
  on(slot: number, offset: number): number {
    return this.leg(slot).bytes[DATA_AT + offset] ?? -1;
  }

  /** The array thread has recorded the failures asked for: the legs are out, the writes go on. */
  resolve(leg: number | null = null): void {
    for (const { request, slot } of this.legErrors.splice(0)) {
      if (leg !== null) this.state.setLeg(slot, leg);
      this.io.onLegResolved(request);
    }
  }

  /** Everything asynchronous that can go on has gone on. */
  async rest(): Promise<void> {
    for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
  }
}
