/**
 * What the array must hold: its bytes, and for the few sectors in doubt what else they may hold.
 *
 * A sector is in doubt since
 * - `cached`: it was written and not flushed: a power cut may bring the old content back;
 * - `apart`: its copies may differ until the resync is done and durable: whichever copy shows, the
 *   same one shows at every read, unless the member that has it is lost;
 * - `loose`: a write to it failed, or a copy was corrupted on purpose: any version may show at any
 *   time, until it is written again;
 * - `even`: all copies hold the same, and nobody has looked yet what.
 */

import { assert } from "../../src/common/assert.ts";
import { SECTOR } from "./medium.ts";

type Cause = "cached" | "apart" | "loose" | "even";

interface Doubt {
  cause: Cause;
  /** What it may hold besides what it was last known to hold. */
  versions: Uint8Array[];
  /** Not read since the doubt began: the first read tells. */
  isOpen: boolean;
  /** It was loose and was written since, which a cut may undo. */
  wasLoose: boolean;
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

export class ContentOracle {
  /** What each byte holds as far as is known. */
  content: Uint8Array;
  readonly #doubts = new Map<number, Doubt>();
  /** Sectors beside damage: they come from another copy together with the damaged ones. */
  readonly #shaken = new Set<number>();
  /** What shows may change once more until the resync is done. */
  #isShaky = false;
  /** The array is never smaller again: it was answered that it is so large, or a write there. */
  #promisedBytes: number;

  constructor(sizeBytes: number) {
    this.content = new Uint8Array(sizeBytes);
    this.#promisedBytes = sizeBytes;
  }

  get doubtful(): number {
    return this.#doubts.size;
  }

  /** Sectors whose copies may differ though the array is at rest. */
  looseSectors(): number[] {
    return [...this.#doubts].flatMap(([sector, { cause, wasLoose }]) =>
      cause === "loose" || wasLoose ? [sector] : [],
    );
  }

  isInDoubt(sector: number): boolean {
    return this.#doubts.has(sector);
  }

  /** The array got larger; what is new holds anything: see `learn`. */
  grow(sizeBytes: number): void {
    assert(sizeBytes >= this.content.length, "an array never shrinks");
    const grown = new Uint8Array(sizeBytes);
    grown.set(this.content);
    this.content = grown;
  }

  promise(sizeBytes: number): void {
    this.#promisedBytes = Math.max(this.#promisedBytes, sizeBytes);
  }

  /** The members that heard of a larger size are gone, and nobody was answered by it. */
  shrink(sizeBytes: number): void {
    assert(
      sizeBytes >= this.#promisedBytes,
      `the array shrank from ${this.content.length} to ${sizeBytes}`,
    );
    this.content = this.content.slice(0, sizeBytes);
    for (const sector of this.#doubts.keys())
      if (sector * SECTOR >= sizeBytes) this.#doubts.delete(sector);
  }

  /** A write is issued: what it replaces may come back until it is flushed. */
  write(offset: number, data: Uint8Array): void {
    const end = offset + data.length;
    for (let sector = Math.floor(offset / SECTOR); sector * SECTOR < end; sector++) {
      const from = sector * SECTOR;
      const start = Math.max(from, offset);
      const stop = Math.min(from + SECTOR, end);
      this.#replace(sector, start - from, data.subarray(start - offset, stop - offset));
    }
    this.content.set(data, offset);
  }

  #replace(sector: number, at: number, part: Uint8Array): void {
    const old = this.#sector(sector).slice();
    const doubt = this.#doubts.get(sector);
    if (doubt === undefined) {
      this.#add(sector, "cached", old);
      return;
    }
    const patched = doubt.versions.map((version) => {
      const next = version.slice();
      next.set(part, at);
      return next;
    });
    add(doubt.versions, old);
    if (part.length === SECTOR) {
      doubt.wasLoose ||= doubt.cause === "loose";
      doubt.cause = "cached";
      doubt.isOpen = false;
      return;
    }
    if (doubt.cause !== "cached" || doubt.isOpen)
      for (const version of patched) add(doubt.versions, version);
    if (doubt.cause === "even") doubt.cause = "cached";
  }

  #add(sector: number, cause: Cause, version: Uint8Array): void {
    const isOpen = cause !== "cached";
    this.#doubts.set(sector, { cause, versions: [version], isOpen, wasLoose: false });
  }

  /** The write that was issued last was answered with an error, or was never answered. */
  spoil(offset: number, length: number): void {
    for (const [, doubt] of this.#within(offset, length)) doubt.cause = "loose";
  }

  /** A durable answer covers these sectors' last write. */
  flushed(offset: number, length: number): void {
    for (const [sector, doubt] of this.#within(offset, length)) {
      if (doubt.cause !== "cached") continue;
      if (doubt.isOpen) doubt.cause = "even";
      else this.#doubts.delete(sector);
    }
  }

  /** Power was lost: what was cached or just under way shows on some copies and not on others. */
  cut(): void {
    this.#isShaky = false;
    for (const doubt of this.#doubts.values()) {
      doubt.isOpen = true;
      if (doubt.cause === "cached") doubt.cause = doubt.wasLoose ? "loose" : "apart";
    }
  }

  /**
   * A member that may have been the one that shows is lost. `mayShowAgain`: a copy of what it held
   * is under way, and will show once it is written.
   */
  unpin(mayShowAgain: boolean): void {
    this.#isShaky ||= mayShowAgain;
    for (const doubt of this.#doubts.values()) if (doubt.cause === "apart") doubt.isOpen = true;
  }

  /** A copy is damaged here: as long as copies differ, what shows may change. */
  shake(offset: number, length: number): void {
    for (let at = offset; at < offset + length; at += SECTOR)
      this.#shaken.add(Math.floor(at / SECTOR));
  }

  /** All copies are equal, durably. */
  settled(): void {
    this.#isShaky = false;
    for (const [sector, doubt] of this.#doubts) {
      if (doubt.cause !== "apart") continue;
      if (doubt.isOpen) doubt.cause = "even";
      else this.#doubts.delete(sector);
    }
  }

  /** A copy holds these bytes too. */
  alsoHeld(offset: number, data: Uint8Array, cause: "apart" | "loose"): void {
    for (let at = 0; at < data.length; at += SECTOR) {
      const sector = (offset + at) / SECTOR;
      const version = data.slice(at, at + SECTOR);
      const doubt = this.#doubts.get(sector);
      if (doubt === undefined) {
        if (same(version, this.#sector(sector))) continue;
        this.#add(sector, cause, version);
      } else {
        add(doubt.versions, version);
        if (doubt.cause !== "loose") doubt.cause = cause;
        doubt.isOpen = true;
      }
    }
  }

  /** Error text when a read may not return these bytes, or null. Pins what it shows. */
  readProblem(offset: number, data: Uint8Array): string | null {
    const { content } = this;
    if (same(data, content.subarray(offset, offset + data.length))) {
      if (this.#doubts.size > 0)
        for (const [sector, doubt] of this.#within(offset, data.length)) {
          const from = sector * SECTOR;
          const isWhole = from >= offset && from + SECTOR <= offset + data.length;
          if (isWhole) this.#pin(sector, doubt);
        }
      return null;
    }
    const end = offset + data.length;
    for (let sector = Math.floor(offset / SECTOR); sector * SECTOR < end; sector++) {
      const from = Math.max(sector * SECTOR, offset);
      const to = Math.min((sector + 1) * SECTOR, end);
      const problem = this.#sectorProblem(sector, from, data.subarray(from - offset, to - offset));
      if (problem !== null) return problem;
    }
    return null;
  }

  #sectorProblem(sector: number, from: number, shown: Uint8Array): string | null {
    const at = from - sector * SECTOR;
    const shows = (version: Uint8Array): boolean =>
      same(version.subarray(at, at + shown.length), shown);
    const doubt = this.#doubts.get(sector);
    const known = this.#sector(sector);
    if (shows(known)) {
      if (doubt !== undefined && shown.length === SECTOR) this.#pin(sector, doubt);
      return null;
    }
    const mayVary = doubt !== undefined && (doubt.isOpen || doubt.cause === "loose");
    const version = mayVary ? doubt.versions.find(shows) : undefined;
    if (doubt === undefined || version === undefined) {
      const may = doubt === undefined ? "none" : `${doubt.cause}${doubt.isOpen ? ", open" : ""}`;
      return `sector ${sector} holds ${hex(shown)}, not ${hex(known.subarray(at))} (doubt: ${may})`;
    }
    // A part of a sector may fit several versions: only a whole one tells.
    if (shown.length < SECTOR) return null;
    add(doubt.versions, known.slice());
    this.content.set(version, sector * SECTOR);
    this.#pin(sector, doubt);
    return null;
  }

  #pin(sector: number, doubt: Doubt): void {
    if (doubt.cause === "loose" || !doubt.isOpen) return;
    if (doubt.cause === "apart" && (this.#isShaky || this.#shaken.has(sector))) return;
    doubt.isOpen = false;
    // All copies were equal by then: what was read is all there is.
    if (doubt.cause === "even") this.#doubts.delete(sector);
  }

  /** Error text when a copy may not hold these bytes, or null; nothing is pinned. */
  copyProblem(
    offset: number,
    data: Uint8Array,
    isExempt: (sector: number) => boolean,
  ): string | null {
    if (same(data, this.content.subarray(offset, offset + data.length))) return null;
    for (let at = 0; at < data.length; at += SECTOR) {
      const sector = (offset + at) / SECTOR;
      const held = data.subarray(at, at + SECTOR);
      if (same(held, this.#sector(sector))) continue;
      const versions = this.#doubts.get(sector)?.versions ?? [];
      if (versions.some((version) => same(version, held)) || isExempt(sector)) continue;
      return `sector ${sector} is ${hex(held)}, not ${hex(this.#sector(sector))}`;
    }
    return null;
  }

  #sector(sector: number): Uint8Array {
    return this.content.subarray(sector * SECTOR, (sector + 1) * SECTOR);
  }

  *#within(offset: number, length: number): Generator<[number, Doubt]> {
    const last = Math.floor((offset + length - 1) / SECTOR);
    const first = Math.floor(offset / SECTOR);
    if (this.#doubts.size < last - first + 1) {
      for (const entry of this.#doubts) if (entry[0] >= first && entry[0] <= last) yield entry;
      return;
    }
    for (let sector = first; sector <= last; sector++) {
      const doubt = this.#doubts.get(sector);
      if (doubt !== undefined) yield [sector, doubt];
    }
  }
}

const add = (versions: Uint8Array[], version: Uint8Array): void => {
  if (!versions.some((known) => same(known, version))) versions.push(version);
};

const hex = (bytes: Uint8Array): string => Buffer.from(bytes.subarray(0, 4)).toString("hex");
