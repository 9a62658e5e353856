/**
 * What the array holds and where it is a hole, told by its legs. A hole is told only where every
 * read finds zeroes: the leg asked is in sync, nothing waits to be copied there, and none of its
 * blocks is bad there. Everywhere else the answer is data, which promises nothing.
 *
 * Legs are asked beside writes under way: what was acknowledged before the call shows, what is
 * under way may or may not.
 */

import { allData, appendRun } from "../hal/allocation-runs.ts";
import type { AllocationRun } from "../hal/block-device.ts";
import type { Extent } from "./array-map.ts";
import type { LegHandles } from "./leg-handles-driver.ts";
import {
  LEG_IN_SYNC,
  LEG_WRITE_MOSTLY,
  type SharedArrayState,
  SYNCED_ALL,
} from "./shared-state.ts";

const MIB = 1024 * 1024;
/** Extents that one call looks at. Choice: 64 MiB of the smallest usual chunk. */
const EXTENTS_MAX = 1024;
/** Questions of one call beyond one for each raid slot. Choice: a few legs answer in two parts. */
const MORE_ASKS = 4;

/** What a leg said of its data from `position` on. */
interface LegAnswer {
  readonly position: number;
  readonly runs: readonly AllocationRun[];
}

/** A leg to ask, and where the sought bytes lie behind its data offset. */
interface LegPlace {
  readonly leg: number;
  readonly position: number;
  /** Of a leg and a copy: from extent to extent the position of such a pair only grows. */
  readonly series: number;
}

export class LegAllocation {
  readonly #state: SharedArrayState;
  readonly #legs: LegHandles;

  constructor(state: SharedArrayState, legs: LegHandles) {
    this.#state = state;
    this.#legs = legs;
  }

  /** As `BlockDevice.allocation`; never rejects: what cannot be told is data. */
  async runs(offset: number, length: number): Promise<readonly AllocationRun[]> {
    const { map } = this.#state;
    const told: AllocationRun[] = [];
    const answers = new Map<number, LegAnswer>();
    let asksLeft = map.raidSlots + MORE_ASKS;
    const extents = map.extents(offset, Math.min(length, map.chunkBytes * EXTENTS_MAX));
    for (const extent of extents) {
      for (let from = 0; from < extent.length; ) {
        const place = this.#choose(extent, from);
        const run = this.#runAt(extent, from, place, answers);
        if (run !== null) {
          if (!appendRun(told, run.length, run.isHole)) return told;
          from += run.length;
        } else if (place === null || asksLeft === 0) {
          return told.length > 0 ? told : allData(extent.length - from);
        } else {
          asksLeft--;
          const wanted = offset + length - (extent.offset + from);
          answers.set(place.series, await this.#ask(place, wanted));
        }
      }
    }
    return told;
  }

  /** The in-sync leg to ask: best one without bad blocks there, and none that is write-mostly. */
  #choose(extent: Extent, from: number): LegPlace | null {
    const { map } = this.#state;
    const length = extent.length - from;
    let best: LegPlace | null = null;
    let bestRank = Infinity;
    for (const [copy, { slot, position }] of extent.places.entries()) {
      for (const leg of [slot, slot + map.raidSlots]) {
        if (this.#state.leg(leg) !== LEG_IN_SYNC || this.#legs.device(leg) === null) continue;
        const isBad = this.#state.badBlocks(leg).touches(position + from, length);
        const isLast = (this.#state.flags(leg) & LEG_WRITE_MOSTLY) !== 0;
        const rank = (isBad ? 2 : 0) + (isLast ? 1 : 0);
        if (rank >= bestRank) continue;
        best = { leg, position: position + from, series: copy * this.#legs.legs + leg };
        bestRank = rank;
      }
    }
    return best;
  }

  /** The longest run at `from` that is known without asking; null: ask the leg. */
  #runAt(
    extent: Extent,
    from: number,
    place: LegPlace | null,
    answers: ReadonlyMap<number, LegAnswer>,
  ): AllocationRun | null {
    const length = extent.length - from;
    const { syncedMib } = this.#state;
    const synced = syncedMib === SYNCED_ALL ? Infinity : syncedMib * MIB;
    const beforeSynced = synced - (extent.offset + from);
    const isOrdered = this.#state.isOrdered(extent.offset + from, length);
    if (place === null || beforeSynced <= 0 || isOrdered) return { length, isHole: false };
    const { leg, position, series } = place;
    const [bad] = this.#state.badBlocks(leg).within(position, length);
    if (bad !== undefined && bad[0] === position)
      return { length: bad[1] - position, isHole: false };
    const run = runOf(answers.get(series), position);
    if (run === null) return null;
    const good = bad === undefined ? length : bad[0] - position;
    return { length: Math.min(run.length, good, beforeSynced), isHole: run.isHole };
  }

  /** What the leg says of at most `length` bytes; a leg that cannot say it says data. */
  async #ask({ leg, position }: LegPlace, length: number): Promise<LegAnswer> {
    const device = this.#legs.device(leg);
    const wanted = Math.min(length, this.#state.map.memberBytes - position);
    if (device === null) return { position, runs: allData(wanted) };
    this.#legs.use(leg);
    try {
      const runs = await device.allocation(this.#legs.position(leg, position), wanted);
      return { position, runs };
    } catch {
      return { position, runs: allData(wanted) };
    } finally {
      this.#legs.free(leg);
    }
  }
}

/** The rest of the run that holds the position; null when the leg did not say. */
const runOf = (answer: LegAnswer | undefined, position: number): AllocationRun | null => {
  if (answer === undefined || position < answer.position) return null;
  let at = answer.position;
  for (const { length, isHole } of answer.runs) {
    at += length;
    if (position < at) return { length: at - position, isHole };
  }
  return null;
};
