/**
 * One array on the model's media, run by the product's machine, drivers and I/O paths. Everything
 * happens on this thread: messages between the threads are microtasks, in order, and the clock
 * moves when the model says so.
 */

import { assert } from "../../src/common/assert.ts";
import type { Prng } from "../../src/common/prng.ts";
import { ArrayDriver, type ArrayHost } from "../../src/raid/array-driver.ts";
import type { ArrayEvent, CommandOutcome } from "../../src/raid/array-messages.ts";
import type { ArrayHappening } from "../../src/raid/array-status.ts";
import { type AssembledArray, assembleDevices } from "../../src/raid/assemble-driver.ts";
import { ArrayIo } from "../../src/raid/io-driver.ts";
import type { IoLink } from "../../src/raid/leg-reports.ts";
import { RUN_ACTIVE, type SharedArrayState } from "../../src/raid/shared-state.ts";
import { readNewcomer } from "../../src/workers/newcomer.ts";
import { ModelDevice, type ModelMedium } from "./medium.ts";

/** Microtasks between two looks whether an answer is there, and looks between two ticks. */
const LOOK = 16;
const LOOKS_PER_TICK = 24;
/** Ticks until something that is not answered counts as forgotten: minutes of the array's time. */
const TICKS_MAX = 400;

export interface RunOptions {
  readonly media: readonly ModelMedium[];
  readonly workers: number;
  readonly prng: Prng;
  readonly now: number;
  /** Bytes per second of sync actions. */
  readonly syncSpeed: number;
}

export class RunningArray {
  readonly shared: SharedArrayState;
  readonly driver: ArrayDriver;
  readonly happenings: ArrayHappening[] = [];
  now: number;
  isStopped = false;
  /** What the engine threw where nobody waits for it. */
  broken: unknown = null;
  readonly #options: RunOptions;
  readonly #life: number;
  readonly #ios: ArrayIo[];
  readonly #media: Map<string, ModelMedium>;
  readonly #legs = new Map<number, string>();
  readonly #setUuid: Uint8Array;
  #nextMember: number;
  #turn = 0;

  private constructor(options: RunOptions, assembled: AssembledArray) {
    const { machine, shared, members, legs, setUuid } = assembled;
    this.#options = options;
    this.#life = options.media[0]?.power.life ?? 0;
    this.#media = new Map(options.media.map((medium) => [medium.path, medium]));
    this.#setUuid = setUuid;
    this.#nextMember = options.media.length;
    this.now = options.now;
    this.shared = shared;
    this.driver = new ArrayDriver(machine, shared, members, this.#host());
    this.#ios = Array.from({ length: options.workers }, (_, worker) => this.#io(worker));
    for (const { leg, path, dataOffset } of legs) this.#open(leg, path, dataOffset);
    shared.run = RUN_ACTIVE;
  }

  /** Assembles and starts. Errors: what assembly refuses. */
  static async start(options: RunOptions): Promise<RunningArray> {
    const devices = options.media.map((medium) => ({
      path: medium.path,
      device: new ModelDevice(medium),
    }));
    const { workers, now, syncSpeed } = options;
    const speeds = { syncSpeedMin: syncSpeed, syncSpeedMax: syncSpeed };
    const assembled = await assembleDevices(devices, { readOnly: false, workers, now, ...speeds });
    return new RunningArray(options, assembled);
  }

  get sizeBytes(): number {
    return this.shared.map.sizeBytes;
  }

  /** One of the I/O paths. */
  get io(): ArrayIo {
    const io = this.#ios[this.#turn++ % this.#ios.length];
    assert(io !== undefined, "an array has I/O paths");
    return io;
  }

  /** Legs that were opened for the member at this path, last ones last. */
  legsOf(path: string): number[] {
    return [...this.#legs].flatMap(([leg, holder]) => (holder === path ? [leg] : []));
  }

  tick(ms: number): void {
    this.now += ms;
    if (!this.isStopped) this.driver.dispatch({ type: "tick" });
  }

  /** Lets `count` microtasks pass. */
  async pass(count: number): Promise<void> {
    for (let left = count; left > 0; left--) await null;
  }

  /** Time passes until the condition holds. Errors: it never does. */
  async until(otherwise: string, isDone: () => boolean, tickMs = 20): Promise<void> {
    for (let ticks = 0; ticks < TICKS_MAX; ticks++) {
      for (let look = 0; look < LOOKS_PER_TICK; look++) {
        if (this.broken !== null) throw this.broken;
        if (isDone()) return;
        await this.pass(LOOK);
      }
      this.tick(tickMs);
    }
    assert(false, otherwise);
  }

  /** The error number of a request. */
  async request(
    name: string,
    ask: (io: ArrayIo, complete: (errno: number) => void) => void,
  ): Promise<number> {
    let answer = -1;
    ask(this.io, (errno) => {
      assert(answer === -1, `a ${name} is answered twice`);
      answer = errno;
    });
    if (answer === -1) await this.until(`a ${name} is never answered`, () => answer !== -1);
    return answer;
  }

  async command(
    command: Extract<ArrayEvent, { type: "command" }>["command"],
  ): Promise<CommandOutcome> {
    return this.#outcome(command.type, this.driver.command(command));
  }

  /**
   * What the array thread does for `add` and `re-add`: opens and reads the newcomer first. `look`
   * is called right before the machine hears of it.
   */
  async join(
    type: "add" | "re-add",
    medium: ModelMedium,
    look: () => void,
  ): Promise<CommandOutcome> {
    const device = new ModelDevice(medium, this.#life);
    const member = this.#nextMember++;
    this.driver.addMember(member, { path: medium.path, device });
    this.#media.set(medium.path, medium);
    const found = await readNewcomer(device, {
      force: true,
      distrust: false,
      setUuid: this.#setUuid,
      writeMostly: false,
      failfast: false,
    });
    const freshUuid = this.#options.prng.bytes(16);
    const newcomer = { ...found, member, path: medium.path, freshUuid };
    look();
    const outcome = await this.#outcome(type, this.driver.command({ type, newcomer }));
    if (!outcome.ok) this.driver.forgetMember(member);
    return outcome;
  }

  /** Ends the I/O paths, then stops the array. `keepOpen`: as for a change of it. */
  async stop(keepOpen: boolean): Promise<CommandOutcome> {
    let isClosed = false;
    void Promise.all(this.#ios.map((io) => io.close())).then(() => {
      isClosed = true;
    });
    await this.until("the I/O paths never close", () => isClosed);
    return this.command({ type: "stop", keepOpen });
  }

  async #outcome(name: string, promise: Promise<CommandOutcome>): Promise<CommandOutcome> {
    const box: { outcome: CommandOutcome | null } = { outcome: null };
    void promise.then((outcome) => {
      box.outcome = outcome;
    });
    await this.until(`${name} is never answered`, () => box.outcome !== null);
    assert(box.outcome !== null, "it was answered");
    return box.outcome;
  }

  #open(leg: number, path: string, dataOffset: number): void {
    const medium = this.#media.get(path);
    assert(medium !== undefined, "a leg of a known medium");
    this.#legs.set(leg, path);
    for (const io of this.#ios) io.openLeg(leg, new ModelDevice(medium, this.#life), dataOffset);
  }

  #io(worker: number): ArrayIo {
    const tell = (event: ArrayEvent) => this.#soon(() => this.driver.dispatch(event));
    const link: IoLink = {
      intent: (ranges) => tell({ type: "intent", worker, ranges }),
      legReport: (request, leg, kind, message, ranges) =>
        tell({ type: "leg-report", worker, request, leg, kind, message, ranges }),
      legGone: (leg, message) => tell({ type: "leg-gone", leg, message }),
      readError: (leg, offset, length, message) =>
        tell({ type: "read-error", leg, offset, length, message }),
    };
    return new ArrayIo({
      state: this.shared,
      worker,
      link,
      seconds: () => Math.floor(this.now / 1000),
      clock: { now: () => this.now, after: () => () => undefined },
      waitForRegion: () => this.#waitForRegion(),
    });
  }

  /** A region that the power cut left locked is never given back. */
  async #waitForRegion(): Promise<void> {
    const [medium] = this.#options.media;
    if (medium?.power.life !== this.#life) await new Promise(() => undefined);
  }

  /** A message from one thread to another. */
  #soon(act: () => void): void {
    queueMicrotask(() => {
      try {
        act();
      } catch (error) {
        this.broken ??= error;
      }
    });
  }

  async #openLeg(leg: number, path: string, dataOffset: number): Promise<null> {
    for (const io of this.#ios) await io.dropLeg(leg);
    this.#open(leg, path, dataOffset);
    return null;
  }

  #host(): ArrayHost {
    const toWorker = (worker: number, act: (io: ArrayIo) => void): void => {
      const io = this.#ios[worker];
      if (io !== undefined) this.#soon(() => act(io));
    };
    return {
      now: () => this.now,
      waitForRegion: () => this.#waitForRegion(),
      nextTurn: async () => undefined,
      openLeg: (leg, path, dataOffset) => this.#openLeg(leg, path, dataOffset),
      dropLeg: (leg) => {
        for (const worker of this.#ios.keys()) toWorker(worker, (io) => void io.dropLeg(leg));
      },
      intentReady: (worker) => toWorker(worker, (io) => io.onIntentReady()),
      legResolved: (worker, request, isRecorded) =>
        toWorker(worker, (io) => io.onLegResolved(request, isRecorded)),
      status: () => undefined,
      happening: (happening) => void this.happenings.push(happening),
      stopped: () => {
        this.isStopped = true;
      },
    };
  }
}
