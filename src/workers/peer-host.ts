/**
 * The board among its peers, on the main thread: its own exports (exporter-host.ts), the directory
 * of the boards that live, where their disks are, and how the ways to them are. PeerBoards of
 * control.
 */

import type { Logger } from "../common/log.ts";
import type { EngineCluster, EngineExporter, SeenStore } from "../control/engine.ts";
import type {
  ExporterGate,
  ExporterReport,
  PeerBoard,
  PeerBoards,
  PeerLink,
  ServedDisk,
} from "../control/peer-boards.ts";
import { parsePeerPath, peerPath } from "../hal/peer-path.ts";
import type { ExporterState, SeenBoard } from "../peers/exporter-view.ts";
import type { PeerTicket } from "../peers/peer-ticket.ts";
import type { ExporterHost } from "./exporter-host.ts";
import { exporterReport } from "./exporter-report.ts";
import { mergedLinks } from "./merged-links.ts";
import { afterMs, monotonicMs } from "./monotonic-clock.ts";
import { openStore } from "./open-store.ts";
import { type OwnSession, OwnSessions } from "./own-sessions.ts";
import { handleOwner, type PeerUse } from "./peer-links.ts";
import { PeerLivesTeller } from "./peer-lives.ts";
import { withStore } from "./read-store.ts";

/** Between looks at boards of which no disk is in use here, milliseconds. Choice. */
const LOOK_MS = 5000;
const LOOK_BYTES = 4096;
/** How long a board that ends serves its peers, milliseconds. Choice: they end within that, too. */
const LINGER_MS = 3000;
const LINGER_LOOK_MS = 100;

export interface PeerHostOptions {
  readonly cluster: EngineCluster;
  readonly exporter: EngineExporter;
  /** Another one for each start of the board. */
  readonly boot: string;
  readonly version: string;
  readonly logger: Logger;
  readonly onStoreSeen: (seen: SeenStore) => void;
  /** The switches of a disk's faults in lab mode, which its peers meet as well. */
  readonly faultsOf: (path: string) => SharedArrayBuffer | null;
}

export class PeerHost implements PeerBoards {
  readonly #options: PeerHostOptions;
  /** This board's own use of its disks. */
  readonly sessions: OwnSessions;
  #exporter: ExporterHost | null = null;
  #boards: readonly SeenBoard[] = [];
  #gate: ExporterGate = {
    isOpen: false,
    reason: "the board has just started",
    draining: [],
  };
  /** What each thread told last. */
  readonly #told = new Map<string, readonly PeerLink[]>();
  /** What looks at boards came to that no thread uses, by board. */
  readonly #looks = new Map<string, PeerLink>();
  readonly #listeners: (() => void)[] = [];
  readonly #lives: PeerLivesTeller;
  #disks: readonly ServedDisk[] = [];
  #reaches = "";
  #refused = "";
  #timer: NodeJS.Timeout | null = null;
  #isLooking = false;

  constructor(options: PeerHostOptions) {
    this.#options = options;
    this.#lives = new PeerLivesTeller(handleOwner(options.cluster.node, options.boot));
    this.sessions = new OwnSessions(({ uuid, slot, epoch }) =>
      this.#exporter?.ownDrained(uuid, slot, epoch),
    );
  }

  /** `api`: URL of this board's API. Errors: NBD_ADDRESS_*. */
  async start(api: string, seen: SeenStore | null): Promise<void> {
    const { cluster, exporter, boot, version, logger } = this.#options;
    const { listen, advertise, tls } = exporter;
    const host = await import("./exporter-host.ts");
    this.#exporter = await host.ExporterHost.start({
      cluster: cluster.name,
      node: cluster.node,
      boot,
      api,
      version,
      endpoints: cluster.endpoints,
      learnsMembers: cluster.learnsMembers ?? false,
      etcdTls: cluster.tls,
      tls,
      listen,
      advertise,
      seen,
      logger,
      onBoards: (boards) => this.#onBoards(boards),
      onOwnFenced: (uuid, slot, epoch) => this.sessions.fence({ uuid, slot, epoch }),
      onState: (state) => this.#onState(state),
      onStoreSeen: this.#options.onStoreSeen,
    });
    this.#setDisks();
    this.#timer = setInterval(() => void this.#look(), LOOK_MS).unref();
  }

  /** Where the disk at the path is; null: no live board serves it, or it is no peer's. */
  ticket(path: string): PeerTicket | null {
    const wanted = parsePeerPath(path);
    const board = this.#boards.find(({ name, isHere }) => name === wanted?.board && !isHere);
    const disk = board?.record.disks.find(({ id }) => id === wanted?.disk);
    const url = URL.parse(`nbd://${board?.record.address ?? ""}`);
    if (board === undefined || disk === undefined || url === null) return null;
    return {
      board: board.name,
      disk: disk.id,
      life: board.epoch,
      host: url.hostname.replace(/^\[|\]$/g, ""),
      port: Number(url.port),
      sizeBytes: disk.sizeBytes,
      logicalBlockSize: disk.logicalBlockSize,
    };
  }

  /**
   * Paths of own disks that a node which begins here may not use while others run its array; a disk
   * that is not served has been met by nobody.
   */
  async distrusted(session: OwnSession, paths: readonly string[]): Promise<readonly string[]> {
    const asked = paths.map(async (path) => {
      const disk = this.#disks.find((one) => one.path === path);
      if (disk === undefined) return false;
      return (await this.#exporter?.isTrusted({ kind: "node", ...session }, disk.id)) ?? false;
    });
    const isTrusted = await Promise.all(asked);
    return paths.filter((_, index) => isTrusted[index] === false);
  }

  /** As whom this board opens peers' disks for itself; null: it has no life at the store. */
  get use(): PeerUse | null {
    const here = this.#boards.find(({ isHere }) => isHere);
    if (here === undefined) return null;
    const { name, epoch } = here;
    const { exporter, boot } = this.#options;
    const session = { kind: "board", name, epoch } as const;
    return { tls: exporter.tls, owner: handleOwner(name, boot), session };
  }

  /** What a thread tells of its ways; nothing: it has ended. */
  tell(thread: string, links: readonly PeerLink[]): void {
    if (links.length === 0) this.#told.delete(thread);
    else this.#told.set(thread, links);
    this.#tellReaches();
  }

  // --- PeerBoards -------------------------------------------------------------------------------

  boards(): readonly PeerBoard[] {
    return this.#boards.map(({ name, epoch, isHere, record }) => ({
      name,
      epoch,
      isHere,
      address: record.address,
      api: record.api,
      version: record.version,
      disks: record.disks,
      reaches: record.reaches,
    }));
  }

  links(): readonly PeerLink[] {
    const used = [...this.#told.values()].flat();
    const boards = new Set(used.map(({ board }) => board));
    const looks = [...this.#looks.values()].filter(({ board }) => !boards.has(board));
    return mergedLinks([...used, ...looks]);
  }

  gate(): ExporterGate {
    return this.#gate;
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  serve(disks: readonly ServedDisk[]): void {
    this.#disks = disks;
    this.#setDisks();
  }

  refuse(serials: readonly string[]): void {
    if (serials.join() === this.#refused) return;
    this.#refused = serials.join();
    this.#exporter?.setRefused(serials);
  }

  #setDisks(): void {
    const { faultsOf } = this.#options;
    this.#exporter?.setDisks(this.#disks.map((disk) => ({ ...disk, faults: faultsOf(disk.path) })));
  }

  async report(): Promise<ExporterReport> {
    const view = (await this.#exporter?.view()) ?? null;
    return view === null ? { heard: [], sessions: [], fences: [] } : exporterReport(view);
  }

  /**
   * AFTER the arrays are stopped here. Boards that are ending as well use the disks for a moment
   * longer: a copy that is gone before they have stopped would have to be brought back.
   */
  async close(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    const deadline = monotonicMs() + LINGER_MS;
    while (monotonicMs() < deadline && (await this.#isUsed()))
      await new Promise((resolve) => afterMs(LINGER_LOOK_MS, () => resolve(null)));
    await this.#exporter?.close();
    this.#lives.close();
  }

  async #isUsed(): Promise<boolean> {
    const { sessions } = await this.report();
    return sessions.some(({ session, board }) => {
      const isNode = session.startsWith("node:");
      return isNode && board !== this.#options.cluster.node;
    });
  }

  // --- what comes -------------------------------------------------------------------------------

  #onBoards(boards: readonly SeenBoard[]): void {
    this.#boards = boards;
    this.#lives.tell(boards);
    const lives = new Set(boards.map(({ name }) => name));
    for (const board of this.#looks.keys()) if (!lives.has(board)) this.#looks.delete(board);
    this.#changed();
    void this.#look();
  }

  #onState({ isOpen, reason, draining }: ExporterState): void {
    this.#gate = { isOpen, reason, draining };
    this.#changed();
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
    this.#tellReaches();
  }

  #tellReaches(): void {
    const reached = this.links().flatMap(({ board, state }) => (state === "up" ? [board] : []));
    const names = [...new Set(reached)].sort();
    if (names.join() === this.#reaches) return;
    this.#reaches = names.join();
    this.#exporter?.setReaches(names);
  }

  /** Boards whose disks no thread uses are asked for a few bytes, so that the way is known. */
  async #look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    const used = new Set([...this.#told.values()].flat().map(({ board }) => board));
    const idle = this.#boards.filter(({ name, isHere }) => !isHere && !used.has(name));
    await Promise.all(idle.map((board) => this.#lookAt(board)));
    this.#isLooking = false;
    this.#tellReaches();
  }

  async #lookAt({ name, record }: SeenBoard): Promise<void> {
    const [disk] = record.disks;
    if (disk === undefined || this.use === null) return;
    const path = peerPath({ board: name, disk: disk.id });
    const before = this.#looks.get(name)?.latencyMs ?? null;
    let link: PeerLink;
    try {
      const open = () => openStore({ path, peer: this.ticket(path) }, "read", { peers: this.use });
      const latencyMs = await withStore(path, open, async (device) => {
        const began = monotonicMs();
        await device.read(new Uint8Array(LOOK_BYTES), 0);
        return monotonicMs() - began;
      });
      link = { ...NO_LINK, board: name, disk: disk.id, state: "up", latencyMs };
    } catch (error) {
      const lastError = error instanceof Error ? error.message : String(error);
      link = {
        ...NO_LINK,
        board: name,
        disk: disk.id,
        state: "gone",
        latencyMs: before,
        lastError,
      };
    }
    if (this.#boards.some((board) => board.name === name)) this.#looks.set(name, link);
  }
}

const NO_LINK = { inFlight: 0, reconnects: 0, lastError: null } as const;
