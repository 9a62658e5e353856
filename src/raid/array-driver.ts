/**
 * Runs an array machine on its thread: turns completions into events, carries out effects on the
 * members, and passes the rest on (to the I/O workers, to control). One event at a time.
 */

import { assert, assertNever } from "../common/assert.ts";
import { equalBytes } from "../common/bytes.ts";
import type { BlockDevice } from "../hal/block-device.ts";
import { RevocableDevice } from "../hal/layers/revocable-device.ts";
import type { ArrayMachine } from "./array-machine.ts";
import type {
  ArrayEffect,
  ArrayEvent,
  ClusterEffect,
  CommandOutcome,
  DriverAnswer,
  MemberOp,
  Newcomer,
  ReadSuperblock,
  SlotArea,
} from "./array-messages.ts";
import { type Member, SECTOR } from "./array-state.ts";
import type { ArrayHappening, ArrayStatus } from "./array-status.ts";
import type { ClusterCall } from "./cluster-port.ts";
import type { ToldByCluster } from "./cluster-sync-state.ts";
import { readRange } from "./content-driver.ts";
import { CopyBuffers, runCopy } from "./copy-driver.ts";
import { RegionLocks } from "./region-lock.ts";
import type { WaitForRegion } from "./region-wait-driver.ts";
import type { SharedArrayState } from "./shared-state.ts";
import { decodeSuperblock } from "./superblock.ts";
import type { Superblock } from "./superblock-fields.ts";

/** A member as the array thread holds it. */
export interface OpenMember {
  readonly path: string;
  readonly device: BlockDevice;
}

/** What a clustered array's driver needs besides; no call comes back before it has returned. */
export interface ClusterHost {
  /** Answered by the event `cluster-answer`. */
  call(id: number, call: ClusterCall): void;
  processed(id: number, isRefused: boolean): void;
  /** Resolves once no worker has a write to members under way in bytes `[from, to)`. */
  drain(from: number, to: number): Promise<void>;
  /** Workers look again at what is parked. */
  poke(): void;
  /** The array is broken here: no I/O from now on; workers look again at what is parked. */
  closeGate(): void;
  /**
   * Resolves once every member that was given up has answered, in each thread; false when one has
   * not within seconds.
   */
  settle(): Promise<boolean>;
  /** The broken array's node has left its cluster, or could not: it ends. */
  brokenAway(reason: string): void;
  /** Node `slot` changes the array as a whole: stop it here, then the notice is processed. */
  rest(notice: number, slot: number): void;
  /** Looks for a device, opens it and makes it known (`addMember`); null: it is not here. */
  findDevice(uuid: string, deviceNumber: number): Promise<Newcomer | null>;
}

/** What the driver needs of its surroundings. */
export interface ArrayHost {
  /** Milliseconds since the epoch; never goes back far enough to matter, the machine clamps it. */
  now(): number;
  readonly waitForRegion: WaitForRegion;
  /** Resolves once the thread has turned to what came meanwhile: messages, ticks. */
  nextTurn(): Promise<void>;
  /** All workers open `path` as this leg; resolves with null or an error text. */
  openLeg(leg: number, path: string, dataOffset: number): Promise<string | null>;
  /** `reason`: not null when calls under way must end without the leg. */
  dropLeg(leg: number, reason: string | null): void;
  intentReady(worker: number): void;
  legResolved(worker: number, request: number, isRecorded: boolean): void;
  status(status: ArrayStatus): void;
  happening(happening: ArrayHappening): void;
  stopped(): void;
  /** Of an array whose node has joined its cluster. */
  readonly cluster?: ClusterHost;
}

/** A superblock with as many roles as there may be. Source: drivers/md/md.c super_1_load. */
const SUPERBLOCK_BYTES_MAX = 4096;
/** Writes that are made durable one by one, each with a flush of the drive; more share one. */
const DURABLE_WRITES_MAX = 4;

type WithoutToken<T> = T extends { readonly token: number } ? Omit<T, "token"> : never;

interface HeldMember extends OpenMember {
  readonly device: RevocableDevice;
}

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

export class ArrayDriver {
  readonly #machine: ArrayMachine;
  readonly #host: ArrayHost;
  readonly #members = new Map<number, HeldMember>();
  readonly #locks: RegionLocks;
  #buffers = new CopyBuffers();
  readonly #commands = new Map<number, (outcome: CommandOutcome) => void>();
  readonly #memberUse = new Map<number, number>();
  readonly #closing = new Set<number>();
  #nextCommand = 1;

  constructor(
    machine: ArrayMachine,
    shared: SharedArrayState,
    members: ReadonlyMap<number, OpenMember>,
    host: ArrayHost,
  ) {
    this.#machine = machine;
    this.#host = host;
    for (const [id, member] of members) this.#hold(id, member);
    // A read repair and a piece of a sync action may overlap: they must wait for each other.
    this.#locks = new RegionLocks(shared.lockWords, shared.shape.workers, false);
  }

  get status(): ArrayStatus {
    return this.#machine.status;
  }

  /** True while ticks must come often (every 20 ms or so); otherwise once a second will do. */
  get restless(): boolean {
    return this.#machine.restless;
  }

  /** Makes an opened device known BEFORE the command that brings it in. */
  addMember(id: number, member: OpenMember): void {
    assert(!this.#members.has(id), "member id is used once");
    this.#hold(id, member);
  }

  #hold(id: number, { path, device }: OpenMember): void {
    this.#members.set(id, { path, device: RevocableDevice.over(device, () => this.#host.now()) });
  }

  /** Tells the machine that time has passed, and who owes answers. */
  tick(): void {
    const owed = new Map<number, number>();
    for (const [id, { device }] of this.#members) {
      if (device.owesSince !== null) owed.set(id, device.owesSince);
    }
    this.dispatch({ type: "tick", owed });
  }

  /** Closes a device whose command was refused. */
  forgetMember(id: number): void {
    this.#closeMember(id);
  }

  get isStopped(): boolean {
    return this.#machine.stopped;
  }

  /** False when it cannot rest after all while another node changes the array. */
  get mayRest(): boolean {
    return this.#machine.mayRest;
  }

  /** What the cluster has told, for a new start. */
  get told(): ToldByCluster {
    return this.#machine.told;
  }

  /** Members that failed and are not removed. */
  get faulty(): readonly Member[] {
    return this.#machine.faulty;
  }

  /** The members that are still open, AFTER a stop that kept them so. */
  working(): OpenMember[] {
    return [...this.#members].flatMap(([id, member]) => (this.#closing.has(id) ? [] : [member]));
  }

  command(command: Extract<ArrayEvent, { type: "command" }>["command"]): Promise<CommandOutcome> {
    const id = this.#nextCommand++;
    return new Promise((resolve) => {
      this.#commands.set(id, resolve);
      this.dispatch({ type: "command", id, command });
    });
  }

  dispatch(event: ArrayEvent): void {
    for (const effect of this.#machine.handle(event, this.#host.now())) this.#run(effect);
  }

  #run(effect: ArrayEffect): void {
    switch (effect.type) {
      case "member-io":
        return this.#memberIo(effect);
      case "copy":
        return this.#copy(effect);
      case "intent-ready":
        return this.#host.intentReady(effect.worker);
      case "leg-resolved":
        return this.#host.legResolved(effect.worker, effect.request, effect.isRecorded);
      case "open-leg":
        return this.#openLeg(effect);
      case "drop-leg":
        return this.#host.dropLeg(effect.leg, effect.reason);
      case "give-up-member":
        return this.#giveUp(effect.member, effect.reason);
      case "take-back-member":
        return this.#members.get(effect.member)?.device.restore();
      case "close-member":
        return this.#closeMember(effect.member);
      case "command-done": {
        const resolve = this.#commands.get(effect.id);
        this.#commands.delete(effect.id);
        return resolve?.(effect.outcome);
      }
      case "happening":
        return this.#host.happening(effect.happening);
      case "status-changed":
        return this.#host.status(this.#machine.status);
      case "stopped":
        return this.#host.stopped();
      default:
        return this.#runClustered(effect);
    }
  }

  #runClustered(effect: ClusterEffect): void {
    const { cluster } = this.#host;
    assert(cluster !== undefined, "a clustered array has a cluster");
    switch (effect.type) {
      case "cluster-call":
        return cluster.call(effect.id, effect.call);
      case "cluster-processed":
        return cluster.processed(effect.id, effect.isRefused === true);
      case "rest":
        return cluster.rest(effect.notice, effect.slot);
      case "poke":
        return cluster.poke();
      case "close-gate":
        return cluster.closeGate();
      case "broken-away":
        return cluster.brokenAway(effect.reason);
      case "settle":
        return this.#answer(effect, cluster.settle(), (isOver) => ({ type: "settled", isOver }));
      case "drain":
        return this.#answer(effect, cluster.drain(effect.from, effect.to), () => ({
          type: "drained",
        }));
      case "find-device":
        return this.#answer(
          effect,
          cluster.findDevice(effect.uuid, effect.deviceNumber),
          (newcomer) => ({ type: "device-found", newcomer }),
        );
      case "read-superblocks":
        return this.#answer(effect, this.#readSuperblocks(), (found) => ({
          type: "superblocks-read",
          found,
        }));
      case "read-slot-bitmaps":
        return this.#answer(effect, this.#readSlotBitmaps(effect.slots), (areas) => ({
          type: "slot-bitmaps-read",
          areas,
        }));
      default:
        return assertNever(effect);
    }
  }

  #answer<T>(
    { token }: { readonly token: number },
    asked: Promise<T>,
    event: (value: T) => WithoutToken<DriverAnswer>,
  ): void {
    void asked.then((value) => this.dispatch({ ...event(value), token }));
  }

  /** All at once: one that hangs keeps nobody else from being read. */
  #readSuperblocks(): Promise<ReadSuperblock[]> {
    const ids = [...this.#members.keys()].filter((id) => !this.#closing.has(id));
    return Promise.all(
      ids.map(async (member) => ({ member, superblock: await this.#readSuperblock(member) })),
    );
  }

  async #readSuperblock(id: number): Promise<Superblock | null> {
    const sectors = this.#machine.superOffset(id);
    if (sectors === null) return null;
    const bytes = await this.#readMember(id, sectors * SECTOR, SUPERBLOCK_BYTES_MAX);
    const decoded = bytes === null ? null : decodeSuperblock(bytes, sectors);
    return decoded?.ok === true ? decoded.value : null;
  }

  #readSlotBitmaps(slots: readonly number[]): Promise<SlotArea[]> {
    const places = slots.flatMap((slot) =>
      this.#machine.slotBitmaps(slot).map((place) => ({ ...place, slot })),
    );
    return Promise.all(
      places.map(async ({ slot, member, offset, bytes }) => ({
        slot,
        member,
        area: await this.#readMember(member, offset, bytes),
      })),
    );
  }

  /** Null when it is closed or cannot be read. */
  async #readMember(id: number, offset: number, bytes: number): Promise<Uint8Array | null> {
    const device = this.#members.get(id)?.device;
    if (device === undefined) return null;
    this.#use(id, 1);
    try {
      return await readRange(device, offset, bytes);
    } finally {
      this.#use(id, -1);
    }
  }

  #memberIo(effect: Extract<ArrayEffect, { type: "member-io" }>): void {
    const { token, member } = effect;
    this.#use(member, 1);
    void this.#runOps(member, effect.ops).then((error) => {
      this.dispatch({ type: "member-io-done", token, error });
      this.#use(member, -1);
    });
  }

  async #runOps(id: number, ops: readonly MemberOp[]): Promise<string | null> {
    const member = this.#members.get(id);
    if (member === undefined) return "the member is closed";
    const { device } = member;
    const last = ops.at(-1);
    const isOwn = last?.type === "flush" && last.isOwn === true;
    let mayBeDurable = isOwn && ops.length <= DURABLE_WRITES_MAX + 1;
    try {
      for (const op of ops) {
        if (op.type === "if") {
          const found = await readRange(device, op.offset, op.data.length);
          if (found === null || !equalBytes(found, op.data)) return null;
        } else if (op.type === "write") {
          const durable = mayBeDurable ? (device.writeDurable?.(op.data, op.offset) ?? null) : null;
          mayBeDurable &&= durable !== null;
          await (durable ?? device.write([op.data], op.offset));
        } else if (!mayBeDurable) await device.flush();
      }
      return null;
    } catch (error) {
      return messageOf(error);
    }
  }

  #copy(effect: Extract<ArrayEffect, { type: "copy" }>): void {
    const { plan, token } = effect;
    const places = plan.extents.flatMap(({ sources, targets }) => [...sources, ...targets]);
    const used = [...new Set(places.map(({ member }) => member))];
    for (const id of used) this.#use(id, 1);
    const context = {
      locks: this.#locks,
      member: (id: number) => this.#copyMember(id),
      isBad: (id: number, position: number, length: number) =>
        this.#machine.isBad(id, position, length),
      hasGivenUp: () => this.#machine.hasGivenUp,
      waitForRegion: this.#host.waitForRegion,
      buffers: this.#buffers,
    };
    void runCopy(plan, context).then(async (result) => {
      // Copies of what lies in the page cache may take no turn at all: one would follow the other
      // to the end of the array, and nobody else would be heard.
      await this.#host.nextTurn();
      this.dispatch({ type: "copy-done", token, result });
      for (const id of used) this.#use(id, -1);
    });
  }

  #copyMember(id: number): { readonly device: BlockDevice; readonly dataOffset: number } | null {
    const device = this.#machine.isUsable(id) ? this.#members.get(id)?.device : undefined;
    return device === undefined ? null : { device, dataOffset: this.#machine.dataOffset(id) };
  }

  #openLeg(effect: Extract<ArrayEffect, { type: "open-leg" }>): void {
    const member = this.#members.get(effect.member);
    assert(member !== undefined, "leg of an unknown member");
    const dataOffset = this.#machine.dataOffset(effect.member);
    void this.#host.openLeg(effect.leg, member.path, dataOffset).then((error) => {
      this.dispatch({ type: "legs-opened", token: effect.token, error });
    });
  }

  /** Copies under way drop the buffers they have: the device may still write into one. */
  #giveUp(id: number, reason: string): void {
    const device = this.#members.get(id)?.device;
    if (device === undefined) return;
    if (device.owesSince !== null) {
      this.#buffers.retire();
      this.#buffers = new CopyBuffers();
    }
    device.revoke(reason);
  }

  #use(id: number, change: 1 | -1): void {
    const use = (this.#memberUse.get(id) ?? 0) + change;
    this.#memberUse.set(id, use);
    if (use === 0 && this.#closing.has(id)) this.#closeNow(id);
  }

  #closeMember(id: number): void {
    this.#closing.add(id);
    if ((this.#memberUse.get(id) ?? 0) === 0) this.#closeNow(id);
  }

  #closeNow(id: number): void {
    const member = this.#members.get(id);
    this.#members.delete(id);
    this.#memberUse.delete(id);
    this.#closing.delete(id);
    // A close that fails has nothing left to lose: every flush has been asked for and answered.
    member?.device.close().catch(() => undefined);
  }
}
