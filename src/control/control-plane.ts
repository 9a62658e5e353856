/**
 * The control plane of one board: the services over one store and one engine, in the order they
 * start and stop. The API reads and calls these services and nothing below them.
 */

import { atMost } from "../common/at-most-driver.ts";
import { CodedError } from "../common/errors.ts";
import type { Logger } from "../common/log.ts";
import type { DeviceFiles } from "../hal/device-files.ts";
import type { Store } from "../store/store.ts";
import { ArrayChangeCommands } from "./array-change-commands.ts";
import { ArrayCommands } from "./array-commands.ts";
import { ArrayImport } from "./array-import.ts";
import { ArrayService } from "./array-service.ts";
import type { ArrayView } from "./array-view.ts";
import { ClusterService, mayPass } from "./cluster-service.ts";
import { DeviceMonitor } from "./device-monitor.ts";
import { DeviceService } from "./device-service.ts";
import { DrainService } from "./drain-service.ts";
import type { StorageEngine } from "./engine.ts";
import { EventService } from "./event-service.ts";
import { ExportService } from "./export-service.ts";
import { type BoardHealth, boardHealth } from "./health.ts";
import { JobService } from "./job-service.ts";
import { LabFaults } from "./lab-faults.ts";
import { LateStarts } from "./late-starts.ts";
import { type LifeParts, LifeService } from "./life-service.ts";
import { MemberCommands } from "./member-commands.ts";
import { MemberReturns } from "./member-returns.ts";
import { type Boards, type Elsewhere, NodeService } from "./node-service.ts";
import { awayBoard, peerAttention } from "./peer-attention.ts";
import { withPeers } from "./peer-device-files.ts";
import { PeerService } from "./peer-service.ts";
import { type Chore, Rounds } from "./rounds.ts";
import { ScrubCommands } from "./scrub-commands.ts";
import { ScrubService } from "./scrub-service.ts";
import { SpareGroupService } from "./spare-group-service.ts";
import { SyncJobs } from "./sync-jobs.ts";

/** What a control plane is built over. `newId` gives unique ids that sort by time. */
export interface ControlPlaneOptions {
  readonly store: Store;
  readonly engine: StorageEngine;
  readonly files: DeviceFiles;
  /** What an address that names every interface is told as. */
  readonly hostName: string;
  readonly version: string;
  readonly isLabMode: boolean;
  /** Folder of the file-backed devices. */
  readonly devicesDirectory: string;
  /** How long the start waits for members that should be there, milliseconds. */
  readonly startWaitMs: number;
  readonly devicePaths: readonly string[];
  readonly boards: Boards;
  /** How the board makes, joins and leaves clusters; left out: not at all. */
  readonly life?: LifeParts;
  /** Ends the daemon as a signal would; whoever runs it starts it again. */
  readonly endProcess: () => void;
  readonly now: () => number;
  readonly newId: (now: number) => string;
  readonly logger: Logger;
}

/** One step of the start, for `/readyz`. */
export interface ReadyStep {
  readonly step: "store" | "devices" | "arrays" | "exports";
  readonly isDone: boolean;
  readonly message: string | null;
}

/** An array of the cluster may wait for another board: the API does not wait for it longer. */
const JOIN_WAIT_MS = 10_000;

/** The services of a board. */
export class ControlPlane {
  readonly options: ControlPlaneOptions;
  readonly store: Store;
  readonly engine: StorageEngine;
  readonly events: EventService;
  readonly jobs: JobService;
  readonly syncJobs: SyncJobs;
  readonly arrays: ArrayService;
  readonly devices: DeviceService;
  readonly exports: ExportService;
  readonly arrayCommands: ArrayCommands;
  readonly arrayImport: ArrayImport;
  readonly arrayChanges: ArrayChangeCommands;
  readonly memberCommands: MemberCommands;
  readonly cluster: ClusterService;
  readonly peers: PeerService;
  readonly returns: MemberReturns;
  readonly life: LifeService;
  readonly scrubs: ScrubService;
  readonly scrubCommands: ScrubCommands;
  readonly spareGroups: SpareGroupService;
  readonly rounds: Rounds;
  readonly nodes: NodeService;
  readonly drains: DrainService;
  readonly labFaults: LabFaults;
  readonly monitor: DeviceMonitor;
  readonly startedAt: number;
  readonly #lateStarts: LateStarts;
  #done: ReadyStep["step"][] = ["store"];
  #isClosing = false;

  constructor(options: ControlPlaneOptions) {
    const { store, engine, now, logger } = options;
    const files = withPeers(options.files, engine.peers);
    this.options = options;
    this.store = store;
    this.engine = engine;
    this.startedAt = now();
    const events = new EventService({ log: store.events, now, logger });
    this.events = events;
    this.jobs = new JobService({ records: store.jobs, events, now, newId: options.newId, logger });
    this.syncJobs = new SyncJobs(this.jobs, events, now);
    const { jobs, syncJobs } = this;
    const base = { engine, events, now, logger };
    this.arrays = new ArrayService({ ...base, registry: store.arrays, syncJobs });
    const { arrays } = this;
    this.devices = new DeviceService({
      ...base,
      here: options.boards.here,
      records: store.devices,
      arrays,
      files,
      directory: options.devicesDirectory,
      configuredPaths: options.devicePaths,
    });
    this.exports = new ExportService({ ...base, records: store.exports, arrays });
    const { devices, exports } = this;
    const commands = new ArrayCommands({ ...base, arrays, devices, exports, jobs });
    this.arrayCommands = commands;
    this.arrayImport = new ArrayImport({ engine, arrays, devices, exports, commands });
    this.arrayChanges = new ArrayChangeCommands({ engine, arrays, jobs });
    this.scrubs = new ScrubService({ ...base, records: store.scrubs, arrays, jobs, syncJobs });
    const { scrubs } = this;
    this.scrubCommands = new ScrubCommands({ arrays, jobs, syncJobs, scrubs, now });
    this.spareGroups = new SpareGroupService({ ...base, records: store.spares, arrays, devices });
    const shared = { ...base, arrays, devices, exports, commands };
    const onIncomplete = (uuid: string): void => this.#lateStarts.wait(uuid);
    this.cluster = new ClusterService({ ...shared, onIncomplete });
    this.peers = new PeerService({ engine, devices, refused: () => this.life.refused });
    this.rounds = new Rounds(this.#chores(), logger);
    const start = (uuid: string): Promise<void> => this.#startLate(uuid);
    this.#lateStarts = new LateStarts({ waitMs: options.startWaitMs, now, start });
    const { scrubCommands: actions } = this;
    const members = new MemberCommands({ engine, arrays, devices, jobs, actions });
    this.memberCommands = members;
    const nodes = new NodeService({ engine, boards: options.boards, arrays, devices, exports });
    this.nodes = nodes;
    this.life = new LifeService(options.life ?? null, { arrays, devices, nodes });
    const { settings } = store;
    this.drains = new DrainService({ ...shared, settings, nodes, members, jobs });
    this.returns = new MemberReturns({ ...base, arrays, devices, commands: members });
    this.labFaults = new LabFaults(engine, devices);
    this.monitor = new DeviceMonitor({
      devices,
      arrays,
      events,
      files,
      onAppeared: (path) => this.#startArrayOf(path),
      logger,
    });
  }

  /**
   * Takes over what the last run left, reads the devices, starts every array that is wanted, opens
   * their exports, then watches the devices. An array that cannot start stays listed, and one that
   * lacks a working member waits for it.
   */
  async start(): Promise<void> {
    this.jobs.takeOver();
    this.arrays.load();
    this.exports.load();
    this.scrubs.load();
    this.spareGroups.load();
    this.cluster.load();
    this.drains.load();
    this.life.onDeparting(this.drains);
    this.returns.load();
    await this.devices.load();
    await this.peers.tick();
    this.#done.push("devices");
    await this.drains.explain();
    const wanted = this.arrays.list().filter((view) => view.record.desiredState === "started");
    const starts = wanted.map(async ({ record: { uuid }, status }) => {
      const started = this.#startWanted(uuid, true).then((isDecided) => {
        if (!isDecided) this.#lateStarts.wait(uuid);
      });
      await (status?.bitmap.type === "clustered"
        ? atMost(started, JOIN_WAIT_MS, undefined)
        : started);
    });
    await Promise.all(starts);
    await this.#lateStarts.look();
    this.#done.push("arrays", "exports");
    this.monitor.start();
    // Disks of boards that come or go: at once.
    this.engine.peers?.onChange(() => this.#boardsChanged());
    this.rounds.start();
    this.events.changed("system", "system");
  }

  #chores(): Chore[] {
    return [
      { name: "spares", look: () => this.spareGroups.tick() },
      { name: "scrubs", look: () => this.scrubs.tick() },
      { name: "peers", look: () => this.peers.tick() },
      { name: "strangers", look: async () => this.life.forgetDevices() },
      { name: "returns", look: async () => void this.returns.tick() },
      { name: "cluster", look: () => this.cluster.tick() },
      { name: "drains", look: () => this.drains.tick() },
      { name: "late-starts", look: () => this.#lateStarts.look() },
    ];
  }

  /** The steps of the start. */
  readiness(): { readonly isReady: boolean; readonly steps: readonly ReadyStep[] } {
    const steps = (["store", "devices", "arrays", "exports"] as const).map((step) => ({
      step,
      isDone: this.#done.includes(step),
      message: this.#isClosing ? "the daemon is ending" : null,
    }));
    return { isReady: !this.#isClosing && steps.every((step) => step.isDone), steps };
  }

  /** The verdict over all arrays. */
  health(): BoardHealth {
    const { peers } = this.engine;
    const boards = [...peerAttention(peers), ...this.life.attention()];
    const hasBoard = (name: string): boolean => this.life.hasBoard(name);
    return boardHealth(this.arrays.list(), boards, (path) => awayBoard(peers, path, hasBoard));
  }

  /** Other boards where clients of an array may attach; of one that was left as told last. */
  async elsewhere(uuid: string): Promise<readonly Elsewhere[]> {
    const left = this.drains.record?.arrays.find((array) => array.uuid === uuid);
    return left?.elsewhere ?? (await this.nodes.elsewhere(uuid));
  }

  /** Ends the watch, closes the exports, stops the arrays clean. The engine and store stay open. */
  async close(): Promise<void> {
    this.#isClosing = true;
    await this.monitor.stop();
    await this.rounds.stop();
    await this.jobs.settle();
    for (const view of this.arrays.list().filter((candidate) => candidate.isRunning)) {
      await this.exports.closeAll(view.record.uuid, "the daemon is ending");
    }
    await this.arrays.close();
  }

  #boardsChanged(): void {
    if (this.#isClosing) return;
    this.events.changed("system", "system");
    this.monitor.tick().catch((error: unknown) => {
      this.options.logger.error({ error }, "device-watch-failed");
    });
  }

  /**
   * False when it waits for a member. Clients wait for the exports of this array alone, whatever
   * becomes of the others, and are told when it was refused for good.
   */
  async #startWanted(uuid: string, onlyComplete: boolean): Promise<boolean> {
    const isDecided = await this.#startArray(uuid, onlyComplete);
    const view = this.arrays.get(uuid);
    if (isDecided && (view === null || !mayPass(view))) await this.exports.giveUp(uuid);
    return isDecided;
  }

  /** False when it waits for a member. */
  async #startArray(uuid: string, onlyComplete: boolean): Promise<boolean> {
    const view = this.arrays.get(uuid);
    const readOnly = view?.record.readOnly ?? false;
    try {
      if (onlyComplete) return await this.arrayCommands.startIfComplete(uuid, readOnly);
      await this.arrayCommands.startUnlessRunning(uuid, readOnly);
    } catch (error) {
      // Several of its devices appeared at once: the first one has it started.
      if (error instanceof CodedError && error.code === "CONTROL_ARRAY_BUSY") return false;
      this.options.logger.error({ array: uuid, error }, "array-start-failed");
      const before = view?.startProblem?.code ?? null;
      // Tried again and again until another board is back: told once.
      if (error instanceof CodedError && error.code === before) return true;
      this.events.record({
        type: "array.start-failed",
        severity: "critical",
        subject: `/api/v1/arrays/${uuid}`,
        message: `array ${view?.record.name} could not start: ${error instanceof Error ? error.message : String(error)}`,
      });
    }
    return true;
  }

  /** The wait is over: from what is there. */
  async #startLate(uuid: string): Promise<void> {
    const view = this.arrays.get(uuid);
    if (view === null || !isWaiting(view) || this.#isClosing) return;
    await this.#startWanted(uuid, false);
  }

  /** A device appeared: the wanted array it carries is started once it is complete. */
  async #startArrayOf(path: string): Promise<void> {
    const uuid = this.devices.find(path).probe?.md?.arrayUuid;
    const view = uuid === undefined ? null : this.arrays.get(uuid);
    if (view !== null && isWaiting(view)) await this.#startWanted(view.record.uuid, true);
  }
}

const isWaiting = ({ isRunning, record }: ArrayView): boolean =>
  !isRunning && record.desiredState === "started";
