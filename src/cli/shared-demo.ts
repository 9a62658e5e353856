/**
 * The demo of several boards that share their disks: a daemon process per board, one etcd, two
 * member files that every board opens, spare files beside them, the array md0 with a clustered
 * bitmap and the export md0 on every board. A board that dies is started again, as is etcd.
 */

import { closeSync, existsSync, ftruncateSync, openSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { ArrayResource } from "../api/schemas/array.ts";
import type { ArrayCandidateResource } from "../api/schemas/array-candidate.ts";
import type { ExportResource } from "../api/schemas/export.ts";
import { CodedError } from "../common/errors.ts";
import { makeFolder } from "../hal/linux/make-folder.ts";
import { ApiClient } from "./api-client.ts";
import { type BoardProcess, boardCredentials, startBoardProcess } from "./board-process.ts";
import { type BoardCredentials, readCredentials, writeCredentials } from "./demo-credentials.ts";
import { KeptEtcd } from "./kept-etcd.ts";
import { fetchAll } from "./online-access.ts";
import { printText } from "./output.ts";

const MEMBERS = ["disk1", "disk2"] as const;
const SPARES = ["spare1", "spare2"] as const;
const ARRAY = "md0";
const EXPORT = "md0";
const CLUSTER = "demo";
/** Bitmaps of the array: a killed board takes another slot while its own is recovered. */
const NODES_MIN = 4;
const JOB_WAIT_SECONDS = 60;
const RESTART_MS = 1000;

/** What the demo was asked for. */
export interface SharedDemoOptions {
  readonly directory: string;
  readonly boards: number;
  /** Of each disk. */
  readonly sizeBytes: number;
  readonly http?: string;
  readonly nbd?: string;
  /** Resolves when the demo is to end. */
  readonly ended: Promise<"signal">;
}

class SharedDemo {
  readonly #options: SharedDemoOptions;
  readonly #etcd: KeptEtcd;
  readonly #boards = new Map<string, BoardProcess>();
  #known: readonly BoardCredentials[];
  #isEnding = false;

  constructor(options: SharedDemoOptions, etcd: KeptEtcd) {
    this.#options = options;
    this.#etcd = etcd;
    this.#known = readCredentials(options.directory).boards;
  }

  async start(): Promise<void> {
    const fresh = this.#ensureDisks();
    this.#etcd.onRestart(() => this.#leaveCredentials());
    for (const name of this.names) {
      const board = await this.#startBoard(name);
      const client = new ApiClient({ url: board.url, token: board.token });
      await this.#ensureArray(client, fresh);
      await ensureExport(client);
      this.#leaveCredentials();
    }
  }

  get names(): readonly string[] {
    return Array.from({ length: this.#options.boards }, (_, at) => `board${at + 1}`);
  }

  describe(): string {
    const { directory } = this.#options;
    const blocks = [...this.#boards.values()].map((board) =>
      [
        `board ${board.name} (pid ${board.pid})`,
        `  panel:   ${board.url}/#token=${board.token}`,
        `  token:   ${board.token}`,
        `  attach:  nbdinfo 'nbd+unix:///${EXPORT}?socket=${board.nbdSocket}'`,
        `  status:  npx satsuma status --data ${this.#folder(board.name)}`,
        "",
      ].join("\n"),
    );
    const lines = [
      `${blocks.length} boards share the disks in ${this.#disks} (${directory})`,
      "",
      ...blocks,
      `  locks:   npx satsuma locks --data ${directory}`,
      `  add:     npx satsuma add ${ARRAY} ${SPARES[0]} --data ${directory}`,
      "",
      "Ctrl-C ends them; the same command takes them up again.",
    ];
    return `${lines.join("\n")}\n`;
  }

  /** The boards leave the cluster one after the other, then etcd ends. */
  async stop(): Promise<void> {
    this.#isEnding = true;
    await Promise.all([...this.#boards.values()].map((board) => board.stop()));
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
    const board = await startBoardProcess({
      directory,
      name,
      ...(isFirst && http !== undefined ? { http } : {}),
      ...(isFirst && nbd !== undefined ? { nbd } : {}),
      avoidsDefaults: !isFirst,
      previous: this.#known.find((known) => known.name === name) ?? null,
      flags: ["--config", config, "--cluster", CLUSTER, "--etcd", endpoints, "--node", name],
    });
    this.#boards.set(name, board);
    void board.exited.then((why) => this.#onExit(name, why));
    return board;
  }

  /** A board that ends by itself is started again: the others go on meanwhile. */
  async #onExit(name: string, why: string): Promise<void> {
    while (!this.#isEnding) {
      printText(`board ${name} ended (${why}), starting it again\n`);
      await pause(RESTART_MS);
      try {
        if (this.#isEnding) return;
        const board = await this.#startBoard(name);
        if (this.#isEnding) await board.stop();
        else this.#leaveCredentials();
        return;
      } catch (error) {
        why = error instanceof CodedError ? error.message : String(error);
      }
    }
  }

  async #ensureArray(client: ApiClient, isFresh: boolean): Promise<void> {
    const arrays = await fetchAll<ArrayResource>(client, "arrays");
    if (arrays.some(({ name }) => name === ARRAY)) return;
    const isFirst = this.#boards.size === 1;
    const nodes = Math.max(NODES_MIN, this.#options.boards + 1);
    const order = { name: ARRAY, level: "raid1", bitmap: "clustered", nodes };
    const body =
      isFirst && isFresh
        ? // Two files that nobody has written to read as zeros: the copies are equal already.
          { ...order, device_ids: MEMBERS, home_cluster: CLUSTER, assume_clean: true }
        : { import: await carriers(client) };
    await client.request("POST", "/api/v1/arrays", { body, wait: JOB_WAIT_SECONDS });
  }

  #leaveCredentials(): void {
    const disks = [...MEMBERS, ...SPARES].map((name) => this.#disk(name));
    this.#known = [...this.#boards].map(([name, board]) =>
      boardCredentials(board, this.#folder(name), disks),
    );
    writeCredentials(this.#options.directory, {
      boards: this.#known,
      etcd: this.#etcd.credentials,
    });
  }
}

/** The devices that hold members of the array. */
const carriers = async (client: ApiClient): Promise<string[]> => {
  const { items } = await client.request<{ readonly items: readonly ArrayCandidateResource[] }>(
    "GET",
    "/api/v1/arrays/candidates",
  );
  const array = items.find(({ name }) => name === ARRAY);
  return array?.members.map(({ device_id }) => device_id) ?? [...MEMBERS];
};

const ensureExport = async (client: ApiClient): Promise<void> => {
  const exports = await fetchAll<ExportResource>(client, "exports");
  if (exports.length > 0) return;
  const arrays = await fetchAll<ArrayResource>(client, "arrays");
  const array = arrays.find(({ name }) => name === ARRAY);
  if (array === undefined) return;
  await client.request("POST", "/api/v1/exports", { body: { name: EXPORT, array: array.id } });
};

/** Runs the boards until `ended`. Errors: CLI_NO_ETCD, CLI_ETCD_ENDED, the daemons'. */
export async function runSharedDemo(options: SharedDemoOptions): Promise<void> {
  const { directory, ended } = options;
  const etcd = await KeptEtcd.start(directory, readCredentials(directory).etcd);
  const demo = new SharedDemo(options, etcd);
  try {
    const started = demo.start().then(() => "started" as const);
    const first = await Promise.race([started, ended, etcd.lost]);
    if (first === "started") printText(demo.describe());
    const why = await Promise.race([ended, etcd.lost]);
    if (why !== "signal") {
      throw new CodedError("CLI_ETCD_ENDED", `etcd ended and does not come up again (${why})`, {
        remedy: `see ${path.join(directory, "etcd.log")}; start the demo again`,
      });
    }
  } finally {
    await demo.stop();
  }
}
