/**
 * An array machine on the test's bench: the test sends events and completes the effects by hand,
 * one by one or all at once, and reads in `log` what was asked of the members, in order.
 */
import { assert } from "../../src/common/assert.ts";
import type { ArrayMachine } from "../../src/raid/array-machine.ts";
import { ArrayMap, type ArrayMapShape } from "../../src/raid/array-map.ts";
import type {
  ArrayCommand,
  ArrayEffect,
  ArrayEvent,
  CommandOutcome,
  CopyPlan,
  CopyResult,
  MemberOp,
  Newcomer,
} from "../../src/raid/array-messages.ts";
import { type Placement, startArray } from "../../src/raid/array-start.ts";
import type { ArrayHappening, ArrayStatus, MemberStatus } from "../../src/raid/array-status.ts";
import type { BadRange } from "../../src/raid/bad-block-table.ts";
import { decodeBadBlocks } from "../../src/raid/bad-blocks.ts";
import {
  bitmapSlotBytes,
  decodeBitmapSuperblock,
  encodeBitmapSuperblock,
} from "../../src/raid/bitmap-superblock.ts";
import type { LegReportKind } from "../../src/raid/leg-reports.ts";
import { parseRaid10Layout } from "../../src/raid/raid10-layout.ts";
import { RUN_ACTIVE, type SharedArrayState } from "../../src/raid/shared-state.ts";
import { decodeSuperblock } from "../../src/raid/superblock.ts";
import type { Superblock } from "../../src/raid/superblock-fields.ts";
import { roles, SAMPLE_UUID, sampleBitmap, sampleSuperblock } from "./md-samples.ts";

const SECTOR = 512;
export const MIB = 1024 * 1024;
const SUPER_AT = 8 * SECTOR;
const BITMAP_AT = 16 * SECTOR;
/** Where sample superblocks have their bad-block list, one page. */
const BAD_BLOCKS_AT = 24 * SECTOR;
const BAD_BLOCKS_BYTES = 8 * SECTOR;
/** Milliseconds until a silent member is failed. */
export const ANSWER_LIMIT_MS = 30_000;
export const SAFE_MODE_MS = 200;

export interface BenchOptions {
  /** It goes on after a change. */
  readonly isChanged?: boolean;
  /** Raid slots; one member in each unless `placements` says otherwise. */
  readonly slots?: number;
  /** Where each member stands, in order of device numbers. */
  readonly placements?: readonly Placement[];
  /** MiB of each member, and of the array when it is a raid1. */
  readonly chunks?: number;
  /** `n2`, `f2` … in chunks of `stripeBytes`; null for raid1. */
  readonly layout?: string | null;
  readonly stripeBytes?: number;
  /** Whether members have room for a bad-block list; true by default, as mdadm creates them. */
  readonly hasBadBlockLog?: boolean;
  /** What a member's list holds at the start, by device number. */
  readonly badBlocks?: Readonly<Record<number, readonly BadRange[]>>;
  readonly hasBitmap?: boolean;
  /** Chunks whose bit is set on every member. */
  readonly dirty?: readonly number[];
  readonly events?: number;
  readonly eventsCleared?: number;
  /** Slots of a clustered bitmap; 0 for one of a single board. */
  readonly nodes?: number;
  /** Bitmap slot of a node that has joined the array's cluster. */
  readonly slot?: number;
  /** Sectors, 0 for dirty, "none" for clean. */
  readonly resyncOffset?: number | "none";
  readonly readOnly?: boolean;
  readonly syncSpeed?: number;
  /** Paths of the members; `/m0`, `/m1` … where there is none. */
  readonly paths?: readonly string[];
  readonly linkShare?: number;
  /** Windows as a board has them; else of 32 MiB at least. */
  readonly hasOwnWindows?: boolean;
  readonly superblock?: Partial<Superblock>;
}

/** Placements of members, for `BenchOptions.placements`. */
export const inSync = (raidSlot: number): Placement => ({ type: "in_sync", raidSlot });
export const rebuilding = (raidSlot: number, recoveredBytes = 0, guided = false): Placement => ({
  type: "rebuilding",
  raidSlot,
  recoveredBytes,
  guided,
  isReplacement: false,
});
/** Written beside the member of its raid slot. */
export const replacing = (raidSlot: number, recoveredBytes = 0): Placement => ({
  type: "rebuilding",
  raidSlot,
  recoveredBytes,
  guided: false,
  isReplacement: true,
});

type MemberIo = Extract<ArrayEffect, { type: "member-io" }>;

export const GOOD_COPY: CopyResult = {
  unreadable: [],
  mismatches: [],
  readFailed: [],
  writeFailed: [],
  mismatchedBytes: 0,
  writtenBytes: 0,
};

export class MachineBench {
  readonly machine: ArrayMachine;
  readonly shared: SharedArrayState;
  /**
   * What was asked of the members, in order: `0 flush`, `1 super e21 dirty roles 0=0`,
   * `0 bitmap e21 c20 bits 3`, `1 bad 64+8` …
   */
  readonly log: string[] = [];
  readonly io: MemberIo[] = [];
  readonly copies: { readonly token: number; readonly plan: CopyPlan }[] = [];
  readonly openings: Extract<ArrayEffect, { type: "open-leg" }>[] = [];
  /** What the workers, control and the thread were told, by type. */
  readonly told: ArrayEffect[] = [];
  readonly outcomes = new Map<number, CommandOutcome>();
  /** The newest superblock written to each member, or the one it was started with. */
  readonly superblocks = new Map<number, Superblock>();
  now = 1_800_000_000_000;
  readonly #blankArea: Uint8Array;
  readonly #hasBadBlockLog: boolean;
  readonly #isClustered: boolean;
  #nextCommand = 1;
  #nextMember: number;

  constructor(options: BenchOptions = {}) {
    const { chunks = 8, hasBitmap = true, dirty = [], slots = 2 } = options;
    const placements =
      options.placements ?? Array.from({ length: slots }, (_, raidSlot) => inSync(raidSlot));
    const size = (chunks * MIB) / SECTOR;
    const raid10 = raid10Of(options);
    const { sizeBytes } = new ArrayMap({ raidSlots: slots, componentSectors: size, raid10 });
    const { events = 20, eventsCleared = events, resyncOffset = "none" } = options;
    const syncSize = sizeBytes / SECTOR;
    const { nodes = 0 } = options;
    const kind = { version: nodes > 0 ? 5 : 4, nodes } as const;
    const bitmap = sampleBitmap({ ...kind, events, eventsCleared, syncSize, chunkBytes: MIB });
    this.#blankArea = new Uint8Array(bitmapSlotBytes(Math.ceil(sizeBytes / MIB)));
    this.#blankArea.set(encodeBitmapSuperblock(bitmap));
    this.#hasBadBlockLog = options.hasBadBlockLog ?? nodes === 0;
    this.#isClustered = nodes > 0;
    const bySlot = placements.map((place) => (place.type === "spare" ? 0xffff : place.raidSlot));
    const freshest = sampleSuperblock({
      featureMap: hasBitmap ? 1 : 0,
      ...(raid10 === null
        ? {}
        : { level: 10, layout: raid10.layout, chunkSize: raid10.chunkSectors }),
      ...(this.#hasBadBlockLog ? {} : { bblogSize: 0, bblogOffset: 0 }),
      size,
      dataSize: size,
      raidDisks: slots,
      events,
      resyncOffset,
      devRoles: roles(...bySlot),
      ...options.superblock,
    });
    const members = placements.map((placement, id) => ({
      id,
      path: options.paths?.[id] ?? `/m${id}`,
      superblock: { ...freshest, devNumber: id, deviceUuid: new Uint8Array(16).fill(id + 1) },
      placement,
      bitmapArea: hasBitmap && placement.type !== "spare" ? this.area(...dirty) : null,
      badBlocks: options.badBlocks?.[id] ?? [],
    }));
    this.#nextMember = members.length;
    for (const { id, superblock } of members) this.superblocks.set(id, superblock);
    const started = startArray({
      members,
      freshest,
      bitmap: hasBitmap ? bitmap : null,
      bitmapStale: false,
      isChanged: options.isChanged ?? false,
      readOnly: options.readOnly ?? false,
      ...(options.slot === undefined ? {} : { slot: options.slot }),
      logicalBlockBytes: 512,
      workers: 2,
      now: this.now,
      syncSpeedMin: options.syncSpeed ?? 2 ** 40,
      syncSpeedMax: options.syncSpeed ?? 2 ** 40,
      options: {
        safeModeMs: SAFE_MODE_MS,
        answerLimitMs: ANSWER_LIMIT_MS,
        linkShare: options.linkShare,
        windowBytes: options.hasOwnWindows === true ? undefined : 32 * MIB,
      },
    });
    this.machine = started.machine;
    this.shared = started.shared;
    this.shared.run = RUN_ACTIVE;
  }

  get status(): ArrayStatus {
    return this.machine.status;
  }

  send(event: ArrayEvent): void {
    for (const effect of this.machine.handle(event, this.now)) this.#take(effect);
  }

  tick(ms: number): void {
    this.now += ms;
    this.send({ type: "tick" });
  }

  /** Sends a command; its outcome is in `outcomes` under the number returned. */
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

  /** Sends a command, completes everything, and returns its outcome. */
  run(command: ArrayCommand): string {
    const id = this.command(command);
    this.settle();
    return this.outcome(id);
  }

  /** A bitmap area of this array with these bits set. */
  area(...set: readonly number[]): Uint8Array {
    const area = this.#blankArea.slice();
    for (const chunk of set)
      area[256 + (chunk >> 3)] = (area[256 + (chunk >> 3)] ?? 0) | (1 << (chunk & 7));
    return area;
  }

  /** With a superblock it has a bitmap, too, in which no bit is set. */
  newcomer(path: string, over: Partial<Newcomer> = {}): Newcomer {
    const member = this.#nextMember++;
    return {
      member,
      path,
      sizeBytes: 2 ** 40,
      superblock: null,
      bitmapAreas: over.superblock == null ? [] : [this.area()],
      badBlocks: [],
      logicalBlockBytes: 512,
      writeMostly: false,
      failfast: false,
      freshUuid: new Uint8Array(16).fill(0x40 + member),
      ...over,
    };
  }

  /** Completes the oldest I/O of a member, or of any. */
  finishIo(error: string | null = null, member: number | null = null): void {
    const at = this.io.findIndex((io) => member === null || io.member === member);
    const [io] = this.io.splice(at, 1);
    assert(io !== undefined && at >= 0, "an I/O is under way");
    this.send({ type: "member-io-done", token: io.token, error });
  }

  /** Completes what is under way by now, not what that gives rise to. */
  finishPhase(): void {
    for (let left = this.io.length; left > 0; left--) this.finishIo();
  }

  finishCopy(result: Partial<CopyResult> = {}): CopyPlan {
    const copy = this.copies.shift();
    assert(copy !== undefined, "a copy is under way");
    this.send({ type: "copy-done", token: copy.token, result: { ...GOOD_COPY, ...result } });
    return copy.plan;
  }

  finishOpening(error: string | null = null): void {
    const opening = this.openings.shift();
    assert(opening !== undefined, "a leg is being opened");
    this.send({ type: "legs-opened", token: opening.token, error });
  }

  /** Completes everything with success until nothing is under way. */
  settle(): void {
    for (let steps = 0; steps < 10_000; steps++) {
      if (this.io.length > 0) this.finishIo();
      else if (this.copies.length > 0) this.finishCopy();
      else if (this.openings.length > 0) this.finishOpening();
      else return;
    }
    assert(false, "the machine never comes to rest");
  }

  /** What is due has begun, and its first pieces are under way: a tick fills the speed budget. */
  startSync(): void {
    this.tick(20);
    this.tick(20);
  }

  /** Completes everything, and lets time pass, until no sync action runs. */
  finishSync(): void {
    for (let rounds = 0; rounds < 1000; rounds++) {
      this.settle();
      this.tick(20);
      if (this.io.length + this.copies.length + this.openings.length > 0) continue;
      if (this.status.sync === null) return;
    }
    assert(false, "the sync action never ends");
  }

  /** A write of worker 0 that has its permission and ends; marks the array dirty, sets bits. */
  write(first: number, last = first): void {
    this.shared.beginWrite(0, first, last);
    this.send({ type: "intent", worker: 0, ranges: [[first, last]] });
    this.settle();
    this.shared.endWrite(0, first, last);
  }

  /**
   * Worker 0 reports its leg; `ranges`: what was not stored, null: the leg as a whole; `span`: all
   * that was to be.
   */
  report(
    leg: number,
    kind: LegReportKind,
    ranges: readonly BadRange[] | null = null,
    request = 1,
    span: BadRange | null = null,
  ): void {
    const message = "EIO";
    this.send({ type: "leg-report", worker: 0, request, leg, kind, message, ranges, span });
  }

  /** What the workers were answered: `[request, isRecorded]`, in order. */
  get resolved(): (readonly [request: number, isRecorded: boolean])[] {
    return this.told.flatMap((effect) =>
      effect.type === "leg-resolved" ? [[effect.request, effect.isRecorded] as const] : [],
    );
  }

  /** What the status says of a member; null when it is none. */
  memberStatus(path: string): MemberStatus | null {
    return this.status.members.find((member) => member.path === path) ?? null;
  }

  /** Lines of the log that contain every word (a number: of that member), and empties it. */
  takeLog(...words: readonly string[]): string[] {
    const has = (line: string, word: string): boolean =>
      /^\d+$/.test(word) ? line.startsWith(`${word} `) : line.includes(word);
    return this.log.splice(0).filter((line) => words.every((word) => has(line, word)));
  }

  /** Nobody writes until the array is clean. */
  rest(): void {
    this.tick(1);
    this.settle();
    this.tick(SAFE_MODE_MS + 1);
    this.settle();
    assert(this.status.arrayState === "clean", "the array goes clean");
  }

  toldOf(type: ArrayEffect["type"]): ArrayEffect[] {
    return this.told.filter((effect) => effect.type === type);
  }

  happenings(): string[] {
    return this.told.flatMap((effect) =>
      effect.type === "happening" ? [effect.happening.type] : [],
    );
  }

  /** The details of every happening of this type, oldest first. */
  detailsOf(type: ArrayHappening["type"]): ArrayHappening["details"][] {
    return this.told.flatMap((effect) =>
      effect.type === "happening" && effect.happening.type === type
        ? [effect.happening.details]
        : [],
    );
  }

  #take(effect: ArrayEffect): void {
    switch (effect.type) {
      case "member-io":
        this.io.push(effect);
        for (const op of effect.ops) {
          const what = describeOp(op, this.#hasBadBlockLog, this.#isClustered);
          this.log.push(`${effect.member} ${what}`);
          if (op.type === "write" && op.offset === SUPER_AT)
            this.superblocks.set(effect.member, superblockIn(op.data));
        }
        return;
      case "copy":
        this.copies.push(effect);
        return;
      case "open-leg":
        this.openings.push(effect);
        return;
      case "command-done":
        assert(!this.outcomes.has(effect.id), "a command is answered once");
        this.outcomes.set(effect.id, effect.outcome);
        return;
      default:
        this.told.push(effect);
    }
  }
}

/** Bitmaps of a cluster's nodes fit into a page each here; that of slot 0 is told without it. */
const describeOp = (op: MemberOp, hasBadBlockLog: boolean, isClustered: boolean): string => {
  if (op.type === "flush") return "flush";
  if (op.offset === SUPER_AT) return describeSuperblock(op.data);
  if (hasBadBlockLog && op.offset === BAD_BLOCKS_AT) return describeBadBlocks(op.data);
  assert(op.offset >= BITMAP_AT, "metadata lies where it should");
  const page = (op.offset - BITMAP_AT) / 4096;
  const head = page === 0 || isClustered ? decodeBitmapSuperblock(op.data, SAMPLE_UUID) : null;
  if (head === null) return `bitmap page ${page}`;
  assert(head.ok, "a bitmap superblock that md accepts");
  const bits = Array.from({ length: (op.data.length - 256) * 8 }, (_, chunk) => chunk).filter(
    (chunk) => ((op.data[256 + (chunk >> 3)] ?? 0) & (1 << (chunk & 7))) !== 0,
  );
  const slot = page === 0 ? "" : ` slot ${page}`;
  return `bitmap${slot} e${head.value.events} c${head.value.eventsCleared} bits ${bits.join()}`;
};

/** `bad 0+8,16+1`: sectors from the start of the member. */
const describeBadBlocks = (data: Uint8Array): string => {
  assert(data.length === BAD_BLOCKS_BYTES, "the list fills its page");
  const runs = decodeBadBlocks(data, 0);
  assert(runs !== null, "a list that md accepts");
  return `bad ${runs.map(({ sector, sectors }) => `${sector}+${sectors}`).join()}`;
};

const raid10Of = ({ layout = null, stripeBytes = MIB }: BenchOptions): ArrayMapShape["raid10"] => {
  if (layout === null) return null;
  const parsed = parseRaid10Layout(layout);
  assert(parsed !== null, "a layout that md accepts");
  return { layout: parsed, chunkSectors: stripeBytes / SECTOR };
};

const superblockIn = (data: Uint8Array): Superblock => {
  const decoded = decodeSuperblock(data, 8);
  assert(decoded.ok, "a superblock that md accepts");
  return decoded.value;
};

const describeSuperblock = (data: Uint8Array): string => {
  const { events, resyncOffset, featureMap, recoveryOffset, devRoles } = superblockIn(data);
  const state =
    resyncOffset === "none" ? "clean" : resyncOffset === 0 ? "dirty" : `at ${resyncOffset}`;
  const rebuild = (featureMap & 2) === 0 ? "" : ` rebuilt ${recoveryOffset}`;
  const flags = [
    [0x80, " guided"],
    [0x10, " replacement"],
    [0x8, " bad"],
  ] as const;
  const words = flags.map(([flag, word]) => ((featureMap & flag) === 0 ? "" : word)).join("");
  const named = [...devRoles].flatMap((role, number) =>
    role === 0xffff ? [] : [`${number}=${role === 0xfffe ? "faulty" : role}`],
  );
  return `super e${events} ${state}${rebuild}${words} roles ${named.join()}`;
};
