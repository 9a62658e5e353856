/**
 * One raid1 array on simulated media, run by the product's own machine, drivers and I/O paths:
 * array thread and workers are objects here, their messages and their I/O wait for the scheduler.
 * Messages between two threads keep their order, as those of a MessagePort do.
 */

import { assert } from "../../src/common/assert.ts";
import type { Prng } from "../../src/common/prng.ts";
import type { BlockDevice } from "../../src/hal/block-device.ts";
import { FaultDevice, type FaultSwitch } from "../../src/hal/layers/fault-device.ts";
import { SimDevice, type SimMedium } from "../../src/hal/sim/crash-device.ts";
import { ArrayDriver, type ArrayHost } from "../../src/raid/array-driver.ts";
import type { ArrayEvent, CommandOutcome } from "../../src/raid/array-messages.ts";
import type { ArrayHappening } from "../../src/raid/array-status.ts";
import { type AssembledArray, assembleDevices } from "../../src/raid/assemble-driver.ts";
import { ArrayIo } from "../../src/raid/io-driver.ts";
import type { IoLink } from "../../src/raid/leg-reports.ts";
import { RUN_ACTIVE, type SharedArrayState } from "../../src/raid/shared-state.ts";
import { readNewcomer } from "../../src/workers/newcomer.ts";
import { Channel, type Scheduler, settle } from "./scheduler.ts";

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
  /** Bytes per second of sync actions. */
  readonly syncSpeed: number;
  /** Of 8 looks at a device, how many find it answering at once (synchronous calls). */
  readonly quickness: number;
}

/** An I/O worker's side of one array: its I/O path, and its port to and from the array thread. */
interface SimWorker {
  readonly io: ArrayIo;
  readonly toArray: Channel;
  readonly fromArray: Channel;
}

export class SimArray {
  readonly shared: SharedArrayState;
  readonly driver: ArrayDriver;
  readonly happenings: ArrayHappening[] = [];
  /** Paths that take part, as assembly decided. */
  readonly assembled: readonly string[];
  readonly #options: SimArrayOptions;
  readonly #workers: readonly SimWorker[];
  readonly #legs: Map<string, SimLeg>;
  readonly #setUuid: Uint8Array;
  #nextMember: number;
  stopped = false;

  private constructor(options: SimArrayOptions, assembled: AssembledArray) {
    this.#options = options;
    this.#legs = new Map(options.legs.map((leg) => [leg.path, leg]));
    this.#setUuid = assembled.setUuid;
    this.#nextMember = options.legs.length;
    this.assembled = [...assembled.members.values()].map(({ path }) => path);
    this.shared = assembled.shared;
    const { machine, shared, members } = assembled;
    this.driver = new ArrayDriver(machine, shared, members, this.#host());
    this.#workers = Array.from({ length: options.workers }, (_, worker) => this.#worker(worker));
    for (const { leg, path, dataOffset } of assembled.legs) {
      for (const { io } of this.#workers) io.openLeg(leg, this.#open(path), dataOffset);
    }
    this.shared.run = RUN_ACTIVE;
  }

  /** Assembles and starts; the scheduler steps meanwhile. */
  static async start(options: SimArrayOptions): Promise<SimArray> {
    const devices = options.legs.map((leg) => ({
      path: leg.path,
      device: openLeg(leg, options),
    }));
    const assembled = await drive(
      options.scheduler,
      assembleDevices(devices, {
        readOnly: false,
        workers: options.workers,
        now: options.scheduler.now,
        syncSpeedMin: options.syncSpeed,
        syncSpeedMax: options.syncSpeed,
      }),
    );
    return new SimArray(options, assembled);
  }

  get workers(): readonly ArrayIo[] {
    return this.#workers.map(({ io }) => io);
  }

  /** One step of simulated time. */
  tick(ms: number): void {
    this.#options.scheduler.now += ms;
    if (!this.stopped) this.driver.dispatch({ type: "tick" });
  }

  /** What the array thread does for `add` and `re-add`: opens and reads the newcomer first. */
  async join(type: "add" | "re-add", leg: SimLeg): Promise<CommandOutcome> {
    const device = openLeg(leg, this.#options);
    const member = this.#nextMember++;
    this.driver.addMember(member, { path: leg.path, device });
    this.#legs.set(leg.path, leg);
    const found = await readNewcomer(device, {
      force: true,
      distrust: false,
      setUuid: this.#setUuid,
      writeMostly: false,
      failfast: false,
    });
    const freshUuid = this.#options.prng.bytes(16);
    const newcomer = { ...found, member, path: leg.path, freshUuid };
    const outcome = await this.driver.command({ type, newcomer });
    if (!outcome.ok) this.driver.forgetMember(member);
    return outcome;
  }

  #open(path: string): BlockDevice {
    const leg = this.#legs.get(path);
    assert(leg !== undefined, "leg of the simulation");
    return openLeg(leg, this.#options);
  }

  #worker(worker: number): SimWorker {
    const { scheduler } = this.#options;
    const toArray = new Channel(scheduler.turn);
    const tell = (event: ArrayEvent) => toArray.post(() => this.driver.dispatch(event));
    const link: IoLink = {
      intent: (ranges) => tell({ type: "intent", worker, ranges }),
      legReport: (request, leg, kind, message, ranges, span) =>
        tell({ type: "leg-report", worker, request, leg, kind, message, ranges, span }),
      legGone: (leg, message) => tell({ type: "leg-gone", leg, message }),
      readError: (leg, offset, length, message) =>
        tell({ type: "read-error", leg, offset, length, message }),
    };
    const io = new ArrayIo({
      state: this.shared,
      worker,
      link,
      seconds: () => Math.floor(scheduler.now / 1000),
      clock: { now: () => scheduler.now, after: () => () => undefined },
      waitForRegion: scheduler.turn,
    });
    return { io, toArray, fromArray: new Channel(scheduler.turn) };
  }

  /** Every worker lets go of the member that had the leg before, then opens the new one. */
  async #openLegs(leg: number, path: string, dataOffset: number): Promise<null> {
    const opened = this.#workers.map(
      ({ io, fromArray, toArray }) =>
        new Promise<void>((resolve) => {
          fromArray.post(() => {
            void io.dropLeg(leg).then(() => {
              io.openLeg(leg, this.#open(path), dataOffset);
              toArray.post(() => resolve());
            });
          });
        }),
    );
    await Promise.all(opened);
    return null;
  }

  #host(): ArrayHost {
    const { scheduler } = this.#options;
    const toWorker = (worker: number, act: (io: ArrayIo) => void) => {
      const target = this.#workers[worker];
      target?.fromArray.post(() => act(target.io));
    };
    return {
      now: () => scheduler.now,
      waitForRegion: scheduler.turn,
      nextTurn: scheduler.turn,
      openLeg: (leg, path, dataOffset) => this.#openLegs(leg, path, dataOffset),
      dropLeg: (leg) => {
        for (const worker of this.#workers.keys()) toWorker(worker, (io) => void io.dropLeg(leg));
      },
      intentReady: (worker) => toWorker(worker, (io) => io.onIntentReady()),
      legResolved: (worker, request, isRecorded) =>
        toWorker(worker, (io) => io.onLegResolved(request, isRecorded)),
      status: () => undefined,
      happening: (happening) => void this.happenings.push(happening),
      stopped: () => {
        this.stopped = true;
      },
    };
  }
}

/** Each thread has a handle of its own; whether it answers at once is drawn anew each turn. */
const openLeg = (leg: SimLeg, options: SimArrayOptions): BlockDevice => {
  const { scheduler, prng, quickness } = options;
  let drawnAt = -1;
  let quick = false;
  const isQuick = (): boolean => {
    if (drawnAt !== scheduler.turns && quickness > 0) quick = prng.below(8) < quickness;
    drawnAt = scheduler.turns;
    return quick;
  };
  const device = new SimDevice(leg.path, leg.medium, scheduler.turn, isQuick);
  return new FaultDevice(device, leg.faults, () => scheduler.turn());
};

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
