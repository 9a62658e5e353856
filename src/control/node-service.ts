/**
 * The boards as an operator sees them: what stops when one does, where its clients go on. Gathers
 * the facts that impact.ts judges.
 */

import { atMost } from "../common/at-most-driver.ts";
import { bareUuid } from "../common/bare-uuid.ts";
import type { ArrayStatus } from "../raid/array-status.ts";
import type { ArrayService } from "./array-service.ts";
import type { ArrayView } from "./array-view.ts";
import type { DeviceService, DeviceView } from "./device-service.ts";
import type { StorageEngine } from "./engine.ts";
import type { ExportService } from "./export-service.ts";
import { impactOf } from "./impact.ts";
import type {
  IdleArray,
  Impact,
  ImpactArray,
  ImpactDevice,
  ImpactFacts,
  Quorum,
} from "./impact-types.ts";

/** A board that runs an array, and where its exports are: empty where it does not tell. */
export interface Runner {
  readonly node: string;
  readonly address: string;
}

/** What is known of the boards and their disks. */
export interface Boards {
  /** This board's name among the others. */
  readonly here: string;
  /** The board whose disk it is; null: every board opens it by itself. */
  readonly boardOf: (path: string) => string | null;
  /** Every board that is there, this one too. */
  readonly names: () => readonly string[];
  /** Members of the etcd that arrays depend on; null: there is none. */
  readonly quorum: () => Promise<Quorum | null>;
  /** Who runs a clustered array that does not run here, and where; null: nobody told. */
  readonly runners: (uuid: string) => Promise<readonly Runner[] | null>;
}

/** What the service needs. */
export interface NodeServiceOptions {
  readonly boards: Boards;
  readonly engine: StorageEngine;
  readonly arrays: ArrayService;
  readonly devices: DeviceService;
  readonly exports: ExportService;
}

/** Which boards the cluster has. */
export interface ClusterBoards {
  readonly boardNames: readonly string[];
  /** False: it has no board of this name any more. */
  hasBoard(name: string): boolean;
}

/** Where an array's exports are reached on another board. */
export interface Elsewhere {
  readonly board: string;
  /** HOST:PORT of NBD. */
  readonly address: string;
}

/** Bitmaps are small; a disk that hangs keeps nobody waiting. */
const BITMAP_WAIT_MS = 2000;
/** Other boards write to their disks, and nothing tells; one that hangs is judged as read last. */
const LOOK_WAIT_MS = 1000;
/** As sessions of a board's exports are named: `node:UUID:SLOT:EPOCH`. */
const NODE_SESSION = /^node:(.+):[0-9]+:[0-9]+$/;
/** It may be a member of anything. */
const DAMAGED = "damaged md superblock";

type RunningView = ArrayView & { readonly status: ArrayStatus };

/** Hosts that name every interface, and no machine. */
const WILDCARD = /^(?:0\.0\.0\.0|::|\[::\])(?=:[0-9]+$)/;

/** Those that tell where they are. */
const reached = (members: readonly Runner[]): Elsewhere[] =>
  members
    .filter(({ address }) => address !== "")
    .map(({ node, address }) => ({ board: node, address: address.replace(WILDCARD, node) }));

/** The boards. */
export class NodeService {
  readonly #options: NodeServiceOptions;
  #cluster: ClusterBoards = { boardNames: [], hasBoard: () => true };

  constructor(options: NodeServiceOptions) {
    this.#options = options;
  }

  /** Sets who knows the cluster's boards: it looks at what would be lost, before it acts. */
  knowCluster(cluster: ClusterBoards): void {
    this.#cluster = cluster;
  }

  get here(): string {
    return this.#options.boards.here;
  }

  /** Boards that are there, run an array or are away, sorted. */
  names(): string[] {
    const { boards } = this.#options;
    const running = this.#running().flatMap(nodesOf(this.here));
    return [...new Set([boards.here, ...boards.names(), ...running, ...this.#away()])].sort();
  }

  /** Boards of the cluster, or whose disks are devices here, that do not live now. */
  #away(): string[] {
    const { boards, devices, engine } = this.#options;
    // One that is cut off hears of nobody.
    if (engine.peers?.gate().isOpen !== true) return [];
    const live = new Set([this.here, ...boards.names()]);
    const known = devices.list().flatMap(({ board }) => board ?? []);
    return [...new Set([...known, ...this.#cluster.boardNames])].filter(
      (name) => !live.has(name) && this.#cluster.hasBoard(name),
    );
  }

  /** What judges a board or a device. */
  async facts(): Promise<ImpactFacts> {
    const { boards, devices, engine } = this.#options;
    const report = await engine.peers?.report();
    return {
      here: boards.here,
      isAlone: engine.cluster === null,
      away: this.#away(),
      arrays: await Promise.all(this.#running().map((view) => this.#array(view))),
      idle: this.#idle(),
      devices: devices.list().map(deviceFacts),
      served: (report?.sessions ?? []).flatMap(({ session }) => {
        const uuid = NODE_SESSION.exec(session)?.[1];
        return uuid === undefined ? [] : [bareUuid(uuid)];
      }),
      abandoned: await this.#abandoned(),
      boardOf: boards.boardOf,
      quorum: await boards.quorum(),
    };
  }

  /** Clustered arrays of which only disks tell: who runs them is asked. */
  async #abandoned(): Promise<string[]> {
    const { arrays, boards, devices } = this.#options;
    const named = devices.list().flatMap(({ probe }) => {
      const md = probe?.md;
      return md?.isClustered === true && arrays.get(md.arrayUuid) === null ? [md.arrayUuid] : [];
    });
    const asked = [...new Set(named)].map(async (uuid) => {
      const runners = await boards.runners(uuid);
      return runners?.length === 0 ? [uuid] : [];
    });
    return (await Promise.all(asked)).flat();
  }

  /** What is lost when the board stops now. */
  async boardImpact(name: string): Promise<Impact> {
    await this.#look();
    return impactOf(await this.facts(), { kind: "board", name });
  }

  /** What is lost when the device is pulled now. Errors: CONTROL_DEVICE_NOT_FOUND. */
  async deviceImpact(key: string): Promise<Impact> {
    const device = this.#options.devices.find(key);
    await this.#look();
    return this.#ofDevice(await this.facts(), device);
  }

  /** The same of every board and every device, all of one moment. */
  async impacts(): Promise<Impact[]> {
    await this.#look();
    const facts = await this.facts();
    const boards = this.names().map((name) => impactOf(facts, { kind: "board", name }));
    const devices = this.#options.devices.list();
    return [...boards, ...devices.map((device) => this.#ofDevice(facts, device))];
  }

  /** Other boards that run the array, and where their clients attach. */
  async elsewhere(uuid: string): Promise<Elsewhere[]> {
    const { arrays } = this.#options;
    if (arrays.get(uuid)?.isRunning !== true) return [];
    const view = await arrays.findRunning(uuid).running.clusterView();
    return reached((view?.members ?? []).filter(({ isMe }) => !isMe));
  }

  /** The same of an array that this board has left; null: nobody told. */
  async runners(uuid: string): Promise<Elsewhere[] | null> {
    const { boards } = this.#options;
    const members = await boards.runners(uuid);
    return members === null ? null : reached(members.filter(({ node }) => node !== boards.here));
  }

  #ofDevice(facts: ImpactFacts, { record }: DeviceView): Impact {
    return impactOf(facts, { kind: "device", name: record.id, path: record.path });
  }

  async #look(): Promise<void> {
    await atMost(this.#options.devices.lookAtPeers(), LOOK_WAIT_MS, undefined);
  }

  #running(): RunningView[] {
    const views = this.#options.arrays.list();
    return views.filter((view): view is RunningView => view.isRunning && view.status !== null);
  }

  async #array(view: RunningView): Promise<ImpactArray> {
    const { uuid, name } = view.record;
    return {
      uuid,
      name,
      status: view.status,
      nodes: nodesOf(this.here)(view),
      clients: this.#options.exports.clientsOf(uuid).length,
      dirtyBytes: await this.#dirtyBytes(view.status),
    };
  }

  /** Of a clustered array each node knows its own bits only: all of them are on every member. */
  async #dirtyBytes({ bitmap, members, sizeBytes }: ArrayStatus): Promise<number> {
    const own = Math.min(bitmap.dirtyChunks * bitmap.chunkBytes, sizeBytes);
    if (bitmap.type !== "clustered") return own;
    const inSync = members.filter(({ states }) => states.includes("in_sync"));
    const paths = inSync.flatMap(({ path }) => path ?? []);
    const { boardOf } = this.#options.boards;
    const path = paths.find((one) => (boardOf(one) ?? this.here) === this.here) ?? paths[0];
    if (path === undefined) return own;
    const marked = this.#options.engine.markedBytes(path).catch(() => null);
    return (await atMost(marked, BITMAP_WAIT_MS, null)) ?? own;
  }

  /** Arrays that are known and do not run here: what others lose of them is not known. */
  #idle(): IdleArray[] {
    const { arrays, engine } = this.#options;
    const idle = arrays.list().filter((view) => !view.isRunning || view.status === null);
    return idle.map(({ record: { uuid, name, memberPaths }, status }) => {
      // One of which nothing was ever told may be the cluster's.
      const isClustered =
        status === null ? engine.cluster !== null : status.bitmap.type === "clustered";
      return { uuid, name, isClustered, memberPaths };
    });
  }
}

const contentOf = ({ file, probe }: DeviceView): ImpactDevice["holds"] => {
  if (file === null || probe === null || probe.problem !== null) return null;
  if (probe.signatures.includes(DAMAGED)) return null;
  const { md } = probe;
  return md === null ? "no array" : { uuid: md.arrayUuid, name: md.name };
};

const deviceFacts = (view: DeviceView): ImpactDevice => ({
  name: view.record.id,
  path: view.record.path,
  isThere: view.file !== null,
  holds: contentOf(view),
});

const nodesOf =
  (here: string) =>
  ({ status }: RunningView): string[] =>
    status.peers?.nodes.map(({ node }) => node) ?? [here];
