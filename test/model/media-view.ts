/**
 * What the media of a stopped array say, read by md's rules and not by our assembly: who is in
 * sync, being rebuilt, spare or stale, and which chunks may differ.
 * Source: drivers/md/md.c super_1_validate, analyze_sbs; mdadm Assemble.c.
 */

import { assert } from "../../src/common/assert.ts";
import { equalBytes } from "../../src/common/bytes.ts";
import { ArrayMap } from "../../src/raid/array-map.ts";
import { rangesFromRuns } from "../../src/raid/bad-block-list.ts";
import type { BadRange } from "../../src/raid/bad-block-table.ts";
import { badBlockRange, decodeBadBlocks } from "../../src/raid/bad-blocks.ts";
import {
  type BitmapSuperblock,
  bitmapChunks,
  bitmapSlotBytes,
  decodeBitmapSuperblock,
} from "../../src/raid/bitmap-superblock.ts";
import {
  decodeSuperblock,
  memberRole,
  superblockOffsetSectors,
} from "../../src/raid/superblock.ts";
import {
  MD_FEATURE_BITMAP_OFFSET,
  MD_FEATURE_RECOVERY_OFFSET,
  MD_FEATURE_REPLACEMENT,
  type MinorVersion,
  type Superblock,
} from "../../src/raid/superblock-fields.ts";
import { type ModelMedium, SECTOR } from "./medium.ts";

/** Superblocks of up to 128 device numbers. */
const SUPERBLOCK_BYTES = 512;
const BITMAP_BITS_AT = 256;

/** A medium that holds a superblock of the array. */
export interface Leg {
  readonly medium: ModelMedium;
  readonly superblock: Superblock;
  readonly bitmap: { readonly superblock: BitmapSuperblock; readonly bits: Uint8Array } | null;
  /** Ranges of its data that nobody may read. */
  readonly bad: readonly BadRange[];
}

/** A leg with a place in the array. */
export interface PlacedLeg extends Leg {
  readonly raidSlot: number;
}

export interface MediaView {
  readonly freshest: Superblock;
  readonly map: ArrayMap;
  readonly inSync: readonly PlacedLeg[];
  readonly rebuilding: readonly PlacedLeg[];
  readonly spares: readonly Leg[];
  readonly leftOut: readonly Leg[];
  /** The in-sync legs hold at least one copy of everything. */
  readonly isEnough: boolean;
}

/** Of each medium: the superblock as decoded last, and its bytes. */
const DECODED = new WeakMap<
  ModelMedium,
  { readonly area: Uint8Array; readonly value: Superblock }
>();

/** The superblock on a medium; null when there is none. */
export const superblockOf = (medium: ModelMedium, minor: MinorVersion): Superblock | null => {
  const at = superblockOffsetSectors(minor, Math.floor(medium.sizeBytes / SECTOR));
  if (at === null) return null;
  const area = medium.bytes.subarray(at * SECTOR, at * SECTOR + SUPERBLOCK_BYTES);
  const known = DECODED.get(medium);
  if (known !== undefined && Buffer.compare(known.area, area) === 0) return known.value;
  const decoded = decodeSuperblock(area, at);
  if (decoded.ok) {
    DECODED.set(medium, { area: area.slice(), value: decoded.value });
    return decoded.value;
  }
  assert(decoded.reason === "no-magic", `${medium.path}: superblock is ${decoded.reason}`);
  return null;
};

const roleOf = (sb: Superblock) => memberRole(sb, sb.devNumber);

export const bitmapOf = (medium: ModelMedium, sb: Superblock): Leg["bitmap"] => {
  if ((sb.featureMap & MD_FEATURE_BITMAP_OFFSET) === 0) return null;
  const at = (sb.superOffset + sb.bitmapOffset) * SECTOR;
  const decoded = decodeBitmapSuperblock(medium.bytes.subarray(at, at + 4096), sb.setUuid);
  if (!decoded.ok) return null;
  const { syncSize, chunkBytes } = decoded.value;
  const bytes = bitmapSlotBytes(bitmapChunks(syncSize, chunkBytes));
  return {
    superblock: decoded.value,
    bits: medium.bytes.subarray(at + BITMAP_BITS_AT, at + bytes),
  };
};

const badOf = (medium: ModelMedium, sb: Superblock): readonly BadRange[] => {
  const range = badBlockRange(sb);
  if (range === null) return [];
  const page = medium.bytes.subarray(range.offset, range.offset + range.length);
  const runs = decodeBadBlocks(page, sb.bblogShift);
  assert(runs !== null, `${medium.path}: its bad-block list is unreadable`);
  return rangesFromRuns(runs, sb.dataOffset);
};

const legOf = (medium: ModelMedium, minor: MinorVersion): Leg[] => {
  const superblock = superblockOf(medium, minor);
  if (superblock === null) return [];
  const bitmap = bitmapOf(medium, superblock);
  return [{ medium, superblock, bitmap, bad: badOf(medium, superblock) }];
};

const isRebuilding = ({ superblock }: Leg): boolean =>
  (superblock.featureMap & MD_FEATURE_RECOVERY_OFFSET) !== 0;

const isReplacement = ({ superblock }: Leg): boolean =>
  (superblock.featureMap & MD_FEATURE_REPLACEMENT) !== 0;

const findFreshest = (legs: readonly Leg[]): Leg | null => {
  const active = legs.filter(({ superblock }) => roleOf(superblock).type === "slot");
  const events = Math.max(...active.map(({ superblock }) => superblock.events));
  const ties = active.filter(({ superblock }) => superblock.events === events);
  return ties.find((leg) => !isRebuilding(leg)) ?? ties[0] ?? null;
};

/** Why a leg takes no part beside the freshest; null when it does. */
const outReason = ({ superblock: sb }: Leg, freshest: Superblock): string | null => {
  if (sb.dataSize < freshest.size) return "too small";
  if (sb.events + 1 < freshest.events) return "stale";
  const own = roleOf(freshest);
  if (sb === freshest || own.type !== "slot") return null;
  const callsFailed =
    memberRole(sb, freshest.devNumber).type !== "slot" && !sb.devRoles.includes(own.raidSlot);
  return callsFailed ? "calls the freshest failed" : null;
};

/** Who takes part, and how. Null when no medium claims a raid slot. */
export const viewMedia = (media: readonly ModelMedium[], minor: MinorVersion): MediaView | null => {
  const legs = media.flatMap((medium) => legOf(medium, minor));
  const lead = findFreshest(legs);
  if (lead === null) return null;
  const freshest = lead.superblock;
  const spares: Leg[] = [];
  const leftOut: Leg[] = [];
  const placed: PlacedLeg[] = [];
  for (const leg of legs) {
    const { superblock: sb } = leg;
    const own = roleOf(sb).type;
    const isFit = sb.dataSize >= freshest.size;
    if (!equalBytes(sb.setUuid, freshest.setUuid) || own === "faulty") leftOut.push(leg);
    else if (own === "spare") (isFit ? spares : leftOut).push(leg);
    else if (outReason(leg, freshest) !== null) leftOut.push(leg);
    else {
      const role = memberRole(freshest, sb.devNumber);
      if (role.type === "slot") placed.push({ ...leg, raidSlot: role.raidSlot });
      else (role.type === "faulty" ? leftOut : spares).push(leg);
    }
  }
  const { raidDisks, size, level, layout, chunkSize } = freshest;
  const raid10 = level === 10 ? { layout, chunkSectors: chunkSize } : null;
  const map = new ArrayMap({ raidSlots: raidDisks, componentSectors: size, raid10 });
  const places = settle(placed, leftOut, map);
  const numbers = new Set(
    [...places.inSync, ...places.rebuilding].map(({ superblock: sb }) => sb.devNumber),
  );
  const unique = spares.filter(({ superblock: { devNumber } }) => {
    const isNew = !numbers.has(devNumber);
    numbers.add(devNumber);
    return isNew;
  });
  return { freshest, map, ...places, spares: unique };
};

/** One member for each raid slot, in sync before others, and at most one replacement beside it. */
const settle = (placed: readonly PlacedLeg[], leftOut: readonly Leg[], map: ArrayMap) => {
  const inSync: PlacedLeg[] = [];
  const rebuilding: PlacedLeg[] = [];
  const out = [...leftOut];
  const rank = (leg: PlacedLeg): number =>
    (isRebuilding(leg) ? 2 : 0) + (isReplacement(leg) ? 1 : 0);
  for (const leg of [...placed].sort(
    (a, b) => rank(a) - rank(b) || b.superblock.events - a.superblock.events,
  )) {
    const holds = (other: PlacedLeg): boolean => other.raidSlot === leg.raidSlot;
    const holders = [...inSync, ...rebuilding].filter(holds);
    const mayJoin =
      holders.length === 0 || (holders.length === 1 && isRebuilding(leg) && isReplacement(leg));
    if (!mayJoin) out.push(leg);
    else (isRebuilding(leg) ? rebuilding : inSync).push(leg);
  }
  const slots = new Set(inSync.map(({ raidSlot }) => raidSlot));
  const isEnough = map.copiesLeft((slot) => slots.has(slot)) > 0;
  return { inSync, rebuilding, leftOut: out, isEnough };
};

export const isBitSet = ({ bitmap }: Leg, chunk: number): boolean =>
  bitmap !== null && ((bitmap.bits[chunk >> 3] ?? 0) & (1 << (chunk & 7))) !== 0;

/** Bytes of a leg's data. */
export const dataOf = (
  { medium, superblock }: Leg,
  position: number,
  length: number,
): Uint8Array => {
  const at = superblock.dataOffset * SECTOR + position;
  return medium.bytes.subarray(at, at + length);
};

export const isBadAt = ({ bad }: Leg, position: number, length: number): boolean =>
  bad.some(([from, to]) => from < position + length && position < to);

/** One line for each medium: what its superblock says. */
export const describeMedia = (media: readonly ModelMedium[], minor: MinorVersion): string[] =>
  media.map((medium) => {
    const sb = superblockOf(medium, minor);
    if (sb === null) return `${medium.path} without a superblock`;
    const roles = [...sb.devRoles.slice(0, media.length + 6)].map((role) =>
      role === 0xffff ? "-" : role === 0xfffe ? "F" : `${role}`,
    );
    const bitmap = bitmapOf(medium, sb)?.superblock;
    return (
      `${medium.path} number ${sb.devNumber} events ${sb.events} resync ${sb.resyncOffset} ` +
      `features ${sb.featureMap} recovery ${sb.recoveryOffset} roles ${roles.join()} ` +
      `size ${sb.size} raid devices ${sb.raidDisks} bitmap ${bitmap?.events ?? "none"} ` +
      `cleared ${bitmap?.eventsCleared ?? "none"}`
    );
  });
