/**
 * A member of the model: bytes in memory that are fast to reset, with damaged places, and with a
 * cache that a power cut empties. Calls complete at once or after a few microtasks.
 *
 * Fault model: a completed write is in the cache until a flush; at a cut each 512-byte sector
 * written since then holds what it held before any of these writes or after one of them, by the
 * dice; what was written durably is there, and nothing else for it. A place may fail reads until it
 * is written, or fail writes for good; a dead member fails all calls.
 */

import { CodedError } from "../../src/common/errors.ts";
import type { Prng } from "../../src/common/prng.ts";
import { allData } from "../../src/hal/allocation-runs.ts";
import type { AllocationRun, BlockDevice, SyncCalls } from "../../src/hal/block-device.ts";
import { checkRange } from "../../src/hal/device-range.ts";

export const SECTOR = 512;
const PAGE = 4096;

/** The mains: how many writes and flushes are left until a cut freezes every medium. */
export class Power {
  left = Number.POSITIVE_INFINITY;
  isOff = false;
  /** Counts starts of the array: handles of an earlier life do nothing any more. */
  life = 0;

  restore(): void {
    this.left = Number.POSITIVE_INFINITY;
    this.isOff = false;
  }

  /** Counts a call; the one that uses up the rest still happens, nothing after it does. */
  use(): boolean {
    if (this.isOff) return false;
    this.left--;
    if (this.left <= 0) this.isOff = true;
    return true;
  }
}

export interface Damage {
  /** `read`: until it is written. `write`: for good; reads find the old content. */
  readonly kind: "read" | "write";
  /** Bytes of the medium. */
  readonly from: number;
  readonly to: number;
}

/** What calls on one medium's handles cost. */
export interface Pace {
  /** Calls are synchronous. */
  readonly isQuick: boolean;
  /** Microtasks that an asynchronous call takes. */
  readonly latency: number;
}

interface Undo {
  readonly offset: number;
  readonly old: Uint8Array;
}

/** Buffers of earlier sequences: all zero. */
const POOL: Uint8Array[] = [];

export class ModelMedium {
  readonly path: string;
  readonly sizeBytes: number;
  readonly logicalBlockSize: number;
  readonly power: Power;
  pace: Pace = { isQuick: true, latency: 0 };
  isDead = false;
  /** It was dead for some call. */
  wasDead = false;
  /** Calls that failed so far: a member may be failed for that. */
  hits = 0;
  /** Places where a call ever failed, in sectors: what is stored there may be noted as bad. */
  readonly suspects = new Set<number>();
  readonly #whole: Uint8Array;
  readonly #bytes: Uint8Array;
  readonly #touched: Uint8Array;
  /** Of each write in the cache, in order: what its sectors held before. */
  #undo: Undo[] = [];
  /** Writes that left the cache. */
  #durable = 0;
  #damages: Damage[] = [];

  constructor(path: string, sizeBytes: number, logicalBlockSize: number, power: Power) {
    this.path = path;
    this.sizeBytes = sizeBytes;
    this.logicalBlockSize = logicalBlockSize;
    this.power = power;
    const pooled = POOL.findIndex((buffer) => buffer.length >= sizeBytes);
    const [buffer] = pooled < 0 ? [] : POOL.splice(pooled, 1);
    this.#whole = buffer ?? new Uint8Array(sizeBytes);
    this.#bytes = this.#whole.subarray(0, sizeBytes);
    this.#touched = new Uint8Array(Math.ceil(sizeBytes / PAGE));
  }

  /** Gives the memory back, zeroed. Nobody uses the medium AFTER that. */
  recycle(): void {
    for (let page = 0; page < this.#touched.length; page++) {
      if (this.#touched[page] === 1) this.#bytes.fill(0, page * PAGE, (page + 1) * PAGE);
    }
    POOL.push(this.#whole);
  }

  /** What reads find; for looking only. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Content put there by nobody's call, durable at once. */
  preset(offset: number, data: Uint8Array): void {
    this.#touch(offset, data.length);
    this.#bytes.set(data, offset);
  }

  read(target: Uint8Array, offset: number): void {
    this.#fail("read", offset, target.length);
    target.set(this.#bytes.subarray(offset, offset + target.length));
  }

  write(pieces: readonly Uint8Array[], offset: number): void {
    let length = 0;
    for (const piece of pieces) length += piece.length;
    if (!this.#mayWrite(offset, length)) return;
    let at = offset;
    for (const piece of pieces) {
      this.#bytes.set(piece, at);
      at += piece.length;
    }
  }

  /** As `write`; then the sectors alone are durable, whatever was written there before. */
  writeDurable(source: Uint8Array, offset: number): void {
    this.write([source], offset);
    if (!this.power.use() || this.power.isOff) return;
    const from = Math.floor(offset / SECTOR) * SECTOR;
    const to = Math.ceil((offset + source.length) / SECTOR) * SECTOR;
    for (const { offset: at, old } of this.#undo) {
      const first = Math.max(from, at);
      const last = Math.min(to, at + old.length);
      if (first < last) old.set(this.#bytes.subarray(first, last), first - at);
    }
  }

  zero(offset: number, length: number): void {
    if (this.#mayWrite(offset, length)) this.#bytes.fill(0, offset, offset + length);
  }

  /** Writes completed so far; a flush that begins now makes these durable. */
  get written(): number {
    return this.#durable + this.#undo.length;
  }

  flush(written: number): void {
    if (this.isDead) this.#complain("flush");
    if (!this.power.use() || this.power.isOff || written <= this.#durable) return;
    this.#undo.splice(0, written - this.#durable);
    this.#durable = written;
  }

  /** The power is gone: what was not flushed survives or not, sector by sector. */
  cut(prng: Prng): void {
    const versions = new Map<number, Uint8Array[]>();
    for (const { offset, old } of this.#undo) {
      for (let at = 0; at < old.length; at += SECTOR) {
        const sector = (offset + at) / SECTOR;
        const known = versions.get(sector);
        const version = old.subarray(at, at + SECTOR);
        if (known === undefined) versions.set(sector, [version]);
        else known.push(version);
      }
    }
    const fate = prng.below(4);
    for (const [sector, list] of versions) {
      const pick = fate === 0 ? 0 : fate === 1 ? list.length : prng.below(list.length + 1);
      const version = list[pick];
      if (version !== undefined) this.#bytes.set(version, sector * SECTOR);
    }
    this.#durable += this.#undo.length;
    this.#undo = [];
  }

  damage(damage: Damage): void {
    this.#damages.push(damage);
  }

  heal(): void {
    this.#damages = [];
    this.isDead = false;
  }

  get isDamaged(): boolean {
    return this.isDead || this.#damages.length > 0;
  }

  #mayWrite(offset: number, length: number): boolean {
    this.#fail("write", offset, length);
    if (!this.power.use()) return false;
    if (this.#damages.length > 0) this.#overwriteDamage(offset, offset + length);
    const from = Math.floor(offset / SECTOR) * SECTOR;
    const to = Math.ceil((offset + length) / SECTOR) * SECTOR;
    this.#undo.push({ offset: from, old: this.#bytes.slice(from, to) });
    this.#touch(offset, length);
    return true;
  }

  /** A drive gives what could not be read another place once it is written whole. */
  #overwriteDamage(from: number, to: number): void {
    this.#damages = this.#damages.flatMap((damage) => {
      if (damage.kind === "write" || damage.to <= from || to <= damage.from) return [damage];
      const left: Damage[] = [];
      if (damage.from < from) left.push({ ...damage, to: Math.ceil(from / SECTOR) * SECTOR });
      if (to < damage.to) left.push({ ...damage, from: Math.floor(to / SECTOR) * SECTOR });
      return left;
    });
  }

  #touch(offset: number, length: number): void {
    const last = Math.floor((offset + length - 1) / PAGE);
    for (let page = Math.floor(offset / PAGE); page <= last; page++) this.#touched[page] = 1;
  }

  #fail(kind: Damage["kind"], offset: number, length: number): void {
    if (this.isDead) this.#complain(kind);
    for (const { kind: damaged, from, to } of this.#damages) {
      if (damaged !== kind || offset + length <= from || to <= offset) continue;
      this.#suspect(Math.max(from, offset), Math.min(to, offset + length));
      this.#complain(kind);
    }
  }

  /** Failures are noted by pages of the member's data, so the neighbours are suspect too. */
  #suspect(from: number, to: number): void {
    const first = Math.floor(from / SECTOR) - PAGE / SECTOR;
    const last = Math.ceil(to / SECTOR) + PAGE / SECTOR;
    for (let sector = first; sector < last; sector++) this.suspects.add(sector);
  }

  #complain(verb: string): never {
    this.hits++;
    this.wasDead ||= this.isDead;
    throw new CodedError("HAL_IO_ERROR", `${this.path}: ${verb} failed (EIO, model)`);
  }
}

/** What a call of a past life waits for. */
const never = (): Promise<never> => new Promise(() => undefined);

/** One handle of a medium. */
export class ModelDevice implements BlockDevice {
  readonly name: string;
  readonly readOnly = false;
  readonly punches = true;
  readonly zeroesFast = true;
  readonly #medium: ModelMedium;
  readonly #calls: SyncCalls;
  readonly #life: number;
  #isOpen = true;

  /** `life`: of the array that uses it; what it asks for later never happens. */
  constructor(medium: ModelMedium, life = medium.power.life) {
    this.name = medium.path;
    this.#medium = medium;
    this.#life = life;
    this.#calls = {
      read: (target, offset) => {
        this.#check(offset, target.length);
        medium.read(target, offset);
        return true;
      },
      write: (pieces, offset) => {
        this.#check(offset, lengthOf(pieces));
        if (!this.#isPast) medium.write(pieces, offset);
      },
      flush: () => (this.#isPast ? undefined : medium.flush(medium.written)),
    };
  }

  get sizeBytes(): number {
    return this.#medium.sizeBytes;
  }

  get logicalBlockSize(): number {
    return this.#medium.logicalBlockSize;
  }

  get sync(): SyncCalls | null {
    return this.#medium.pace.isQuick ? this.#calls : null;
  }

  async read(target: Uint8Array, offset: number): Promise<void> {
    this.#check(offset, target.length);
    if (this.#medium.pace.latency > 0) await this.#pass();
    if (this.#isPast) return never();
    this.#medium.read(target, offset);
  }

  async write(pieces: readonly Uint8Array[], offset: number): Promise<void> {
    this.#check(offset, lengthOf(pieces));
    if (this.#medium.pace.latency > 0) await this.#pass();
    if (this.#isPast) return never();
    this.#medium.write(pieces, offset);
  }

  /** Slow media have it. */
  writeDurable(source: Uint8Array, offset: number): Promise<void> | null {
    this.#check(offset, source.length);
    return this.#medium.pace.isQuick ? null : this.#writeDurable(source, offset);
  }

  async #writeDurable(source: Uint8Array, offset: number): Promise<void> {
    if (this.#medium.pace.latency > 0) await this.#pass();
    if (this.#isPast) return never();
    this.#medium.writeDurable(source, offset);
  }

  async zero(offset: number, length: number, _mayUnmap: boolean): Promise<void> {
    this.#check(offset, length);
    if (this.#medium.pace.latency > 0) await this.#pass();
    if (this.#isPast) return never();
    this.#medium.zero(offset, length);
  }

  async allocation(offset: number, length: number): Promise<readonly AllocationRun[]> {
    this.#check(offset, length);
    return allData(length);
  }

  async flush(): Promise<void> {
    this.#check(0, 0);
    const { written } = this.#medium;
    if (this.#medium.pace.latency > 0) await this.#pass();
    if (this.#isPast) return never();
    this.#medium.flush(written);
  }

  async close(): Promise<void> {
    this.#isOpen = false;
  }

  get #isPast(): boolean {
    return this.#life !== this.#medium.power.life;
  }

  /** The time a call takes. */
  async #pass(): Promise<void> {
    for (let left = this.#medium.pace.latency; left > 0; left--) await null;
  }

  #check(offset: number, length: number): void {
    if (!this.#isOpen) throw new CodedError("HAL_DEVICE_CLOSED", `${this.name}: closed`);
    checkRange(this, offset, length);
  }
}

const lengthOf = (pieces: readonly Uint8Array[]): number => {
  let length = 0;
  for (const piece of pieces) length += piece.length;
  return length;
};
