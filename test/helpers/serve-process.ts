/** `satsuma serve` as a child process: quicker to start over and over than a whole demo. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { patientFetch } from "./patient-fetch.ts";
import { SATSUMA_MAIN } from "./satsuma-command.ts";

/** As `bin/satsuma` starts it. */
const V8_FLAGS = ["--max-semi-space-size=1"];
const ENVIRONMENT = { MALLOC_ARENA_MAX: "2", MALLOC_MMAP_THRESHOLD_: String(1024 * 1024) };

interface Ready {
  readonly type: "ready" | "failed";
  readonly url: string;
  /** HOST:PORT. */
  readonly nbd: string;
  readonly tokenPath: string;
}

/** Further arguments of Node and variables of the daemon's environment. */
export interface NodeOptions {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

export class ServeProcess {
  readonly dataDir: string;
  readonly socket: string;
  readonly #args: readonly string[];
  readonly #main: string;
  readonly #node: NodeOptions;
  #child: ChildProcess | undefined;
  #url = "";
  #token = "";
  #nbdAddress = "";

  /** `args`: further arguments of `satsuma serve`; `main`: the program, else the sources. */
  constructor(
    dataDir: string,
    args: readonly string[] = [],
    main = SATSUMA_MAIN,
    node: NodeOptions = { args: [], env: {} },
  ) {
    this.dataDir = dataDir;
    this.#args = args;
    this.#main = main;
    this.#node = node;
    this.socket = join(dataDir, "nbd.sock");
  }

  /** Process id; 0 while it does not run. */
  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** HOST:PORT of NBD on TCP. */
  get nbdAddress(): string {
    return this.#nbdAddress;
  }

  /** Base of the API: `http://127.0.0.1:PORT`. */
  get url(): string {
    return this.#url;
  }

  get token(): string {
    return this.#token;
  }

  /** Starts the daemon and waits until it serves. Errors: rejects with what it said. */
  async start(): Promise<void> {
    const args = ["serve", "--data", this.dataDir, "--http", "127.0.0.1:0"];
    args.push("--nbd", "127.0.0.1:0", "--nbd-socket", this.socket, ...this.#args);
    const child = fork(this.#main, args, {
      stdio: ["ignore", "ignore", "ignore", "ipc"],
      execArgv: [...process.execArgv, ...V8_FLAGS, ...this.#node.args],
      env: { ...ENVIRONMENT, ...process.env, ...this.#node.env },
    });
    this.#child = child;
    const [message] = (await once(child, "message")) as [Ready];
    if (message.type !== "ready") throw new Error(`serve failed: ${JSON.stringify(message)}`);
    this.#url = message.url;
    this.#nbdAddress = message.nbd;
    this.#token = readFileSync(message.tokenPath, "utf8").trim();
  }

  async kill9(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Ends it by SIGTERM and waits for its end. */
  async shutDown(): Promise<void> {
    await this.#end("SIGTERM");
  }

  /** A request with the admin token, waiting for jobs. Errors: rejects unless it answers 2xx. */
  async request(method: string, path: string, body?: unknown): Promise<unknown> {
    const headers: Record<string, string> = {
      authorization: `Bearer ${this.#token}`,
      prefer: "wait=60",
    };
    if (body !== undefined) headers["content-type"] = "application/json";
    const init = { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
    const response = await patientFetch(`${this.#url}/api/v1${path}`, init);
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text === "" ? undefined : JSON.parse(text);
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, "exit");
    child.kill(signal);
    await exit;
  }
}
