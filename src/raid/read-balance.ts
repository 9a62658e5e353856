/**
 * Which leg a read goes to. Reads beyond the resync position, and where another node of the cluster
 * resyncs, use the first copy in md's order, so that a client never sees two contents of one place
 * (stable reads). Elsewhere the address picks
 * the leg, in wide stripes: each leg's page cache then holds its own share, and a sequential
 * reader keeps several members busy; far layouts are read at the lowest position, as raid0 would
 * be. Write-mostly legs and legs without synchronous calls come last, those that owe an answer for
 * long after them.
 * Source: drivers/md/raid1.c read_balance, raid10.c read_balance; stripes: choice.
 */

import type { Extent } from "./array-map.ts";
import {
  LEG_IN_SYNC,
  LEG_WRITE_MOSTLY,
  type SharedArrayState,
  SYNCED_ALL,
} from "./shared-state.ts";

/** Bytes of one stripe of reads. Choice: wide enough for readahead on one leg. */
export const READ_STRIPE_BYTES = 8 * 1024 * 1024;
const MIB = 1024 * 1024;

/** The leg to read, and the position behind its data offset. */
export interface LegChoice {
  readonly leg: number;
  readonly position: number;
}

/** Ranks of a candidate; the best rank that any has is what the stripes choose among. */
const QUICK = 0;
const SLOW = 1;
const WRITE_MOSTLY = 2;
const SILENT = 3;

export class ReadBalance {
  readonly #state: SharedArrayState;
  readonly #isQuick: (leg: number) => boolean;
  readonly #isSilent: (leg: number) => boolean;
  /** In-sync legs in order of raid slots, as of `#epoch`; and those not write-mostly. */
  #inSync: number[] = [];
  #preferred: number[] = [];
  #epoch = -1;
  #heldBack = false;
  #ordered = false;
  readonly #choice = { leg: 0, position: 0 };

  /** `isQuick`: the leg can be read at once just now; `isSilent`: it owes an answer for long. */
  constructor(
    state: SharedArrayState,
    isQuick: (leg: number) => boolean,
    isSilent: (leg: number) => boolean = () => false,
  ) {
    this.#state = state;
    this.#isQuick = isQuick;
    this.#isSilent = isSilent;
  }

  /** True when the last choice passed over an in-sync leg for its bad blocks. */
  get isHeldBack(): boolean {
    return this.#heldBack;
  }

  /** True when the last choice went by md's order of the copies, which may differ there. */
  get isOrdered(): boolean {
    return this.#ordered;
  }

  /**
   * The leg for `[offset, offset + length)`, which is one extent (null: a mirror's); null when no
   * leg is left. `skip`: legs that already failed this read. The object is used again by the next
   * call.
   */
  choose(
    offset: number,
    length: number,
    extent: Extent | null,
    skip: ((leg: number) => boolean) | null,
  ): LegChoice | null {
    this.#refresh();
    this.#heldBack = false;
    const isFree = this.#isFree(offset, length);
    this.#ordered = !isFree;
    let best = -1;
    let bestRank = SILENT + 1;
    let bestPosition = 0;
    let seen = 0;
    // Two passes: how many candidates share the best rank, then the one that the address picks.
    const readsLowest = extent !== null && this.#state.map.readsLowest;
    const visit = (leg: number, position: number): boolean => {
      if (skip?.(leg) === true) return false;
      if (this.#state.badBlocks(leg).touches(position, length)) {
        this.#heldBack = true;
        return false;
      }
      if (!isFree) {
        best = leg;
        bestPosition = position;
        return true;
      }
      const rank = this.#rank(leg);
      const isBetter =
        rank < bestRank || (rank === bestRank && readsLowest && position < bestPosition);
      if (rank < bestRank) seen = 0;
      if (rank <= bestRank) seen++;
      if (isBetter) {
        best = leg;
        bestRank = rank;
        bestPosition = position;
      }
      return false;
    };
    this.#visitAll(offset, extent, visit);
    if (best < 0) return null;
    if (isFree && seen > 1 && !readsLowest) {
      let wanted = Math.floor(offset / READ_STRIPE_BYTES) % seen;
      this.#visitAll(offset, extent, (leg, position) => {
        if (skip?.(leg) === true || this.#rank(leg) !== bestRank) return false;
        if (this.#state.badBlocks(leg).touches(position, length)) return false;
        best = leg;
        bestPosition = position;
        return wanted-- === 0;
      });
    }
    this.#choice.leg = best;
    this.#choice.position = bestPosition;
    return this.#choice;
  }

  /**
   * The leg that `choose` would take of a mirror, or -1 unless every leg it would look at can be
   * read at once and has no bad blocks: the common case, answered without a second look.
   */
  quickLeg(offset: number, length: number): number {
    this.#refresh();
    const isFree = this.#isFree(offset, length);
    this.#heldBack = false;
    this.#ordered = !isFree;
    const legs = isFree ? this.#preferred : this.#inSync;
    const looked = isFree ? legs.length : Math.min(legs.length, 1);
    for (let index = 0; index < looked; index++) {
      const leg = legs[index] ?? 0;
      if (this.#state.badBlocks(leg).count > 0 || !this.#isQuick(leg)) return -1;
    }
    if (looked === 0) return -1;
    return legs[Math.floor(offset / READ_STRIPE_BYTES) % looked] ?? -1;
  }

  /** False where the copies may differ: the first one is then everybody's. */
  #isFree(offset: number, length: number): boolean {
    const synced = this.#state.syncedMib;
    if (synced !== SYNCED_ALL && offset + length > synced * MIB) return false;
    return !this.#state.isOrdered(offset, length);
  }

  #rank(leg: number): number {
    const isLast = (this.#state.flags(leg) & LEG_WRITE_MOSTLY) !== 0;
    if (!isLast && this.#isQuick(leg)) return QUICK;
    if (this.#isSilent(leg)) return SILENT;
    return isLast ? WRITE_MOSTLY : SLOW;
  }

  /** Calls `visit` for every in-sync leg of the extent in md's order, until it returns true. */
  #visitAll(
    offset: number,
    extent: Extent | null,
    visit: (leg: number, position: number) => boolean,
  ): void {
    if (extent === null) {
      for (const leg of this.#inSync) if (visit(leg, offset)) return;
      return;
    }
    const { raidSlots } = this.#state.map;
    for (const { slot, position } of extent.places) {
      for (const leg of [slot, slot + raidSlots]) {
        if (this.#state.leg(leg) === LEG_IN_SYNC && visit(leg, position)) return;
      }
    }
  }

  #refresh(): void {
    const { epoch, map } = this.#state;
    if (epoch === this.#epoch) return;
    this.#epoch = epoch;
    this.#inSync = [];
    for (let slot = 0; slot < map.raidSlots; slot++) {
      for (const leg of [slot, slot + map.raidSlots])
        if (this.#state.leg(leg) === LEG_IN_SYNC) this.#inSync.push(leg);
    }
    this.#preferred = this.#inSync.filter(
      (leg) => (this.#state.flags(leg) & LEG_WRITE_MOSTLY) === 0,
    );
  }
}
