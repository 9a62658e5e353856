/** Boards that an operator works on while a client writes that knows all of them. */
import { join } from "node:path";
import * as assert from "uvu/assert";
import type { NodeResource } from "../../src/api/schemas/node.ts";
import { PathClient } from "./fault-runs/path-client.ts";
import type { SharedBoards } from "./shared-boards.ts";
import { eventually } from "./timeout.ts";

const WAIT_MS = 60_000;
/** As long as an NBD client gives an export: nbd-client -timeout 60. */
const CLIENT_LIMIT_MS = 60_000;
export const BLOCK = 4096;

/** Data folder of a board. */
export const dataOf = (boards: SharedBoards, at: number): string =>
  join(boards.folder, `board${at + 1}`);

/** What a board tells of itself. */
export const nodeOf = async (boards: SharedBoards, at: number): Promise<NodeResource> =>
  await boards.ask<NodeResource>(at, "GET", `/nodes/board${at + 1}`);

/** Writes block after block, one at a time, each with its number in every byte, and counts. */
export class OperatedWriter {
  readonly #client: PathClient;
  readonly #done: Promise<void>;
  #isOver = false;
  written = 0;

  constructor(boards: SharedBoards, first: number) {
    const order = [first, ...boards.numbers.filter((at) => at !== first)];
    this.#client = new PathClient({
      paths: order.map((at) => ({
        board: `board${at + 1}`,
        socket: boards.board(at).nbd_socket,
      })),
      export: "md0",
      isLoyal: false,
      limitMs: CLIENT_LIMIT_MS,
    });
    this.#done = this.#run();
    // Whoever stops it is told.
    this.#done.catch(() => undefined);
  }

  get board(): string {
    return this.#client.board;
  }

  /** Resolves once so many more writes were acknowledged. */
  async more(count: number): Promise<void> {
    const until = this.written + count;
    await eventually(`${count} more writes`, WAIT_MS, () => this.written >= until);
  }

  /** Ends; the last write of each block. Errors: a write that no board answered in time. */
  async stop(): Promise<ReadonlyMap<number, number>> {
    this.#isOver = true;
    await this.#done;
    this.#client.close();
    const last = new Map<number, number>();
    for (let number = 0; number < this.written; number += 1) last.set(number % 64, number & 0xff);
    return last;
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      const number = this.written;
      const data = new Uint8Array(BLOCK).fill(number & 0xff);
      await this.#client.request(({ client }) => client.write((number % 64) * BLOCK, data, true));
      this.written += 1;
    }
  }
}

/** Every block has what was written there last, as the board reads it. */
export const assertHeld = async (
  boards: SharedBoards,
  at: number,
  held: ReadonlyMap<number, number>,
): Promise<void> => {
  const client = await boards.attach(at);
  for (const [block, value] of held) {
    const bytes = await client.read(block * BLOCK, BLOCK);
    assert.ok(
      bytes.every((byte) => byte === value),
      `block ${block} has what was written last`,
    );
  }
  client.close();
};
