/**
 * The etcd of this board, kept running: one that ends is started again after a pause that grows.
 * It is no part of the daemon's life: a daemon that is killed leaves it voting, and the next one
 * takes it up again when it runs as it should; else it is ended.
 */
import { execFile, spawn } from "node:child_process";
import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { CodedError } from "../common/errors.ts";
import type { Logger } from "../common/log.ts";
import { ETCD_FOLDER, ETCD_LOG } from "./etcd-arguments.ts";
import { readWhole, writeWhole } from "./own-files-driver.ts";

const LOOK_MS = 500;
const PAUSE_MIN_MS = 500;
const PAUSE_MAX_MS = 30_000;
/** One that ran so long has started well: the next pause is short again. */
const WELL_MS = 60_000;
const STOP_MS = 10_000;
const LOG_BYTES_MAX = 8 * 1024 * 1024;
const VERSION_MS = 5000;

/** The etcd of one folder. */
export class EtcdRunner {
  readonly #folder: string;
  readonly #binary: string;
  readonly #logger: Logger;
  #arguments: readonly string[] | null = null;
  #pid: number | null = null;
  #pauseMs = PAUSE_MIN_MS;
  #startedAt = 0;
  #nextAt = 0;
  #timer: NodeJS.Timeout | null = null;
  #endings = 0;

  /** `folder`: the cluster's. */
  constructor(folder: string, logger: Logger, binary = "etcd") {
    this.#folder = folder;
    this.#logger = logger;
    this.#binary = binary;
  }

  /** It is to run, and is started again when it ends. */
  get isWanted(): boolean {
    return this.#arguments !== null;
  }

  /** How often it has ended by itself. */
  get endings(): number {
    return this.#endings;
  }

  /** It has data of an earlier run. */
  get hasData(): boolean {
    return existsSync(path.join(this.#folder, ETCD_FOLDER, "member"));
  }

  /** The installed version. Errors: LIFE_NO_ETCD. */
  async version(): Promise<string> {
    try {
      const asked = await promisify(execFile)(this.#binary, ["--version"], { timeout: VERSION_MS });
      const found = /etcd Version: (\S+)/.exec(asked.stdout)?.[1];
      if (found !== undefined) return found;
    } catch (cause) {
      throw noEtcd(cause);
    }
    throw noEtcd();
  }

  /** Runs it with these arguments from now on. */
  async start(args: readonly string[]): Promise<void> {
    await this.#takeUp(args);
    this.#arguments = args;
    if (this.#pid === null) this.#spawn();
    this.#timer ??= setInterval(() => this.#look(), LOOK_MS).unref();
  }

  /** Ends it; its data stays. */
  async stop(): Promise<void> {
    this.leave();
    await endProcess(this.#pid ?? this.#remembered(), this.#dataFolder);
    this.#pid = null;
    rmSync(this.#pidFile, { force: true });
  }

  /** Looks after it no longer; it runs on. */
  leave(): void {
    this.#arguments = null;
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  /** Its data is of no use any more. AFTER `stop`. */
  forget(): void {
    rmSync(this.#dataFolder, { recursive: true, force: true });
  }

  /** One that runs with the same arguments is taken up, any other one is ended. */
  async #takeUp(args: readonly string[]): Promise<void> {
    const pid = this.#remembered();
    if (pid === null) return;
    const running = argumentsOf(pid);
    const isSame =
      running !== null &&
      running.length === args.length &&
      running.every((one, at) => one === args[at]);
    if (isSame) {
      this.#pid = pid;
      this.#startedAt = performance.now();
      return;
    }
    await endProcess(pid, this.#dataFolder);
  }

  #spawn(): void {
    const log = path.join(this.#folder, ETCD_LOG);
    if (existsSync(log) && statSync(log).size > LOG_BYTES_MAX) renameSync(log, `${log}.1`);
    const handle = openSync(log, "a", 0o600);
    // A group of its own: Ctrl-C reaches only the daemon, which ends it.
    const child = spawn(this.#binary, [...(this.#arguments ?? [])], {
      stdio: ["ignore", handle, handle],
      detached: true,
    });
    closeSync(handle);
    child.once("error", (error) => this.#logger.error({ error }, "etcd-not-started"));
    child.unref();
    this.#startedAt = performance.now();
    this.#pid = child.pid ?? null;
    if (this.#pid !== null) writeWhole(this.#pidFile, `${this.#pid}\n`);
  }

  #look(): void {
    if (this.#arguments === null) return;
    const now = performance.now();
    if (this.#pid !== null) {
      if (isOurs(this.#pid, this.#dataFolder)) return;
      this.#pid = null;
      this.#endings += 1;
      if (now - this.#startedAt > WELL_MS) this.#pauseMs = PAUSE_MIN_MS;
      this.#nextAt = now + this.#pauseMs;
      this.#logger.warn({ again_in_ms: this.#pauseMs, log: ETCD_LOG }, "etcd-ended");
      this.#pauseMs = Math.min(2 * this.#pauseMs, PAUSE_MAX_MS);
    }
    if (now < this.#nextAt) return;
    try {
      this.#spawn();
    } catch (error) {
      this.#nextAt = now + this.#pauseMs;
      this.#logger.error({ error }, "etcd-not-started");
    }
  }

  get #dataFolder(): string {
    return path.join(this.#folder, ETCD_FOLDER);
  }

  get #pidFile(): string {
    return path.join(this.#folder, "etcd.pid");
  }

  /** The process of the last run, if it is one of this folder's etcd. */
  #remembered(): number | null {
    const pid = Number(readWhole(this.#pidFile) ?? "");
    return Number.isSafeInteger(pid) && pid > 1 && isOurs(pid, this.#dataFolder) ? pid : null;
  }
}

const noEtcd = (cause?: unknown): CodedError =>
  new CodedError("LIFE_NO_ETCD", "etcd is not installed here, and this machine is to have a vote", {
    remedy: "install it: apt-get install etcd-server",
    cause,
  });

/** Arguments of a process, without its name; null when there is none. */
const argumentsOf = (pid: number): readonly string[] | null => {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    return words.length < 2 ? null : words.slice(1, -1);
  } catch {
    return null;
  }
};

/** True while a process with this number is the etcd of the folder. */
const isOurs = (pid: number, folder: string): boolean =>
  argumentsOf(pid)?.includes(`--data-dir=${folder}`) ?? false;

const endProcess = async (pid: number | null, folder: string): Promise<void> => {
  if (pid === null || !isOurs(pid, folder)) return;
  process.kill(pid, "SIGTERM");
  const deadline = performance.now() + STOP_MS;
  while (isOurs(pid, folder) && performance.now() < deadline) await pause(LOOK_MS / 10);
  if (isOurs(pid, folder)) process.kill(pid, "SIGKILL");
  while (isOurs(pid, folder)) await pause(LOOK_MS / 10);
};
