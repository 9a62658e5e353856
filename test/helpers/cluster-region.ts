/**
 * The part of a shared array that one board's clients write, and what the clients of the others see
 * of it: every write is known from its begin to its answer, and every read is held against that.
 */
import type { Prng } from "../../src/common/prng.ts";
import { CELL_BYTES, CrashLoad } from "./crash-load.ts";
import type { NbdClient } from "./nbd-client.ts";

const READ_CELLS_MAX = 16;
const PIECE_BYTES = 1024 * 1024;

export class ClusterRegion {
  readonly baseBytes: number;
  readonly sizeBytes: number;
  readonly load: CrashLoad;
  readonly #name: string;
  reads = 0;

  constructor(name: string, baseBytes: number, sizeBytes: number, seed: number) {
    this.#name = name;
    this.baseBytes = baseBytes;
    this.sizeBytes = sizeBytes;
    this.load = new CrashLoad(sizeBytes, seed, baseBytes);
  }

  /**
   * One read somewhere, through another board. Errors: what was read was replaced, and that was
   * acknowledged, before the read began; and those of the connection.
   */
  async readSomewhere(client: NbdClient, prng: Prng): Promise<void> {
    const { model } = this.load;
    const count = 1 + prng.below(READ_CELLS_MAX);
    const first = prng.below(model.sectors - count);
    const open = model.beginRead(first, count);
    const offset = this.baseBytes + first * CELL_BYTES;
    const bytes = Buffer.from(await client.read(offset, count * CELL_BYTES));
    this.reads++;
    for (let at = 0; at < count; at++) {
      const id = bytes.readUInt32LE(at * CELL_BYTES);
      // Which of the copies of an unfinished write shows may change until its node is recovered.
      const problem = model.problemLive(open, first + at, id, true);
      if (problem !== null) throw new StaleRead(`${this.#name}: ${problem}`);
    }
  }

  /**
   * Every cell, read twice through a board while nobody writes: it holds what it may, and the same.
   * Returns what is wrong, the first few.
   */
  async check(client: NbdClient): Promise<string[]> {
    const { model } = this.load;
    const problems: string[] = [];
    for (let from = 0; from < this.sizeBytes; from += PIECE_BYTES) {
      const length = Math.min(PIECE_BYTES, this.sizeBytes - from);
      const content = Buffer.from(await client.read(this.baseBytes + from, length));
      const again = await client.read(this.baseBytes + from, length);
      if (Buffer.compare(content, again) !== 0)
        problems.push(`${this.#name}: two reads at ${from} differ`);
      for (let at = 0; at < length; at += CELL_BYTES) {
        const cell = (from + at) / CELL_BYTES;
        const id = content.readUInt32LE(at);
        const problem = model.problem(cell, id, false);
        if (problem === null) model.pin(cell, id);
        else problems.push(`${this.#name}: ${problem}`);
      }
    }
    return problems;
  }
}

/** A read returned what had been replaced. */
export class StaleRead extends Error {}
