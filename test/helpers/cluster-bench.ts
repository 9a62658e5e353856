/**
 * Nodes of a cluster on disks that they share, with a cluster that never fails: superblocks,
 * bitmaps and content are real bytes. Everything under way is a job; `settle` does them in order of
 * arrival, or in an order that a generator picks.
 */
import { assert } from "../../src/common/assert.ts";
import type { Prng } from "../../src/common/prng.ts";
import { ArrayMap } from "../../src/raid/array-map.ts";
import type { ArrayCommand } from "../../src/raid/array-messages.ts";
import {
  type AfterChange,
  legOf,
  type Placement,
  type StartMember,
  startArray,
} from "../../src/raid/array-start.ts";
import {
  bitmapChunks,
  bitmapSlotBytes,
  decodeBitmapSuperblock,
  encodeBitmapSuperblock,
} from "../../src/raid/bitmap-superblock.ts";
import type { ToldByCluster } from "../../src/raid/cluster-sync-state.ts";
import { RUN_ACTIVE } from "../../src/raid/shared-state.ts";
import { encodeSuperblock, memberRole } from "../../src/raid/superblock.ts";
import type { Superblock } from "../../src/raid/superblock-fields.ts";
import { SharedDisk } from "./cluster-disks.ts";
import { ClusterNode, type StartedNode, superblockOn } from "./cluster-node.ts";
import { roles, SAMPLE_UUID, sampleBitmap, sampleSuperblock } from "./md-samples.ts";
import { PerfectCluster } from "./perfect-cluster.ts";

const SECTOR = 512;
const SUPER_AT = 8 * SECTOR;
/** Bytes from the start of a disk to the bitmaps, slot after slot. */
export const BITMAP_AT = 16 * SECTOR;
const DATA_SECTORS = 2048;
export const CHUNK_BYTES = 64 * 1024;

export interface ClusterBenchOptions {
  /** Nodes that have joined: slots 0, 1, … */
  readonly nodes?: number;
  /** Bitmaps there are. */
  readonly slots?: number;
  readonly disks?: number;
  /** Disks beyond the array's, blank. */
  readonly blank?: number;
  readonly raidDisks?: number;
  /** Spares that the array has: the last disks. */
  readonly spares?: number;
  /** Bitmap chunks that fit on a member, 64 KiB each. */
  readonly chunks?: number;
  /** Of a raid10: its layout word, and its chunk. */
  readonly raid10?: { readonly layout: number; readonly chunkSectors: number };
  /** Members that are rebuilt: device number to bytes done. */
  readonly rebuilding?: Readonly<Record<number, number>>;
  /** Bits that are set at the start, by slot. */
  readonly bits?: Readonly<Record<number, readonly number[]>>;
  readonly superblock?: Partial<Superblock>;
  /** As NodeSurroundings. */
  readonly answersLate?: boolean;
  /** How much of a resync is announced at once; the product's if left out. */
  readonly windowBytes?: number;
}

export class ClusterBench {
  readonly disks = new Map<string, SharedDisk>();
  readonly cluster = new PerfectCluster();
  readonly nodes: ClusterNode[] = [];
  readonly slots: number;
  /** Where the array's bytes lie, as it is at first. */
  readonly map: ArrayMap;
  /** Bits of each bitmap. */
  readonly chunks: number;
  /** As the superblocks told after so many writes. */
  #slots: { readonly writes: number; readonly of: ReadonlyMap<string, number> } = {
    writes: -1,
    of: new Map(),
  };
  now = 1_800_000_000_000;
  readonly #prng: Prng | null;
  readonly #window: { readonly windowBytes?: number };
  readonly #answersLate: boolean;

  /** `prng`: picks the order of what is under way; null: in order of arrival. */
  constructor(options: ClusterBenchOptions = {}, prng: Prng | null = null) {
    const { nodes = 2, disks = 2, spares = 0, blank = 0 } = options;
    const { slots = 4, chunks = 32, raid10 = null } = options;
    this.slots = slots;
    this.#prng = prng;
    this.#answersLate = options.answersLate ?? false;
    this.#window = options.windowBytes === undefined ? {} : { windowBytes: options.windowBytes };
    const raidDisks = options.raidDisks ?? disks - spares;
    const size = (chunks * CHUNK_BYTES) / SECTOR;
    this.map = new ArrayMap({ raidSlots: raidDisks, componentSectors: size, raid10 });
    this.chunks = Math.ceil(this.map.sizeBytes / CHUNK_BYTES);
    const freshest = sampleSuperblock({
      featureMap: 0x101,
      bblogSize: 0,
      bblogOffset: 0,
      size,
      dataSize: size,
      raidDisks,
      resyncOffset: 0,
      devRoles: roles(...Array.from({ length: disks - spares }, (_, number) => number)),
      ...(raid10 === null
        ? {}
        : { level: 10, layout: raid10.layout, chunkSize: raid10.chunkSectors }),
      ...options.superblock,
    });
    for (let number = 0; number < disks + blank; number++) {
      const disk = new SharedDisk(`/m${number}`, DATA_SECTORS * SECTOR + chunks * CHUNK_BYTES);
      this.disks.set(disk.path, disk);
      if (number < disks) this.#format(disk, number, freshest, options);
    }
    for (let slot = 0; slot < nodes; slot++) this.join(slot);
    this.settle();
  }

  #format(
    disk: SharedDisk,
    devNumber: number,
    freshest: Superblock,
    { rebuilding = {}, bits = {} }: ClusterBenchOptions,
  ): void {
    const done = rebuilding[devNumber];
    const own = {
      devNumber,
      deviceUuid: new Uint8Array(16).fill(devNumber + 1),
      ...(done === undefined
        ? {}
        : { featureMap: freshest.featureMap | 2, recoveryOffset: done / SECTOR }),
    };
    disk.bytes.set(encodeSuperblock({ ...freshest, ...own }), SUPER_AT);
    const bitmap = sampleBitmap({
      version: 5,
      nodes: this.slots,
      syncSize: this.map.sizeBytes / SECTOR,
      chunkBytes: CHUNK_BYTES,
    });
    const step = this.areaBytes;
    for (let slot = 0; slot < this.slots; slot++) {
      const area = disk.bytes.subarray(BITMAP_AT + slot * step, BITMAP_AT + (slot + 1) * step);
      area.set(encodeBitmapSuperblock(bitmap));
      for (const chunk of bits[slot] ?? [])
        area[256 + (chunk >> 3)] = (area[256 + (chunk >> 3)] ?? 0) | (1 << (chunk & 7));
    }
  }

  get areaBytes(): number {
    return bitmapSlotBytes(bitmapChunks(this.map.sizeBytes / SECTOR, CHUNK_BYTES));
  }

  node(slot: number): ClusterNode {
    const node = this.nodes.find((one) => one.slot === slot && !one.isDead);
    assert(node !== undefined, "a node that is in");
    return node;
  }

  disk(path: string): SharedDisk {
    const disk = this.disks.get(path);
    assert(disk !== undefined, "a disk of the bench");
    return disk;
  }

  /** What the disk's superblock says, whoever may read it. */
  superblock(path: string): Superblock {
    const superblock = superblockOn(this.disk(path), -1);
    assert(superblock !== null, "a superblock that md accepts");
    return superblock;
  }

  /** Chunks whose bit is set in a node's bitmap on this disk. */
  bits(path: string, slot: number): number[] {
    const at = BITMAP_AT + slot * this.areaBytes;
    const area = this.disk(path).bytes.subarray(at, at + this.areaBytes);
    assert(decodeBitmapSuperblock(area, SAMPLE_UUID).ok, "a bitmap that md accepts");
    return Array.from({ length: this.chunks }, (_, chunk) => chunk).filter(
      (chunk) => ((area[256 + (chunk >> 3)] ?? 0) & (1 << (chunk & 7))) !== 0,
    );
  }

  /** What a disk holds of the array. */
  content(path: string): Uint8Array {
    return this.disk(path).bytes.subarray(DATA_SECTORS * SECTOR);
  }

  /** Raid slot that the newest superblock gives the disk; null: none. */
  #slotOf(path: string): number | null {
    const disks = [...this.disks.values()];
    const writes = disks.reduce((sum, disk) => sum + disk.writes.length, 0);
    if (writes !== this.#slots.writes) this.#slots = { writes, of: slotsOn(disks) };
    return this.#slots.of.get(path) ?? null;
  }

  /** Where the disk has a byte of the array, within its content; null: it has no copy of it. */
  positionOn(path: string, offset: number): number | null {
    if (this.map.isMirror) return offset;
    const slot = this.#slotOf(path);
    const [extent] = this.map.extents(offset, 1);
    return extent?.places.find((place) => place.slot === slot)?.position ?? null;
  }

  /** Bytes of the array that lie in this part of the disk's content, as ranges. */
  arrayRuns(path: string, position: number, length: number): { offset: number; length: number }[] {
    if (this.map.isMirror) return [{ offset: position, length }];
    const slot = this.#slotOf(path);
    return slot === null ? [] : this.map.memberRuns(slot, position, length);
  }

  /** A node is in the cluster, and starts the array from what it can read. */
  join(slot: number): ClusterNode {
    this.cluster.join(slot);
    const around = {
      cluster: this.cluster,
      disks: this.disks,
      answersLate: this.#answersLate,
      now: () => this.now,
      start: this.#start.bind(this),
    };
    const node = new ClusterNode(slot, this.#start(slot, null), around);
    this.nodes.push(node);
    // What the others resync is known here BEFORE the first write of a client.
    for (let mail = this.cluster.take(slot); mail !== null; mail = this.cluster.take(slot))
      node.send(mail);
    node.tick();
    return node;
  }

  #start(slot: number, afterChange: AfterChange | null, told?: ToldByCluster): StartedNode {
    const found = [...this.disks.values()].flatMap((disk) => {
      const superblock = disk.hiddenFrom.has(slot) ? null : superblockOn(disk, slot);
      return superblock === null ? [] : [{ disk, superblock }];
    });
    const [freshest] = found
      .map(({ superblock }) => superblock)
      .sort((one, other) => other.events - one.events);
    assert(freshest !== undefined, "the array has members");
    const members = found.flatMap(({ disk, superblock }, id): StartMember[] => {
      const placement = placementOf(freshest, superblock);
      const at = BITMAP_AT + slot * this.areaBytes;
      const bitmapArea = disk.read(slot, at, this.areaBytes);
      if (placement === null) return [];
      return [{ id, path: disk.path, superblock, placement, bitmapArea, badBlocks: [] }];
    });
    const area = this.disk(members[0]?.path ?? "").read(-1, BITMAP_AT, this.areaBytes);
    const bitmap = decodeBitmapSuperblock(area ?? new Uint8Array());
    assert(bitmap.ok, "a bitmap that md accepts");
    const started = startArray({
      members,
      freshest,
      bitmap: bitmap.value,
      bitmapStale: false,
      readOnly: false,
      slot,
      ...(afterChange === null ? {} : { afterChange }),
      ...(told === undefined ? {} : { told }),
      logicalBlockBytes: 512,
      workers: 1,
      now: this.now,
      syncSpeedMin: 2 ** 40,
      syncSpeedMax: 2 ** 40,
      options: { safeModeMs: 200, answerLimitMs: 30_000, ...this.#window },
    });
    const handles = new Map(members.map(({ id, path }) => [id, path]));
    const legs = members.flatMap(({ path, placement, superblock }) =>
      placement.type === "spare"
        ? []
        : [
            {
              leg: legOf(placement, freshest.raidDisks),
              path,
              dataOffset: superblock.dataOffset * SECTOR,
            },
          ],
    );
    started.shared.run = RUN_ACTIVE;
    return { ...started, handles, legs };
  }

  /** Runs one thing that is under way; false when nothing is. */
  step(without: ClusterNode | null = null): boolean {
    const choices: (() => void)[] = [];
    for (const node of this.nodes) {
      if (node.isDead || node === without) continue;
      for (const job of node.jobs) {
        if (!job.isReady()) continue;
        choices.push(() => {
          node.jobs.splice(node.jobs.indexOf(job), 1);
          job.run();
        });
      }
      if (this.cluster.hasMail(node.slot))
        choices.push(() => {
          const mail = this.cluster.take(node.slot);
          if (mail !== null) node.tell(mail);
        });
    }
    const choice =
      this.#prng === null ? choices[0] : choices[this.#prng.below(choices.length || 1)];
    choice?.();
    return choice !== undefined;
  }

  /** Everything that is under way is done, but for what waits for time to pass. */
  settle(): void {
    for (let steps = 0; steps < 100_000; steps++) if (!this.step()) return;
    assert(false, "the cluster never comes to rest");
  }

  /** Some of what is under way is done. */
  steps(count: number): void {
    for (let at = 0; at < count; at++) if (!this.step()) return;
  }

  /** The same, while one node does nothing. */
  stepsWithout(node: ClusterNode, count: number): void {
    for (let at = 0; at < count; at++) if (!this.step(node)) return;
  }

  tick(ms: number): void {
    this.now += ms;
    for (const node of this.nodes) node.tick();
  }

  /** Time passes, and everything is done, until no node runs a sync action or waits for one. */
  finishSync(): void {
    for (let rounds = 0; rounds < 1000; rounds++) {
      this.settle();
      this.tick(20);
      const isBusy = this.nodes.some((node) => !node.isDead && node.status.sync !== null);
      if (!isBusy && this.cluster.isIdle && this.nodes.every(({ jobs }) => jobs.length === 0))
        return;
    }
    assert(false, "the sync action never ends");
  }

  /** Sends a command, does all that is under way, and returns its outcome. */
  run(slot: number, command: ArrayCommand): string {
    const node = this.node(slot);
    const id = node.command(command);
    this.settle();
    return node.outcome(id);
  }

  /**
   * A node changes the array as a whole: `edit` gets every superblock and its disk, and returns the
   * one to write. The outcome of its beginning; what is under way then is done.
   */
  change(slot: number, edit: (superblock: Superblock, disk: SharedDisk) => Superblock): string {
    const node = this.node(slot);
    const sectors = (this.chunks * CHUNK_BYTES) / SECTOR;
    const id = node.command({ type: "begin-change", sectors });
    this.settle();
    if (node.outcome(id) !== "ok") return node.outcome(id);
    this.edit(slot, edit);
    this.settle();
    return "ok";
  }

  /** The part of it that follows once the others are at rest. */
  edit(slot: number, edit: (superblock: Superblock, disk: SharedDisk) => Superblock): void {
    const node = this.node(slot);
    node.pause(() => {
      for (const disk of this.disks.values()) {
        const superblock = superblockOn(disk, slot);
        if (superblock !== null) disk.bytes.set(encodeSuperblock(edit(superblock, disk)), SUPER_AT);
      }
      node.startAnew("held");
    });
  }

  /** Whether the copies on these disks are the same. */
  isEqual(...paths: readonly string[]): boolean {
    const step = Math.min(this.map.chunkBytes, CHUNK_BYTES);
    for (let at = 0; at < this.map.sizeBytes; at += step) {
      const [first, ...others] = paths.flatMap((path) => {
        const position = this.positionOn(path, at);
        if (position === null) return [];
        return [Buffer.from(this.content(path).subarray(position, position + step))];
      });
      if (!others.every((other) => first?.equals(other))) return false;
    }
    return true;
  }
}

/** Raid slots of disks, by the newest of their superblocks. */
const slotsOn = (disks: readonly SharedDisk[]): ReadonlyMap<string, number> => {
  const found = disks.flatMap((disk) => {
    const superblock = superblockOn(disk, -1);
    return superblock === null ? [] : [{ path: disk.path, superblock }];
  });
  const [freshest] = found.map(({ superblock }) => superblock).sort((a, b) => b.events - a.events);
  const slots = new Map<string, number>();
  if (freshest === undefined) return slots;
  for (const { path, superblock } of found) {
    const role = memberRole(freshest, superblock.devNumber);
    if (role.type === "slot") slots.set(path, role.raidSlot);
  }
  return slots;
};

const placementOf = (freshest: Superblock, superblock: Superblock): Placement | null => {
  const role = memberRole(freshest, superblock.devNumber);
  const isCurrent = superblock.events >= freshest.events - 1;
  if (role.type === "spare") return { type: "spare" };
  if (role.type !== "slot" || !isCurrent) return null;
  const { raidSlot } = role;
  const { recoveryOffset } = superblock;
  if ((superblock.featureMap & 2) === 0 || recoveryOffset === "none")
    return { type: "in_sync", raidSlot };
  const recoveredBytes = recoveryOffset * SECTOR;
  const guided = (superblock.featureMap & 0x80) !== 0;
  return { type: "rebuilding", raidSlot, recoveredBytes, guided, isReplacement: false };
};
