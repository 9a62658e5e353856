/**
 * Clients on every board that write, flush and read blocks of one array, each told to the history
 * before it is asked for and when it is answered. Blocks pass from client to client after flushes.
 */
import { setTimeout as pause } from "node:timers/promises";
import { Prng } from "../../../src/common/prng.ts";
import { BlockHistory } from "./block-history.ts";
import { BLOCK_BYTES, decodeBlock, encodeBlock } from "./block-value.ts";
import { type OpenPath, type Path, PathClient } from "./path-client.ts";

/** Blocks lie in groups of neighbours, and the groups all over the array. */
const GROUP_BLOCKS = 8;
const GROUPS = 96;
const WRITERS = 4;
const READERS = 2;
const WRITES_PER_FLUSH = 24;
const MOVES_PER_FLUSH = 6;
const PAUSE_MS_MAX = 40;
const PROBLEMS_MAX = 20;

export interface FaultLoadOptions {
  readonly seed: number;
  readonly paths: readonly Path[];
  readonly export: string;
  readonly sizeBytes: number;
  /** How long a client waits until it gives up. */
  readonly limitMs: number;
  /** Told of requests that were held for long, and of what is wrong. */
  readonly note: (text: string) => void;
}

/** The longest time that a client waited for an answer. */
export interface LongestHold {
  readonly ms: number;
  readonly what: string;
}

interface Client {
  readonly number: number;
  readonly path: PathClient;
  readonly prng: Prng;
  unflushed: number;
}

const HOLD_NOTED_MS = 3000;

export class FaultLoad {
  readonly history: BlockHistory;
  readonly problems: string[] = [];
  longestWrite: LongestHold = { ms: 0, what: "none" };
  longestRead: LongestHold = { ms: 0, what: "none" };
  bytesWritten = 0;
  /** Requests that a client gave up. */
  readonly failures: string[] = [];
  readonly #options: FaultLoadOptions;
  readonly #clients: Client[];
  readonly #lastWrite: number[];
  #isStopping = false;
  #running: Promise<unknown> = Promise.resolve();

  constructor(options: FaultLoadOptions) {
    this.#options = options;
    const { paths, seed } = options;
    const prng = new Prng(seed);
    const blocks = GROUPS * GROUP_BLOCKS;
    const owners = Array.from(
      { length: blocks },
      (_, block) => Math.floor(block / GROUP_BLOCKS) % paths.length,
    );
    this.history = new BlockHistory(owners);
    this.#clients = paths.map((_, number) => ({
      number,
      path: new PathClient({
        paths: [...paths.slice(number), ...paths.slice(0, number)],
        export: options.export,
        isLoyal: prng.chance(1, 3),
        limitMs: options.limitMs,
      }),
      prng: prng.fork(),
      unflushed: 0,
    }));
    this.#lastWrite = paths.map(() => 0);
  }

  /** On performance.now's clock: when each client's last write was acknowledged. */
  get lastWrites(): readonly number[] {
    return this.#lastWrite;
  }

  /** Boards that clients use. */
  get boards(): readonly string[] {
    return this.#clients.map(({ path }) => path.board);
  }

  start(): void {
    const lanes = this.#clients.flatMap((client) => [
      ...Array.from({ length: WRITERS }, () => this.#write(client)),
      ...Array.from({ length: READERS }, () => this.#read(client)),
    ]);
    this.#running = Promise.all(lanes);
  }

  /** Ends when what is under way is answered or given up. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#running;
    for (const { path } of this.#clients) path.close();
  }

  /**
   * Every block, read twice by a connection while nobody writes. Returns what is wrong.
   */
  async check(path: Path): Promise<readonly string[]> {
    const problems: string[] = [];
    const client = new PathClient({
      ...{ paths: [path], export: this.#options.export, isLoyal: true },
      limitMs: this.#options.limitMs,
    });
    try {
      for (let block = 0; block < this.history.size; block++)
        for (let time = 0; time < 2; time++) {
          const read = this.history.beginRead(block);
          const bytes = await client.request(({ client }) =>
            client.read(this.offset(block), BLOCK_BYTES),
          );
          const problem = this.history.endRead(read, decodeBlock(bytes));
          if (problem !== null) problems.push(`at rest, through ${path.board}: ${problem}`);
        }
    } finally {
      client.close();
    }
    return problems;
  }

  offset(block: number): number {
    const stride = Math.floor(this.#options.sizeBytes / GROUPS / BLOCK_BYTES) * BLOCK_BYTES;
    return Math.floor(block / GROUP_BLOCKS) * stride + (block % GROUP_BLOCKS) * BLOCK_BYTES;
  }

  // --- lanes ------------------------------------------------------------------------------------

  async #write(client: Client): Promise<void> {
    const { prng } = client;
    while (!this.#isStopping) {
      const blocks = this.#freeBlocks(client);
      if (blocks.length > 0) await this.#writeBlocks(client, blocks);
      if (client.unflushed >= WRITES_PER_FLUSH) await this.#flush(client);
      await pause(prng.below(PAUSE_MS_MAX));
    }
  }

  /** Neighbours that the client may write now. */
  #freeBlocks({ number, prng }: Client): readonly number[] {
    const { history } = this;
    const first = prng.below(history.size);
    const most = Math.min(1 + prng.below(4), GROUP_BLOCKS - (first % GROUP_BLOCKS));
    const blocks: number[] = [];
    for (let block = first; block < first + most; block++) {
      if (history.owner(block) !== number || !history.isFree(block)) break;
      blocks.push(block);
    }
    return blocks;
  }

  async #writeBlocks(client: Client, blocks: readonly number[]): Promise<void> {
    const { history } = this;
    const numbers = blocks.map((block) => history.beginWrite(block, client.number));
    const each = (told: (block: number, number: number) => void): void => {
      for (const [at, block] of blocks.entries()) told(block, numbers[at] ?? 0);
    };
    const isFua = client.prng.chance(1, 16);
    const began = performance.now();
    let attempt = 0;
    const ask = async (path: OpenPath): Promise<void> => {
      const bytes = blocks.map((block, at) => {
        attempt = history.attempt(block, numbers[at] ?? 0, path, performance.now());
        return encodeBlock({ block, write: numbers[at] ?? 0, attempt });
      });
      await path.client.write(this.offset(blocks[0] ?? 0), Buffer.concat(bytes), isFua);
    };
    try {
      await client.path.request(ask, (why) => {
        if (why === "late") each((block, number) => history.abandon(block, number, attempt));
      });
    } catch (error) {
      each((block, number) => history.fail(block, number));
      this.#failed(client, `write of block ${blocks[0]}`, error);
      return;
    }
    each((block, number) => history.acknowledge(block, number, attempt));
    client.unflushed += 1;
    this.bytesWritten += blocks.length * BLOCK_BYTES;
    this.#lastWrite[client.number] = performance.now();
    this.longestWrite = this.#held(this.longestWrite, client, "a write", began);
  }

  async #flush(client: Client): Promise<void> {
    client.unflushed = 0;
    const { history } = this;
    const covered = history.beginFlush(client.number);
    try {
      await client.path.request((path) => path.client.flush());
    } catch (error) {
      this.#failed(client, "flush", error);
      return;
    }
    history.endFlush(covered);
    for (let move = 0; move < MOVES_PER_FLUSH; move++) {
      const [block = -1] = covered[client.prng.below(Math.max(1, covered.length))] ?? [];
      const isMovable = block >= 0 && history.mayMove(block) && history.isFree(block);
      if (isMovable) history.move(block, client.prng.below(this.#clients.length));
    }
  }

  async #read(client: Client): Promise<void> {
    const { history } = this;
    const { prng } = client;
    while (!this.#isStopping) {
      const first = prng.below(history.size);
      const count = Math.min(1 + prng.below(GROUP_BLOCKS), GROUP_BLOCKS - (first % GROUP_BLOCKS));
      const began = performance.now();
      const reads = Array.from({ length: count }, (_, at) => history.beginRead(first + at));
      try {
        const bytes = await client.path.request((path) =>
          path.client.read(this.offset(first), count * BLOCK_BYTES),
        );
        for (const [at, read] of reads.entries()) {
          const block = bytes.subarray(at * BLOCK_BYTES, (at + 1) * BLOCK_BYTES);
          const values = decodeBlock(block) ?? decodeBlock(block, history.torn(read));
          if (values === null) this.#options.note(`bytes: ${Buffer.from(block).toString("hex")}`);
          const problem = history.endRead(read, values);
          if (problem !== null) this.#problem(`${problem}, through ${client.path.board}`);
        }
        this.longestRead = this.#held(this.longestRead, client, "a read", began);
      } catch (error) {
        this.#failed(client, `read of block ${first}`, error);
      }
      await pause(prng.below(PAUSE_MS_MAX));
    }
  }

  #held(longest: LongestHold, client: Client, what: string, began: number): LongestHold {
    const ms = performance.now() - began;
    const text = `${what} of client ${client.number + 1}, answered by ${client.path.board}`;
    if (ms > HOLD_NOTED_MS) this.#options.note(`${text} after ${(ms / 1000).toFixed(1)} s`);
    return ms > longest.ms ? { ms, what: text } : longest;
  }

  #failed(client: Client, what: string, error: unknown): void {
    const why = error instanceof Error ? error.message : String(error);
    const text = `client ${client.number + 1} gave up a ${what}: ${why}`;
    this.failures.push(text);
    this.#options.note(text);
  }

  #problem(text: string): void {
    this.#options.note(`WRONG: ${text}`);
    if (this.problems.length < PROBLEMS_MAX) this.problems.push(text);
  }
}
