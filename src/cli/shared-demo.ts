/**
 * The demo of several boards that share their disks: a daemon process per board, one etcd, two
 * member files that every board opens, spare files beside them, the array md0 with a clustered
 * bitmap and the export md0 on every board. A board that dies is started again, as is etcd.
 */

import { closeSync, existsSync, ftruncateSync, openSync, writeFileSync } from "node:fs";
import path from "node:path";
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
import { type BoardCredentials, readCredentials, writeCredentials } from "./demo-credentials.ts";
import { KeptBoards } from "./kept-boards.ts";
import { KeptEtcd, runWithEtcd } from "./kept-etcd.ts";

const MEMBERS = ["disk1", "disk2"] as const;
const SPARES = ["spare1", "spare2"] as const;

class SharedDemo {
  readonly #options: BoardsDemoOptions;
  readonly #etcd: KeptEtcd;
  readonly #boards: KeptBoards;
  #known: readonly BoardCredentials[];

  constructor(options: BoardsDemoOptions, etcd: KeptEtcd) {
    this.#options = options;
    this.#etcd = etcd;
    this.#known = readCredentials(options.directory).boards;
    this.#boards = new KeptBoards({
      start: (name) => this.#startBoard(name),
      onRestart: () => this.#leaveCredentials(),
    });
  }

  async start(): Promise<void> {
    const fresh = this.#ensureDisks();
    this.#etcd.onRestart(() => this.#leaveCredentials());
    for (const name of this.names) {
      const board = await this.#boards.start(name);
      const client = new ApiClient({ url: board.url, token: board.token }, VERB_LIMIT_MS);
      await this.#ensureArray(client, fresh);
      await ensureExport(client);
      this.#leaveCredentials();
    }
  }

  get names(): readonly string[] {
    return boardNames(this.#options.boards);
  }

  describe(): string {
    const { directory } = this.#options;
    const blocks = this.#boards.running.map((board) =>
      describeBoard(board, this.#folder(board.name)),
    );
    const lines = [
      `${blocks.length} boards share the disks in ${this.#disks} (${directory})`,
      "",
      ...blocks,
      `  locks:   npx satsuma locks --data ${directory}`,
      `  add:     npx satsuma add ${DEMO_ARRAY} ${SPARES[0]} --data ${directory}`,
      "",
      "Ctrl-C ends them; the same command takes them up again.",
    ];
    return `${lines.join("\n")}\n`;
  }

  /** The boards leave the cluster one after the other, then etcd ends. */
  async stop(): Promise<void> {
    await this.#boards.stop();
    await this.#etcd.stop();
  }

  get #disks(): string {
    return path.join(this.#options.directory, "disks");
  }

  #folder(name: string): string {
    return path.join(this.#options.directory, name);
  }

  /** Makes the files that are missing; true when all members are new: they hold only zeros. */
  #ensureDisks(): boolean {
    makeFolder(this.#disks);
    const missing = [...MEMBERS, ...SPARES].filter((name) => !existsSync(this.#disk(name)));
    for (const name of missing) {
      const file = openSync(this.#disk(name), "wx", 0o600);
      ftruncateSync(file, this.#options.sizeBytes);
      closeSync(file);
    }
    return MEMBERS.every((name) => missing.includes(name));
  }

  #disk(name: string): string {
    return path.join(this.#disks, `${name}.img`);
  }

  async #startBoard(name: string): Promise<BoardProcess> {
    const directory = this.#folder(name);
    makeFolder(directory);
    const config = path.join(directory, "satsuma.toml");
    writeFileSync(config, `[devices]\ndirectory = ${JSON.stringify(this.#disks)}\n`);
    const endpoints = this.#etcd.credentials.endpoints.join(",");
    const isFirst = name === this.names[0];
    const { http, nbd } = this.#options;
    return await startBoardProcess({
      directory,
      name,
      ...(isFirst && http !== undefined ? { http } : {}),
      ...(isFirst && nbd !== undefined ? { nbd } : {}),
      avoidsDefaults: !isFirst,
      previous: this.#known.find((known) => known.name === name) ?? null,
      flags: ["--config", config, "--cluster", DEMO_CLUSTER, "--etcd", endpoints, "--node", name],
    });
  }

  async #ensureArray(client: ApiClient, isFresh: boolean): Promise<void> {
    if (await hasArray(client)) return;
    const isFirst = this.#boards.running.length === 1;
    const nodes = nodesFor(this.#options.boards);
    const order = { name: DEMO_ARRAY, level: "raid1", bitmap: "clustered", nodes };
    const body =
      isFirst && isFresh
        ? // Two files that nobody has written to read as zeros: the copies are equal already.
          { ...order, device_ids: MEMBERS, home_cluster: DEMO_CLUSTER, assume_clean: true }
        : { import: await carriers(client) };
    await client.request("POST", "/api/v1/arrays", { body, wait: JOB_WAIT_SECONDS });
  }

  #leaveCredentials(): void {
    const disks = [...MEMBERS, ...SPARES].map((name) => this.#disk(name));
    this.#known = this.#boards.running.map((board) =>
      boardCredentials(board, this.#folder(board.name), disks),
    );
    writeCredentials(this.#options.directory, {
      boards: this.#known,
      etcd: this.#etcd.credentials,
    });
  }
}

/** The devices that hold members of the array. */
const carriers = async (client: ApiClient): Promise<string[]> =>
  (await candidate(client))?.members.map(({ device_id }) => device_id) ?? [...MEMBERS];

/** Runs the boards until `ended`. Errors: CLI_NO_ETCD, CLI_ETCD_ENDED, the daemons'. */
export async function runSharedDemo(options: BoardsDemoOptions): Promise<void> {
  const { directory } = options;
  const etcd = await KeptEtcd.start(directory, readCredentials(directory).etcd);
  const demo = new SharedDemo(options, etcd);
  await runWithEtcd(demo, etcd, options);
}
