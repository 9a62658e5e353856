/**
 * What sync actions and recoveries of other nodes mean here: ranges where no write may begin, reads
 * that keep to the first copy, and the bitmaps of nodes that are gone.
 */

import { type ArrayState, emit } from "./array-state.ts";
import { askDriver, noticeProcessed } from "./cluster-calls.ts";
import type { SectorRange } from "./cluster-port.ts";

const SECTOR = 512;

/** Node `slot` resyncs this range from now on: no write of ours begins or is under way there. */
export const onResyncing = (
  state: ArrayState,
  id: number,
  slot: number,
  { lo, hi }: SectorRange,
): void => {
  const [from, to] = [lo * SECTOR, hi * SECTOR];
  state.shared.suspend(slot, from, to);
  emit(state, { type: "poke" });
  if (to === 0) return noticeProcessed(state, id);
  askDriver(state, { type: "drain", from, to }, (now) => noticeProcessed(now, id));
};

/** The node of this slot is gone: its bits become this node's. */
export const onRecoverSlot = (state: ArrayState, id: number, slot: number): void => {
  askDriver(state, { type: "read-slot-bitmaps", slots: [slot] }, (now, { areas }) => {
    for (const { area } of areas) if (area !== null) now.bitmap?.merge(area);
    noticeProcessed(now, id);
  });
};

export const onReadBalancing = (state: ArrayState, isSuspended: boolean): void => {
  state.shared.balances = !isSuspended;
};

/** The others go on without this node: it reads and writes no more. */
export const onExpelled = (state: ArrayState, reason: string): void => {
  emit(state, { type: "status-changed" });
  void reason;
};
