/**
 * A client of an export that several boards serve, as multipath makes one: it uses one board at a
 * time, and what is not answered when the connection ends, or in time, is asked for again, through
 * the same board or another one, until the client's own time-out is over.
 */
import { setTimeout as pause } from "node:timers/promises";
import { NbdClient } from "../nbd-client.ts";

/** Longer than a board takes to be fenced (16 s): then it can carry out no request of before. */
const PATH_LIMIT_MS = 21_000;
const ATTACH_LIMIT_MS = 2000;
const RETRY_MS = 100;
/** How long a client that was carried over stays away from its own board at least. */
const FAILBACK_MS = 5000;

/** Where a client may attach. */
export interface Path {
  readonly board: string;
  readonly socket: string;
}

/** An open connection. */
export interface OpenPath extends Path {
  readonly client: NbdClient;
  /** On performance.now's clock. */
  readonly openedAt: number;
  /** Requests under way. */
  asked: number;
}

export interface PathClientOptions {
  /** The first one is the board that the client likes best. */
  readonly paths: readonly Path[];
  readonly export: string;
  /** Stays with its board, however long that is away; else it takes the next one. */
  readonly isLoyal: boolean;
  readonly limitMs: number;
}

export class PathClient {
  readonly #options: PathClientOptions;
  #open: Promise<OpenPath> | null = null;
  #current = 0;
  #isClosed = false;
  /** Paths that were left while their boards could still carry out requests. */
  readonly #late = new WeakSet<OpenPath>();
  #failbackAt = 0;

  constructor(options: PathClientOptions) {
    this.#options = options;
  }

  /** The board that is used, or tried. */
  get board(): string {
    return this.#path.board;
  }

  /**
   * Asks until it is answered. `ask` may be called several times, each time with the path that is
   * used then; `onFailed` is told how an attempt ended: `refused` by an error of the board,
   * `ended` with the connection, or `late`. Errors: the last one, when the time is over.
   */
  async request<T>(
    ask: (path: OpenPath) => Promise<T>,
    onFailed: (why: "refused" | "ended" | "late") => void = () => undefined,
  ): Promise<T> {
    const until = performance.now() + this.#options.limitMs;
    for (;;) {
      let why: "refused" | "ended" | "late" = "ended";
      let path: OpenPath | null = null;
      try {
        path = await this.#attached();
        const answer = this.#counted(path, ask);
        const first = await Promise.race([
          answer.then((value) => ({ value })),
          late(PATH_LIMIT_MS),
        ]);
        if (first !== null) return first.value;
        answer.catch(() => undefined);
        this.#late.add(path);
        throw new Error(`${path.board} has not answered within ${PATH_LIMIT_MS} ms`);
      } catch (error) {
        if (error instanceof Error && error.message.startsWith("NBD error")) why = "refused";
        if (path !== null) {
          if (this.#late.has(path)) why = "late";
          onFailed(why);
          this.#leave(path);
        }
        if (this.#isClosed || performance.now() > until) throw error;
        await pause(RETRY_MS);
      }
    }
  }

  close(): void {
    this.#isClosed = true;
    void this.#open?.then(
      ({ client }) => client.close(),
      () => undefined,
    );
  }

  get #path(): Path {
    const { paths } = this.#options;
    const path = paths[this.#current % paths.length];
    if (path === undefined) throw new Error("a client needs a path");
    return path;
  }

  async #counted<T>(path: OpenPath, ask: (path: OpenPath) => Promise<T>): Promise<T> {
    path.asked += 1;
    try {
      return await ask(path);
    } finally {
      path.asked -= 1;
      // Nobody asks it any more: the client has gone back to its own board.
      if (path.asked === 0 && path !== (await this.#open?.catch(() => null))) path.client.close();
    }
  }

  #attached(): Promise<OpenPath> {
    this.#open ??= this.#attachSome();
    const isAway = this.#current % this.#options.paths.length !== 0;
    if (isAway && performance.now() > this.#failbackAt) void this.#goBack();
    return this.#open;
  }

  async #attachSome(): Promise<OpenPath> {
    try {
      return await this.#attach(this.#path);
    } catch (error) {
      this.#open = null;
      this.#moveOn();
      throw error;
    }
  }

  #moveOn(): void {
    if (!this.#options.isLoyal) this.#current += 1;
    this.#failbackAt = performance.now() + FAILBACK_MS;
  }

  /** What is asked from now on is asked of the board that the client likes best, if it answers. */
  async #goBack(): Promise<void> {
    this.#failbackAt = performance.now() + FAILBACK_MS;
    const [best] = this.#options.paths;
    if (best === undefined) return;
    try {
      const path = await this.#attach(best);
      if (this.#isClosed) path.client.close();
      this.#open = Promise.resolve(path);
      this.#current = 0;
    } catch {
      // Not yet.
    }
  }

  async #attach(path: Path): Promise<OpenPath> {
    const openedAt = performance.now();
    const client = await NbdClient.attach(path.socket, this.#options.export, ATTACH_LIMIT_MS);
    if (client.sizeBytes > 0) return { ...path, client, openedAt, asked: 0 };
    client.close();
    throw new Error(`${path.board} has no such export`);
  }

  /** The first request that fails ends the path for all. */
  #leave(path: OpenPath): void {
    path.client.close();
    const open = this.#open;
    void open?.then(
      (current) => {
        if (current !== path || this.#open !== open) return;
        this.#open = null;
        this.#moveOn();
      },
      () => undefined,
    );
  }
}

const late = async (ms: number): Promise<null> => {
  await pause(ms, undefined, { ref: false });
  return null;
};
