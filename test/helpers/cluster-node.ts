/**
 * One node of the cluster bench: an array machine on shared disks. What it asks for becomes jobs;
 * the bench chooses which job is done next.
 */
import { assert } from "../../src/common/assert.ts";
import type { ArrayMachine } from "../../src/raid/array-machine.ts";
import type {
  ArrayCommand,
  ArrayEffect,
  ArrayEvent,
  CommandOutcome,
  MemberOp,
  Newcomer,
} from "../../src/raid/array-messages.ts";
import type { AfterChange } from "../../src/raid/array-start.ts";
import type { ArrayHappening, ArrayStatus } from "../../src/raid/array-status.ts";
import type { ToldByCluster } from "../../src/raid/cluster-sync-state.ts";
import type { SharedArrayState } from "../../src/raid/shared-state.ts";
import { decodeSuperblock } from "../../src/raid/superblock.ts";
import type { Superblock } from "../../src/raid/superblock-fields.ts";
import { SharedCopy, type SharedDisk } from "./cluster-disks.ts";
import { NodeWrite, type WriteHost } from "./cluster-write.ts";
import type { PerfectCluster } from "./perfect-cluster.ts";

const SECTOR = 512;
const SUPER_SECTOR = 8;

/** Something under way; `run` does it. */
export interface Job {
  readonly name: string;
  /** False while it has to wait. */
  isReady(): boolean;
  run(): void;
}

/** An array started from what the disks say. */
export interface StartedNode {
  readonly machine: ArrayMachine;
  readonly shared: SharedArrayState;
  readonly handles: ReadonlyMap<number, string>;
  readonly legs: readonly {
    readonly leg: number;
    readonly path: string;
    readonly dataOffset: number;
  }[];
}

export interface NodeSurroundings {
  start(slot: number, afterChange: AfterChange | null, told: ToldByCluster): StartedNode;
  readonly cluster: PerfectCluster;
  readonly disks: ReadonlyMap<string, SharedDisk>;
  /** What others do comes between what a disk has done and its answer. */
  readonly answersLate: boolean;
  now(): number;
}

const always = (): boolean => true;

export class ClusterNode {
  readonly slot: number;
  machine: ArrayMachine;
  shared: SharedArrayState;
  readonly jobs: Job[] = [];
  /** Everything else that was told, oldest first. */
  readonly told: ArrayEffect[] = [];
  readonly outcomes = new Map<number, CommandOutcome>();
  readonly writes: NodeWrite[] = [];
  readonly #around: NodeSurroundings;
  /** Open members: handle number to path. */
  readonly #handles = new Map<number, string>();
  readonly #revoked = new Set<number>();
  readonly #legs = new Map<number, { readonly disk: SharedDisk; readonly dataOffset: number }>();
  readonly #copies = new Set<SharedCopy>();
  #nextHandle: number;
  #nextCommand = 1;
  isDead = false;
  /** A call that was given up is never answered. */
  owesForEver = false;
  /** Client requests are held: the array is stopped, or is about to be. */
  isPaused = false;
  /** Whose change ends this node's rest, once it has come to it. */
  #changer: number | null = null;
  readonly #early: ArrayEvent[] = [];

  constructor(slot: number, started: StartedNode, around: NodeSurroundings) {
    this.slot = slot;
    this.#around = around;
    this.machine = started.machine;
    this.shared = started.shared;
    this.#nextHandle = 100;
    this.#adopt(started);
  }

  #adopt({ machine, shared, handles, legs }: StartedNode): void {
    this.machine = machine;
    this.shared = shared;
    this.#handles.clear();
    this.#revoked.clear();
    this.#legs.clear();
    for (const [id, path] of handles) this.#handles.set(id, path);
    for (const { leg, path, dataOffset } of legs)
      this.#legs.set(leg, { disk: this.#disk(path), dataOffset });
  }

  /** Holds client requests, and stops the array when those under way have ended. */
  pause(then: () => void): void {
    this.isPaused = true;
    const isIdle = (): boolean =>
      this.writes.every(({ state }) => !["writing", "held", "flushing"].includes(state));
    this.#job(
      "hold",
      () => {
        this.command({ type: "stop", keepOpen: true });
        this.#job("stop", then, () => this.machine.stopped);
      },
      isIdle,
    );
  }

  /** The array as the disks say it is now; requests go on. */
  startAnew(afterChange: AfterChange | null): void {
    this.#adopt(this.#around.start(this.slot, afterChange, this.machine.told));
    this.isPaused = false;
    this.#changer = null;
    for (const write of this.writes) write.askAgain();
    for (const write of this.writes) write.look();
    for (const event of this.#early.splice(0)) this.send(event);
    this.tick();
  }

  /** What the cluster tells: while the node rests it waits for the new start, or causes it. */
  tell(event: ArrayEvent): void {
    if (!this.machine.stopped || !this.isPaused) return this.send(event);
    const notice = event.type === "cluster-notice" ? event : null;
    const isOver = notice?.notice.type === "metadata-updated" && this.#changer !== null;
    const isOrphan = notice?.notice.type === "recover-slot" && notice.notice.slot === this.#changer;
    if (notice?.notice.type === "change-capacity") {
      this.#around.cluster.processed(this.slot, notice.id);
    } else if (isOver) {
      this.startAnew(null);
      this.#around.cluster.processed(this.slot, notice.id);
    } else {
      this.#early.push(event);
      if (isOrphan) this.startAnew("interrupted");
    }
  }

  get status(): ArrayStatus {
    return this.machine.status;
  }

  /** `in_sync`, `rebuilding`, `spare`, `faulty`, or `none`. */
  memberState(path: string): string {
    const { states = [] } = this.status.members.find((member) => member.path === path) ?? {};
    if (states.includes("rebuilding")) return "rebuilding";
    return states[0] ?? "none";
  }

  happenings(): ArrayHappening[] {
    return this.told.flatMap((effect) => (effect.type === "happening" ? [effect.happening] : []));
  }

  send(event: ArrayEvent): void {
    if (this.isDead) return;
    for (const effect of this.machine.handle(event, this.#around.now())) this.#take(effect);
    for (const write of this.writes) write.look();
  }

  tick(): void {
    this.send({ type: "tick" });
  }

  command(command: ArrayCommand): number {
    const id = this.#nextCommand++;
    this.send({ type: "command", id, command });
    return id;
  }

  /** `ok`, a refusal's code, or `waiting`. */
  outcome(id: number): string {
    const outcome = this.outcomes.get(id);
    if (outcome === undefined) return "waiting";
    return outcome.ok ? "ok" : outcome.code;
  }

  /** Opens a disk as `add` and `re-add` get it; `setUuid`: of the array, to see what it had. */
  newcomer(path: string, over: Partial<Newcomer> = {}): Newcomer {
    const member = this.#nextHandle++;
    this.#handles.set(member, path);
    const disk = this.#disk(path);
    const superblock = superblockOn(disk, this.slot);
    const slots = superblock === null ? [] : [...Array(this.status.bitmap.nodes).keys()];
    return {
      member,
      path,
      sizeBytes: disk.bytes.length,
      superblock,
      bitmapAreas: slots.map((slot) => this.#area(member, superblock, slot)),
      badBlocks: [],
      logicalBlockBytes: 512,
      freshUuid: new Uint8Array(16).fill(0x40 + member + 16 * this.slot),
      writeMostly: false,
      failfast: false,
      ...over,
    };
  }

  /** A client's write; it goes as far as it can at once, and on when something has changed. */
  write(offset: number, data: Uint8Array, fua = false): NodeWrite {
    const write = new NodeWrite(this.writes.length + 1, offset, data, fua, this.#writeHost());
    this.writes.push(write);
    write.look();
    return write;
  }

  /** What a read may return on this node here: of each leg that may be read, by its path. */
  reads(offset: number, length: number): Map<string, Uint8Array> {
    const { shared } = this;
    const stable =
      !shared.balances || shared.isSuspended(offset, length) || !this.#isSynced(offset);
    const found = new Map<string, Uint8Array>();
    for (const extent of shared.map.extents(offset, length)) {
      for (const { slot, position } of extent.places) {
        for (const leg of [slot, slot + shared.map.raidSlots]) {
          const { disk, dataOffset } = this.#legs.get(leg) ?? {};
          if (shared.leg(leg) !== 2 || disk === undefined || dataOffset === undefined) continue;
          if (stable && found.size > 0) continue;
          const bytes = disk.read(this.slot, dataOffset + position, extent.length);
          if (bytes !== null) found.set(disk.path, bytes);
        }
      }
    }
    return found;
  }

  /** It stops where it is: nothing that it had under way is done any more. */
  die(): void {
    this.isDead = true;
    this.jobs.length = 0;
    this.#around.cluster.remove(this.slot);
  }

  /** Its thread ends; the others miss it if it has not left. */
  #end(): void {
    if (this.#around.cluster.nodes.includes(this.slot)) return this.die();
    this.isDead = true;
    this.jobs.length = 0;
  }

  #isSynced(offset: number): boolean {
    return this.shared.syncedMib * 1024 * 1024 > offset;
  }

  #disk(path: string): SharedDisk {
    const disk = this.#around.disks.get(path);
    assert(disk !== undefined, "a disk of the bench");
    return disk;
  }

  #job(name: string, run: () => void, isReady: () => boolean = always): void {
    this.jobs.push({ name: `${this.slot} ${name}`, run, isReady });
  }

  #answer(name: string, run: () => void): void {
    if (this.#around.answersLate) this.#job(name, run);
    else run();
  }

  #writeHost(): WriteHost {
    return {
      node: this.slot,
      shared: () => this.shared,
      isPaused: () => this.isPaused,
      leg: (leg) => this.#legs.get(leg) ?? null,
      isHeld: (write) =>
        [...this.#copies].some((copy) => copy.covers(write.offset, write.data.length)) ||
        this.writes.some((other) => {
          const start = write.offset;
          const place = {
            covers: (at: number, length: number) =>
              at < start + write.data.length && start < at + length,
          };
          return other !== write && other.isUnderWay(place);
        }),
      again: () => {
        for (const write of this.writes) write.look();
      },
      job: (name, run, isReady) => this.#job(name, run, isReady),
      send: (event) => this.send(event),
    };
  }

  // --- what the machine asks for ----------------------------------------------------------------

  #take(effect: ArrayEffect): void {
    switch (effect.type) {
      case "member-io": {
        const { member, ops, token } = effect;
        // What is asked of a member before it is closed is carried out.
        const path = this.#handles.get(member);
        return this.#job(`io ${member}`, () => {
          this.#checkWriter(ops);
          const isOpen = path !== undefined && !this.#revoked.has(member);
          const disk = isOpen ? this.#disk(path) : null;
          const error = disk === null ? "the member is closed" : disk.run(this.slot, ops);
          this.#answer(`io ${member}`, () => this.send({ type: "member-io-done", token, error }));
        });
      }
      case "copy":
        return this.#copy(effect);
      case "open-leg":
        return this.#openLeg(effect);
      case "drop-leg":
        this.#legs.delete(effect.leg);
        this.told.push(effect);
        return;
      case "give-up-member":
        this.#revoked.add(effect.member);
        return;
      case "take-back-member":
        this.#revoked.delete(effect.member);
        return;
      case "close-member":
        this.#handles.delete(effect.member);
        return;
      case "command-done":
        assert(!this.outcomes.has(effect.id), "a command is answered once");
        this.outcomes.set(effect.id, effect.outcome);
        return;
      case "leg-resolved":
        this.told.push(effect);
        for (const write of this.writes) write.onResolved(effect.request, effect.isRecorded);
        return;
      case "intent-ready":
        for (const write of this.writes) write.onIntentReady();
        return;
      case "cluster-call":
        return this.#around.cluster.call(this.slot, effect.id, effect.call);
      case "cluster-processed":
        return this.#around.cluster.processed(this.slot, effect.id, effect.isRefused === true);
      case "rest": {
        const { notice, slot } = effect;
        return this.pause(() => {
          if (!this.machine.mayRest) return this.startAnew(null);
          this.#changer = slot;
          this.#around.cluster.processed(this.slot, notice);
        });
      }
      case "drain":
        return this.#drain(effect);
      case "settle":
        return this.#job("settle", () =>
          this.send({ type: "settled", token: effect.token, isOver: !this.owesForEver }),
        );
      case "broken-away":
        this.told.push(effect);
        // What was held for a change finds the array broken.
        this.isPaused = false;
        for (const write of this.writes) write.look();
        return this.#end();
      case "read-superblocks":
        return this.#readSuperblocks(effect.token);
      case "read-slot-bitmaps":
        return this.#readSlotBitmaps(effect.token, effect.slots);
      case "find-device":
        return this.#findDevice(effect);
      default:
        this.told.push(effect);
    }
  }

  #open(member: number): SharedDisk | null {
    const path = this.#handles.get(member);
    return path === undefined || this.#revoked.has(member) ? null : this.#disk(path);
  }

  #copy({ token, plan }: Extract<ArrayEffect, { type: "copy" }>): void {
    const copy = new SharedCopy(plan, this.slot, (id) => {
      const disk = this.machine.isUsable(id) ? this.#open(id) : null;
      return disk === null ? null : { disk, dataOffset: this.machine.dataOffset(id) };
    });
    const isFree = (): boolean =>
      this.machine.hasGivenUp || !this.writes.some((write) => write.isUnderWay(copy));
    this.#job(
      `copy ${plan.mode} ${plan.from}`,
      () => {
        this.#copies.add(copy);
        this.#checkWindow(plan);
        copy.readSources();
        this.#job(`copied ${plan.from}`, () => {
          const result = copy.writeTargets();
          this.#copies.delete(copy);
          this.send({ type: "copy-done", token, result });
        });
      },
      isFree,
    );
  }

  /**
   * §6.5: only the node that has access to the metadata writes superblocks of members. The one of a
   * newcomer that no update names yet has no events.
   */
  #checkWriter(ops: readonly MemberOp[]): void {
    const { holder } = this.#around.cluster;
    const at = SUPER_SECTOR * SECTOR;
    const writes = ops.some((op) => {
      if (op.type !== "write" || op.offset !== at) return false;
      const decoded = decodeSuperblock(op.data, SUPER_SECTOR);
      return decoded.ok && decoded.value.events > 0;
    });
    assert(!writes || holder === this.slot, `node ${this.slot} writes superblocks, not ${holder}`);
  }

  /** §6.3: whatever is copied lies where all others hold their writes. */
  #checkWindow({ extents }: Extract<ArrayEffect, { type: "copy" }>["plan"]): void {
    const { lo, hi } = this.#around.cluster.acknowledged.get(this.slot) ?? { lo: 0, hi: 0 };
    for (const { offset, length } of extents) {
      const isInside = lo * SECTOR <= offset && offset + length <= hi * SECTOR;
      assert(isInside, `node ${this.slot} copies ${offset}+${length}, others hold [${lo}, ${hi})`);
    }
  }

  #openLeg({ token, leg, member }: Extract<ArrayEffect, { type: "open-leg" }>): void {
    this.#job(`open leg ${leg}`, () => {
      const disk = this.#open(member);
      const error = disk === null || disk.hiddenFrom.has(this.slot) ? "ENOENT" : null;
      if (disk !== null && error === null)
        this.#legs.set(leg, { disk, dataOffset: this.machine.dataOffset(member) });
      this.send({ type: "legs-opened", token, error });
    });
  }

  #drain({ token, from, to }: { token: number; from: number; to: number }): void {
    const isDrained = (): boolean => !this.writes.some((write) => write.isOnDisks(from, to));
    const drained = (): void => {
      for (const write of this.writes) write.overtake(from, to);
      this.send({ type: "drained", token });
    };
    this.#job("drain", drained, isDrained);
  }

  #readSuperblocks(token: number): void {
    this.#job("read superblocks", () => {
      const found = [...this.#handles.keys()].flatMap((member) => {
        const sectors = this.machine.superOffset(member);
        if (sectors === null) return [];
        const disk = this.#open(member);
        return [{ member, superblock: disk === null ? null : superblockOn(disk, this.slot) }];
      });
      this.send({ type: "superblocks-read", token, found });
    });
  }

  #readSlotBitmaps(token: number, slots: readonly number[]): void {
    this.#job(`read bitmaps ${slots.join()}`, () => {
      const areas = slots.flatMap((slot) =>
        this.machine.slotBitmaps(slot).map(({ member, offset, bytes }) => ({
          slot,
          member,
          area: this.#open(member)?.read(this.slot, offset, bytes) ?? null,
        })),
      );
      this.send({ type: "slot-bitmaps-read", token, areas });
    });
  }

  #area(member: number, superblock: Superblock | null, slot: number): Uint8Array | null {
    const like = this.machine.slotBitmaps(slot)[0];
    const disk = this.#open(member);
    if (like === undefined || disk === null || superblock === null) return null;
    const first = (superblock.superOffset + superblock.bitmapOffset) * SECTOR;
    return disk.read(this.slot, first + slot * like.bytes, like.bytes);
  }

  #findDevice({ token, uuid }: Extract<ArrayEffect, { type: "find-device" }>): void {
    this.#job("find device", () => {
      const isIt = (disk: SharedDisk): boolean => {
        const superblock = superblockOn(disk, this.slot);
        return superblock !== null && Buffer.from(superblock.deviceUuid).toString("hex") === uuid;
      };
      const seen = [...this.#around.disks.values()].filter((d) => !d.hiddenFrom.has(this.slot));
      const disk = seen.find(isIt);
      this.#answer("open device", () => {
        const newcomer = disk === undefined ? null : this.newcomer(disk.path);
        this.send({ type: "device-found", token, newcomer });
      });
    });
  }
}

/** The superblock on a disk as the node reads it; null when there is none. */
export const superblockOn = (disk: SharedDisk, node: number): Superblock | null => {
  const bytes = disk.read(node, SUPER_SECTOR * SECTOR, 4096);
  const decoded = bytes === null ? null : decodeSuperblock(bytes, SUPER_SECTOR);
  return decoded?.ok === true ? decoded.value : null;
};
