/** A running array on simulated media as a block device: the product's engine, no threads. */
import { CodedError } from "../../src/common/errors.ts";
import { Prng } from "../../src/common/prng.ts";
import type { AllocationRun, BlockDevice } from "../../src/hal/block-device.ts";
import { checkRange } from "../../src/hal/device-range.ts";
import { FaultSwitch } from "../../src/hal/layers/fault-device.ts";
import { SimMedium } from "../../src/hal/sim/crash-device.ts";
import { createOnMedia, GEOMETRY, simShape } from "../sim/media.ts";
import { Scheduler } from "../sim/scheduler.ts";
import { drive, SimArray, type SimLeg } from "../sim/sim-array.ts";

const SYNC_SPEED = 2 ** 40;
/** Steps of the scheduler between two ticks of the array's clock, and the milliseconds of one. */
const STEPS_PER_TICK = 16;
const TICK_MS = 20;
const RAID10_CHUNK_SECTORS = 128;

export interface MemoryArrayOptions {
  readonly legs: number;
  /** `n2`, `f2` … in chunks of 64 KiB; raid1 when absent. */
  readonly layout?: string;
  readonly seed: number;
  /** Of 8 looks at a leg, how many find it answering at once. */
  readonly quickness: number;
}

/** Starts the array; `device` reads and writes through its first and second I/O path in turns. */
export async function startMemoryArray(options: MemoryArrayOptions) {
  const prng = new Prng(options.seed);
  const scheduler = new Scheduler(prng);
  const legs: SimLeg[] = Array.from({ length: options.legs }, (_, index) => ({
    path: `/memory/leg${index}`,
    medium: new SimMedium(GEOMETRY.mediumBytes),
    faults: new FaultSwitch(),
  }));
  const media = legs.map((leg) => leg.medium);
  const shape = simShape({
    raidSlots: options.legs,
    layout: options.layout ?? null,
    chunkSectors: RAID10_CHUNK_SECTORS,
    hasBitmap: true,
    hasBadBlockLog: true,
  });
  createOnMedia(media, shape, prng);
  const { quickness } = options;
  const array = await SimArray.start({
    legs,
    workers: 2,
    scheduler,
    prng,
    syncSpeed: SYNC_SPEED,
    quickness,
  });
  return { array, legs, scheduler, device: new ArrayDevice(array, scheduler) };
}

/** Runs the scheduler and the array's clock until the promise settles. */
export async function driveArray<T>(
  array: SimArray,
  scheduler: Scheduler,
  promise: Promise<T>,
): Promise<T> {
  let isDone = false;
  const ticking = promise.finally(() => {
    isDone = true;
  });
  ticking.catch(() => undefined);
  for (let step = 0; !isDone; step++) {
    if (step % STEPS_PER_TICK === STEPS_PER_TICK - 1) array.tick(TICK_MS);
    await scheduler.step();
  }
  return ticking;
}

class ArrayDevice implements BlockDevice {
  readonly name = "array";
  readonly logicalBlockSize = 512;
  readonly readOnly = false;
  readonly sync = null;
  readonly #array: SimArray;
  readonly #scheduler: Scheduler;
  #turn = 0;
  #open = true;

  constructor(array: SimArray, scheduler: Scheduler) {
    this.#array = array;
    this.#scheduler = scheduler;
  }

  get sizeBytes(): number {
    return this.#array.shared.map.sizeBytes;
  }

  get punches(): boolean {
    return this.#array.workers.every((io) => io.punches);
  }

  get zeroesFast(): boolean {
    return this.#array.workers.every((io) => io.zeroesFast(false));
  }

  async read(target: Uint8Array, offset: number): Promise<void> {
    this.#check(offset, target.length);
    await this.#ask((io, complete) => io.read(target, offset, complete));
  }

  async write(source: readonly Uint8Array[], offset: number): Promise<void> {
    this.#check(
      offset,
      source.reduce((total, piece) => total + piece.length, 0),
    );
    await this.#ask((io, complete) => io.write(source, offset, false, complete));
  }

  async zero(offset: number, length: number, mayUnmap: boolean): Promise<void> {
    this.#check(offset, length);
    await this.#ask((io, complete) => io.zero(offset, length, { mayUnmap, fua: false }, complete));
  }

  async allocation(offset: number, length: number): Promise<readonly AllocationRun[]> {
    this.#check(offset, length);
    let told: readonly AllocationRun[] = [];
    await this.#ask((io, complete) =>
      io.allocation(offset, length, (errno, runs) => {
        told = runs;
        complete(errno);
      }),
    );
    return told;
  }

  async flush(): Promise<void> {
    this.#check(0, 0);
    await this.#ask((io, complete) => io.flush(complete));
  }

  async close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    const closed = Promise.all(this.#array.workers.map((io) => io.close()));
    await drive(this.#scheduler, closed);
    const stopped = this.#array.driver.command({ type: "stop" });
    await driveArray(this.#array, this.#scheduler, stopped);
  }

  async #ask(
    call: (io: SimArray["workers"][number], complete: (errno: number) => void) => void,
  ): Promise<void> {
    const { workers } = this.#array;
    const io = workers[this.#turn++ % workers.length];
    if (io === undefined) throw new Error("an array has I/O paths");
    const errno = await driveArray(
      this.#array,
      this.#scheduler,
      new Promise<number>((resolve) => call(io, resolve)),
    );
    if (errno !== 0) throw new CodedError("HAL_IO_ERROR", `array: failed with ${errno}`);
  }

  #check(offset: number, length: number): void {
    if (!this.#open) throw new CodedError("HAL_DEVICE_CLOSED", "array: closed");
    checkRange(this, offset, length);
  }
}
