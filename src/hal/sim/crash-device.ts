/**
 * A simulated member for crash tests. Fault model, the worst a drive without power protection does:
 *
 * - A completed write lives in the drive's volatile cache. A flush makes every write that completed
 *   before it began durable.
 * - At a power cut each 512-byte sector of every write that is not durable, also of writes under
 *   way, is kept or lost on its own: any subset survives, in any order, so writes tear at sectors.
 * - Calls complete when the scheduler says so; the order in which several calls under way complete
 *   is arbitrary. Read content is what the cache holds at completion. While the device is `quick`
 *   it has synchronous calls too, which complete at once.
 * - Zeroing is a write of zeroes: unflushed, any subset of its sectors is lost.
 */

import { CodedError } from "../../common/errors.ts";
import type { Prng } from "../../common/prng.ts";
import type { AllocationRun, BlockDevice, SyncCalls } from "../block-device.ts";
import { checkRange } from "../device-range.ts";
import { zeroRuns } from "./zero-runs.ts";

const SECTOR = 512;

/** Decides when a call goes on; resolves in some later step of the simulation. */
export type Turn = () => Promise<void>;

interface VolatileWrite {
  readonly offset: number;
  readonly data: Uint8Array;
  completed: boolean;
}

/** What is on the medium, and what is only in the cache. Outlives the handles and the crashes. */
export class SimMedium {
  /** Durable content; then `current` adds what the cache holds. */
  readonly durable: Uint8Array;
  readonly current: Uint8Array;
  #volatile: VolatileWrite[] = [];

  constructor(sizeBytes: number) {
    this.durable = new Uint8Array(sizeBytes);
    this.current = new Uint8Array(sizeBytes);
  }

  /** Content put there before the simulation starts; durable at once. */
  preset(offset: number, data: Uint8Array): void {
    this.durable.set(data, offset);
    this.current.set(data, offset);
  }

  begin(offset: number, data: Uint8Array): VolatileWrite {
    const write = { offset, data, completed: false };
    this.#volatile.push(write);
    return write;
  }

  complete(write: VolatileWrite): void {
    this.current.set(write.data, write.offset);
    write.completed = true;
  }

  /** The writes a flush that begins now must make durable. */
  flushable(): readonly VolatileWrite[] {
    return this.#volatile.filter((write) => write.completed);
  }

  makeDurable(writes: readonly VolatileWrite[]): void {
    const done = new Set(writes);
    // In order of arrival, and only what another flush has not stored yet: never old over new.
    for (const write of this.#volatile) {
      if (done.has(write)) this.durable.set(write.data, write.offset);
    }
    this.#volatile = this.#volatile.filter((write) => !done.has(write));
  }

  /** Power is lost: every volatile sector survives or not, by the dice. */
  crash(prng: Prng): void {
    for (const { data, offset } of this.#volatile) {
      for (let at = 0; at < data.length; ) {
        const end = Math.min(data.length, at + SECTOR - ((offset + at) % SECTOR));
        if (prng.below(2) === 0) this.durable.set(data.subarray(at, end), offset + at);
        at = end;
      }
    }
    this.#volatile = [];
    this.current.set(this.durable);
  }
}

export class SimDevice implements BlockDevice {
  readonly name: string;
  readonly logicalBlockSize = SECTOR;
  readonly readOnly = false;
  readonly punches = true;
  readonly zeroesFast = true;
  readonly #medium: SimMedium;
  readonly #turn: Turn;
  readonly #quick: () => boolean;
  readonly #calls: SyncCalls;
  #open = true;

  /** `quick`: whether calls complete at once just now; must not change between two turns. */
  constructor(name: string, medium: SimMedium, turn: Turn, quick: () => boolean = () => false) {
    this.name = name;
    this.#medium = medium;
    this.#turn = turn;
    this.#quick = quick;
    this.#calls = {
      read: (target, offset) => {
        this.#check(offset, target.length);
        target.set(medium.current.subarray(offset, offset + target.length));
        return true;
      },
      write: (source, offset) => medium.complete(this.#begin(source, offset)),
      flush: () => {
        this.#check(0, 0);
        medium.makeDurable(medium.flushable());
      },
    };
  }

  get sizeBytes(): number {
    return this.#medium.durable.length;
  }

  get sync(): SyncCalls | null {
    return this.#quick() ? this.#calls : null;
  }

  async read(target: Uint8Array, offset: number): Promise<void> {
    this.#check(offset, target.length);
    await this.#turn();
    target.set(this.#medium.current.subarray(offset, offset + target.length));
  }

  async write(source: readonly Uint8Array[], offset: number): Promise<void> {
    const write = this.#begin(source, offset);
    await this.#turn();
    this.#medium.complete(write);
  }

  async zero(offset: number, length: number, _mayUnmap: boolean): Promise<void> {
    this.#check(offset, length);
    await this.write([new Uint8Array(length)], offset);
  }

  async allocation(offset: number, length: number): Promise<readonly AllocationRun[]> {
    this.#check(offset, length);
    await this.#turn();
    return zeroRuns(this.#medium.current, offset, length);
  }

  async flush(): Promise<void> {
    this.#check(0, 0);
    const writes = this.#medium.flushable();
    await this.#turn();
    this.#medium.makeDurable(writes);
  }

  async close(): Promise<void> {
    this.#open = false;
  }

  #begin(source: readonly Uint8Array[], offset: number): VolatileWrite {
    const data = new Uint8Array(source.reduce((total, piece) => total + piece.length, 0));
    let at = 0;
    for (const piece of source) {
      data.set(piece, at);
      at += piece.length;
    }
    this.#check(offset, data.length);
    return this.#medium.begin(offset, data);
  }

  #check(offset: number, length: number): void {
    if (!this.#open) throw new CodedError("HAL_DEVICE_CLOSED", `${this.name}: closed`);
    checkRange(this, offset, length);
  }
}
