/**
 * What must hold on the media after any stop: copies are equal wherever no bit says otherwise,
 * every in-sync copy holds what the oracle allows, and a clean stop leaves nothing to be done.
 */

import { assert } from "../../src/common/assert.ts";
import {
  MD_FEATURE_BITMAP_OFFSET,
  MD_FEATURE_RECOVERY_BITMAP,
} from "../../src/raid/superblock-fields.ts";
import type { ContentOracle } from "./content-oracle.ts";
import { dataOf, isBadAt, isBitSet, type MediaView, type PlacedLeg } from "./media-view.ts";
import { SECTOR } from "./medium.ts";

/** Whether the copies of a sector may differ anywhere: a write to it failed. */
export type IsLoose = (sector: number) => boolean;

interface Copy {
  readonly leg: PlacedLeg;
  /** Bytes of its data. */
  readonly position: number;
}

/** The legs of each raid slot. */
const legsBySlot = ({ map }: MediaView, legs: readonly PlacedLeg[]): PlacedLeg[][] => {
  const slots = Array.from({ length: map.raidSlots }, (): PlacedLeg[] => []);
  for (const leg of legs) slots[leg.raidSlot]?.push(leg);
  return slots;
};

/** Calls `visit` for each run of array bytes with the copies among these legs. */
const forEachRun = (
  view: MediaView,
  legs: readonly PlacedLeg[],
  step: number,
  visit: (offset: number, length: number, copies: readonly Copy[]) => void,
): void => {
  const { map } = view;
  const slots = legsBySlot(view, legs);
  for (let at = 0; at < map.sizeBytes; ) {
    const end = Math.min((Math.floor(at / step) + 1) * step, map.sizeBytes);
    for (const { offset, length, places } of map.extents(at, end - at)) {
      const copies: Copy[] = [];
      for (const { slot, position } of places)
        for (const leg of slots[slot] ?? []) copies.push({ leg, position });
      visit(offset, length, copies);
    }
    at = end;
  }
};

/** Every in-sync copy that may be read holds what the oracle allows. True when all are equal. */
export const checkCopies = (view: MediaView, oracle: ContentOracle): boolean => {
  const { content } = oracle;
  let areEqual = view.map.sizeBytes === content.length;
  forEachRun(view, view.inSync, 4 * 1024 * 1024, (offset, length, copies) => {
    // A larger size that was not told yet: see Model.start.
    const known = Math.min(length, content.length - offset);
    if (known <= 0) return;
    const right = content.subarray(offset, offset + known);
    for (const { leg, position } of copies) {
      const data = dataOf(leg, position, known);
      if (Buffer.compare(data, right) === 0) continue;
      areEqual = false;
      const problem = oracle.copyProblem(offset, data, (sector) =>
        isBadAt(leg, position + sector * SECTOR - offset, SECTOR),
      );
      if (problem === null) continue;
      assert(false, `${leg.medium.path}, in sync in raid slot ${leg.raidSlot}: ${problem}`);
    }
  });
  return areEqual;
};

/** How far copies are equal whatever the bits say, bytes of the array. */
const resyncedUpTo = ({ inSync, map }: MediaView, hasBitmap: boolean): number => {
  const claims = inSync.map(({ superblock: { resyncOffset } }) =>
    resyncOffset === "none" ? map.sizeBytes : resyncOffset * SECTOR,
  );
  const claim = Math.min(...claims);
  return hasBitmap && claim < map.sizeBytes ? 0 : claim;
};

const claimOf = ({ superblock: sb }: PlacedLeg, map: MediaView["map"]): number => {
  const guided = (sb.featureMap & MD_FEATURE_RECOVERY_BITMAP) !== 0;
  return guided || sb.recoveryOffset === "none" ? map.memberBytes : sb.recoveryOffset * SECTOR;
};

const differs = (a: Copy, b: Copy, length: number, isLoose: IsLoose, offset: number): boolean => {
  if (length <= 0) return false;
  const [left, right] = [dataOf(a.leg, a.position, length), dataOf(b.leg, b.position, length)];
  if (Buffer.compare(left, right) === 0) return false;
  for (let at = 0; at < length; at += SECTOR) {
    if (isBadAt(a.leg, a.position + at, SECTOR) || isBadAt(b.leg, b.position + at, SECTOR))
      continue;
    const end = Math.min(at + SECTOR, length);
    if (Buffer.compare(left.subarray(at, end), right.subarray(at, end)) === 0) continue;
    if (!isLoose((offset + at) / SECTOR)) return true;
  }
  return false;
};

/**
 * Copies are equal wherever no bit is set, and legs under rebuild hold what they claim.
 * `areEqual`: those in sync are known to be equal everywhere.
 */
export const checkEquality = (view: MediaView, areEqual: boolean, isLoose: IsLoose): void => {
  const { inSync, rebuilding, map } = view;
  if (areEqual && rebuilding.length === 0) return;
  const hasBitmap = (view.freshest.featureMap & MD_FEATURE_BITMAP_OFFSET) !== 0;
  const lead = hasBitmap ? (inSync.find(({ bitmap }) => bitmap !== null)?.bitmap ?? null) : null;
  const chunkBytes = lead?.superblock.chunkBytes ?? map.sizeBytes;
  const resynced = resyncedUpTo(view, lead !== null);
  const isClean = inSync.every(({ superblock }) => superblock.resyncOffset !== 0);
  forEachRun(view, [...inSync, ...rebuilding], chunkBytes, (offset, length, copies) => {
    const first = copies.find(({ leg }) => inSync.includes(leg));
    if (first === undefined) return;
    const chunk = Math.floor(offset / chunkBytes);
    for (const copy of copies) {
      if (copy === first) continue;
      const mayDiffer =
        lead === null || (isDue(first.leg, chunk, offset) && isDue(copy.leg, chunk, offset));
      let equal = length;
      if (inSync.includes(copy.leg)) {
        if (mayDiffer) equal = Math.min(resynced - offset, length);
      } else {
        const claim = mayDiffer && !isClean ? 0 : recoveredOf(copy.leg, mayDiffer, map);
        equal = Math.min(claim - copy.position, length);
      }
      if (!differs(first, copy, equal, isLoose, offset)) continue;
      const who = [first, copy].map(({ leg }) => describe(leg, chunk));
      assert(false, `copies differ at ${offset} of the array: ${who.join("; ")}`);
    }
  });
};

/**
 * The leg says that a resync is due there: by its bit or, where the change that adds a bitmap has
 * not reached it, by its resync offset.
 */
const isDue = (leg: PlacedLeg, chunk: number, offset: number): boolean => {
  if (leg.bitmap !== null) return isBitSet(leg, chunk);
  const { resyncOffset } = leg.superblock;
  return resyncOffset !== "none" && resyncOffset * SECTOR <= offset;
};

const recoveredOf = (leg: PlacedLeg, mayDiffer: boolean, map: MediaView["map"]): number => {
  const { recoveryOffset } = leg.superblock;
  if (!mayDiffer) return claimOf(leg, map);
  return recoveryOffset === "none" ? 0 : recoveryOffset * SECTOR;
};

const describe = (leg: PlacedLeg, chunk: number): string => {
  const { superblock: sb, medium } = leg;
  return (
    `${medium.path} events ${sb.events} resync ${sb.resyncOffset} features ${sb.featureMap} ` +
    `recovery ${sb.recoveryOffset} bit ${isBitSet(leg, chunk) ? "set" : "clear"}`
  );
};

/** AFTER a stop that was answered: everybody agrees, nothing is dirty, bitmaps are as new. */
export const checkCleanStop = (
  { inSync, rebuilding, freshest }: MediaView,
  { isResyncDue, isUneven }: { readonly isResyncDue: boolean; readonly isUneven: boolean },
): void => {
  for (const { superblock: sb, medium, bitmap } of [...inSync, ...rebuilding]) {
    // The first update after a start brings members level: there may have been none.
    if (isUneven) continue;
    assert(sb.events === freshest.events, `${medium.path} has other events after a stop`);
    const mayBeZero = isResyncDue && freshest.resyncOffset === 0;
    assert(sb.resyncOffset !== 0 || mayBeZero, `${medium.path} says dirty after a stop`);
    const lag = bitmap !== null && bitmap.superblock.events < sb.events;
    assert(!lag, `${medium.path} has a bitmap that is stale after a stop`);
    if ((sb.featureMap & 1) === 1) assert(bitmap !== null, `${medium.path} has lost its bitmap`);
  }
};
