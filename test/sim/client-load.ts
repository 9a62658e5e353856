/**
 * The clients of a story: writes that overlap on purpose, flushes, writes with FUA, and reads that
 * are checked against what they may return at that moment.
 */

import { assert } from "../../src/common/assert.ts";
import type { ArrayIo } from "../../src/raid/io-driver.ts";
import type { OpenWrite } from "./content-model.ts";
import { drive } from "./sim-array.ts";
import type { World } from "./world.ts";

const SECTOR = 512;
const REQUESTS_MAX = 12;

export class ClientLoad {
  readonly #world: World;
  /** Requests without an answer. */
  open = 0;
  problem: string | null = null;

  constructor(world: World) {
    this.#world = world;
  }

  worker(): ArrayIo {
    const { prng, array } = this.#world;
    return prng.pick(array.workers);
  }

  get isFull(): boolean {
    return this.open >= REQUESTS_MAX;
  }

  write(): void {
    const { model, prng } = this.#world;
    const [first, count] = this.#place(8);
    const write = model.beginWrite(first, count);
    const fua = prng.below(8) === 0;
    this.open++;
    this.#world.count("write");
    this.worker().write(pieces(stamp(write), prng.below(3)), first * SECTOR, fua, (errno) => {
      this.open--;
      if (errno !== 0) {
        model.fail(write);
        this.#world.failedWrites++;
        this.#world.count(`write error ${errno}`);
      } else if (fua) model.ackedDurable(write);
      else model.ack(write);
    });
  }

  flush(): void {
    const { model } = this.#world;
    const began = model.beginFlush();
    this.open++;
    this.worker().flush((errno) => {
      this.open--;
      if (errno === 0) model.flushed(began);
      else this.#world.count(`flush error ${errno}`);
    });
  }

  /** Reads a place while others write; never anything that has been replaced. */
  read(): void {
    const { model, shaky } = this.#world;
    const [first, count] = this.#place(32);
    const target = new Uint8Array(count * SECTOR);
    const open = model.beginRead(first, count);
    this.open++;
    this.worker().read(target, first * SECTOR, (errno) => {
      this.open--;
      this.#world.count(errno === 0 ? "read" : `read error ${errno}`);
      if (errno !== 0) return;
      for (let at = 0; at < count; at++) {
        const id = idOf(target.subarray(at * SECTOR, (at + 1) * SECTOR), first + at);
        const lenient = shaky || this.#world.shaky;
        this.problem ??= model.problemLive(open, first + at, id, lenient);
      }
    });
  }

  /** Every sector holds a write it may hold; from now on exactly that one. */
  async verifyAll(): Promise<void> {
    const { sizeBytes } = this.#world.shape.map;
    const piece = 64 * 1024;
    for (let offset = 0; offset < sizeBytes; offset += piece)
      await this.#verify(offset, Math.min(piece, sizeBytes - offset));
  }

  async #verify(offset: number, length: number): Promise<void> {
    const first = await this.#readNow(offset, length);
    const again = await this.#readNow(offset, length);
    if (first === null || again === null) return this.#verifyParts(offset, length);
    assert(Buffer.compare(first, again) === 0, `two reads at ${offset} differ`);
    for (let at = 0; at < length; at += SECTOR) {
      const sector = (offset + at) / SECTOR;
      const id = idOf(first.subarray(at, at + SECTOR), sector);
      const problem = this.#world.model.problem(sector, id, this.#world.lenient);
      assert(problem === null, problem ?? "");
      this.#world.model.pin(sector, id);
    }
  }

  /**
   * Only bad blocks of the members that are left make a place unreadable; then some other member
   * that held it was lost.
   */
  async #verifyParts(offset: number, length: number): Promise<void> {
    const { lenient, shape, array } = this.#world;
    const noted = array.driver.status.members.some(({ badBlocks }) => badBlocks > 0);
    assert(lenient && shape.hasBadBlockLog && noted, `cannot read ${length} bytes at ${offset}`);
    this.#world.count("unreadable");
    if (length <= SECTOR) return;
    const half = Math.ceil(length / 2 / SECTOR) * SECTOR;
    await this.#verify(offset, half);
    await this.#verify(offset + half, length - half);
  }

  async #readNow(offset: number, length: number): Promise<Uint8Array | null> {
    const target = new Uint8Array(length);
    const worker = this.worker();
    const errno = await drive(
      this.#world.scheduler,
      new Promise<number>((resolve) => worker.read(target, offset, resolve)),
    );
    return errno === 0 ? target : null;
  }

  /** Few places, several sizes. */
  #place(countMax: number): [number, number] {
    const { prng, model } = this.#world;
    const count = 1 + prng.below(countMax);
    const place = prng.below(24) * 256 + prng.below(6);
    return [Math.min(place, model.sectors - count), count];
  }
}

/** The write that a sector holds; it holds one, not parts of several. */
const idOf = (sector: Uint8Array, number: number): number => {
  const words = new Uint32Array(sector.buffer, sector.byteOffset, SECTOR / 4);
  const id = words[0] ?? 0;
  for (let at = 1; at < words.length; at++)
    if (words[at] !== id) assert(false, `sector ${number} is torn`);
  return id;
};

/** Each sector of a write is filled with its number. */
const stamp = (write: OpenWrite): Uint8Array =>
  new Uint8Array(new Uint32Array((write.count * SECTOR) / 4).fill(write.id).buffer);

/** The same bytes in up to three pieces. */
const pieces = (bytes: Uint8Array, cuts: number): Uint8Array[] => {
  const size = Math.ceil(bytes.length / (cuts + 1));
  const list: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += size) list.push(bytes.subarray(at, at + size));
  return list;
};
