/**
 * Real boards that share their disks: `satsuma demo --boards N` in a folder of its own, on
 * loopback, with a real etcd; the demo starts a board again that a test kills.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toolPath } from "../../scripts/test-tools.ts";
import type { ArrayResource } from "../../src/api/schemas/array.ts";
import type { ArrayDlmResource, DlmResource } from "../../src/api/schemas/dlm.ts";
import type { BoardCredentials, DemoCredentials } from "../../src/cli/demo-credentials.ts";
import { NbdClient } from "./nbd-client.ts";
import { patientFetch } from "./patient-fetch.ts";
import { SATSUMA_MAIN } from "./satsuma-command.ts";
import { eventually } from "./timeout.ts";

const START_MS = 120_000;
const STOP_MS = 60_000;
/** A killed board is missed after 10 s, and recovered within seconds more. */
const RECOVERY_MS = 60_000;
const SYNC_MS = 120_000;
const OUTPUT_CHARS = 8000;
const ARRAY = "md0";

export interface SharedBoardsOptions {
  readonly boards: number;
  /** Size of each disk, as `--size` takes it. */
  readonly size: string;
  /** Each board has disks of its own and serves them to the others. */
  readonly ownDisks?: boolean;
}

export class SharedBoards {
  readonly folder = mkdtempSync(join(tmpdir(), "sb-"));
  readonly #options: SharedBoardsOptions;
  #demo: ChildProcess | null = null;
  #output = "";

  constructor(options: SharedBoardsOptions) {
    this.#options = options;
  }

  /** What the demo printed last. */
  get output(): string {
    return this.#output;
  }

  get credentials(): DemoCredentials {
    return JSON.parse(readFileSync(join(this.folder, "credentials.json"), "utf8"));
  }

  /** Numbers of the boards, from 0. */
  get numbers(): readonly number[] {
    return Array.from({ length: this.#options.boards }, (_, at) => at);
  }

  board(at: number): BoardCredentials {
    const board = this.credentials.boards.find(({ name }) => name === `board${at + 1}`);
    if (board === undefined) throw new Error(`there is no board ${at + 1}`);
    return board;
  }

  /** Starts the boards, a second time too, and waits until all of them run the array. */
  async start(): Promise<void> {
    const { boards, size, ownDisks = false } = this.#options;
    const ports = ["--http", "127.0.0.1:0", "--nbd", "127.0.0.1:0"];
    const kind = ownDisks ? [] : ["--shared"];
    const flags = ["--boards", String(boards), ...kind, "--size", size, ...ports];
    const child = spawn(process.execPath, [SATSUMA_MAIN, "demo", "--data", this.folder, ...flags], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, PATH: toolPath() },
    });
    this.#demo = child;
    this.#output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk: Buffer) => {
        this.#output = (this.#output + chunk.toString("utf8")).slice(-OUTPUT_CHARS);
      });
    }
    await eventually("the boards are ready", START_MS, () => {
      if (child.exitCode !== null) throw new Error(`the demo ended:\n${this.#output}`);
      return this.#output.includes("Ctrl-C ends them");
    });
    for (const at of this.numbers) await this.untilRunning(at);
  }

  /** Ends the demo by SIGTERM; resolves with its exit code. */
  async shutDown(): Promise<number | null> {
    const demo = this.#demo;
    if (demo === null || demo.exitCode !== null || demo.signalCode !== null) return null;
    const exit = once(demo, "exit");
    demo.kill("SIGTERM");
    const timer = setTimeout(() => demo.kill("SIGKILL"), STOP_MS);
    const [code] = await exit;
    clearTimeout(timer);
    return code;
  }

  async stop(): Promise<void> {
    await this.shutDown();
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }

  /** Kills a board without warning; resolves with its number of process. */
  async kill(at: number): Promise<number> {
    const { pid } = this.board(at);
    process.kill(pid, "SIGKILL");
    await eventually("the board is gone", STOP_MS, () => isGone(pid));
    return pid;
  }

  /** Waits until the killed board runs the array again, as another process. */
  async untilReturned(at: number, killed: number): Promise<void> {
    await eventually(`board ${at + 1} is back`, RECOVERY_MS, () => this.board(at).pid !== killed);
    await this.untilRunning(at);
  }

  /** A request to a board, waiting for jobs. Errors: rejects unless it answers 2xx. */
  async ask<T = unknown>(at: number, method: string, path: string, body?: unknown): Promise<T> {
    const { url, token } = this.board(at);
    const response = await patientFetch(`${url}/api/v1${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        prefer: "wait=60",
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`board ${at + 1}: ${method} ${path}: ${text}`);
    return (text === "" ? undefined : JSON.parse(text)) as T;
  }

  array(at: number): Promise<ArrayResource> {
    return this.ask<ArrayResource>(at, "GET", `/arrays/${ARRAY}`);
  }

  /** What a board knows of locks, nodes and messages. */
  async dlm(at: number): Promise<ArrayDlmResource> {
    const { items } = await this.ask<DlmResource>(at, "GET", "/dlm");
    const found = items.find(({ name }) => name === ARRAY);
    if (found === undefined) throw new Error(`board ${at + 1} is in no cluster`);
    return found;
  }

  /** States of the members that have a path, by name of the device, as a board sees them. */
  async members(at: number): Promise<Readonly<Record<string, string>>> {
    const { status } = await this.array(at);
    const named = status.members.flatMap(({ device_id, states }) =>
      device_id === null ? [] : [[device_id, states.join("+")] as const],
    );
    return Object.fromEntries(named);
  }

  /** A command of mdadm's on a member, asked of a board. */
  async member(at: number, verb: "fail" | "re-add" | "remove" | "add", device: string) {
    const path = `/arrays/${ARRAY}/members`;
    if (verb === "add") return this.ask(at, "POST", path, { device_id: device });
    if (verb === "remove") return this.ask(at, "DELETE", `${path}/${device}`);
    return this.ask(at, "POST", `${path}/${device}/actions/${verb}`);
  }

  attach(at: number): Promise<NbdClient> {
    return NbdClient.attach(this.board(at).nbd_socket, ARRAY);
  }

  uri(at: number): string {
    return `nbd+unix:///${ARRAY}?socket=${this.board(at).nbd_socket}`;
  }

  disk(name: string): string {
    return join(this.folder, "disks", `${name}.img`);
  }

  async untilRunning(at: number): Promise<void> {
    await eventually(`board ${at + 1} runs the array`, RECOVERY_MS, async () => {
      const { status } = await this.array(at);
      return status.cluster?.phase === "entered";
    });
  }

  /** Waits until every board sees a whole array at rest, in which all reads may be balanced. */
  async untilWhole(): Promise<void> {
    for (const at of this.numbers) {
      await eventually(`board ${at + 1} sees a whole array`, SYNC_MS, async () => {
        const { status } = await this.array(at);
        const { cluster, health, sync } = status;
        const isAtRest = sync === null && cluster?.resync === null && cluster.balances_reads;
        if (health === "optimal" && isAtRest) return true;
        throw new Error(JSON.stringify({ health, sync, cluster, members: status.members }));
      });
    }
  }
}

/** No process, or one that nobody has waited for yet. */
const isGone = (pid: number): boolean => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return stat.charAt(stat.lastIndexOf(")") + 2) === "Z";
  } catch {
    return true;
  }
};

/** Boards for one test file. */
export const startSharedBoards = async (options: SharedBoardsOptions): Promise<SharedBoards> => {
  const boards = new SharedBoards(options);
  try {
    await boards.start();
  } catch (error) {
    await boards.stop();
    throw error;
  }
  return boards;
};
