/**
 * The world of a simulated cluster: media that all nodes share, a store, boards that start, die and
 * start again, and what their clients may find. One seed decides everything.
 */

import { arrayPrefix, type BoardKeys } from "../../../src/cluster/store/board-keys.ts";
import type { ClusterStore } from "../../../src/cluster/store/cluster-store.ts";
import { EmbeddedStore } from "../../../src/cluster/store/embedded-store-driver.ts";
import { StoreKeys } from "../../../src/cluster/store/store-keys.ts";
import { assert } from "../../../src/common/assert.ts";
import { CodedError } from "../../../src/common/errors.ts";
import { Prng } from "../../../src/common/prng.ts";
import { FakeEtcd, NO_FAULTS } from "../../helpers/fake-etcd.ts";
import { ArrayCopies } from "./array-copies.ts";
import { ClusterContent } from "./cluster-content.ts";
import {
  type ArrayShape,
  CLUSTER_NAME,
  createClusteredArray,
  drawShape,
  mediumBytes,
} from "./cluster-media.ts";
import { DelayedStore } from "./delayed-store.ts";
import { MediaChecks } from "./media-checks.ts";
import { NodeLife } from "./node-life.ts";
import { SharedDevice } from "./shared-device.ts";
import { type Caller, type CallerLife, SharedMedium } from "./shared-medium.ts";
import type {
  Delays,
  OpenedMedium,
  PlantedFault,
  ServiceChecks,
  SimHandle,
  SimWorld,
} from "./sim-world.ts";
import { StoreChecks } from "./store-checks.ts";
import { type Delay, Timeline } from "./timeline.ts";
import { TraceLog, type TraceText } from "./trace-log.ts";

/** A place where a node runs. */
export interface Board {
  readonly node: number;
  life: NodeLife | null;
  /** It is to start again by itself. */
  isWanted: boolean;
}

const MOODS: readonly Delays[] = [
  {
    disk: { usual: 0.4, oneIn: 200, most: 10 },
    store: { usual: 2, oneIn: 200, most: 20 },
    thread: { usual: 0.1, oneIn: 500, most: 2 },
  },
  {
    disk: { usual: 1, oneIn: 60, most: 120 },
    store: { usual: 3, oneIn: 60, most: 400 },
    thread: { usual: 0.3, oneIn: 100, most: 10 },
  },
  {
    disk: { usual: 3, oneIn: 20, most: 400 },
    store: { usual: 10, oneIn: 25, most: 2500 },
    thread: { usual: 1, oneIn: 50, most: 60 },
  },
];
/** Each thing takes always the same time. */
const ALONE: Delays = {
  disk: { usual: 1, oneIn: 1, most: 1 },
  store: { usual: 3, oneIn: 1, most: 3 },
  thread: { usual: 0.5, oneIn: 1, most: 0.5 },
};
const STORE_FAULTS = {
  lostTxn: 60,
  oldList: 20,
  brokenWatch: 150,
  coalesced: 8,
  repeated: 20,
  lostEvent: 80,
  oldEvents: 30,
  starved: 150,
  endedLease: 0,
  deadKeepAlive: 30,
};
/** Between looks at the leases' ends, milliseconds. */
const LEASE_LOOK_MS = 100;
/** A board whose start was refused tries again after so long. */
const AGAIN: Delay = { usual: 800, oneIn: 4, most: 4000 };
/** The array's, in the names of keys. */
export const SIM_UUID = "aaaaaaaa";
const TRACE_MAX = 400;
const MEDIA_MAX = 6;

/** One node, and nothing goes wrong by itself: the store that it has. */
export type AloneStore = "embedded" | "etcd";

/** What a story begins with. */
export interface SimLayout {
  readonly boards: number;
  /** Of the array: as many nodes can use it. */
  readonly nodes: number;
  readonly shape: ArrayShape;
  readonly media: number;
}

export interface SimOptions {
  readonly planted: PlantedFault;
  readonly alone?: AloneStore;
  readonly layout?: (prng: Prng) => SimLayout;
}

/** Every board has every medium, and a bitmap. */
const sharedLayout =
  (isAlone: boolean) =>
  (prng: Prng): SimLayout => {
    const boards = isAlone ? 1 : prng.between(2, 6);
    const shape = drawShape(prng);
    const spares = prng.pick([0, 0, 1, 2]);
    const media = Math.min(shape.raidDisks + spares, MEDIA_MAX);
    return { boards, nodes: boards, shape, media };
  };

export class ClusterSim implements SimWorld {
  readonly prng: Prng;
  readonly timeline: Timeline;
  readonly nodes: number;
  readonly media: readonly SharedMedium[];
  readonly shape: ArrayShape;
  readonly copies: ArrayCopies;
  readonly setUuid: Uint8Array;
  readonly keys = new StoreKeys(arrayPrefix(CLUSTER_NAME, SIM_UUID));
  readonly etcd: FakeEtcd;
  readonly content = new ClusterContent();
  readonly planted: PlantedFault;
  readonly delays: Delays;
  readonly syncSpeed: number;
  readonly boards: readonly Board[];
  readonly storeChecks: StoreChecks;
  readonly mediaChecks: MediaChecks;
  /** Lives that somebody has begun to recover. */
  readonly recovered = new Set<CallerLife>();
  /** What happened, by name: shows what the seeds reach. */
  readonly counts = new Map<string, number>();
  /** What is violated, the first of it; null so far. */
  problem: string | null = null;
  readonly regionWait: Delay | null = null;
  /** Between two requests of a client, about. */
  readonly gapsMs: readonly number[] = [6, 20, 60];
  /** The store ends no lease before, whatever its time. */
  leasesKeptUntil = 0;
  /** A story does not end in the midst of a start by force. */
  isForcing = false;
  /** Boards whose life ended, for whoever had requests there. */
  readonly onDeath: ((life: NodeLife) => void)[] = [];
  readonly #log = new TraceLog(TRACE_MAX);
  readonly #lives = new Map<string, NodeLife>();
  readonly #hidden = new Set<string>();
  #life = 0;

  readonly #isEmbedded: boolean;

  constructor(seed: number, { planted, alone, layout }: SimOptions) {
    const prng = new Prng(seed);
    this.prng = prng;
    this.planted = planted;
    this.timeline = new Timeline(prng);
    this.#isEmbedded = alone === "embedded";
    const isAlone = alone !== undefined;
    const { boards, nodes, shape, media } = (layout ?? sharedLayout(isAlone))(prng);
    this.nodes = nodes;
    this.shape = shape;
    this.copies = new ArrayCopies(shape);
    this.media = Array.from(
      { length: media },
      (_, index) => new SharedMedium(`/sim/leg${index}`, mediumBytes(shape)),
    );
    this.setUuid = createClusteredArray(this.media, shape, nodes, prng);
    this.delays = isAlone ? ALONE : prng.pick(MOODS);
    this.syncSpeed = prng.pick([2 ** 40, 2 ** 20]);
    const turn = () => this.timeline.turn(this.delays.store, null);
    const isFaulty = !isAlone && prng.below(3) > 0;
    this.etcd = new FakeEtcd(prng, turn, isFaulty ? STORE_FAULTS : NO_FAULTS);
    this.storeChecks = new StoreChecks(this);
    this.mediaChecks = new MediaChecks(this);
    this.etcd.memory.subscribe((changes) => this.storeChecks.see(changes));
    for (const medium of this.media) medium.watch = this.mediaChecks;
    this.boards = Array.from({ length: boards }, (_, node) => ({
      node,
      life: null,
      isWanted: false,
    }));
    this.#endLeases();
  }

  /** Copies can differ nowhere: every node that is gone is recovered, every resync pass is over. */
  get isSettled(): boolean {
    return !this.content.isDoubtful && this.storeChecks.isResting;
  }

  /** Every event is told. */
  set onTrace(tell: ((line: string) => void) | null) {
    this.#log.onLine = tell;
  }

  get isTraced(): boolean {
    return this.#log.onLine !== null;
  }

  /** The last events, the oldest first. */
  get lines(): readonly string[] {
    return this.#log.lines;
  }

  violate(what: string): void {
    if (this.problem === null) this.trace(null, `VIOLATED ${what}`);
    this.problem ??= what;
  }

  count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  trace(life: CallerLife | null, text: TraceText): void {
    this.#log.add(this.timeline.now, life, text);
  }

  medium(path: string): SharedMedium {
    const medium = this.media.find((one) => one.path === path);
    assert(medium !== undefined, `${path} is a medium of the simulation`);
    return medium;
  }

  /** A node that does not see a device. */
  hide({ node }: CallerLife, medium: SharedMedium): void {
    this.#hidden.add(`${node} ${medium.path}`);
  }

  showAll(): void {
    this.#hidden.clear();
  }

  isHidden({ node }: CallerLife, medium: SharedMedium): boolean {
    return this.#hidden.has(`${node} ${medium.path}`);
  }

  /** What a node that starts can open. */
  openMembers(life: NodeLife): Promise<readonly OpenedMedium[]> | readonly OpenedMedium[] {
    return this.media.map((medium) => ({ medium, device: life.open(medium, 0) }));
  }

  openMedium(medium: SharedMedium, caller: Caller, quickness: number): SimHandle {
    const { timeline, prng, delays } = this;
    const { disk: delay, thread } = delays;
    const { life } = caller;
    return new SharedDevice(medium, caller, { timeline, prng, life, delay, thread, quickness });
  }

  bootOf({ node }: CallerLife): string {
    return `node${node}`;
  }

  forgetMember(_life: CallerLife, _medium: SharedMedium): void {}

  /** AFTER superblocks have changed. */
  rolesChanged(): void {}

  /** Those whose superblocks count. */
  get counted(): readonly SharedMedium[] {
    return this.media;
  }

  /** An administrator has asked for the start. */
  isForced(_life: CallerLife): boolean {
    return false;
  }

  onForced(_life: CallerLife, _to: number, _members: readonly SharedMedium[]): void {}

  get boardKeys(): BoardKeys | null {
    return null;
  }

  get service(): ServiceChecks | null {
    return null;
  }

  /** In sync by its superblock, but it has lost what no flush had stored. */
  isLossy(_medium: SharedMedium): boolean {
    return false;
  }

  storeFor(life: CallerLife): ClusterStore {
    const { etcd } = this;
    const answered = (): Promise<void> => this.timeline.turn(this.delays.store, life);
    if (this.#isEmbedded)
      return new DelayedStore(new EmbeddedStore(etcd.memory, life.clock), etcd.turn, answered);
    return etcd.client({ answered, isAway: () => life.isCutOff });
  }

  // --- boards -----------------------------------------------------------------------------------

  /** Lives whose array takes requests. */
  get up(): readonly NodeLife[] {
    return this.boards.flatMap(({ life }) => (life?.isUp === true ? [life] : []));
  }

  isUp(life: object): boolean {
    return this.boards.some((board) => board.life === life && board.life.isUp);
  }

  lifeOf(number: string): NodeLife | null {
    return this.#lives.get(number) ?? null;
  }

  isAlive(number: string): boolean {
    const life = this.#lives.get(number);
    return life !== undefined && !life.isDead && !life.isExpelled;
  }

  boot(board: Board): void {
    if (board.life !== null) return;
    board.isWanted = true;
    // A start without a readable newest copy is an administrator's to refuse, as on one board.
    for (const medium of this.media)
      medium.faults = medium.faults.filter(({ kind }) => kind !== "read");
    this.startNode(board);
  }

  protected startNode(board: Board): void {
    this.#life++;
    const life = new NodeLife(this, board.node, String(this.#life));
    board.life = life;
    this.#lives.set(life.number, life);
    this.trace(life, "starts");
    life.start().then(
      () => this.trace(life, life.isUp ? `is up in slot ${life.slot}` : "is out before it is up"),
      (error: unknown) => {
        if (!(error instanceof CodedError)) throw error;
        this.count(`start ${error.code}`);
        this.onRefused(board, error.code);
        this.trace(life, `cannot start: ${error.code} ${error.message}`);
        this.#again(board, life);
      },
    );
  }

  protected onRefused(_board: Board, _code: string): void {}

  /** What becomes of a board whose daemon, or whole machine, ends without a word. */
  crash(board: Board): void {
    this.kill(board);
  }

  /** Its node ends without a word. */
  kill(board: Board): void {
    const { life } = board;
    if (life === null) return;
    this.trace(life, "dies");
    life.die();
    board.life = null;
    this.storeChecks.forgetRest();
    for (const tell of this.onDeath) tell(life);
  }

  /** The others have gone on without it: the board joins again by itself. */
  onExpelled(life: CallerLife): void {
    this.count("expelled");
    this.storeChecks.forgetRest();
    const board = this.boards[life.node];
    if (board !== undefined) this.#again(board, life);
  }

  /** Its array can write no metadata any more, and it has left: somebody starts it again. */
  onBroken(life: CallerLife): void {
    this.count("broken");
    const board = this.boards[life.node];
    if (board !== undefined) this.#again(board, life);
  }

  /** Its array was stopped. */
  onStopped(life: CallerLife): void {
    const board = this.boards[life.node];
    if (board?.life === life) this.kill(board);
  }

  onThreadDied(life: CallerLife, error: CodedError): void {
    const board = this.boards[life.node];
    // One that is out starts again anyway.
    if (board?.life !== life || life.isExpelled) return;
    this.count(`thread died ${error.code}`);
    this.trace(life, `its array thread ends: ${error.code} ${error.message}`);
    this.kill(board);
    this.boot(board);
  }

  #again(board: Board, life: CallerLife): void {
    this.timeline.after(this.timeline.draw(AGAIN), null, () => {
      if (board.life !== life) return;
      this.kill(board);
      if (board.isWanted) this.boot(board);
    });
  }

  /** The power of everything goes: what no flush has stored is there or not. */
  cutPower(): void {
    this.trace(null, "power cut");
    for (const board of this.boards) this.kill(board);
    for (const medium of this.media) medium.cutPower(this.prng);
    this.mediaChecks.forgetRoles();
    this.content.cut();
  }

  /** Nothing goes wrong from now on. */
  heal(): void {
    this.trace(null, "everything heals");
    this.etcd.isAway = false;
    this.etcd.isFull = false;
    // Three in a row end a session, and then there are no more.
    this.etcd.faults = { ...this.etcd.faults, deadKeepAlive: 0 };
    this.showAll();
    for (const medium of this.media) medium.faults = [];
    for (const { life } of this.boards) if (life !== null) life.isCutOff = false;
  }

  /** What is not as it should be when all has healed; null: nothing. */
  whatWaits(): string | null {
    return null;
  }

  // --- the store --------------------------------------------------------------------------------

  /** Somebody has begun to recover this life: it may write no more. */
  onRecovery(number: string): void {
    const life = this.#lives.get(number);
    if (life !== undefined) this.recovered.add(life);
  }

  onSession(number: string): void {
    const life = this.#lives.get(number);
    if (life !== undefined) this.recovered.delete(life);
  }

  onSlotDead(slot: number): void {
    this.planted.slotDied(this, slot);
  }

  #endLeases(): void {
    this.timeline.after(LEASE_LOOK_MS, null, () => {
      const { now } = this.timeline;
      const { nextEnd } = this.etcd.memory;
      const mayEnd = now >= this.leasesKeptUntil;
      if (mayEnd && nextEnd !== null && nextEnd <= now) this.etcd.passTime(now - this.etcd.now);
      else this.etcd.now = now;
      this.#endLeases();
    });
  }
}
