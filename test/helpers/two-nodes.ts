/**
 * Two boards that share a folder of disks over a real etcd, as mdadm's clustermd_tests have two
 * machines: `satsuma serve` processes with data directories of their own. They are started once for
 * all test files of a process, and end after the last of them.
 */
import { randomBytes } from "node:crypto";
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ArrayResource } from "../../src/api/schemas/array.ts";
import type { EventResource } from "../../src/api/schemas/event.ts";
import { afterAllFiles } from "../runner/after-all.ts";
import { EtcdCluster } from "./etcd-process.ts";
import { NbdClient } from "./nbd-client.ts";
import { ServeProcess } from "./serve-process.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
/** Two windows of a resync fit: the second one waits for the speed limit. */
export const DISK_BYTES = 64 * MIB;
export const CLUSTER = "clustermd";
/** Of every array that has no limits of its own: what runs beyond its first window stands still. */
const CRAWL = 64 * KIB;
const FULL_SPEED = 2 ** 40;
const DISKS = ["disk0", "disk1", "disk2", "disk3", "disk4"] as const;
const STRIPE = 64 * KIB;
/** Reads as zeros, or holds something of its own here and there: everywhere, or in its half. */
export type DiskContent = "blank" | "used" | "used-behind";
const USED_FROM = { blank: DISK_BYTES, used: 4 * MIB, "used-behind": DISK_BYTES / 2 } as const;

/** The nodes by mdadm's numbers. */
export type NodeNumber = 1 | 2;
export const NODES: readonly NodeNumber[] = [1, 2];

/** One board, as its user reaches it. */
export class ClusterBoard {
  readonly name: string;
  readonly #serve: ServeProcess;

  constructor(folder: string, name: string, args: readonly string[]) {
    this.name = name;
    this.#serve = new ServeProcess(join(folder, name), ["--name", name, "--node", name, ...args]);
  }

  get dataDir(): string {
    return this.#serve.dataDir;
  }

  start(): Promise<void> {
    return this.#serve.start();
  }

  async ask<T = unknown>(method: string, path: string, body?: unknown): Promise<T> {
    return (await this.#serve.request(method, path, body)) as T;
  }

  /** The code with which a request is refused; `no error` when it is not. */
  async codeOf(method: string, path: string, body?: unknown): Promise<string> {
    try {
      await this.ask(method, path, body);
      return "no error";
    } catch (error) {
      const code = /"code":"([A-Z_]+)"/.exec(String(error))?.[1];
      if (code === undefined) throw error;
      return code;
    }
  }

  /** The arrays that the board knows. */
  async arrays(): Promise<readonly ArrayResource[]> {
    const { items } = await this.ask<{ items: readonly ArrayResource[] }>("GET", "/arrays");
    return items;
  }

  array(name: string): Promise<ArrayResource> {
    return this.ask("GET", `/arrays/${name}`);
  }

  /** Events later than the one of this id, the newest first. */
  async events(after: number): Promise<readonly EventResource[]> {
    const page = await this.ask<{ items: readonly EventResource[] }>("GET", "/events?limit=1000");
    return page.items.filter(({ id }) => (id ?? 0) > after);
  }

  /** `crawl`: what runs beyond its first window stands still until it is told otherwise. */
  async setSpeed(array: string, speed: "full" | "crawl"): Promise<void> {
    const limit = speed === "full" ? FULL_SPEED : CRAWL;
    const limits = { sync_speed_min: limit, sync_speed_max: limit };
    await this.ask("PATCH", `/arrays/${array}`, limits);
  }

  attach(exportName: string): Promise<NbdClient> {
    return NbdClient.attach(this.#serve.socket, exportName);
  }

  /** Forgets every array, whatever it does. */
  async clear(): Promise<void> {
    for (const { id, name } of await this.arrays()) {
      await this.ask("DELETE", `/arrays/${id}`, { confirm: name, force: true, forget: true });
    }
  }

  async end(): Promise<void> {
    await this.#serve.kill9();
  }
}

export class TwoNodes {
  readonly #folder: string;
  readonly #etcd: EtcdCluster;
  readonly #boards: readonly ClusterBoard[];

  private constructor(folder: string, etcd: EtcdCluster) {
    this.#folder = folder;
    this.#etcd = etcd;
    const config = join(folder, "satsuma.toml");
    const devices = `[devices]\ndirectory = ${JSON.stringify(join(folder, "disks"))}\n`;
    writeFileSync(config, `${devices}[sync]\nspeed_max = ${CRAWL}\n`);
    const etcdArgs = ["--cluster", CLUSTER, "--etcd", etcd.endpoints.join(",")];
    const args = ["--config", config, ...etcdArgs];
    this.#boards = NODES.map((at) => new ClusterBoard(folder, `node${at}`, args));
  }

  static async start(): Promise<TwoNodes> {
    const folder = mkdtempSync(join(tmpdir(), "cm-"));
    mkdirSync(join(folder, "disks"));
    const nodes = new TwoNodes(folder, await EtcdCluster.start(1));
    nodes.renewDisks(DISKS.map(() => "blank"));
    try {
      await Promise.all(nodes.#boards.map((board) => board.start()));
    } catch (error) {
      await nodes.stop();
      throw error;
    }
    return nodes;
  }

  node(at: NodeNumber): ClusterBoard {
    const board = this.#boards[at - 1];
    if (board === undefined) throw new Error(`there is no node ${at}`);
    return board;
  }

  diskPath(name: string): string {
    return join(this.#folder, "disks", `${name}.img`);
  }

  /** Other files at the paths of disks that no array uses: both boards read them anew. */
  renewDisks(contents: readonly DiskContent[]): string[] {
    return contents.map((content, index) => {
      const name = DISKS[index];
      if (name === undefined) throw new Error(`there are ${DISKS.length} disks`);
      const fresh = join(this.#folder, "disks", `${name}.new`);
      const file = openSync(fresh, "w");
      ftruncateSync(file, DISK_BYTES);
      const stripe = randomBytes(STRIPE);
      for (let at = USED_FROM[content]; at < DISK_BYTES; at += 4 * MIB) {
        writeSync(file, stripe, 0, STRIPE, at);
      }
      closeSync(file);
      renameSync(fresh, this.diskPath(name));
      return name;
    });
  }

  async stop(): Promise<void> {
    await Promise.all(this.#boards.map((board) => board.end()));
    await this.#etcd.stop();
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

let shared: Promise<TwoNodes> | null = null;

/** The nodes of this process, started when they are asked for first. */
export const twoNodes = (): Promise<TwoNodes> => {
  if (shared === null) {
    const started = TwoNodes.start();
    shared = started;
    afterAllFiles(discardNodes);
    // The next test tries again.
    started.catch(() => {
      if (shared === started) shared = null;
    });
  }
  return shared;
};

/** Ends them; the next test gets other ones. */
export const discardNodes = async (): Promise<void> => {
  const nodes = shared;
  shared = null;
  await nodes?.then(
    (started) => started.stop(),
    () => undefined,
  );
};
