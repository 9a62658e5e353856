/**
 * A real board for tests and the bench: `satsuma demo` in a folder of its own, on loopback, with
 * file-backed disks and the array `md0` exported as `md0`.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SATSUMA_MAIN } from "./satsuma-command.ts";
import { eventually } from "./timeout.ts";

const READY_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 45_000;
const OUTPUT_TAIL_CHARS = 8_000;
/** Free ports, other ones at every start. */
const LOOPBACK = ["--http", "127.0.0.1:0", "--nbd", "127.0.0.1:0"];

export interface BoardOptions {
  /** Where the board keeps everything. Default: a new temporary folder, removed by `stop`. */
  readonly dataDir?: string;
  /** Further arguments of `satsuma demo`. */
  readonly args?: readonly string[];
}

/** One board as `credentials.json` describes it. */
interface BoardCredentials {
  readonly name: string;
  readonly url: string;
  readonly token: string;
  readonly nbd: string;
  readonly nbd_socket: string;
  readonly data_dir: string;
  readonly pid: number;
  readonly disks: readonly string[];
}

export class Board {
  readonly dataDir: string;
  readonly #args: readonly string[];
  readonly #isTemporary: boolean;
  #process: ChildProcess | undefined;
  #credentials: BoardCredentials | undefined;
  #output = "";

  constructor(options: BoardOptions) {
    this.#isTemporary = options.dataDir === undefined;
    this.dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), "b-"));
    this.#args = options.args ?? [];
  }

  /** Base of the API: `http://127.0.0.1:PORT`. */
  get url(): string {
    return this.#known().url;
  }

  get token(): string {
    return this.#known().token;
  }

  /** Path of the NBD unix socket. */
  get socket(): string {
    return this.#known().nbd_socket;
  }

  /** URI of the export `md0` over the unix socket. */
  get nbdUri(): string {
    return `nbd+unix:///md0?socket=${this.socket}`;
  }

  /** HOST:PORT of the NBD server on TCP. */
  get nbdAddress(): string {
    return this.#known().nbd;
  }

  /** Paths of the file-backed disks. */
  get disks(): readonly string[] {
    return this.#known().disks;
  }

  /** Process id of the daemon, not of `satsuma demo` above it. */
  get pid(): number {
    return this.#known().pid;
  }

  /** What the processes printed last: for the reader of a failed test. */
  get output(): string {
    return this.#output;
  }

  /** Starts the board, a second time too, and waits until it is ready. */
  async start(): Promise<void> {
    const startedAt = Date.now();
    const child = spawn(
      process.execPath,
      [SATSUMA_MAIN, "demo", "--data", this.dataDir, ...LOOPBACK, ...this.#args],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    this.#process = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk: Buffer) => {
        this.#output = (this.#output + chunk.toString("utf8")).slice(-OUTPUT_TAIL_CHARS);
      });
    }
    const ended = Promise.withResolvers<never>();
    child.once("error", ended.reject);
    child.once("exit", (code, signal) => {
      ended.reject(new Error(`satsuma demo ended (${code ?? signal}):\n${this.#output}`));
    });
    ended.promise.catch(() => {}); // A later end is the caller's doing.
    const ready = eventually("the board is ready", READY_TIMEOUT_MS, () =>
      this.#isReady(startedAt),
    );
    try {
      await Promise.race([ready, ended.promise]);
    } catch (error) {
      child.kill("SIGKILL");
      throw error;
    }
  }

  /** Ends the board by SIGTERM, waits for its end, and removes a temporary folder. */
  async stop(): Promise<void> {
    await this.shutDown();
    this.remove();
  }

  /** Ends the board by SIGTERM and waits for its end; `restart` brings it back. */
  async shutDown(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || hasEnded(child)) return;
    const exit = once(child, "exit", { signal: AbortSignal.timeout(STOP_TIMEOUT_MS) });
    child.kill("SIGTERM");
    try {
      await exit;
    } catch (error) {
      killIfAlive(this.pid);
      child.kill("SIGKILL");
      throw new Error(`the board did not end by SIGTERM:\n${this.#output}`, { cause: error });
    }
  }

  /** Kills every process of the board at once, the daemon first, and waits for their end. */
  async kill9(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined) return;
    const pid = this.pid;
    const exit = hasEnded(child) ? undefined : once(child, "exit");
    killIfAlive(pid);
    child.kill("SIGKILL");
    await exit;
    await eventually("the daemon is gone", STOP_TIMEOUT_MS, () => isGone(pid));
  }

  async restart(): Promise<void> {
    await this.shutDown();
    await this.start();
  }

  /** Removes a temporary folder. */
  remove(): void {
    if (this.#isTemporary) rmSync(this.dataDir, { recursive: true, force: true, maxRetries: 5 });
  }

  /** A request with the board's token, waiting for jobs. Errors: rejects unless it answers 2xx. */
  async request(method: string, path: string, body?: unknown): Promise<unknown> {
    const response = await fetch(`${this.url}/api/v1${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.token}`,
        prefer: "wait=60",
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text === "" ? undefined : JSON.parse(text);
  }

  #known(): BoardCredentials {
    if (this.#credentials === undefined) throw new Error("the board has not been started");
    return this.#credentials;
  }

  async #isReady(startedAt: number): Promise<boolean> {
    const file = join(this.dataDir, "credentials.json");
    // A file of an earlier run names processes and ports that are gone.
    if (!existsSync(file) || statSync(file).mtimeMs < startedAt) return false;
    const { boards } = JSON.parse(readFileSync(file, "utf8")) as { boards: BoardCredentials[] };
    this.#credentials = boards[0];
    if (this.#credentials === undefined) return false;
    const response = await fetch(`${this.url}/readyz`);
    return response.ok;
  }
}

/** Starts a board and waits until it is ready. Errors: rejects with what it printed. */
export async function startBoard(options: BoardOptions = {}): Promise<Board> {
  const board = new Board(options);
  try {
    await board.start();
  } catch (error) {
    board.remove();
    throw error;
  }
  return board;
}

/** Waits until the board's only array has no resync or recovery to do. */
export async function waitForSync(board: Board, timeoutMs = 300_000): Promise<void> {
  await eventually("the array is in sync", timeoutMs, async () => {
    const { items } = (await board.request("GET", "/arrays")) as {
      items: readonly { status: { sync: unknown; health: string } }[];
    };
    return (
      items.length > 0 &&
      items.every(({ status }) => status.sync === null && status.health === "optimal")
    );
  });
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** No process, or one that nobody has waited for yet. */
function isGone(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return stat.charAt(stat.lastIndexOf(")") + 2) === "Z";
  } catch {
    return true;
  }
}

function killIfAlive(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}
