/**
 * Boards of a cluster for fault runs: real daemons, each behind links that can be cut, with a real
 * etcd over TLS. `own`: each board has its own disks and serves them to the others; `shared`: all
 * open the same files. The array md0 is a raid1 with a member on each board (two when shared), and
 * every board has the export md0.
 */
import { closeSync, ftruncateSync, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import type { ArrayResource } from "../../../src/api/schemas/array.ts";
import type { ArrayCandidateResource } from "../../../src/api/schemas/array-candidate.ts";
import type { Prng } from "../../../src/common/prng.ts";
import { eventually } from "../timeout.ts";
import { type CertificateFiles, makeCertificates } from "./certificates.ts";
import { FaultBoard } from "./fault-board.ts";
import { FaultEtcd } from "./fault-etcd.ts";
import { freePort } from "./free-port.ts";
import { LinkProxy } from "./link-proxy.ts";
import { LinkTable } from "./link-table.ts";
import type { Namespaces } from "./namespaces.ts";

export const ARRAY = "md0";
const CLUSTER = "runs";
/** Under it is all that the cluster keeps in etcd. */
export const CLUSTER_PREFIX = `/satsuma/${CLUSTER}/`;
const LOCAL = "127.0.0.1";
const MIB = 1024 * 1024;
const SEEN_MS = 60_000;
const RUN_MS = 60_000;
/** Bitmaps beyond one for each board: who comes back takes another slot at first. */
const MORE_NODES = 2;
const SYNC_BYTES_PER_SECOND = 16 * MIB;
const LEGS_MAX = 3;
/** The reason of an array that its board does not start by itself. */
const BROKEN = /is broken on this board.*injected fault/;
/** The reason of a member that was there and failed what it was asked for. */
const FAILED_REQUEST = /^(read error|write error|flush error|metadata write|more than|no answer)/;

/** Whose the disks are. */
export type BoardsKind = "own" | "shared";

export interface FaultBoardsOptions {
  readonly kind: BoardsKind;
  readonly boards: number;
  readonly etcdMembers: number;
  readonly sizeMib: number;
  readonly folder: string;
  readonly prng: Prng;
  /** Bytes of a chunk of the write-intent bitmaps; left out: as an administrator gets it. */
  readonly bitmapChunkBytes?: number;
  /** A network of their own, whose links are not those of `links`. */
  readonly namespaces?: Namespaces;
  /** Told when a board's process ends though nobody asked it to. */
  readonly onExit: (board: FaultBoard, why: string) => void;
}

export class FaultBoards {
  readonly links = new LinkTable();
  readonly boards: FaultBoard[] = [];
  readonly #options: FaultBoardsOptions;
  readonly #proxies: LinkProxy[] = [];
  #etcd: FaultEtcd | null = null;

  private constructor(options: FaultBoardsOptions) {
    this.#options = options;
  }

  /** Starts etcd and the boards, makes the array and its exports. */
  static async start(options: FaultBoardsOptions): Promise<FaultBoards> {
    const boards = new FaultBoards(options);
    try {
      await boards.#prepare();
      await boards.#makeArray();
      return boards;
    } catch (error) {
      await boards.stop();
      throw error;
    }
  }

  get kind(): BoardsKind {
    return this.#options.kind;
  }

  get namespaces(): Namespaces | null {
    return this.#options.namespaces ?? null;
  }

  get folder(): string {
    return this.#options.folder;
  }

  get etcd(): FaultEtcd {
    if (this.#etcd === null) throw new Error("etcd does not run");
    return this.#etcd;
  }

  get numbers(): readonly number[] {
    return [...this.boards.keys()];
  }

  board(at: number): FaultBoard {
    const board = this.boards[at];
    if (board === undefined) throw new Error(`there is no board ${at + 1}`);
    return board;
  }

  /** The folder of the disks that a board opens by path. */
  dataDir(at: number): string {
    return join(this.folder, `data${at + 1}`);
  }

  /** Name and file of the disk that a board can lose. */
  disk(at: number): { readonly id: string; readonly file: string } {
    const id = this.kind === "own" ? "disk1" : `disk${(at % 2) + 1}`;
    return { id, file: join(this.#disks(at), `${id}.img`) };
  }

  /** Files of all members of the array. */
  get memberFiles(): readonly string[] {
    const { boards } = this.#options;
    const legs = this.kind === "own" ? Math.min(boards, LEGS_MAX) : 2;
    return Array.from({ length: legs }, (_, at) => this.disk(at).file);
  }

  array(at: number): Promise<ArrayResource> {
    return this.board(at).ask<ArrayResource>("GET", `/arrays/${ARRAY}`);
  }

  /** Waits until every board sees a whole array at rest, in which all reads may be balanced. */
  async untilWhole(ms: number): Promise<void> {
    const until = performance.now() + ms;
    for (const at of this.numbers) {
      const left = Math.max(1000, until - performance.now());
      await eventually(`board ${at + 1} sees a whole array`, left, async () => {
        const { status } = await this.array(at);
        const { cluster, health, sync } = status;
        const isIn = cluster?.phase === "entered" && cluster.balances_reads;
        if (health === "optimal" && sync === null && isIn && cluster.resync === null) return true;
        const { members } = status;
        throw new Error(JSON.stringify({ health, sync, cluster, members }));
      });
    }
  }

  /**
   * What an administrator does: an array that broke for errors of its last copy is started, a disk
   * that failed requests, or one that all share, is removed and added again. Boards take back by
   * themselves what was only away.
   */
  async readmit(): Promise<void> {
    for (const at of this.kind === "own" ? this.numbers : [0]) {
      const { status } = await this.array(at);
      if (status.health_reasons.some(({ message }) => BROKEN.test(message)))
        await this.board(at).ask("POST", "/arrays", { assemble: ARRAY });
      // One that was out until now joins again by itself.
      const members = await eventually(`board ${at + 1} runs the array`, RUN_MS, async () => {
        const { status: now } = await this.array(at);
        return now.health !== "inactive" && now.members;
      });
      for (const { device_id, states, fault_reason } of members) {
        const isOthers = this.kind === "own" && device_id !== this.disk(at).id;
        const isAway = this.kind === "own" && !FAILED_REQUEST.test(fault_reason ?? "");
        if (states.includes("faulty") && !isOthers && !isAway) await this.#addAgain(at, device_id);
      }
    }
  }

  async #addAgain(at: number, deviceId: string | null): Promise<void> {
    const path = `/arrays/${ARRAY}/members/${deviceId}`;
    await this.board(at).ask("DELETE", path);
    try {
      await this.board(at).ask("POST", `${path}/actions/re-add`);
    } catch {
      // Its bitmap cannot tell what it lacks.
      await this.board(at).ask("POST", `/arrays/${ARRAY}/members`, { device_id: deviceId });
    }
  }

  async stop(): Promise<void> {
    // The etcd goes last: boards leave the cluster.
    await Promise.all(this.boards.map((board) => board.shutDown()));
    await this.#etcd?.stop();
    for (const proxy of this.#proxies) await proxy.close();
  }

  // --- start ------------------------------------------------------------------------------------

  #places(): ReadonlyMap<number, string> {
    const boards = this.boards.flatMap(({ pid, name }) =>
      pid === null ? [] : [[pid, name] as const],
    );
    return new Map([...boards, ...(this.#etcd?.pids ?? [])]);
  }

  async #prepare(): Promise<void> {
    const { folder, boards, etcdMembers, prng, kind } = this.#options;
    const names = Array.from({ length: boards }, (_, at) => `board${at + 1}`);
    const tlsFolder = join(folder, "tls");
    mkdirSync(tlsFolder, { recursive: true, mode: 0o700 });
    const { namespaces } = this.#options;
    const hosts = names.flatMap((_, at) => namespaces?.host(at) ?? []);
    const certificates = await makeCertificates(tlsFolder, ["etcd", ...names], hosts);
    const certificateOf = (name: string): CertificateFiles => {
      const found = certificates.get(name);
      if (found === undefined) throw new Error(`no certificate for ${name}`);
      return found;
    };
    const common = { links: this.links, places: () => this.#places() };
    this.#etcd = await FaultEtcd.start({
      ...{
        members: etcdMembers,
        boards: names,
        folder,
        tls: certificateOf("etcd"),
        prng: prng.fork(),
      },
      ...{ ...common, namespaces: namespaces ?? null },
    });
    for (const [at, name] of names.entries()) {
      this.#makeDisks(at);
      const exporter = kind === "own" ? await this.#exporter(at, name) : [];
      const board: FaultBoard = new FaultBoard({
        ...{ at, folder, dataDir: this.dataDir(at) },
        ...{ host: namespaces?.host(at) ?? LOCAL, prefix: namespaces?.prefix(at) ?? [] },
        config: this.#config(at, certificateOf(name), exporter),
        onExit: (why) => this.#options.onExit(board, why),
      });
      this.boards.push(board);
    }
    for (const board of this.boards) await board.start();
  }

  /** A proxy in front of a board's member exports. Returns the lines of its configuration. */
  async #exporter(at: number, place: string): Promise<readonly string[]> {
    const { prng, namespaces } = this.#options;
    if (namespaces !== undefined) {
      const host = namespaces.host(at);
      const port = await freePort();
      return [`member_listen = "${host}:${port}"`, `member_advertise = "${host}"`];
    }
    const advertised = `127.0.1.${at + 1}`;
    const port = await freePort([LOCAL, advertised]);
    this.#proxies.push(
      await LinkProxy.start({
        ...{
          place,
          from: null,
          links: this.links,
          places: () => this.#places(),
          prng: prng.fork(),
        },
        listen: { host: advertised, port },
        target: { host: LOCAL, port },
      }),
    );
    return [`member_listen = "${LOCAL}:${port}"`, `member_advertise = "${advertised}"`];
  }

  #config(at: number, tls: CertificateFiles, exporter: readonly string[]): string {
    const text = (value: string): string => JSON.stringify(value);
    return [
      "[devices]",
      `directory = ${text(this.#disks(at))}`,
      "[cluster]",
      `name = "${CLUSTER}"`,
      `node = "board${at + 1}"`,
      `etcd = [${this.etcd
        .endpoints(`board${at + 1}`)
        .map(text)
        .join(", ")}]`,
      `tls_authority = ${text(tls.ca)}`,
      `tls_certificate = ${text(tls.certificate)}`,
      `tls_key = ${text(tls.key)}`,
      ...exporter,
      // A member that returns is rebuilt in seconds, beside clients too.
      "[sync]",
      `speed_min = ${SYNC_BYTES_PER_SECOND}`,
      "[log]",
      'level = "debug"',
      "",
    ].join("\n");
  }

  #disks(at: number): string {
    return join(this.folder, this.kind === "own" ? `disks${at + 1}` : "disks");
  }

  #makeDisks(at: number): void {
    const names = this.kind === "own" ? ["disk1"] : at === 0 ? ["disk1", "disk2"] : [];
    mkdirSync(this.#disks(at), { recursive: true, mode: 0o700 });
    for (const name of names) {
      const file = openSync(join(this.#disks(at), `${name}.img`), "wx", 0o600);
      ftruncateSync(file, this.#options.sizeMib * MIB);
      closeSync(file);
    }
  }

  /** Names of the members as the first board calls them. */
  get #memberIds(): readonly string[] {
    if (this.kind === "shared") return ["disk1", "disk2"];
    const legs = this.numbers.slice(0, LEGS_MAX);
    return legs.map((at) => (at === 0 ? "disk1" : `board${at + 1}.disk1`));
  }

  async #makeArray(): Promise<void> {
    const nodes = this.numbers.length + MORE_NODES;
    const { bitmapChunkBytes } = this.#options;
    const order = {
      ...{ name: ARRAY, level: "raid1", bitmap: "clustered", nodes },
      ...(bitmapChunkBytes === undefined ? {} : { bitmap_chunk_size: bitmapChunkBytes }),
    };
    const ids = this.#memberIds;
    for (const board of this.boards) {
      const isFirst = board.at === 0;
      const members = isFirst ? await this.#devices(board, ids) : await carriers(board, ids.length);
      const made = { device_ids: members, home_cluster: CLUSTER, assume_clean: true };
      const body = isFirst ? { ...order, ...made } : { import: members };
      // A peer's disk that does not answer at once is asked again: the machine may be busy.
      await eventually(`${board.name} has ${ARRAY}`, SEEN_MS, async () => {
        const { items } = await board.ask<{ items: readonly ArrayResource[] }>("GET", "/arrays");
        if (items.length === 0) await board.ask("POST", "/arrays", body);
        return true;
      });
      const { id } = await board.ask<ArrayResource>("GET", `/arrays/${ARRAY}`);
      await board.ask("POST", "/exports", { name: ARRAY, array: id });
    }
  }

  /** Waits until a board knows these devices. */
  async #devices(board: FaultBoard, ids: readonly string[]): Promise<readonly string[]> {
    await eventually(`${board.name} sees ${ids.join(", ")}`, SEEN_MS, async () => {
      const { items } = await board.ask<{ items: { id: string }[] }>("GET", "/devices?limit=100");
      const seen = items.map(({ id }) => id);
      if (ids.every((id) => seen.includes(id))) return true;
      throw new Error(`it sees ${seen.join(", ")}`);
    });
    return ids;
  }
}

/** The devices that hold members of the array, as a board calls them. */
const carriers = (board: FaultBoard, count: number): Promise<readonly string[]> =>
  eventually(`${board.name} sees the members of ${ARRAY}`, SEEN_MS, async () => {
    const { items } = await board.ask<{ items: readonly ArrayCandidateResource[] }>(
      "GET",
      "/arrays/candidates",
    );
    const members = items.find(({ name }) => name === ARRAY)?.members ?? [];
    return members.length === count && members.map(({ device_id }) => device_id);
  });
