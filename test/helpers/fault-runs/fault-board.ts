/** One board of fault runs: `satsuma serve` as a process that is killed, stopped and started. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toolPath } from "../../../scripts/test-tools.ts";
import { patientFetch } from "../patient-fetch.ts";
import { CODE_CACHE, SATSUMA_MAIN } from "../satsuma-command.ts";
import { endWithUs } from "./end-with-us.ts";

/** As `bin/satsuma` starts it. */
const V8_FLAGS = ["--max-semi-space-size=1"];
const ENVIRONMENT = {
  MALLOC_ARENA_MAX: "2",
  MALLOC_MMAP_THRESHOLD_: String(1024 * 1024),
  NODE_COMPILE_CACHE: CODE_CACHE,
};
const SOCKET_PATH_MAX = 100;
/** A request of the API that is answered later is of a board that hangs. */
const ASK_MS = 70_000;
const READY_MS = 60_000;

interface Ready {
  readonly type: "ready" | "failed";
  readonly url: string;
  readonly tokenPath: string;
  readonly error?: unknown;
}

/** Board `at`, from 0; its disks are in `disks`. */
export interface FaultBoardOptions {
  readonly at: number;
  readonly folder: string;
  readonly dataDir: string;
  /** The configuration file's text. */
  readonly config: string;
  /** Where its API listens. */
  readonly host: string;
  /** What its command begins with, where it is not to run as other processes do. */
  readonly prefix: readonly string[];
  /** Told when the process ends though nobody asked it to. */
  readonly onExit: (why: string) => void;
}

export class FaultBoard {
  readonly at: number;
  readonly name: string;
  readonly socket: string;
  readonly #options: FaultBoardOptions;
  #child: ChildProcess | null = null;
  #url = "";
  #token = "";
  #isStopped = false;

  constructor(options: FaultBoardOptions) {
    this.at = options.at;
    this.name = `board${options.at + 1}`;
    this.#options = options;
    const inside = join(options.folder, `${this.name}.sock`);
    this.socket =
      inside.length < SOCKET_PATH_MAX
        ? inside
        : join(tmpdir(), `sfr-${process.pid}-${this.at}.sock`);
  }

  /** Null while no process of it runs. */
  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** Variables of the next start's process, besides the usual ones. */
  env: Readonly<Record<string, string>> = {};

  /** Starts the process and waits until it serves. Errors: rejects with what it said. */
  async start(): Promise<void> {
    if (this.#child !== null) return;
    const { folder, dataDir, config, host, prefix } = this.#options;
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    const file = join(folder, `${this.name}.toml`);
    writeFileSync(file, config);
    const log = openSync(join(folder, `${this.name}.log`), "a", 0o600);
    const flags = ["--data", dataDir, "--config", file, "--name", this.name, "--lab"];
    const places = ["--http", `${host}:0`, "--nbd", "", "--nbd-socket", this.socket];
    const node = [process.execPath, ...process.execArgv, ...V8_FLAGS, SATSUMA_MAIN];
    const [command = "", ...args] = [...prefix, ...node, "serve", ...flags, ...places];
    const child = spawn(command, args, {
      stdio: ["ignore", log, log, "ipc"],
      env: { ...ENVIRONMENT, ...process.env, PATH: toolPath(), ...this.env },
    });
    closeSync(log);
    endWithUs(child);
    this.#child = child;
    this.#isStopped = false;
    child.once("exit", (code, signal) => {
      if (this.#child !== child) return;
      this.#child = null;
      this.#options.onExit(signal ?? `exit code ${code}`);
    });
    const message = once(child, "message", { signal: AbortSignal.timeout(READY_MS) });
    const ended = once(child, "exit").then(() => null);
    const first = await Promise.race([message, ended]);
    if (first === null) throw new Error(`${this.name} ended while it started`);
    const [ready] = first as [Ready];
    if (ready.type !== "ready") throw new Error(`${this.name}: ${JSON.stringify(ready.error)}`);
    this.#url = ready.url;
    this.#token = readFileSync(ready.tokenPath, "utf8").trim();
  }

  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Ends it by SIGTERM and waits for its end. */
  async shutDown(): Promise<void> {
    if (this.#isStopped) this.signal("SIGCONT");
    await this.#end("SIGTERM");
  }

  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    this.#isStopped = signal === "SIGSTOP" && this.#child !== null;
    this.#child?.kill(signal);
  }

  /** A request with the admin token, waiting for jobs. Errors: rejects unless it answers 2xx. */
  async ask<T = unknown>(method: string, path: string, body?: unknown): Promise<T> {
    const headers: Record<string, string> = {
      authorization: `Bearer ${this.#token}`,
      prefer: "wait=60",
    };
    if (body !== undefined) headers["content-type"] = "application/json";
    const response = await patientFetch(`${this.#url}/api/v1${path}`, {
      ...{ method, headers, signal: AbortSignal.timeout(ASK_MS) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${this.name}: ${method} ${path}: ${text}`);
    return (text === "" ? undefined : JSON.parse(text)) as T;
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    this.#child = null;
    this.#isStopped = false;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, "exit");
    child.kill(signal);
    await exit;
  }
}
