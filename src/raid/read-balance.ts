/**
 * Which leg a read goes to. Reads beyond the resync position use the first in-sync leg only, so
 * that a client never sees two contents of one place (stable reads). Elsewhere the address picks
 * the leg, in wide stripes: each leg's page cache then holds its own share, and a sequential
 * reader keeps several members busy.
 * Source: drivers/md/raid1.c read_balance (the rule beyond the resync position); stripes: choice.
 */

import { LEG_IN_SYNC, type SharedArrayState, SYNCED_ALL } from "./shared-state.ts";

/** Bytes of one stripe of reads. Choice: wide enough for readahead on one leg. */
export const READ_STRIPE_BYTES = 8 * 1024 * 1024;
const MIB = 1024 * 1024;

/** The n-th in-sync raid slot, or -1. */
const nthInSync = (state: SharedArrayState, wanted: number, skip: number): number => {
  let seen = 0;
  for (let slot = 0; slot < state.shape.raidSlots; slot++) {
    if ((skip & (1 << slot)) !== 0 || state.leg(slot) !== LEG_IN_SYNC) continue;
    if (seen === wanted) return slot;
    seen++;
  }
  return -1;
};

const countInSync = (state: SharedArrayState, skip: number): number => {
  let count = 0;
  for (let slot = 0; slot < state.shape.raidSlots; slot++) {
    if ((skip & (1 << slot)) === 0 && state.leg(slot) === LEG_IN_SYNC) count++;
  }
  return count;
};

/**
 * The raid slot to read `[offset, offset + length)` from, or -1 when no in-sync leg is left.
 * `tried`: bit mask of slots that already failed this read. `slow`: bit mask of slots to avoid
 * while another one is usable and the choice is free.
 */
export const chooseReadLeg = (
  state: SharedArrayState,
  offset: number,
  length: number,
  tried: number,
  slow: number,
): number => {
  const synced = state.syncedMib;
  if (synced !== SYNCED_ALL && offset + length > synced * MIB) return nthInSync(state, 0, tried);
  const quick = countInSync(state, tried | slow);
  if (quick > 0) {
    return nthInSync(state, Math.floor(offset / READ_STRIPE_BYTES) % quick, tried | slow);
  }
  return nthInSync(state, 0, tried);
};
