/**
 * From when on a node that is gone can do no I/O any more: a fixed time after its last confirmation
 * was seen, on our own clock. What it confirmed later it cannot have confirmed: its member key is
 * gone, and the watch shows changes in their order. Where changes may have been missed, a node
 * counts as confirmed at that moment.
 */
import type { KeyChange } from "../store/cluster-store.ts";
import { keyOf } from "../store/revisioned-map.ts";
import type { StoreKeys } from "../store/store-keys.ts";
import type { NewsSource } from "../store/view-driver.ts";

export class FenceWatch {
  readonly #keys: StoreKeys;
  readonly #waitMs: number;
  readonly #heard = new Map<number, number>();
  #floor: number;

  /** `waitMs`: as fenceTime gives it. `now`: what was confirmed before is not known. */
  constructor(keys: StoreKeys, waitMs: number, now: number) {
    this.#keys = keys;
    this.#waitMs = waitMs;
    this.#floor = now;
  }

  see(changes: readonly KeyChange[], source: NewsSource, now: number): void {
    if (source === "listing") {
      this.#floor = now;
      this.#heard.clear();
      return;
    }
    for (const change of changes) {
      const key = keyOf(change);
      const slot = this.#keys.slotIn(key);
      if (slot === null) continue;
      const isMember = key === this.#keys.member(slot);
      // An answer may tell of the end before the watch has told of the last confirmation.
      const isSign =
        change.type === "put"
          ? isMember || key === this.#keys.heartbeat(slot)
          : isMember && source === "answer";
      if (isSign) this.#heard.set(slot, now);
    }
  }

  /** Milliseconds of our clock, for the last session of the DLM slot. */
  dueAt(slot: number): number {
    return this.heardAt(slot) + this.#waitMs;
  }

  /** When it was seen to confirm last, or later: when changes may have been missed. */
  heardAt(slot: number): number {
    return this.#heard.get(slot) ?? this.#floor;
  }
}
