/**
 * Boards that serve their disks to each other: each medium is on one board, whose node reaches it
 * directly; the others ask its exporter over a network that delays, loses and cuts.
 */

import { BoardKeys } from "../../../src/cluster/store/board-keys.ts";
import type { ClusterStore } from "../../../src/cluster/store/cluster-store.ts";
import type { Prng } from "../../../src/common/prng.ts";
import { BoardChecks } from "./board-checks.ts";
import { SimConnection } from "./board-connection.ts";
import { BoardHost, BoardProcess, diskId } from "./board-host.ts";
import { BoardLinks, boardName } from "./board-links.ts";
import { BoardReturns } from "./board-returns.ts";
import { CLUSTER_NAME, drawShape, superblockOf } from "./cluster-media.ts";
import { type Board, ClusterSim, SIM_UUID, type SimLayout } from "./cluster-sim.ts";
import type { NodeLife } from "./node-life.ts";
import { PeerHandle } from "./peer-handle.ts";
import { PowerLosses } from "./power-losses.ts";
import { SharedDevice } from "./shared-device.ts";
import type { Caller, CallerLife, SharedMedium } from "./shared-medium.ts";
import { SimExporter } from "./sim-exporter.ts";
import type { OpenedMedium, PlantedFault, SimHandle } from "./sim-world.ts";
import type { Delay } from "./timeline.ts";

/** Bitmaps of the array, as the demo makes it. */
const NODES_MIN = 4;
/** Between looks at what is there, milliseconds. */
const LOOK_MS = 250;
const MONITOR_MS = 1000;
/** A machine is up again after this. */
const REBOOT: Delay = { usual: 1500, oneIn: 4, most: 9000 };
const NETWORKS: readonly Delay[] = [
  { usual: 0.5, oneIn: 300, most: 20 },
  { usual: 1, oneIn: 80, most: 300 },
  { usual: 4, oneIn: 40, most: 1500 },
];

/** As many legs as boards, up to three; some boards have a spare disk. */
const boardsLayout = (prng: Prng): SimLayout => {
  const boards = prng.pick([2, 2, 3, 3, 4]);
  let shape = drawShape(prng);
  while (shape.raidDisks > boards) shape = drawShape(prng);
  const spares = prng.pick([0, 0, 0, 1]);
  return {
    boards,
    nodes: Math.max(NODES_MIN, boards + 1),
    shape,
    media: shape.raidDisks + spares,
  };
};

export class BoardsSim extends ClusterSim {
  override readonly gapsMs = [15, 40, 90];
  override readonly regionWait: Delay = { usual: 8, oneIn: 10, most: 30 };
  readonly links: BoardLinks;
  readonly hosts: readonly BoardHost[];
  readonly losses = new PowerLosses(this);
  readonly #returns: BoardReturns;
  readonly #checks: BoardChecks;
  readonly #boardKeys = new BoardKeys(CLUSTER_NAME);
  /** How long a start waits for members that are not there. */
  readonly #patienceMs: number;
  readonly #handles = new Map<CallerLife, PeerHandle[]>();
  /** In which life of its board a node uses a medium. */
  readonly #pins = new Map<CallerLife, Map<SharedMedium, number>>();
  /** Who starts by force, until its first update. */
  #apart: {
    readonly life: CallerLife;
    readonly to: number;
    readonly members: readonly SharedMedium[];
  } | null = null;
  #wasForced = false;
  #opened = 0;
  #boots = 0;

  constructor(seed: number, planted: PlantedFault) {
    super(seed, { planted, layout: boardsLayout });
    const { prng, boards, media } = this;
    this.links = new BoardLinks(this.timeline, prng.pick(NETWORKS));
    this.#patienceMs = prng.pick([2000, 8000, 25_000]);
    this.hosts = boards.map(
      (board) =>
        new BoardHost(
          board,
          new Map(
            media
              .filter((_, index) => index % boards.length === board.node)
              .map((medium) => [diskId(medium), medium]),
          ),
        ),
    );
    this.#returns = new BoardReturns(this);
    this.#checks = new BoardChecks(this);
  }

  override get boardKeys(): BoardKeys {
    return this.#boardKeys;
  }

  override get service(): BoardChecks {
    return this.#checks;
  }

  override isLossy(medium: SharedMedium): boolean {
    return this.losses.has(medium);
  }

  override onSlotDead(slot: number): void {
    this.#checks.dead(slot);
    super.onSlotDead(slot);
  }

  hostOf(medium: SharedMedium): BoardHost {
    return this.hosts.find((host) => host.has(medium)) as BoardHost;
  }

  hostAt(node: number): BoardHost {
    return this.hosts[node] as BoardHost;
  }

  override storeFor(life: CallerLife): ClusterStore {
    return this.#storeOf(this.hostAt(life.node), life);
  }

  #storeOf(host: BoardHost, life: { readonly isDead: boolean } & object): ClusterStore {
    const { etcd, timeline, delays } = this;
    const answered = (): Promise<void> => timeline.turn(delays.store, life as BoardProcess);
    const isAway = (): boolean => host.isCutOff || (life as CallerLife).isCutOff === true;
    return etcd.client({ answered, isAway, isDeposed: () => host.isDeposed });
  }

  // --- boards -----------------------------------------------------------------------------------

  /** The machine runs, and its node as soon as it finds the members, or has waited for them. */
  override boot(board: Board): void {
    board.isWanted = true;
    const host = this.hostAt(board.node);
    if (host.process === null) this.#startProcess(host);
    const { process } = host;
    if (board.life !== null || process === null || process.isStarting) return;
    process.isStarting = true;
    this.#startSoon(host, process, process.clock.now());
  }

  #startProcess(host: BoardHost): void {
    const { prng, timeline, delays } = this;
    if (timeline.now < Math.max(host.busyUntil, host.offUntil)) return;
    this.#boots++;
    const rate = 0.99 + prng.below(21) / 1000;
    const process = new BoardProcess(`b${this.#boots}`, timeline, rate, 1 + prng.below(1_000_000));
    host.process = process;
    this.trace(null, `${host.name} runs`);
    process.exporter = new SimExporter({
      name: host.name,
      boot: process.boot,
      process,
      clock: process.clock,
      keys: this.keys,
      plan: this.planted.exporter,
      disks: host.disks,
      storeFor: () => this.#storeOf(host, process),
      random: () => prng.below(1_000_000) / 1_000_000,
      open: (medium, caller) => this.#openHere(process, medium, caller, process),
      turn: () => timeline.turn(delays.thread, process),
      drainOwn: (slot, epoch) => this.#drainOwn(process, slot, epoch),
      told: () => undefined,
      trace: (text) => this.trace(null, `${host.name}: ${text}`),
    });
    this.#returns.watch(host, process);
  }

  #startSoon(host: BoardHost, process: BoardProcess, since: number): void {
    process.clock.after(LOOK_MS, () => {
      const { board } = host;
      if (host.process !== process) return;
      const isThere = this.hosts.every(
        (other) => other.disks.size === 0 || process.exporter?.watch.find(other.name) !== null,
      );
      const isPatient = !host.isHurried && process.clock.now() - since < this.#patienceMs;
      if (!isThere && isPatient) return this.#startSoon(host, process, since);
      process.isStarting = false;
      if (!board.isWanted || board.life !== null) return;
      this.startNode(board);
      const life = board.life as NodeLife | null;
      if (life === null) return;
      process.nodes.push(life);
      this.#monitor(life);
    });
  }

  /** Sessions of the slot up to this epoch: nothing of them reaches this board's disks any more. */
  async #drainOwn(process: BoardProcess, slot: number, epoch: number): Promise<void> {
    const isOf = (life: NodeLife): boolean => {
      const session = this.storeChecks.sessionOf(life.number);
      return session !== null && session.slot === slot && session.epoch <= epoch;
    };
    const nodes = process.nodes.filter(isOf);
    while (nodes.some((life) => life.mayWriteHere))
      await this.timeline.turn(this.delays.thread, process);
  }

  /** Its node ends; the process goes on, and closes what that had open. */
  override kill(board: Board): void {
    const { life } = board;
    super.kill(board);
    if (life === null) return;
    if (this.#apart?.life === life) this.mediaChecks.forgetRoles();
    // Of a process that ends, what it has sent may still arrive.
    for (const handle of this.#handles.get(life) ?? []) handle.end(this.prng.below(2) === 0);
    this.#forget(life);
  }

  override crash(board: Board): void {
    this.#end(board, false);
  }

  /** What no flush has stored on its disks is there or not. */
  losePower(board: Board): void {
    const host = this.hostAt(board.node);
    this.trace(null, `${host.name} loses its power`);
    this.#end(board, true);
    const { roles } = this.mediaChecks;
    for (const medium of host.disks.values()) {
      medium.cutPower(this.prng);
      this.losses.add(medium, roles);
    }
    this.mediaChecks.forgetRoles();
    const isWhole = (medium: SharedMedium): boolean => !this.losses.has(medium);
    if (!this.copies.survives(this.mediaChecks.roles, isWhole)) this.#loseUnflushed();
    this.count("board loses power");
  }

  #loseUnflushed(): void {
    this.losses.clear();
    this.content.lose();
  }

  // --- starts by force --------------------------------------------------------------------------

  override get counted(): readonly SharedMedium[] {
    if (this.#apart === null) return this.media;
    const { life, to, members } = this.#apart;
    const isDone = members.some(({ current }) => (superblockOf(current)?.events ?? 0) >= to);
    if (!isDone && !life.isDead && !life.isExpelled) return members;
    this.#apart = null;
    return this.media;
  }

  protected override onRefused({ node }: Board, code: string): void {
    const host = this.hostAt(node);
    if (host.isInsisted && code === "CLUSTER_NEWER_COPY_ELSEWHERE") host.isForced = true;
  }

  override isForced({ node }: CallerLife): boolean {
    const host = this.hostAt(node);
    const { isForced } = host;
    host.isForced = false;
    return isForced;
  }

  override onForced(life: CallerLife, to: number, members: readonly SharedMedium[]): void {
    this.count("forced");
    this.trace(life, `starts by force, on to ${to} events`);
    this.#apart = { life, to, members };
    this.#wasForced = true;
    this.mediaChecks.forgetRoles();
    this.losses.clear();
    const { roles } = this.mediaChecks;
    this.content.goBack((sector) => this.copies.sector(roles, sector).map(({ id }) => id));
  }

  /** AFTER superblocks have changed. */
  override rolesChanged(): void {
    this.service.rolesChanged();
    this.losses.rolesChanged(this.mediaChecks.roles);
  }

  #end(board: Board, isPower: boolean): void {
    const { life } = board;
    const host = this.hostAt(board.node);
    const { process } = host;
    const handles = life === null ? [] : (this.#handles.get(life) ?? []);
    if (isPower) for (const handle of handles) handle.lose();
    this.kill(board);
    if (process === null) return;
    this.trace(null, `${host.name}: its process ends`);
    for (const node of process.nodes) node.isDead = true;
    process.isDead = true;
    if (isPower) process.exporter?.lose();
    else process.exporter?.stop();
    host.process = null;
    const { timeline, delays } = this;
    const rest = isPower ? timeline.draw(REBOOT) : 0;
    // A process that dies is gone when what it has asked of its disks has ended.
    const hangs = [...host.disks.values()].map((medium) => medium.hangsUntil - timeline.now);
    const ms = Math.max(0, ...hangs) + delays.disk.most + rest;
    host.busyUntil = timeline.now + ms;
    timeline.after(ms + 1, null, () => {
      if (board.isWanted) this.boot(board);
    });
  }

  override cutPower(): void {
    this.trace(null, "power cut");
    for (const board of this.boards) this.losePower(board);
  }

  /** Its process, and so its exporter and its node, does nothing for so long. */
  freeze(board: Board, ms: number, what: "all" | "node" | "exporter"): void {
    const { process } = this.hostAt(board.node);
    const until = this.timeline.now + ms;
    if (process !== null && what !== "node") process.frozenUntil = until;
    if (what === "exporter") return;
    for (const node of process?.nodes ?? []) node.frozenUntil = until;
  }

  // --- disks ------------------------------------------------------------------------------------

  #openHere(
    life: BoardProcess | CallerLife,
    medium: SharedMedium,
    caller: Caller,
    _process: BoardProcess | null,
  ): SharedDevice {
    const { timeline, prng, delays } = this;
    const { disk: delay, thread } = delays;
    return new SharedDevice(medium, caller, {
      timeline,
      prng,
      life,
      delay,
      thread,
      quickness: 0,
    });
  }

  override openMedium(medium: SharedMedium, caller: Caller, quickness: number): SimHandle {
    const host = this.hostOf(medium);
    if (host.board.node === caller.node) return super.openMedium(medium, caller, quickness);
    const { life, thread, node } = caller;
    const session = this.storeChecks.sessionOf(life.number) ?? { slot: 1, epoch: 0 };
    const boot = this.hostAt(node).process?.boot ?? "";
    const handle = new PeerHandle(
      medium,
      caller,
      {
        disk: diskId(medium),
        mode: "write",
        session: { kind: "node", uuid: SIM_UUID, ...session },
        life: this.#pin(life, medium, host.name),
        handle: `${boardName(node)}.${boot}.${thread}.${++this.#opened}`,
      },
      (client) => {
        const ends = { from: node, to: host.board.node };
        return new SimConnection(this.links, ends, client, () => host.process?.exporter ?? null);
      },
    );
    const known = this.#handles.get(life) ?? [];
    known.push(handle);
    this.#handles.set(life, known);
    return handle;
  }

  #pin(life: CallerLife, medium: SharedMedium, board: string): number {
    const pins = this.#pins.get(life) ?? new Map<SharedMedium, number>();
    this.#pins.set(life, pins);
    const known = pins.get(medium);
    if (known !== undefined) return known;
    const epoch = this.hostAt(life.node).process?.exporter?.watch.find(board)?.epoch ?? 0;
    pins.set(medium, epoch);
    return epoch;
  }

  override bootOf({ node }: CallerLife): string {
    return this.hostAt(node).process?.boot ?? "";
  }

  override forgetMember(life: CallerLife, medium: SharedMedium): void {
    this.#pins.get(life)?.delete(medium);
    for (const handle of this.#handles.get(life) ?? [])
      if (handle.medium === medium) handle.isForgotten = true;
  }

  #forget(life: CallerLife): void {
    this.#handles.delete(life);
    this.#pins.delete(life);
  }

  /** Members that answer. */
  override async openMembers(life: NodeLife): Promise<readonly OpenedMedium[]> {
    const opened = await Promise.all(this.media.map((medium) => this.#openMember(life, medium)));
    const found = opened.flatMap((one) => (one === null ? [] : [one]));
    const media = found.map(({ medium }) => medium);
    if (this.losses.isLost(life, media)) this.#loseUnflushed();
    return found;
  }

  async #openMember(life: NodeLife, medium: SharedMedium): Promise<OpenedMedium | null> {
    const isHere = this.hostOf(medium).board.node === life.node;
    if (isHere && life.isRunElsewhere && !this.#isTrusted(life, medium)) return null;
    const device = life.open(medium, 0);
    if (isHere) return { medium, device };
    const handle = this.#handles.get(life)?.at(-1);
    if ((await handle?.ready) === null) return { medium, device };
    await device.close();
    this.forgetMember(life, medium);
    return null;
  }

  /** Nobody has what an earlier life of this board may have lost. */
  #isTrusted({ node, number }: NodeLife, medium: SharedMedium): boolean {
    const session = this.storeChecks.sessionOf(number) ?? { slot: 1, epoch: 0 };
    const ledger = this.hostAt(node).process?.exporter?.ledger;
    const who = { kind: "node", uuid: SIM_UUID, ...session } as const;
    return ledger?.isTrusted(who, diskId(medium)) === true;
  }

  /** A member whose board is gone, or lives another life, vanishes. */
  #monitor(life: NodeLife): void {
    life.clock.after(MONITOR_MS, () => {
      const exporter = this.hostAt(life.node).process?.exporter;
      for (const [medium, epoch] of this.#pins.get(life) ?? []) {
        const now = exporter?.watch.find(this.hostOf(medium).name)?.epoch;
        const isDead = (this.#handles.get(life) ?? []).some(
          (handle) => handle.medium === medium && handle.isGone && !handle.isForgotten,
        );
        if (now !== epoch || isDead) life.vanish(medium.path);
      }
      this.#monitor(life);
    });
  }

  // --- the end ----------------------------------------------------------------------------------

  override heal(): void {
    super.heal();
    this.links.healAll();
    for (const medium of this.media) medium.hangsUntil = 0;
    for (const host of this.hosts) {
      host.isCutOff = false;
      host.isDeposed = false;
      host.offUntil = 0;
      host.isHurried = false;
      // A start by force that was cut short has to be asked for again.
      host.isInsisted = this.#wasForced;
    }
  }

  override whatWaits(): string | null {
    for (const { name, process } of this.hosts)
      if (process?.exporter?.epoch == null) return `${name} does not serve its disks`;
    return null;
  }
}
