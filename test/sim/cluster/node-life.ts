/**
 * One start of a node: its own node of the cluster over the simulated store, joined with its array
 * (node-array.ts) as workers/array-cluster.ts joins them.
 */

import { joinArray } from "../../../src/cluster/node/cluster-driver.ts";
import type {
  ArrayCopies,
  ClusterListener,
  JoinedCluster,
} from "../../../src/cluster/node/cluster-member.ts";
import type { ForcedView } from "../../../src/cluster/node/cluster-view.ts";
import type { ClusterStore } from "../../../src/cluster/store/cluster-store.ts";
import { PERMIT_MS } from "../../../src/cluster/store/permission.ts";
import { CodedError } from "../../../src/common/errors.ts";
import type { BlockDevice } from "../../../src/hal/block-device.ts";
import { type DeviceGate, GatedDevice } from "../../../src/hal/layers/gated-device.ts";
import type { ArrayChange } from "../../../src/raid/array-change.ts";
import type { ArrayDriver } from "../../../src/raid/array-driver.ts";
import type { ArrayCommand, ArrayEvent, CommandOutcome } from "../../../src/raid/array-messages.ts";
import type { ClusterCall, ClusterNotice, ClusterState } from "../../../src/raid/cluster-port.ts";
import {
  GATE_CLOSED,
  GATE_EXPELLED,
  type SharedArrayState,
} from "../../../src/raid/shared-state.ts";
import { type ArrayHome, NodeArray } from "./node-array.ts";
import { SharedDevice } from "./shared-device.ts";
import type { SharedMedium } from "./shared-medium.ts";
import type { SimWorker } from "./sim-worker.ts";
import type { NoticePath, SimHandle, SimWorld } from "./sim-world.ts";
import { NodeClock } from "./timeline.ts";

const SECTOR = 512;
const GATE_LOOK_MS = 20;
/** A node that has joined in vain waits so long for its leave. */
const LEAVE = { usual: 3000, oneIn: 1, most: 3000 };

export class NodeLife implements ArrayHome {
  readonly node: number;
  readonly sim: SimWorld;
  readonly number: string;
  readonly clock: NodeClock;
  readonly bornAt: number;
  isDead = false;
  frozenUntil = 0;
  /** Its store does not answer it. */
  isCutOff = false;
  isExpelled = false;
  /** Clients may read and write. */
  isUp = false;
  isEntered = false;
  isLeaving = false;
  /** Its array is broken: it does no I/O any more, and leaves. */
  isBroken = false;
  isBalancingSuspended = false;
  /** As SharedArrayState.gateUntil; closed until the first confirmation. */
  gateUntil = 1;
  /** Array bytes that each slot resyncs, from the answer to its notice to its next one. */
  readonly suspended = new Map<number, readonly [number, number]>();
  readonly #array: NodeArray;
  /** Every handle that it has opened. */
  readonly #devices: SimHandle[] = [];
  readonly #quickness: number;
  readonly #gate: DeviceGate;
  #joined: JoinedCluster | null = null;
  #store: ClusterStore | null = null;
  /** What came before there was anybody to tell. */
  #early: (() => void)[] = [];
  #notices: NoticePath | null = null;
  readonly #told = new Map<number, ClusterNotice>();

  constructor(sim: SimWorld, node: number, number: string) {
    this.node = node;
    this.number = number;
    this.sim = sim;
    this.bornAt = sim.timeline.now;
    const { prng } = sim;
    this.#quickness = prng.pick([0, 0, 0, 4, 8]);
    const rate = 0.99 + prng.below(21) / 1000;
    this.clock = new NodeClock(sim.timeline, this, rate, 1 + prng.below(1_000_000));
    this.#array = new NodeArray(this);
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

  get isRunElsewhere(): boolean {
    return this.#joined?.isRunElsewhere === true;
  }

  get copies(): ArrayCopies | null {
    return this.sim.boardKeys === null ? null : (this.#joined?.copies ?? null);
  }

  get forced(): ForcedView | null {
    return this.#joined?.view().forced ?? null;
  }

  /** Null before the array runs here. */
  get driver(): ArrayDriver | null {
    return this.#array.driver;
  }

  get shared(): SharedArrayState | null {
    return this.#array.shared;
  }

  get legs(): ReadonlyMap<number, SharedMedium> {
    return this.#array.legs;
  }

  get cluster(): JoinedCluster | null {
    return this.#joined;
  }

  get workers(): readonly SimWorker[] {
    return this.#array.workers;
  }

  get isChanging(): boolean {
    return this.#array.isChanging;
  }

  get isGated(): boolean {
    return this.#joined !== null;
  }

  /** Joins, assembles, enters; throws a CodedError when it cannot. */
  async start(): Promise<void> {
    const { sim } = this;
    const { nodes, keys, prng, boardKeys, planted } = sim;
    this.#store = sim.storeFor(this);
    if (!sim.planted.node.confirms) this.#trustKeepAlives(this.#store);
    const name = `node${this.node}`;
    const boot = sim.bootOf(this);
    this.#joined = await joinArray({
      store: this.#store,
      prefix: keys.prefix,
      member: { node: name, boot, life: this.number, address: "", protocol: 1 },
      nodes,
      clock: this.clock,
      random: () => prng.below(1_000_000) / 1_000_000,
      listener: this.#listener(),
      ...(boardKeys === null || !planted.node.awaitsBoards ? {} : { boards: boardKeys }),
    });
    if (this.isExpelled) return;
    try {
      await this.#array.start();
    } catch (error) {
      if (error instanceof CodedError) await this.#leaveInVain();
      throw error;
    }
    this.#attend();
    this.#array.tick();
    await this.#joined.start();
    if (this.isExpelled || this.isBroken) return;
    this.#array.enter();
    this.isEntered = true;
    this.isUp = true;
  }

  /** Nothing of it happens any more; what is on its way to media and store may yet arrive. */
  die(): void {
    this.isDead = true;
    this.isUp = false;
    void this.#store?.close();
  }

  /** It may yet write to disks of its own board. */
  get mayWriteHere(): boolean {
    const isOver = this.isDead || this.isExpelled;
    return !isOver || this.#devices.some((one) => one instanceof SharedDevice && one.owes);
  }

  /** A member's path is gone, or is another one's. */
  vanish(path: string): void {
    this.#array.vanish(path);
  }

  command(command: ArrayCommand): Promise<CommandOutcome> {
    return this.#array.command(command);
  }

  join(type: "add" | "re-add", medium: SharedMedium): Promise<CommandOutcome> {
    return this.#array.join(type, medium);
  }

  change(change: ArrayChange): Promise<CommandOutcome> {
    return this.#array.change(change);
  }

  stop(): Promise<CommandOutcome> {
    return this.#array.stop();
  }

  /** Planted: a lease that is kept alive permits I/O. */
  #trustKeepAlives(store: ClusterStore): void {
    const keep = store.leaseKeepAlive.bind(store);
    store.leaseKeepAlive = async (lease) => {
      const sentAt = this.clock.now();
      await keep(lease);
      this.#moveGate(sentAt + PERMIT_MS);
    };
  }

  /** It wrote nothing: the others need not recover it. */
  async #leaveInVain(): Promise<void> {
    this.isLeaving = true;
    this.#joined?.call(0, { type: "leave", needsSync: false });
    await this.sim.timeline.turn(LEAVE, this);
    this.#joined?.stop();
  }

  // --- what its array needs ---------------------------------------------------------------------

  now(): number {
    return 1_700_000_000_000 + Math.floor(this.clock.now());
  }

  turn(): Promise<void> {
    return this.sim.timeline.turn(this.sim.delays.thread, this);
  }

  open(medium: SharedMedium, thread: number): BlockDevice {
    const caller = { node: this.node, thread, isClient: thread > 0, life: this };
    const device = this.sim.openMedium(medium, caller, this.#quickness);
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

  call(id: number, call: ClusterCall): void {
    this.sim.trace(this, () => `call ${id} ${JSON.stringify(call)}`);
    this.sim.storeChecks.messages.called(this, call);
    if (call.type === "leave") this.isLeaving = true;
    this.#joined?.call(id, call);
  }

  carriedOut(notice: number, isRefused: boolean): void {
    this.sim.storeChecks.messages.carriedOut(this, notice);
    this.#notices?.processed(notice, isRefused);
  }

  /** What it has under way ends, then it leaves. */
  closeGate(): void {
    this.isBroken = true;
    this.isUp = false;
    this.gateUntil = GATE_CLOSED;
    this.#array.moveGate(GATE_CLOSED, true);
  }

  /** It has left: what its clients wait for fails. */
  brokenAway(): void {
    this.gateUntil = GATE_EXPELLED;
    this.#array.moveGate(GATE_EXPELLED, true);
    this.sim.onBroken(this);
  }

  /** The newest handle is the one that is to be used. */
  owes(medium: SharedMedium): boolean {
    const handles = this.#devices.filter(({ name }) => name === medium.path);
    return handles.slice(0, -1).some(({ owes }) => owes);
  }

  async settle(): Promise<boolean> {
    while (this.#devices.some(({ owes }) => owes)) await this.turn();
    return true;
  }

  arrayStopped(): void {
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
      happened: (happening) => this.sim.trace(this, () => `- ${JSON.stringify(happening)}`),
    };
  }

  /** There is an array to tell from now on. */
  #attend(): void {
    const array = this.#array;
    this.#notices = this.sim.planted.noticePath({
      life: this,
      get shared() {
        return array.shared;
      },
      dispatch: (event) => this.#hear(event),
      processed: (id, isRefused) => this.#processed(id, isRefused),
      poke: () => array.poke(),
    });
    for (const tell of this.#early.splice(0)) tell();
  }

  #answered(id: number, answer: Extract<ArrayEvent, { type: "cluster-answer" }>["answer"]): void {
    this.sim.trace(this, () => `answer ${id} ${answer.ok ? "ok" : answer.code}`);
    this.#hear({ type: "cluster-answer", id, answer });
  }

  #onNotice(id: number, notice: ClusterNotice): void {
    this.sim.trace(this, () => `notice ${id} ${JSON.stringify(notice)}`);
    this.#told.set(id, notice);
    if (notice.type === "resyncing") this.suspended.delete(notice.slot);
    if (notice.type === "recover-slot") this.sim.service?.recovers(notice.slot + 1);
    this.#notices?.notice(id, notice);
  }

  /** What the cluster tells reaches the array thread. */
  #hear(event: ArrayEvent): void {
    if (this.#array.hasStopped) return;
    if (event.type === "cluster-notice")
      this.sim.storeChecks.messages.told(this, event.id, event.notice);
    if (event.type === "cluster-state" && event.state.type === "read-balancing")
      this.isBalancingSuspended = event.state.isSuspended;
    this.#array.hear(event);
  }

  /** The others may count on it from now on. */
  #processed(id: number, isRefused: boolean): void {
    const notice = this.#told.get(id);
    this.#told.delete(id);
    this.sim.trace(this, () => `${isRefused ? "refused" : "processed"} ${id}`);
    if (notice?.type === "resyncing" && notice.hi > 0)
      this.suspended.set(notice.slot, [notice.lo * SECTOR, notice.hi * SECTOR]);
    this.#joined?.processed(id, isRefused);
  }

  /** In order, and never within a call of the array. */
  #tell(tell: () => void): void {
    queueMicrotask(() => {
      if (this.#notices === null) this.#early.push(tell);
      else tell();
    });
  }

  #moveGate(until: number): void {
    if (this.isExpelled || this.isBroken) return;
    const wasOpen = this.#gate.isOpen;
    this.gateUntil = until;
    this.#array.moveGate(until, !wasOpen);
  }

  #onState(state: ClusterState): void {
    this.sim.trace(this, () => `state ${JSON.stringify(state)}`);
    if (state.type === "expelled") {
      this.isExpelled = true;
      this.isUp = false;
      this.gateUntil = GATE_EXPELLED;
      this.#array.moveGate(GATE_EXPELLED, true);
      this.sim.onExpelled(this);
    }
    this.#tell(() => this.#hear({ type: "cluster-state", state }));
  }
}
