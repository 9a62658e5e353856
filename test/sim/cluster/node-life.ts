/**
 * One start of a node: the product's own array thread and I/O workers over shared media, and its
 * own node of the cluster over the simulated store, joined as workers/array-cluster.ts and
 * workers/array.worker.ts join them. Threads are objects here; their messages and their I/O take
 * simulated time, and keep their order as those of a MessagePort do.
 */

import { joinArray } from "../../../src/cluster/node/cluster-driver.ts";
import type { ClusterListener, JoinedCluster } from "../../../src/cluster/node/cluster-member.ts";
import type { ClusterStore } from "../../../src/cluster/store/cluster-store.ts";
import { assert } from "../../../src/common/assert.ts";
import { CodedError } from "../../../src/common/errors.ts";
import type { BlockDevice } from "../../../src/hal/block-device.ts";
import { type DeviceGate, GatedDevice } from "../../../src/hal/layers/gated-device.ts";
import { ArrayDriver, type ArrayHost, type ClusterHost } from "../../../src/raid/array-driver.ts";
import type {
  ArrayCommand,
  ArrayEvent,
  CommandOutcome,
  Newcomer,
} from "../../../src/raid/array-messages.ts";
import type { ArrayHappening } from "../../../src/raid/array-status.ts";
import { type AssembledArray, assembleDevices } from "../../../src/raid/assemble-driver.ts";
import type { ClusterNotice, ClusterState } from "../../../src/raid/cluster-port.ts";
import { ArrayIo } from "../../../src/raid/io-driver.ts";
import type { IoLink } from "../../../src/raid/leg-reports.ts";
import {
  GATE_EXPELLED,
  RUN_ACTIVE,
  RUN_BROKEN,
  type SharedArrayState,
} from "../../../src/raid/shared-state.ts";
import { readNewcomer } from "../../../src/workers/newcomer.ts";
import { Channel } from "../scheduler.ts";
import { CLUSTER_NAME, superblockOf } from "./cluster-media.ts";
import { SharedDevice } from "./shared-device.ts";
import type { Caller, CallerLife, SharedMedium } from "./shared-medium.ts";
import type { NoticePath, SimWorld } from "./sim-world.ts";
import { NodeClock } from "./timeline.ts";

/** Between ticks while something is under way, and while nothing is, as the array thread has it. */
const TICK_MS = 20;
const IDLE_TICK_MS = 500;
const GATE_LOOK_MS = 20;
/** A small part of the array: a sync action moves its window several times. */
const WINDOW_BYTES = 1024 * 1024;

interface SimWorker {
  readonly io: ArrayIo;
  readonly toArray: Channel;
  readonly fromArray: Channel;
}

export class NodeLife implements CallerLife {
  readonly node: number;
  readonly sim: SimWorld;
  readonly number: string;
  readonly clock: NodeClock;
  isDead = false;
  frozenUntil = 0;
  /** Its store does not answer it. */
  isCutOff = false;
  isExpelled = false;
  /** Clients may read and write. */
  isUp = false;
  hasStopped = false;
  /** Its array is broken: it does no I/O any more, and leaves. */
  isBroken = false;
  /** As SharedArrayState.gateUntil; closed until the first confirmation. */
  gateUntil = 1;
  /** Array bytes that each slot resyncs, from the answer to its notice to its next one. */
  readonly suspended = new Map<number, readonly [number, number]>();
  /** The medium of each leg. */
  readonly legs = new Map<number, SharedMedium>();
  readonly happenings: ArrayHappening[] = [];
  /** Every handle that it has opened. */
  readonly #devices: SharedDevice[] = [];
  readonly #quickness: number;
  readonly #gate: DeviceGate;
  #joined: JoinedCluster | null = null;
  #store: ClusterStore | null = null;
  #driver: ArrayDriver | null = null;
  #shared: SharedArrayState | null = null;
  #workers: readonly SimWorker[] = [];
  #nextMember = 0;
  /** What came before there was anybody to tell. */
  #early: (() => void)[] = [];
  #notices: NoticePath | null = null;
  readonly #told = new Map<number, ClusterNotice>();

  constructor(sim: SimWorld, node: number, number: string) {
    this.node = node;
    this.number = number;
    this.sim = sim;
    const { prng } = sim;
    this.#quickness = prng.pick([0, 0, 0, 4, 8]);
    const rate = 0.99 + prng.below(21) / 1000;
    this.clock = new NodeClock(sim.timeline, this, rate, 1 + prng.below(1_000_000));
    const isOpen = () => !this.isGated || this.clock.now() < this.gateUntil;
    this.#gate = {
      get isOpen() {
        return isOpen();
      },
      opened: () => this.#gateOpened(),
    };
  }

  get slot(): number {
    return this.#joined?.slot ?? -1;
  }

  /** Null before the array runs here. */
  get driver(): ArrayDriver | null {
    return this.#driver;
  }

  get shared(): SharedArrayState | null {
    return this.#shared;
  }

  get cluster(): JoinedCluster | null {
    return this.#joined;
  }

  get workers(): readonly ArrayIo[] {
    return this.#workers.map(({ io }) => io);
  }

  get isGated(): boolean {
    return this.#joined !== null;
  }

  /** Joins, assembles, enters; throws a CodedError when it cannot. */
  async start(): Promise<void> {
    const { sim } = this;
    const { nodes, keys, prng } = sim;
    this.#store = sim.storeFor(this);
    const name = `node${this.node}`;
    this.#joined = await joinArray({
      store: this.#store,
      prefix: keys.prefix,
      member: { node: name, boot: name, life: this.number, address: "", protocol: 1 },
      nodes,
      clock: this.clock,
      random: () => prng.below(1_000_000) / 1_000_000,
      listener: this.#listener(),
    });
    if (this.isExpelled) return;
    let assembled: AssembledArray;
    try {
      assembled = await this.#assemble();
    } catch (error) {
      if (error instanceof CodedError) await this.#leaveInVain();
      throw error;
    }
    this.#run(assembled);
    this.#tick();
    await this.#joined.start();
    if (this.isExpelled || this.isBroken) return;
    assert(this.#shared !== null, "the array runs");
    this.#shared.run = RUN_ACTIVE;
    this.isUp = true;
  }

  /** Nothing of it happens any more; what is on its way to media and store may yet arrive. */
  die(): void {
    this.isDead = true;
    this.isUp = false;
    void this.#store?.close();
  }

  async command(command: ArrayCommand): Promise<CommandOutcome> {
    assert(this.#driver !== null, "the array runs");
    return this.#driver.command(command);
  }

  /** Its exports are closed first: what clients have under way ends. */
  async stop(): Promise<CommandOutcome> {
    await Promise.all(this.workers.map((io) => io.close()));
    return this.command({ type: "stop" });
  }

  /** What the array thread does for `add` and `re-add`: opens and reads the newcomer first. */
  async join(type: "add" | "re-add", medium: SharedMedium): Promise<CommandOutcome> {
    assert(this.#driver !== null, "the array runs");
    const newcomer = await this.#openNewcomer(medium);
    const outcome = await this.#driver.command({ type, newcomer });
    if (!outcome.ok) this.#driver.forgetMember(newcomer.member);
    return outcome;
  }

  // --- start ------------------------------------------------------------------------------------

  async #assemble(): Promise<AssembledArray> {
    const { sim } = this;
    const devices = sim.media.map((medium) => ({
      path: medium.path,
      device: this.#open(medium, false),
    }));
    return assembleDevices(devices, {
      readOnly: false,
      workers: 1 + sim.prng.below(2),
      now: this.#now(),
      syncSpeedMin: sim.syncSpeed,
      syncSpeedMax: sim.syncSpeed,
      windowBytes: WINDOW_BYTES,
      cluster: { name: CLUSTER_NAME, slot: this.slot },
    });
  }

  /** It wrote nothing: the others need not recover it. */
  async #leaveInVain(): Promise<void> {
    this.#joined?.call(0, { type: "leave", needsSync: false });
    await this.sim.timeline.turn({ usual: 3000, oneIn: 1, most: 3000 }, this);
    this.#joined?.stop();
  }

  #run(assembled: AssembledArray): void {
    const { machine, shared, members, legs } = assembled;
    this.#shared = shared;
    shared.gateUntil = this.isExpelled ? GATE_EXPELLED : this.gateUntil;
    this.#nextMember = this.sim.media.length;
    this.#driver = new ArrayDriver(machine, shared, members, this.#host());
    const { workers } = shared.shape;
    this.#workers = Array.from({ length: workers }, (_, worker) => this.#worker(shared, worker));
    for (const { leg, path, dataOffset } of legs) {
      const medium = this.sim.medium(path);
      this.legs.set(leg, medium);
      for (const { io } of this.#workers) io.openLeg(leg, this.#open(medium, true), dataOffset);
    }
    this.#notices = this.sim.planted.noticePath({
      life: this,
      shared,
      dispatch: (event) => this.#dispatch(event),
      processed: (id) => this.#processed(id),
      poke: () => this.#toWorkers((io) => io.poke()),
    });
    for (const tell of this.#early.splice(0)) tell();
  }

  #tick(): void {
    if (this.hasStopped) return;
    this.#driver?.tick();
    this.clock.after(this.#driver?.restless === true ? TICK_MS : IDLE_TICK_MS, () => this.#tick());
  }

  /** Milliseconds since the epoch. */
  #now(): number {
    return 1_700_000_000_000 + Math.floor(this.clock.now());
  }

  // --- devices ----------------------------------------------------------------------------------

  #open(medium: SharedMedium, isClient: boolean): BlockDevice {
    const { timeline, prng, delays } = this.sim;
    const caller: Caller = { node: this.node, isClient, life: this };
    const device = new SharedDevice(medium, caller, {
      timeline,
      prng,
      life: this,
      delay: delays.disk,
      thread: delays.thread,
      quickness: this.#quickness,
    });
    this.#devices.push(device);
    return new GatedDevice(device, this.#gate);
  }

  async #gateOpened(): Promise<void> {
    while (!this.#gate.isOpen) {
      if (this.isExpelled || this.isBroken)
        throw new CodedError("HAL_EXPELLED", "the others go on without it");
      await new Promise<void>((resolve) => void this.clock.after(GATE_LOOK_MS, resolve));
    }
  }

  async #openNewcomer(medium: SharedMedium): Promise<Newcomer> {
    assert(this.#driver !== null, "the array runs");
    const device = this.#open(medium, false);
    const member = this.#nextMember++;
    this.#driver.addMember(member, { path: medium.path, device });
    const found = await readNewcomer(device, {
      force: true,
      distrust: false,
      setUuid: this.sim.setUuid,
      writeMostly: false,
      failfast: false,
    });
    return { ...found, member, path: medium.path, freshUuid: this.sim.prng.bytes(16) };
  }

  // --- threads ----------------------------------------------------------------------------------

  #dispatch(event: ArrayEvent): void {
    if (!this.hasStopped) this.#driver?.dispatch(event);
  }

  #turn = (): Promise<void> => this.sim.timeline.turn(this.sim.delays.thread, this);

  #worker(state: SharedArrayState, worker: number): SimWorker {
    const toArray = new Channel(this.#turn);
    const tell = (event: ArrayEvent) => toArray.post(() => this.#dispatch(event));
    const link: IoLink = {
      intent: (ranges) => tell({ type: "intent", worker, ranges }),
      legReport: (request, leg, kind, message, ranges, span) =>
        tell({ type: "leg-report", worker, request, leg, kind, message, ranges, span }),
      readError: (leg, offset, length, message) =>
        tell({ type: "read-error", leg, offset, length, message }),
    };
    const io = new ArrayIo({
      state,
      worker,
      link,
      seconds: () => Math.floor(this.#now() / 1000),
      clock: this.clock,
      waitForRegion: this.#turn,
    });
    return { io, toArray, fromArray: new Channel(this.#turn) };
  }

  /** Each worker does it when the message comes, and says so; resolves when all have. */
  async #askEach(act: (io: ArrayIo) => Promise<void>): Promise<void> {
    const asked = this.#workers.map(
      ({ io, fromArray, toArray }) =>
        new Promise<void>((resolve) => {
          fromArray.post(() => void act(io).then(() => toArray.post(resolve)));
        }),
    );
    await Promise.all(asked);
  }

  #toWorker(worker: number, act: (io: ArrayIo) => void): void {
    const target = this.#workers[worker];
    target?.fromArray.post(() => act(target.io));
  }

  #toWorkers(act: (io: ArrayIo) => void): void {
    for (const worker of this.#workers.keys()) this.#toWorker(worker, act);
  }

  #host(): ArrayHost {
    return {
      now: () => this.#now(),
      waitForRegion: this.#turn,
      nextTurn: this.#turn,
      openLeg: async (leg, path, dataOffset) => {
        const medium = this.sim.medium(path);
        this.legs.set(leg, medium);
        await this.#askEach(async (io) => {
          await io.dropLeg(leg);
          io.openLeg(leg, this.#open(medium, true), dataOffset);
        });
        return null;
      },
      dropLeg: (leg, reason) => this.#toWorkers((io) => void io.dropLeg(leg, reason)),
      intentReady: (worker) => this.#toWorker(worker, (io) => io.onIntentReady()),
      legResolved: (worker, request, isRecorded) =>
        this.#toWorker(worker, (io) => io.onLegResolved(request, isRecorded)),
      status: () => undefined,
      happening: (happening) => {
        this.happenings.push(happening);
        this.sim.trace(this, `* ${happening.message}`);
      },
      stopped: () => this.#onStopped(),
      cluster: this.#clusterHost(),
    };
  }

  #clusterHost(): ClusterHost {
    return {
      call: (id, call) => {
        this.sim.trace(this, `call ${id} ${JSON.stringify(call)}`);
        this.#joined?.call(id, call);
      },
      processed: (id) => this.#notices?.processed(id),
      drain: (from, to) => this.#askEach((io) => new Promise((done) => io.drain(from, to, done))),
      poke: () => this.#toWorkers((io) => io.poke()),
      closeGate: () => this.#closeGate(),
      settle: async () => {
        while (this.#devices.some(({ owes }) => owes)) await this.#turn();
        return true;
      },
      brokenAway: () => this.sim.onBroken(this),
      // Nothing changes the array as a whole here.
      rest: (notice) => this.#notices?.processed(notice),
      findDevice: async (uuid) => {
        await this.#turn();
        const medium = this.sim.media.find((one) => uuidOn(one) === uuid);
        return medium === undefined || this.sim.isHidden(this, medium)
          ? null
          : this.#openNewcomer(medium);
      },
    };
  }

  #onStopped(): void {
    this.hasStopped = true;
    this.isUp = false;
    this.#joined?.stop();
    void this.#store?.close();
    this.sim.onStopped(this);
  }

  // --- the cluster ------------------------------------------------------------------------------

  #listener(): ClusterListener {
    return {
      answer: (id, answer) => {
        if (id > 0) this.#tell(() => this.#answered(id, answer));
      },
      notice: (id, notice) => this.#tell(() => this.#onNotice(id, notice)),
      state: (state) => this.#onState(state),
      gate: (until) => this.#moveGate(until),
      happened: (happening) => this.sim.trace(this, `- ${JSON.stringify(happening)}`),
    };
  }

  #answered(id: number, answer: Extract<ArrayEvent, { type: "cluster-answer" }>["answer"]): void {
    this.sim.trace(this, `answer ${id} ${answer.ok ? "ok" : answer.code}`);
    this.#dispatch({ type: "cluster-answer", id, answer });
  }

  #onNotice(id: number, notice: ClusterNotice): void {
    this.sim.trace(this, `notice ${id} ${JSON.stringify(notice)}`);
    this.#told.set(id, notice);
    if (notice.type === "resyncing") this.suspended.delete(notice.slot);
    this.#notices?.notice(id, notice);
  }

  /** The others may count on it from now on. */
  #processed(id: number): void {
    const notice = this.#told.get(id);
    this.#told.delete(id);
    this.sim.trace(this, `processed ${id}`);
    if (notice?.type === "resyncing" && notice.hi > 0)
      this.suspended.set(notice.slot, [notice.lo * 512, notice.hi * 512]);
    this.#joined?.processed(id);
  }

  /** In order, and never within a call of the array. */
  #tell(tell: () => void): void {
    queueMicrotask(() => {
      if (this.#driver === null) this.#early.push(tell);
      else tell();
    });
  }

  /** Its workers fail what waits; what it has under way ends, then it leaves. */
  #closeGate(): void {
    this.isBroken = true;
    this.isUp = false;
    this.gateUntil = GATE_EXPELLED;
    this.#toWorkers((io) => io.poke());
  }

  #moveGate(until: number): void {
    if (this.isExpelled || this.isBroken) return;
    const wasOpen = this.#gate.isOpen;
    this.gateUntil = until;
    if (this.#shared !== null) this.#shared.gateUntil = until;
    if (!wasOpen) this.#toWorkers((io) => io.poke());
  }

  #onState(state: ClusterState): void {
    this.sim.trace(this, `state ${JSON.stringify(state)}`);
    if (state.type === "expelled") {
      this.isExpelled = true;
      this.isUp = false;
      this.gateUntil = GATE_EXPELLED;
      if (this.#shared !== null) {
        this.#shared.gateUntil = GATE_EXPELLED;
        this.#shared.run = RUN_BROKEN;
      }
      this.#toWorkers((io) => io.poke());
      this.sim.onExpelled(this);
    }
    this.#tell(() => this.#dispatch({ type: "cluster-state", state }));
  }
}

const uuidOn = (medium: SharedMedium): string | null => {
  const superblock = superblockOf(medium.current);
  return superblock === null ? null : Buffer.from(superblock.deviceUuid).toString("hex");
};
