/**
 * The array of a node: the product's own array thread and I/O workers over shared media, joined as
 * workers/array.worker.ts joins them. Threads are objects here; their messages and their I/O take
 * simulated time, and keep their order as those of a MessagePort do.
 */

import type { ArrayCopies } from "../../../src/cluster/node/cluster-member.ts";
import type { ForcedView } from "../../../src/cluster/node/cluster-view.ts";
import { assert } from "../../../src/common/assert.ts";
import { CodedError } from "../../../src/common/errors.ts";
import type { BlockDevice } from "../../../src/hal/block-device.ts";
import type { ArrayChange } from "../../../src/raid/array-change.ts";
import { ArrayDriver, type ArrayHost, type ClusterHost } from "../../../src/raid/array-driver.ts";
import type {
  ArrayCommand,
  ArrayEvent,
  CommandOutcome,
  Newcomer,
} from "../../../src/raid/array-messages.ts";
import type { AfterChange } from "../../../src/raid/array-start.ts";
import {
  type AssembleDevice,
  type AssembledArray,
  type AssembleOptions,
  assembleDevices,
} from "../../../src/raid/assemble-driver.ts";
import { BITMAP_SUPERBLOCK_BYTES } from "../../../src/raid/bitmap-superblock.ts";
import { changeArray } from "../../../src/raid/change-array-driver.ts";
import type { ClusterCall } from "../../../src/raid/cluster-port.ts";
import type { ArrayIo } from "../../../src/raid/io-driver.ts";
import {
  GATE_EXPELLED,
  RUN_ACTIVE,
  RUN_BROKEN,
  type SharedArrayState,
} from "../../../src/raid/shared-state.ts";
import { ArrayRest } from "../../../src/workers/array-rest.ts";
import { readNewcomer } from "../../../src/workers/newcomer.ts";
import { askPatiently } from "../../../src/workers/patient-ask.ts";
import { CLUSTER_NAME, superblockOf } from "./cluster-media.ts";
import type { CallerLife, SharedMedium } from "./shared-medium.ts";
import { SimWorker } from "./sim-worker.ts";
import type { SimWorld } from "./sim-world.ts";

/** Between ticks while something is under way, and while nothing is, as the array thread has it. */
const TICK_MS = 20;
const IDLE_TICK_MS = 500;
/** A stop that met a change asks again after this. */
const STOP_PAUSE_MS = 250;
const ARRAY_THREAD = 0;
/** A small part of the array: a sync action moves its window several times. */
const WINDOW_BYTES = 1024 * 1024;

/** The node of an array. */
export interface ArrayHome extends CallerLife {
  readonly sim: SimWorld;
  readonly isBroken: boolean;
  /** Other nodes run the array. */
  readonly isRunElsewhere: boolean;
  /** What the cluster remembers of its copies; null where every board has every medium. */
  readonly copies: ArrayCopies | null;
  /** A start by force that the cluster knows of. */
  readonly forced: ForcedView | null;
  /** Milliseconds since the epoch. */
  now(): number;
  /** Resolves when a message has come to another thread of the node. */
  turn(): Promise<void>;
  /** A handle of its own for each thread; 0: the array thread, then the I/O workers. */
  open(medium: SharedMedium, thread: number): BlockDevice;
  /** A handle that was given up may yet write to it: it is not opened again before. */
  owes(medium: SharedMedium): boolean;
  call(id: number, call: ClusterCall): void;
  /** The array has done what a notice asks. */
  carriedOut(notice: number, isRefused: boolean): void;
  /** Nothing is submitted any more: the array is broken. */
  closeGate(): void;
  brokenAway(): void;
  /** Resolves when nothing of the node has an effect any more. */
  settle(): Promise<boolean>;
  arrayStopped(): void;
}

export class NodeArray {
  readonly #home: ArrayHome;
  readonly #sim: SimWorld;
  readonly #workerCount: number;
  /** The medium of each leg. */
  readonly legs = new Map<number, SharedMedium>();
  #driver: ArrayDriver | null = null;
  #shared: SharedArrayState | null = null;
  #workers: readonly SimWorker[] = [];
  #nextMember = 0;
  /** When its members were opened. */
  #wasRunElsewhere = false;
  /** Commands under way. */
  #answering = 0;
  /** The array is changed as a whole: it is stopped and started again. */
  #isChanging = false;
  #hasStopped = false;

  constructor(home: ArrayHome) {
    this.#home = home;
    this.#sim = home.sim;
    this.#workerCount = 1 + home.sim.prng.below(2);
  }

  /** Null before the array runs here. */
  get driver(): ArrayDriver | null {
    return this.#driver;
  }

  get shared(): SharedArrayState | null {
    return this.#shared;
  }

  get workers(): readonly SimWorker[] {
    return this.#workers;
  }

  get isChanging(): boolean {
    return this.#isChanging;
  }

  get hasStopped(): boolean {
    return this.#hasStopped;
  }

  /** From what the members say; takes no requests yet. Errors: as assembleDevices. */
  async start(): Promise<void> {
    this.#wasRunElsewhere = this.#home.isRunElsewhere;
    const found = this.#sim.openMembers(this.#home);
    const opened = found instanceof Promise ? await found : found;
    const devices = opened.map(({ medium: { path }, device }) => ({ path, device }));
    const assembled = await this.#assemble(
      devices,
      opened.map(({ medium }) => medium),
    );
    this.#nextMember = devices.length;
    this.#serve(assembled);
    const { shared, legs } = assembled;
    const home = {
      clock: this.#home.clock,
      turn: this.#turn,
      waitForRegion: this.#waitForRegion,
      seconds: () => Math.floor(this.#home.now() / 1000),
      open: (path: string, worker: number) => this.#home.open(this.#sim.medium(path), worker + 1),
      dispatch: (event: ArrayEvent) => this.#dispatch(event),
    };
    this.#workers = Array.from(
      { length: this.#workerCount },
      (_, worker) => new SimWorker(home, worker, shared, legs),
    );
  }

  /** Where boards serve its members, from no older copies than any node was told of. */
  async #assemble(
    devices: readonly AssembleDevice[],
    media: readonly SharedMedium[],
  ): Promise<AssembledArray> {
    const { copies } = this.#home;
    if (copies === null) return assembleDevices(devices, this.#options());
    const newest = await copies.newest();
    const { heedsNewest } = this.#sim.planted.node;
    const isForced = this.#sim.isForced(this.#home);
    const rule = { newest: heedsNewest ? newest : null, isForced, doubt: null };
    const assembled = await assembleDevices(devices, { ...this.#options(), copies: rule });
    if (assembled.forced !== null) this.#sim.onForced(this.#home, assembled.forced.to, media);
    await copies.begin(assembled.events, assembled.forced);
    return assembled;
  }

  tick(): void {
    if (this.#hasStopped) return;
    this.#driver?.tick();
    const ms = this.#driver?.restless === true ? TICK_MS : IDLE_TICK_MS;
    this.#home.clock.after(ms, () => this.tick());
  }

  /** Clients may come. */
  enter(): void {
    assert(this.#shared !== null, "the array runs");
    this.#shared.run = RUN_ACTIVE;
  }

  /** Something that the cluster tells the array. */
  hear(event: ArrayEvent): void {
    if (!this.#hasStopped) this.#rest.tell(event);
  }

  /** `until`: as SharedArrayState.gateUntil. */
  moveGate(until: number, isPoked: boolean): void {
    if (this.#shared !== null) {
      this.#shared.gateUntil = until;
      if (until === GATE_EXPELLED) this.#shared.run = RUN_BROKEN;
    }
    if (isPoked) this.poke();
  }

  vanish(path: string): void {
    if (!this.#isChanging) this.#dispatch({ type: "member-vanished", path, reason: "it is gone" });
  }

  poke(): void {
    this.#toWorkers((io) => io.poke());
  }

  // --- commands ---------------------------------------------------------------------------------

  command(command: ArrayCommand): Promise<CommandOutcome> {
    return this.#answer((driver) => driver.command(command));
  }

  /**
   * Its exports are closed first: what clients have under way ends. A change that comes in between
   * is waited for.
   */
  async stop(): Promise<CommandOutcome> {
    await Promise.all(this.#workers.map((worker) => worker.close()));
    for (;;) {
      const outcome = await this.command({ type: "stop" });
      if (outcome.ok || outcome.code !== "RAID_ARRAY_CHANGING") return outcome;
      this.#sim.count("stop waits for a change");
      await this.#pause(STOP_PAUSE_MS);
    }
  }

  /** What the array thread does for `add` and `re-add`: opens and reads the newcomer first. */
  join(type: "add" | "re-add", medium: SharedMedium): Promise<CommandOutcome> {
    return this.#answer(async (driver) => {
      const newcomer = await orRefusal(this.#openNewcomer(driver, medium));
      if ("ok" in newcomer) return newcomer;
      const outcome = await driver.command({ type, newcomer });
      if (!outcome.ok) driver.forgetMember(newcomer.member);
      return outcome;
    });
  }

  /** Of the array as a whole: all other nodes rest meanwhile. */
  change(change: ArrayChange): Promise<CommandOutcome> {
    if (this.#answering > 0)
      return Promise.resolve(refusal("RAID_MEMBER_BUSY", "another command is under way"));
    return this.#answer(async (driver) => {
      const outcome = await this.#beginChange();
      if (!outcome.ok) return outcome;
      this.#isChanging = true;
      // Meanwhile another change may have started the array anew.
      const now = this.#driver ?? driver;
      const make = (): Promise<CommandOutcome> => changed(now.working(), change, this.#home.now());
      return this.#rest.change(make, () => "held");
    });
  }

  /** All other nodes come to rest first, which may take a while. */
  #beginChange(): Promise<CommandOutcome> {
    const clock = { now: () => this.#home.clock.now(), pause: (ms: number) => this.#pause(ms) };
    const ask = async (): Promise<CommandOutcome> => {
      if (this.#isChanging || this.#driver === null)
        return refusal("CLUSTER_NODE_BUSY", "another node changes the array just now");
      const sectors = Math.floor((this.#shared?.map.sizeBytes ?? 0) / 512);
      return this.#driver.command({ type: "begin-change", sectors });
    };
    return askPatiently(ask, clock);
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#home.clock.after(ms, resolve));
  }

  /** While the array is being changed nothing else is done to it. */
  async #answer(run: (driver: ArrayDriver) => Promise<CommandOutcome>): Promise<CommandOutcome> {
    assert(this.#driver !== null, "the array runs");
    if (this.#isChanging) return refusal("RAID_ARRAY_CHANGING", "the array is being changed");
    this.#answering++;
    const outcome = await run(this.#driver);
    this.#answering--;
    return outcome;
  }

  async #openNewcomer(driver: ArrayDriver, medium: SharedMedium): Promise<Newcomer> {
    this.#sim.forgetMember(this.#home, medium);
    const device = this.#home.open(medium, ARRAY_THREAD);
    const member = this.#nextMember++;
    driver.addMember(member, { path: medium.path, device });
    const found = await readNewcomer(device, {
      force: true,
      distrust: false,
      setUuid: this.#sim.setUuid,
      writeMostly: false,
      failfast: false,
      forced: this.#home.forced,
    });
    const { readsOwnBits } = this.#sim.planted.node;
    const bitmapAreas = readsOwnBits ? found.bitmapAreas : found.bitmapAreas.map(withoutBits);
    const freshUuid = this.#sim.prng.bytes(16);
    return { ...found, bitmapAreas, member, path: medium.path, freshUuid };
  }

  // --- changes of the array as a whole ----------------------------------------------------------

  readonly #rest = new ArrayRest({
    pause: async () => {
      await this.#askEach((worker) => worker.hold());
      await this.#driver?.command({ type: "stop", keepOpen: true });
    },
    startAnew: (afterChange) => this.#orDie(this.#startAnew(afterChange)),
    mayRest: () => this.#driver?.mayRest === true,
    isStopped: () => this.#driver?.isStopped === true,
    dispatch: (event) => this.#dispatch(event),
    processed: (notice) => this.#home.carriedOut(notice, false),
  });

  async #startAnew(afterChange: AfterChange | null): Promise<void> {
    const driver = this.#driver;
    assert(driver !== null, "the array ran");
    const devices = driver.working();
    const newest = (await this.#home.copies?.newest()) ?? null;
    const assembled = await assembleDevices(devices, {
      ...this.#options(),
      ...(afterChange === null ? {} : { afterChange }),
      copies: { newest, isForced: false, doubt: null },
      isChanged: true,
      told: driver.told,
    });
    await this.#home.copies?.begin(assembled.events, null);
    const { machine, members, shared, legs } = assembled;
    const kept = new Set([...members.values()].map(({ device }) => device));
    for (const { device } of devices) if (!kept.has(device)) await device.close();
    machine.listFaulty(driver.faulty, devices.length);
    this.#nextMember = devices.length + driver.faulty.length;
    this.#serve(assembled);
    await this.#askEach(async (worker) => worker.renew(shared, legs));
    this.enter();
    for (const worker of this.#workers) worker.tell(() => worker.release());
    this.#isChanging = false;
    this.#sim.count(`started anew${afterChange === null ? "" : `, ${afterChange}`}`);
  }

  /** A thread that cannot start its array again ends, and the node with it. */
  async #orDie(work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      this.#sim.onThreadDied(this.#home, error);
      await new Promise(() => undefined);
    }
  }

  #options(): AssembleOptions {
    const { syncSpeed } = this.#sim;
    return {
      readOnly: false,
      workers: this.#workerCount,
      now: this.#home.now(),
      syncSpeedMin: syncSpeed,
      syncSpeedMax: syncSpeed,
      windowBytes: WINDOW_BYTES,
      cluster: {
        name: CLUSTER_NAME,
        slot: this.#home.slot,
        isRunElsewhere: this.#wasRunElsewhere || this.#home.isRunElsewhere,
      },
    };
  }

  /** The array is this one from now on. */
  #serve({ machine, shared, members, legs }: AssembledArray): void {
    this.#shared = shared;
    shared.gateUntil = this.#home.gateUntil;
    this.#driver = new ArrayDriver(machine, shared, members, this.#host());
    this.legs.clear();
    for (const { leg, path } of legs) this.legs.set(leg, this.#sim.medium(path));
  }

  // --- threads ----------------------------------------------------------------------------------

  #dispatch(event: ArrayEvent): void {
    if (!this.#hasStopped) this.#driver?.dispatch(event);
  }

  readonly #turn = (): Promise<void> => this.#home.turn();

  readonly #waitForRegion = (): Promise<void> => {
    const { regionWait, timeline } = this.#sim;
    return regionWait === null ? this.#turn() : timeline.turn(regionWait, this.#home);
  };

  /** Each worker does it when the message comes, and says so; resolves when all have. */
  async #askEach(act: (worker: SimWorker) => Promise<void>): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.ask(act)));
  }

  #toWorkers(act: (io: ArrayIo) => void): void {
    for (const worker of this.#workers) worker.tell(act);
  }

  #host(): ArrayHost {
    return {
      now: () => this.#home.now(),
      waitForRegion: this.#waitForRegion,
      nextTurn: this.#turn,
      openLeg: async (leg, path, dataOffset) => {
        if (this.#home.owes(this.#sim.medium(path))) return `${path} has not answered calls`;
        this.legs.set(leg, this.#sim.medium(path));
        await this.#askEach(async (worker) => {
          await worker.io.dropLeg(leg);
          worker.openLeg({ leg, path, dataOffset });
        });
        return null;
      },
      dropLeg: (leg, reason) => this.#toWorkers((io) => void io.dropLeg(leg, reason)),
      intentReady: (worker) => this.#workers[worker]?.tell((io) => io.onIntentReady()),
      legResolved: (worker, request, isRecorded) =>
        this.#workers[worker]?.tell((io) => io.onLegResolved(request, isRecorded)),
      status: () => undefined,
      happening: ({ message }) => this.#sim.trace(this.#home, () => `* ${message}`),
      stopped: () => {
        if (this.#isChanging) return;
        this.#hasStopped = true;
        this.#home.arrayStopped();
      },
      cluster: this.#clusterHost(),
    };
  }

  #clusterHost(): ClusterHost {
    return {
      call: (id, call) => this.#home.call(id, call),
      processed: (id, isRefused) => this.#home.carriedOut(id, isRefused),
      drain: (from, to) =>
        this.#askEach((worker) => new Promise((done) => worker.io.drain(from, to, done))),
      poke: () => this.poke(),
      closeGate: () => this.#home.closeGate(),
      settle: () => this.#home.settle(),
      brokenAway: () => this.#home.brokenAway(),
      rest: (notice, slot) => {
        this.#isChanging = true;
        void this.#rest.rest(notice, slot);
      },
      findDevice: async (uuid) => {
        await this.#turn();
        const medium = this.#sim.media.find((one) => uuidOn(one) === uuid);
        if (medium === undefined || this.#driver === null) return null;
        if (this.#sim.isHidden(this.#home, medium)) return null;
        const newcomer = await orRefusal(this.#openNewcomer(this.#driver, medium));
        return "ok" in newcomer ? null : newcomer;
      },
    };
  }
}

/** Planted: what nobody has read. */
const withoutBits = (area: Uint8Array | null): Uint8Array | null =>
  area?.slice().fill(0, BITMAP_SUPERBLOCK_BYTES) ?? null;

const refusal = (code: string, message: string): CommandOutcome => ({ ok: false, code, message });

/** A device that cannot be read is none. */
const orRefusal = async (found: Promise<Newcomer>): Promise<Newcomer | CommandOutcome> => {
  try {
    return await found;
  } catch (error) {
    if (error instanceof CodedError) return refusal(error.code, error.message);
    throw error;
  }
};

/** Makes the change of a stopped array; what is refused leaves it as it was. */
const changed = async (
  devices: readonly AssembleDevice[],
  change: ArrayChange,
  now: number,
): Promise<CommandOutcome> => {
  try {
    await changeArray(devices, change, now);
    return { ok: true };
  } catch (error) {
    if (error instanceof CodedError) return refusal(error.code, error.message);
    throw error;
  }
};

const uuidOn = (medium: SharedMedium): string | null => {
  const superblock = superblockOf(medium.current);
  return superblock === null ? null : Buffer.from(superblock.deviceUuid).toString("hex");
};
