/**
 * One raid1 array on simulated media, run by the product's own machine, drivers and I/O paths:
 * array thread and workers are objects here, their messages and their I/O wait for the scheduler.
 */

import { assert } from "../../src/common/assert.ts";
import type { Prng } from "../../src/common/prng.ts";
import type { BlockDevice } from "../../src/hal/block-device.ts";
import { FaultDevice, type FaultSwitch } from "../../src/hal/layers/fault-device.ts";
import { SimDevice, type SimMedium } from "../../src/hal/sim/crash-device.ts";
import { ArrayDriver, type ArrayHost } from "../../src/raid/array-driver.ts";
import type { ArrayEvent } from "../../src/raid/array-messages.ts";
import type { ArrayHappening } from "../../src/raid/array-status.ts";
import { assembleDevices } from "../../src/raid/assemble-driver.ts";
import { ArrayIo, type IoLink } from "../../src/raid/io-driver.ts";
import { RUN_ACTIVE, type SharedArrayState } from "../../src/raid/shared-state.ts";
import { type Scheduler, settle } from "./scheduler.ts";

export interface SimLeg {
  readonly path: string;
  readonly medium: SimMedium;
  readonly faults: FaultSwitch;
}

export interface SimArrayOptions {
  readonly legs: readonly SimLeg[];
  readonly workers: number;
  readonly scheduler: Scheduler;
  readonly prng: Prng;
}

export class SimArray {
  readonly shared: SharedArrayState;
  readonly driver: ArrayDriver;
  readonly workers: readonly ArrayIo[];
  readonly happenings: ArrayHappening[] = [];
  readonly #options: SimArrayOptions;
  stopped = false;

  private constructor(
    options: SimArrayOptions,
    assembled: Awaited<ReturnType<typeof assembleDevices>>,
  ) {
    this.#options = options;
    this.shared = assembled.shared;
    this.driver = new ArrayDriver(
      assembled.machine,
      assembled.shared,
      assembled.members,
      this.#host(),
    );
    this.workers = Array.from({ length: options.workers }, (_, worker) => this.#worker(worker));
    for (const { slot, path, dataOffset } of assembled.legs) {
      for (const worker of this.workers) worker.openLeg(slot, this.#open(path), dataOffset);
    }
    this.shared.run = RUN_ACTIVE;
  }

  /** Assembles and starts; the scheduler must step meanwhile (see `drive`). */
  static async start(options: SimArrayOptions): Promise<SimArray> {
    const devices = options.legs.map((leg) => ({
      path: leg.path,
      device: openLeg(leg, options.scheduler),
    }));
    const assembled = await drive(
      options.scheduler,
      assembleDevices(devices, {
        readOnly: false,
        workers: options.workers,
        now: options.scheduler.now,
        syncSpeedMin: 2 ** 40,
        syncSpeedMax: 2 ** 40,
      }),
    );
    return new SimArray(options, assembled);
  }

  /** One step of simulated time. */
  tick(ms: number): void {
    this.#options.scheduler.now += ms;
    if (!this.stopped) this.driver.dispatch({ type: "tick" });
  }

  #open(path: string): BlockDevice {
    const leg = this.#options.legs.find((candidate) => candidate.path === path);
    assert(leg !== undefined, "leg of the simulation");
    return openLeg(leg, this.#options.scheduler);
  }

  #later(act: () => void): void {
    void this.#options.scheduler.turn().then(act);
  }

  #worker(worker: number): ArrayIo {
    const tell = (event: ArrayEvent) => this.#later(() => this.driver.dispatch(event));
    const link: IoLink = {
      intent: (ranges) => tell({ type: "intent", worker, ranges }),
      legError: (request, slot, op, message) =>
        tell({ type: "leg-error", worker, request, slot, op, message }),
      readError: (slot, offset, length, message) =>
        tell({ type: "read-error", slot, offset, length, message }),
    };
    const { scheduler } = this.#options;
    const seconds = () => Math.floor(scheduler.now / 1000);
    return new ArrayIo({
      state: this.shared,
      worker,
      link,
      seconds,
      waitForRegion: scheduler.turn,
    });
  }

  #host(): ArrayHost {
    const { scheduler } = this.#options;
    return {
      now: () => scheduler.now,
      waitForRegion: scheduler.turn,
      openLeg: async (slot, path, dataOffset) => {
        await scheduler.turn();
        for (const worker of this.workers) worker.openLeg(slot, this.#open(path), dataOffset);
        return null;
      },
      dropLeg: (slot) => {
        for (const worker of this.workers) this.#later(() => void worker.dropLeg(slot));
      },
      intentReady: (worker) => this.#later(() => this.workers[worker]?.onIntentReady()),
      legResolved: (worker, request) =>
        this.#later(() => this.workers[worker]?.onLegResolved(request)),
      status: () => undefined,
      happening: (happening) => void this.happenings.push(happening),
      stopped: () => {
        this.stopped = true;
      },
    };
  }
}

const openLeg = (leg: SimLeg, scheduler: Scheduler): BlockDevice =>
  new FaultDevice(new SimDevice(leg.path, leg.medium, scheduler.turn), leg.faults, () =>
    scheduler.turn(),
  );

/** Steps the scheduler until the promise settles. */
export const drive = async <T>(scheduler: Scheduler, promise: Promise<T>): Promise<T> => {
  let done = false;
  const watched = promise.finally(() => {
    done = true;
  });
  watched.catch(() => undefined);
  await settle();
  for (let steps = 0; !done; steps++) {
    assert(steps < 200_000, "the simulation stands still");
    await scheduler.step();
  }
  return watched;
};
