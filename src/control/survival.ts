/**
 * What an array may still lose, and the words of its layout. An array is lost with the last member
 * of any set of raid slots that hold the copies of the same data.
 *
 * Source: drivers/md/raid10.c _enough.
 */

import type { ArrayStatus } from "../raid/array-status.ts";

/** Raid devices, and the layout in mdadm's words; null for raid1. */
interface Shape {
  readonly raidDevices: number;
  readonly layout: string | null;
}

/** Copies of a layout in mdadm's words (`near=2`, `offset=2`); one per raid slot for raid1. */
interface Copies {
  readonly near: number;
  readonly far: number;
}

const copiesOf = (layout: string): Copies => {
  const number = (pattern: RegExp): number => Number(pattern.exec(layout)?.[1] ?? 1);
  return { near: number(/near=([0-9]+)/), far: number(/(?:far|offset)=([0-9]+)/) };
};

/** The word that creates such a layout (`n2`, `f2`, `o3`), or mdadm's words where none does. */
export function layoutWord(layout: string): string {
  const { near, far } = copiesOf(layout);
  if (far === 1) {
    return `n${near}`;
  }
  return near === 1 ? `${layout.includes("offset") ? "o" : "f"}${far}` : layout;
}

/** The raid slots of each piece of data, one list per piece that is laid out alike. */
function copySets(raidDevices: number, layout: string | null): number[][] {
  if (layout === null) {
    return [Array.from({ length: raidDevices }, (_, slot) => slot)];
  }
  const { near, far } = copiesOf(layout);
  const sets: number[][] = [];
  let first = 0;
  do {
    const start = first;
    sets.push(Array.from({ length: near * far }, (_, copy) => (start + copy) % raidDevices));
    first = (first + near) % raidDevices;
  } while (first !== 0 && sets.length < raidDevices);
  return sets;
}

/** In-sync copies of the data that has the fewest. */
function weakestCopies(array: Shape, isInSync: (raidSlot: number) => boolean): number {
  const sets = copySets(array.raidDevices, array.layout);
  return Math.min(...sets.map((set) => set.filter(isInSync).length));
}

/** Members that may fail, whichever they are, while these raid slots are in sync. */
export function survivableFailures(array: Shape, isInSync: (raidSlot: number) => boolean): number {
  return Math.max(0, weakestCopies(array, isInSync) - 1);
}

/** In-sync copies of a running array; of raid10, of the data that has the fewest. */
export function copiesNow(status: ArrayStatus): number {
  if (status.layout === null) {
    return status.inSyncCopies;
  }
  const held = status.members.filter(({ states }) => states.includes("in_sync"));
  const inSync = new Set(held.map(({ raidSlot }) => raidSlot));
  return weakestCopies(status, (slot) => inSync.has(slot));
}

/** In-sync copies once every member on these paths is gone; of raid10, of the weakest data. */
export function copiesWithout(status: ArrayStatus, isGone: (path: string) => boolean): number {
  const left = status.members.filter(
    ({ path, states }) => states.includes("in_sync") && path !== null && !isGone(path),
  );
  const inSync = new Set(left.map(({ raidSlot }) => raidSlot));
  return status.layout === null ? inSync.size : weakestCopies(status, (slot) => inSync.has(slot));
}

/** Members of a running array that may fail now, whichever they are. */
export function survivesNow(status: ArrayStatus): number {
  return Math.max(0, copiesNow(status) - 1);
}
