/**
 * Verified writes from several connections: every write is known to the content model from its
 * begin to its answer, so that after a kill each place can be checked for what it may hold.
 */
import { Prng } from "../../src/common/prng.ts";
import { ContentModel, type OpenWrite } from "../sim/content-model.ts";
import { NbdClient, type NbdPeer } from "./nbd-client.ts";

/** Bytes of one cell of the model; writes cover whole cells. */
export const CELL_BYTES = 4096;
const CONNECTIONS = 4;
const WRITES_UNDER_WAY = 8;
const CELLS_MAX = 8;
const WRITES_PER_FLUSH = 256;

export class CrashLoad {
  readonly model: ContentModel;
  readonly #prng: Prng;
  readonly #base: number;
  readonly #clients: NbdClient[] = [];
  #stopped = false;
  writes = 0;
  flushes = 0;

  /** Writes bytes `[baseBytes, baseBytes + sizeBytes)`; cell 0 of the model lies at the base. */
  constructor(sizeBytes: number, seed: number, baseBytes = 0) {
    this.#base = baseBytes;
    this.model = new ContentModel(Math.floor(sizeBytes / CELL_BYTES));
    this.#prng = new Prng(seed);
  }

  /** Attaches and writes until the server goes away. Resolves when every connection has ended. */
  async run(peer: NbdPeer, exportName: string): Promise<void> {
    this.#stopped = false;
    const loops: Promise<void>[] = [];
    for (let index = 0; index < CONNECTIONS; index++) {
      this.#clients.push(await NbdClient.attach(peer, exportName));
    }
    // All are attached BEFORE the first write: the kill waits for writes, not for attaching.
    for (const client of this.#clients) {
      for (let lane = 0; lane < WRITES_UNDER_WAY; lane++) loops.push(this.#writeUntilEnd(client));
    }
    await Promise.all(loops);
    for (const client of this.#clients.splice(0)) client.close();
  }

  /** Ends the load without a crash: what is under way is answered. */
  stop(): void {
    this.#stopped = true;
  }

  async #writeUntilEnd(client: NbdClient): Promise<void> {
    while (!this.#stopped) {
      const count = 1 + this.#prng.below(CELLS_MAX);
      const first = this.#place(count);
      const write = this.model.beginWrite(first, count);
      const fua = this.#prng.below(128) === 0;
      try {
        await client.write(this.#base + first * CELL_BYTES, stamp(write), fua);
      } catch {
        return; // The server is gone: the write may or may not have reached the members.
      }
      this.writes++;
      // A killed process loses nothing that it has written: the kernel's page cache stays.
      this.model.ackedDurable(write);
      if (this.writes % WRITES_PER_FLUSH === 0 && !(await this.#flush(client))) return;
    }
  }

  /** False when the server is gone. */
  async #flush(client: NbdClient): Promise<boolean> {
    const began = this.model.beginFlush();
    try {
      await client.flush();
    } catch {
      return false;
    }
    this.flushes++;
    this.model.flushed(began);
    return true;
  }

  /** Mostly few places, so that writes overlap and bits are reused; sometimes anywhere. */
  #place(count: number): number {
    const cells = this.model.sectors - count;
    if (this.#prng.below(4) === 0) return this.#prng.below(cells);
    return Math.min(this.#prng.below(16) * Math.floor(cells / 16) + this.#prng.below(12), cells);
  }
}

const stamp = (write: OpenWrite): Uint8Array => {
  const words = new Uint32Array((write.count * CELL_BYTES) / 4).fill(write.id);
  return new Uint8Array(words.buffer);
};
