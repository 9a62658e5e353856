/**
 * The demo of several boards with disks of their own, which they serve to each other: a daemon
 * process and a folder per board, certificates of one authority, one etcd that asks for them, the
 * array md0 with a copy on each of up to three boards, and the export md0 on every board. A board
 * that dies is started again, as is etcd.
 */

import { writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { DeviceResource } from "../api/schemas/device.ts";
import { CodedError } from "../common/errors.ts";
import { makeFolder } from "../hal/linux/make-folder.ts";
import { ApiClient, VERB_LIMIT_MS } from "./api-client.ts";
import { type BoardProcess, boardCredentials, startBoardProcess } from "./board-process.ts";
import {
  type BoardsDemoOptions,
  boardNames,
  candidate,
  DEMO_ARRAY,
  DEMO_CLUSTER,
  describeBoard,
  ensureExport,
  hasArray,
  JOB_WAIT_SECONDS,
  nodesFor,
} from "./demo-array.ts";
import { ensureCertificates } from "./demo-certificates.ts";
import { type BoardCredentials, readCredentials, writeCredentials } from "./demo-credentials.ts";
import type { EtcdFiles } from "./etcd-process.ts";
import { KeptBoards } from "./kept-boards.ts";
import { KeptEtcd, runWithEtcd } from "./kept-etcd.ts";
import { fetchAll } from "./online-access.ts";

/** Of each board: the first one is the array's, where it has a copy there. */
const DISKS = ["disk1", "spare1"] as const;
const COPIES_MAX = 3;
const BITMAP_CHUNK_BYTES = 1024 * 1024;
const ETCD_NAME = "etcd";
/** How long boards may take to see each other's disks. */
const SEEN_MS = 60_000;
const LOOK_MS = 250;

interface StartedBoard {
  readonly name: string;
  readonly client: ApiClient;
  /** Its disks were made by this start: they hold only zeros. */
  readonly isFresh: boolean;
}

class BoardsDemo {
  readonly #options: BoardsDemoOptions;
  readonly #etcd: KeptEtcd;
  readonly #tls: ReadonlyMap<string, EtcdFiles>;
  readonly #boards: KeptBoards;
  #known: readonly BoardCredentials[];
  readonly #disks = new Map<string, readonly string[]>();

  constructor(options: BoardsDemoOptions, etcd: KeptEtcd, tls: ReadonlyMap<string, EtcdFiles>) {
    this.#options = options;
    this.#etcd = etcd;
    this.#tls = tls;
    this.#known = readCredentials(options.directory).boards;
    for (const { name, disks } of this.#known) this.#disks.set(name, disks);
    this.#boards = new KeptBoards({
      start: (name) => this.#startBoard(name),
      onRestart: () => this.#leaveCredentials(),
    });
  }

  async start(): Promise<void> {
    this.#etcd.onRestart(() => this.#leaveCredentials());
    const boards: StartedBoard[] = [];
    for (const name of boardNames(this.#options.boards)) {
      const { url, token } = await this.#boards.start(name);
      const client = new ApiClient({ url, token }, VERB_LIMIT_MS);
      const isFresh = await this.#ensureDisks(name, client);
      boards.push({ name, client, isFresh });
      this.#leaveCredentials();
    }
    await this.#ensureArray(boards);
    for (const { client } of boards) await ensureExport(client);
  }

  describe(): string {
    const { directory } = this.#options;
    const blocks = this.#boards.running.map((board) =>
      describeBoard(board, this.#folder(board.name)),
    );
    const lines = [
      `${blocks.length} boards serve their disks to each other (${directory})`,
      "",
      ...blocks,
      `  boards:  npx satsuma status --data ${directory}`,
      `  locks:   npx satsuma locks --data ${directory}`,
      "",
      "Ctrl-C ends them; the same command takes them up again.",
    ];
    return `${lines.join("\n")}\n`;
  }

  /** The boards leave the cluster, then etcd ends. */
  async stop(): Promise<void> {
    await this.#boards.stop();
    await this.#etcd.stop();
  }

  #folder(name: string): string {
    return path.join(this.#options.directory, name);
  }

  async #startBoard(name: string): Promise<BoardProcess> {
    const directory = this.#folder(name);
    makeFolder(directory);
    const config = path.join(directory, "satsuma.toml");
    writeFileSync(config, this.#configOf(name));
    const isFirst = name === boardNames(1)[0];
    const { http, nbd } = this.#options;
    return await startBoardProcess({
      directory,
      name,
      ...(isFirst && http !== undefined ? { http } : {}),
      ...(isFirst && nbd !== undefined ? { nbd } : {}),
      avoidsDefaults: !isFirst,
      previous: this.#known.find((known) => known.name === name) ?? null,
      flags: ["--config", config],
    });
  }

  #configOf(name: string): string {
    const tls = this.#tls.get(name);
    const values = {
      name: DEMO_CLUSTER,
      node: name,
      etcd: this.#etcd.credentials.endpoints,
      member_listen: "127.0.0.1:0",
      tls_authority: tls?.authority,
      tls_certificate: tls?.certificate,
      tls_key: tls?.key,
    };
    // A JSON text or list of texts is one of TOML as well.
    const lines = Object.entries(values).map(([key, value]) => `${key} = ${JSON.stringify(value)}`);
    return `[cluster]\n${lines.join("\n")}\n`;
  }

  /** Makes the board's disks that are missing; true when the first one is new. */
  async #ensureDisks(name: string, client: ApiClient): Promise<boolean> {
    const own = async (): Promise<DeviceResource[]> =>
      (await fetchAll<DeviceResource>(client, "devices")).filter(
        ({ status }) => status.node === name,
      );
    const known = new Set((await own()).map(({ id }) => id));
    for (const disk of DISKS) {
      if (known.has(disk)) continue;
      const body = { name: disk, size: this.#options.sizeBytes };
      await client.request("POST", "/api/v1/devices", { body });
    }
    this.#disks.set(
      name,
      (await own()).map(({ status }) => status.path),
    );
    return !known.has(DISKS[0]);
  }

  /** A copy on each board of up to three, made on the first one; the others take part in it. */
  async #ensureArray(boards: readonly StartedBoard[]): Promise<void> {
    const legs = boards.slice(0, COPIES_MAX);
    const [first, ...others] = boards;
    if (first === undefined) return;
    if (!(await hasArray(first.client))) {
      if ((await candidate(first.client)) === null) await this.#create(first.client, legs);
      else await takePart(first.client, legs.length);
    }
    for (const { client } of others)
      if (!(await hasArray(client))) await takePart(client, legs.length);
  }

  async #create(client: ApiClient, legs: readonly StartedBoard[]): Promise<void> {
    const [here] = legs;
    const ids = legs.map(({ name }) => (name === here?.name ? DISKS[0] : `${name}.${DISKS[0]}`));
    await eventually("the boards do not see each other's disks", async () => {
      const devices = await fetchAll<DeviceResource>(client, "devices");
      const free = devices.filter(({ status }) => status.state === "free");
      return ids.every((id) => free.some((device) => device.id === id));
    });
    const body = {
      name: DEMO_ARRAY,
      level: "raid1",
      bitmap: "clustered",
      // Small: the disks are, and a board that returns is to show what it skips.
      bitmap_chunk_size: BITMAP_CHUNK_BYTES,
      nodes: nodesFor(this.#options.boards),
      home_cluster: DEMO_CLUSTER,
      device_ids: ids,
      // Files that nobody has written to read as zeros: the copies are equal already.
      assume_clean: legs.every(({ isFresh }) => isFresh),
    };
    await client.request("POST", "/api/v1/arrays", { body, wait: JOB_WAIT_SECONDS });
  }

  #leaveCredentials(): void {
    this.#known = this.#boards.running.map((board) =>
      boardCredentials(board, this.#folder(board.name), this.#disks.get(board.name) ?? []),
    );
    writeCredentials(this.#options.directory, {
      boards: this.#known,
      etcd: this.#etcd.credentials,
    });
  }
}

/** Errors: CLI_BOARDS_APART. */
const eventually = async (problem: string, isTrue: () => Promise<boolean>): Promise<void> => {
  const deadline = Date.now() + SEEN_MS;
  while (!(await isTrue())) {
    if (Date.now() > deadline) {
      throw new CodedError("CLI_BOARDS_APART", problem, {
        remedy: "see daemon.log in the folder of each board",
      });
    }
    await pause(LOOK_MS);
  }
};

/** The board runs the array as well, once it sees all members. */
const takePart = async (client: ApiClient, members: number): Promise<void> => {
  await eventually("a board does not see the array's members", async () => {
    const found = await candidate(client);
    return found !== null && found.members.length >= members;
  });
  const found = await candidate(client);
  const body = { import: found?.members.map(({ device_id }) => device_id) ?? [] };
  await client.request("POST", "/api/v1/arrays", { body, wait: JOB_WAIT_SECONDS });
};

/** Runs the boards until `ended`. Errors: CLI_NO_ETCD, CLI_ETCD_ENDED, CLI_BOARDS_APART, others. */
export async function runBoardsDemo(options: BoardsDemoOptions): Promise<void> {
  const { directory, boards } = options;
  const names = [...boardNames(boards), ETCD_NAME];
  const tls = await ensureCertificates(directory, DEMO_CLUSTER, names);
  const previous = readCredentials(directory).etcd;
  const etcd = await KeptEtcd.start(directory, previous, tls.get(ETCD_NAME) ?? null);
  const demo = new BoardsDemo(options, etcd, tls);
  await runWithEtcd(demo, etcd, options);
}
