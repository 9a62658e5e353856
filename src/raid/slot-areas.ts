/** The bitmap areas of another node's slot, as they were read from the legs. */

import type { SlotArea } from "./array-messages.ts";
import { type ArrayState, isInCluster, SECTOR } from "./array-state.ts";
import {
  BITMAP_SUPERBLOCK_BYTES,
  bitmapChunks,
  decodeBitmapSuperblock,
  encodeBitmapSuperblock,
} from "./bitmap-superblock.ts";
import { countDirtyChunks } from "./examine-bitmap.ts";

export interface SlotAreas {
  /** Those that belong to this array and have its chunks. */
  readonly fitting: readonly Uint8Array[];
  /** False when no in-sync member could tell: any bit may be set. */
  readonly isKnown: boolean;
}

/**
 * Areas of all legs count: a bit may be set on one of them only. A bit is durable on every in-sync
 * member before it is relied on, so one of those is enough to know.
 */
export const readSlots = (
  state: ArrayState,
  areas: readonly SlotArea[],
  slot: number,
): SlotAreas => {
  const fitting: Uint8Array[] = [];
  let isKnown = false;
  for (const { slot: of, member, area } of areas) {
    if (of !== slot || area === null || state.bitmap?.fits(area) !== true) continue;
    fitting.push(area);
    isKnown ||= state.members.get(member)?.state === "in_sync";
  }
  return { fitting, isKnown };
};

/** The bitmaps of all other nodes, present or not, as a member that comes gets them. */
export interface OtherSlots {
  readonly areas: readonly { readonly slot: number; readonly area: Uint8Array }[];
  /** Array events up to which any of them cleared bits. */
  readonly eventsCleared: number;
}

export const NO_OTHER_SLOTS: OtherSlots = { areas: [], eventsCleared: 0 };

/** The slots that are not this node's; none outside a cluster. */
export const otherSlotNumbers = (state: ArrayState): number[] => {
  if (!isInCluster(state)) return [];
  const nodes = state.bitmap?.superblock.nodes ?? 0;
  return Array.from({ length: nodes }, (_, slot) => slot).filter(
    (slot) => slot !== state.cluster.slot,
  );
};

/**
 * As the members in sync tell it: one that is being rebuilt may have bits of a slot which another
 * node recovered before it knew of this member, and these would go from member to member. A slot
 * that nobody can tell anything of gets every bit, and refuses every re-add.
 */
export const otherSlots = (
  state: ArrayState,
  read: readonly SlotArea[],
  slots: readonly number[],
): OtherSlots => {
  const told = read.filter(({ member }) => state.members.get(member)?.state === "in_sync");
  let eventsCleared = 0;
  const areas = slots.map((slot) => {
    const { fitting, isKnown } = readSlots(state, told, slot);
    for (const found of fitting) {
      const decoded = decodeBitmapSuperblock(found);
      if (decoded.ok) eventsCleared = Math.max(eventsCleared, decoded.value.eventsCleared);
    }
    if (!isKnown) eventsCleared = Infinity;
    return { slot, area: union(state, fitting, isKnown) };
  });
  return { areas, eventsCleared };
};

/** Bytes of a member that any bitmap marks, this node's or another's: what a rebuild copies. */
export const markedBytes = (state: ArrayState, { areas }: OtherSlots): number => {
  const { bitmap, map } = state;
  if (bitmap === null) return map.memberBytes;
  const { chunkBytes, syncSize } = bitmap.superblock;
  const all = [bitmap.wholeArea().data, ...areas.map(({ area }) => area)];
  const [first = new Uint8Array(), ...rest] = all;
  const bits = first.map((byte, at) => rest.reduce((one, area) => one | (area[at] ?? 0), byte));
  const chunks = bitmapChunks(syncSize, chunkBytes);
  // A bitmap of a raid10 is of the array's bytes, of which the member has a share.
  const share = map.memberBytes / (syncSize * SECTOR);
  const marked = countDirtyChunks(bits, chunks) * chunkBytes;
  return Math.min(map.memberBytes, Math.ceil(marked * share));
};

/** Header of the first, bits of all. */
const union = (state: ArrayState, fitting: readonly Uint8Array[], isKnown: boolean): Uint8Array => {
  const { bitmap } = state;
  const bytes = bitmap?.areaBytes ?? 0;
  const area = new Uint8Array(bytes);
  if (bitmap !== null) area.set(encodeBitmapSuperblock(bitmap.superblock));
  const bits = isKnown ? 0 : 0xff;
  area.fill(bits, BITMAP_SUPERBLOCK_BYTES);
  const [first] = fitting;
  if (first !== undefined) area.set(first.subarray(0, BITMAP_SUPERBLOCK_BYTES));
  for (const found of fitting)
    for (let at = BITMAP_SUPERBLOCK_BYTES; at < bytes; at++)
      area[at] = (area[at] ?? 0) | (found[at] ?? 0);
  return area;
};
