/**
 * Which boards of a cluster live, and from when on one that went can write no more to its own
 * disks: a fixed time after its last confirmation was seen, on our own clock. Later it cannot have
 * confirmed: its key is gone, and the watch shows changes in their order. Where changes may have
 * been missed, every board that went counts as confirmed at that moment.
 */

import type { BoardKeys, BoardLife } from "./board-keys.ts";
import { type BoardRecord, decodeBoard } from "./board-record.ts";
import type { KeyChange } from "./cluster-store.ts";
import { keyOf } from "./revisioned-map.ts";
import type { NewsSource } from "./view-driver.ts";

/** A board whose key is there. */
export interface LiveBoard extends BoardLife {
  /** Null: nothing readable yet. It is a board, and an exporter, all the same. */
  readonly record: BoardRecord | null;
}

/** A life of a board that is over. */
export interface GoneBoard extends BoardLife {
  /** Milliseconds of our clock: from then on it can write no more. */
  readonly dueAt: number;
}

/** Lives that are over and may still write. Choice: more than boards come and go in 7 s. */
const GONE_MAX = 1024;

export class BoardWatch {
  readonly #keys: BoardKeys;
  readonly #waitMs: number;
  readonly #live = new Map<string, LiveBoard>();
  readonly #heard = new Map<string, number>();
  #gone: (BoardLife & { readonly heardAt: number })[] = [];
  #floor: number;

  /** `waitMs`: as fenceTime gives it. `now`: what was confirmed before is not known. */
  constructor(keys: BoardKeys, waitMs: number, now: number) {
    this.#keys = keys;
    this.#waitMs = waitMs;
    this.#floor = now;
  }

  /** All news of a view of the boards' keys from its first listing on: subscribe, then start. */
  see(changes: readonly KeyChange[], source: NewsSource, now: number): void {
    if (source === "listing") {
      this.#floor = now;
      this.#heard.clear();
    }
    for (const change of changes) this.#take(change, source, now);
    this.#gone = this.#gone.filter((life) => this.#dueAt(life.heardAt) > now).slice(-GONE_MAX);
  }

  /** By name. */
  get live(): readonly LiveBoard[] {
    return [...this.#live.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** The board of this name, if it lives. */
  find(name: string): LiveBoard | null {
    return this.#live.get(name) ?? null;
  }

  /** When it was seen to confirm last, or later: when changes may have been missed. */
  heardAt(name: string): number {
    return this.#heard.get(name) ?? this.#floor;
  }

  /** Lives that are over, while they may still write. */
  gone(now: number): readonly GoneBoard[] {
    return this.#gone
      .map(({ name, epoch, heardAt }) => ({ name, epoch, dueAt: this.#dueAt(heardAt) }))
      .filter(({ dueAt }) => dueAt > now);
  }

  /**
   * From then on no board that is not among the live ones can write: also none that came and went
   * between two listings.
   */
  get dueAt(): number {
    return Math.max(...this.#gone.map(({ heardAt }) => heardAt), this.#floor) + this.#waitMs;
  }

  #dueAt(heardAt: number): number {
    return Math.max(heardAt, this.#floor) + this.#waitMs;
  }

  #take(change: KeyChange, source: NewsSource, now: number): void {
    const key = keyOf(change);
    const beats = this.#keys.heartbeatIn(key);
    if (beats !== null && change.type === "put") this.#heard.set(beats, now);
    const name = this.#keys.boardIn(key);
    if (name === null) return;
    const before = this.#live.get(name);
    const epoch = change.type === "put" ? change.now.createRevision : null;
    // An answer may tell of the end before the watch has told of the last confirmation.
    if (before !== undefined && before.epoch !== epoch)
      this.#end(before, source === "answer" ? now : this.heardAt(name));
    if (change.type === "delete") {
      this.#live.delete(name);
      this.#heard.delete(name);
      return;
    }
    this.#heard.set(name, now);
    const { createRevision, value } = change.now;
    // While something else has written the key, what the board told before holds.
    const known = before?.epoch === createRevision ? before.record : null;
    const record = readRecord(name, value) ?? known;
    this.#live.set(name, { name, epoch: createRevision, record });
  }

  #end({ name, epoch }: BoardLife, heardAt: number): void {
    this.#gone.push({ name, epoch, heardAt });
  }
}

const readRecord = (name: string, value: string): BoardRecord | null => {
  try {
    const record = decodeBoard(value);
    return record.name === name ? record : null;
  } catch {
    return null;
  }
};
