/**
 * A rebuild that goes by the bitmap in a cluster: what any node wrote while the member was away is
 * told by that node's bitmap alone, be the node alive or gone. So all of them are read and merged
 * into this node's, AFTER every node knows that the member is back: who writes later reaches it.
 * Bits of a degraded array are never cleared, only moved, from a node that is gone to the one that
 * recovers it.
 * Source: drivers/md/md-cluster.c gather_bitmaps, which the kernel's add of a known device leaves
 * out (writes of other nodes are lost); md-bitmap.c md_bitmap_copy_from_slot.
 */

import { type ArrayState, inSyncMembers, type Member } from "./array-state.ts";
import { askDriver, callCluster } from "./cluster-calls.ts";
import { readSlots } from "./slot-areas.ts";

/** True when the bits of all slots were merged for a rebuild of these members. */
export const isGathered = (state: ArrayState, targets: readonly Member[]): boolean => {
  const { gathered } = state.clusterSync;
  return gathered !== null && targets.every(({ id }) => gathered.includes(id));
};

/**
 * Tells the others which members return, then merges all bitmaps; `isGathered` from then on, until
 * the rebuild ends. With the right to sync, which stays here meanwhile.
 */
export const gatherBitmaps = (state: ArrayState, targets: readonly Member[]): void => {
  const { clusterSync: sync } = state;
  if (sync.isGathering) return;
  sync.isGathering = true;
  tell(state, targets, targets);
};

const tell = (state: ArrayState, targets: readonly Member[], untold: readonly Member[]): void => {
  const [member, ...rest] = untold;
  if (member === undefined) return readTwice(state, targets);
  const { devNumber: deviceNumber } = member.superblock;
  callCluster(state, { type: "gather-bitmaps", deviceNumber }, (now, answer) => {
    if (answer.ok) tell(now, targets, rest);
    else now.clusterSync.isGathering = false;
  });
};

/**
 * Twice: bits that move from one slot to another while they are read could be missed in both. They
 * are durable in the second BEFORE they leave the first, so the second look finds them.
 */
const readTwice = (state: ArrayState, targets: readonly Member[]): void => {
  const nodes = state.bitmap?.superblock.nodes ?? 0;
  const slots = Array.from({ length: nodes }, (_, slot) => slot).filter(
    (slot) => slot !== state.cluster.slot,
  );
  askDriver(state, { type: "read-slot-bitmaps", slots }, (first, one) => {
    askDriver(first, { type: "read-slot-bitmaps", slots }, (now, two) => {
      now.clusterSync.isGathering = false;
      const { bitmap } = now;
      if (bitmap === null || inSyncMembers(now).length === 0) return;
      for (const slot of slots) {
        const areas = [one, two].map(({ areas: read }) => readSlots(now, read, slot));
        // What a slot says is not known: everything counts as written.
        if (areas.some(({ isKnown }) => !isKnown)) bitmap.fill();
        for (const { fitting } of areas) for (const area of fitting) bitmap.merge(area);
      }
      now.clusterSync.gathered = targets.map(({ id }) => id);
    });
  });
};
