/**
 * What a client may find in each sector. A write is known from its begin; acknowledged when its
 * reply came; durable when a flush that began after the acknowledgement was answered. A sector may
 * hold any write that no durable later write has replaced. Once a sector has been read with nobody
 * writing it, it must stay as it was read (stable reads).
 */

import { assert } from "../../src/common/assert.ts";

interface ModelWrite {
  readonly id: number;
  readonly began: number;
  /** Answered with success at this time. */
  acked: number | null;
  /** Answered, refused or cut off at this time: it changes no sector any more. */
  ended: number | null;
}

export interface OpenWrite {
  readonly id: number;
  readonly first: number;
  readonly count: number;
}

export interface OpenRead {
  readonly began: number;
  readonly first: number;
  /** The last write that had begun then. */
  readonly newest: number;
  /** By sector: what it might hold at the begin. */
  readonly held: readonly (readonly ModelWrite[])[];
}

export class ContentModel {
  /** Of sectors that were written: what they may hold. All others hold write 0. */
  readonly #written = new Map<number, ModelWrite[]>();
  readonly sectors: number;
  /** What else a sector might have held on another leg when it was pinned. */
  readonly #shadows = new Map<number, ModelWrite[]>();
  /** What each sector was last read as, until it is written again or the power goes. */
  readonly #seen = new Map<number, { readonly id: number; readonly at: number }>();
  #clock = 1;
  #nextId = 1;

  constructor(sectors: number) {
    this.sectors = sectors;
  }

  beginWrite(first: number, count: number): OpenWrite {
    const id = this.#nextId++;
    const began = this.#clock++;
    for (let sector = first; sector < first + count; sector++) {
      this.#at(sector).push({ id, began, acked: null, ended: null });
      this.#seen.delete(sector);
    }
    return { id, first, count };
  }

  ack(write: OpenWrite): void {
    const acked = this.#clock++;
    for (const entry of this.#entries(write)) {
      entry.acked = acked;
      entry.ended = acked;
    }
  }

  /** The write was answered with an error: its sectors may hold it or not. */
  fail(write: OpenWrite): void {
    const ended = this.#clock++;
    for (const entry of this.#entries(write)) entry.ended = ended;
  }

  /** The power is gone: what was under way ends here, and what was read may be lost again. */
  cut(): void {
    const ended = this.#clock++;
    for (const entries of this.#written.values())
      for (const entry of entries) entry.ended ??= ended;
    this.#seen.clear();
  }

  /** Time of a flush's begin; give it to `flushed` when it was answered with success. */
  beginFlush(): number {
    return this.#clock++;
  }

  flushed(began: number): void {
    for (const [sector, entries] of this.#written) {
      if (entries.length === 1 && !this.#shadows.has(sector)) continue;
      const durable = entries.filter((entry) => entry.acked !== null && entry.acked < began);
      const latest = Math.max(...durable.map((entry) => entry.began), -1);
      this.#dropShadow(sector, latest);
      // Older writes acknowledged before the latest durable one began can never show again.
      this.#keep(
        entries,
        (entry) =>
          entry.acked === null ||
          entry.acked >= began ||
          entry.acked > latest ||
          entry.began === latest,
      );
    }
  }

  /** The durable content of a FUA write. */
  ackedDurable(write: OpenWrite): void {
    this.ack(write);
    for (let sector = write.first; sector < write.first + write.count; sector++) {
      const entries = this.#at(sector);
      const mine = entries.find((entry) => entry.id === write.id);
      if (mine?.acked === null || mine === undefined) continue;
      this.#dropShadow(sector, mine.began);
      this.#keep(
        entries,
        (entry) => entry.id === write.id || entry.acked === null || entry.acked > mine.began,
      );
    }
  }

  /**
   * Error text when `id` may not be there, or null. `lenient`: a member may have failed before the
   * pending resync reached the sector, so that another leg's copy of it counts from then on.
   */
  problem(sector: number, id: number, lenient: boolean): string | null {
    if (!this.#written.has(sector) && id === 0) return null;
    const entries = this.#at(sector);
    if (entries.some((entry) => entry.id === id)) return null;
    const shadow = this.#shadows.get(sector)?.find((entry) => entry.id === id);
    if (lenient && shadow !== undefined) {
      // From now on it may show as if it were just being written.
      entries.push({ ...shadow, acked: null, ended: null });
      return null;
    }
    return `sector ${sector} holds write ${id}, allowed: ${entries.map((entry) => entry.id).join(",")}`;
  }

  /** A read begins: whatever these sectors may hold from now until it ends is right. */
  beginRead(first: number, count: number): OpenRead {
    const held = Array.from({ length: count }, (_, at) => [...this.#at(first + at)]);
    return { began: this.#clock++, first, newest: this.#nextId - 1, held };
  }

  /**
   * Error text when a read that ends now may not return `id`, or null. Without a power cut in
   * between, a read never returns what had been replaced, and acknowledged, when it began.
   */
  problemLive(open: OpenRead, sector: number, id: number, lenient: boolean): string | null {
    const { began, first, newest, held } = open;
    const entries = [...this.#at(sector), ...(held[sector - first] ?? [])];
    const read = entries.find((entry) => entry.id === id);
    // It may have come and gone while the read was under way.
    if (read === undefined && id > newest && id < this.#nextId) return null;
    if (read === undefined) return this.problem(sector, id, lenient);
    const replaced = entries.find(
      ({ acked, began: since }) =>
        acked !== null && acked < began && since > (read.ended ?? Number.POSITIVE_INFINITY),
    );
    if (replaced !== undefined) return `sector ${sector} reads ${id}, replaced by ${replaced.id}`;
    const seen = this.#seen.get(sector);
    if (seen !== undefined && seen.at < began && seen.id !== id && !lenient)
      return `sector ${sector} reads ${id} after it read ${seen.id}`;
    if (entries.every(({ ended }) => ended !== null && ended < began))
      this.#seen.set(sector, { id, at: this.#clock++ });
    return null;
  }

  /** All legs are equal: what a failed member's other leg might have held is history. */
  forgetShadows(): void {
    this.#shadows.clear();
  }

  /** From now on the sector holds exactly this write, until written again. */
  pin(sector: number, id: number): void {
    if (!this.#written.has(sector)) return;
    const entries = this.#at(sector);
    const shadow = this.#shadows.get(sector) ?? [];
    if (entries.length > 1 || shadow.length > 0)
      this.#shadows.set(sector, [...shadow, ...entries.filter((entry) => !shadow.includes(entry))]);
    const kept = entries.find((entry) => entry.id === id);
    assert(kept !== undefined, "pinned write is known");
    const acked = kept.acked ?? this.#clock++;
    entries.length = 0;
    entries.push({ id: kept.id, began: kept.began, acked, ended: kept.ended ?? acked });
  }

  /** A durable write newer than all of a sector's history has replaced it on every leg. */
  #dropShadow(sector: number, began: number): void {
    const shadow = this.#shadows.get(sector);
    if (shadow?.every((entry) => entry.began < began) === true) this.#shadows.delete(sector);
  }

  #keep(entries: ModelWrite[], wanted: (entry: ModelWrite) => boolean): void {
    const kept = entries.filter(wanted);
    entries.length = 0;
    entries.push(...kept);
  }

  #entries(write: OpenWrite): ModelWrite[] {
    const found: ModelWrite[] = [];
    for (let sector = write.first; sector < write.first + write.count; sector++) {
      found.push(...this.#at(sector).filter((entry) => entry.id === write.id));
    }
    return found;
  }

  #at(sector: number): ModelWrite[] {
    const known = this.#written.get(sector);
    if (known !== undefined) return known;
    assert(sector >= 0 && sector < this.sectors, "sector of the model");
    const entries = [{ id: 0, began: 0, acked: 0, ended: 0 }];
    this.#written.set(sector, entries);
    return entries;
  }
}
