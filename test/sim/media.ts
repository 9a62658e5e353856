/** The simulated array's geometry, its creation, and what must hold on the media after any stop. */

import { assert } from "../../src/common/assert.ts";
import type { Prng } from "../../src/common/prng.ts";
import type { SimMedium } from "../../src/hal/sim/crash-device.ts";
import { ArrayMap } from "../../src/raid/array-map.ts";
import { rangesFromRuns } from "../../src/raid/bad-block-list.ts";
import type { BadRange } from "../../src/raid/bad-block-table.ts";
import { badBlockRange, decodeBadBlocks } from "../../src/raid/bad-blocks.ts";
import {
  bitmapChunks,
  decodeBitmapSuperblock,
  encodeBitmapSuperblock,
} from "../../src/raid/bitmap-superblock.ts";
import { parseRaid10Layout } from "../../src/raid/raid10-layout.ts";
import { decodeSuperblock, encodeSuperblock, memberRole } from "../../src/raid/superblock.ts";
import type { Superblock } from "../../src/raid/superblock-fields.ts";
import {
  MD_FEATURE_RECOVERY_BITMAP,
  MD_FEATURE_RECOVERY_OFFSET,
} from "../../src/raid/superblock-fields.ts";

const SECTOR = 512;
const SUPER_OFFSET = 8;
const BITMAP_AT = 16 * SECTOR;
const DATA_OFFSET = 64;
const SIZE = 6144;
const BITMAP_CHUNK = 64 * 1024;
const EVENTS = 5;
/** The bad-block list lies behind the bitmap, as mdadm puts it. */
const BBLOG = { bblogSize: 8, bblogOffset: 16 };

export const GEOMETRY = {
  mediumBytes: (DATA_OFFSET + SIZE) * SECTOR,
  bitmapAt: BITMAP_AT,
  dataAt: DATA_OFFSET * SECTOR,
  chunkBytes: BITMAP_CHUNK,
} as const;

/** What kind of array a story is about. */
export interface SimShape {
  readonly map: ArrayMap;
  readonly raidSlots: number;
  /** Null for raid1. */
  readonly raid10: { readonly layout: number; readonly chunkSectors: number } | null;
  readonly hasBitmap: boolean;
  readonly hasBadBlockLog: boolean;
  /** Bitmap chunks. */
  readonly chunks: number;
}

export interface SimShapeWords {
  readonly raidSlots: number;
  /** `n2`, `f2` …; null for raid1. */
  readonly layout: string | null;
  readonly chunkSectors: number;
  readonly hasBitmap: boolean;
  readonly hasBadBlockLog: boolean;
}

export const simShape = (words: SimShapeWords): SimShape => {
  const layout = words.layout === null ? null : parseRaid10Layout(words.layout);
  const raid10 = layout === null ? null : { layout, chunkSectors: words.chunkSectors };
  const { raidSlots, hasBitmap, hasBadBlockLog } = words;
  const map = new ArrayMap({ raidSlots, componentSectors: SIZE, raid10 });
  const chunks = bitmapChunks(map.sizeBytes / SECTOR, BITMAP_CHUNK);
  return { map, raidSlots, raid10, hasBitmap, hasBadBlockLog, chunks };
};

/** A fresh array, copies equal and in sync, made by hand so that it stays small. */
export const createOnMedia = (media: readonly SimMedium[], shape: SimShape, prng: Prng): void => {
  const setUuid = prng.bytes(16);
  const roles = new Uint16Array(128).fill(0xffff);
  for (let index = 0; index < media.length; index++) roles[index] = index;
  const created = { seconds: 1_700_000_000, microseconds: 0 };
  const { hasBitmap, hasBadBlockLog, raid10 } = shape;
  for (const [index, medium] of media.entries()) {
    const superblock: Superblock = {
      featureMap: hasBitmap ? 1 : 0,
      setUuid,
      setName: new TextEncoder().encode("sim:md0".padEnd(32, "\0")),
      ctime: created,
      level: raid10 === null ? 1 : 10,
      layout: raid10?.layout ?? 0,
      size: SIZE,
      chunkSize: raid10?.chunkSectors ?? 0,
      raidDisks: media.length,
      bitmapOffset: hasBitmap ? 8 : 0,
      reshapeArea: new Uint8Array(24),
      newOffset: 0,
      dataOffset: DATA_OFFSET,
      dataSize: SIZE,
      superOffset: SUPER_OFFSET,
      recoveryOffset: 0,
      devNumber: index,
      cntCorrectedRead: 0,
      deviceUuid: prng.bytes(16),
      devFlags: 0,
      bblogShift: 0,
      ...(hasBadBlockLog ? BBLOG : { bblogSize: 0, bblogOffset: 0 }),
      utime: created,
      events: EVENTS,
      resyncOffset: "none",
      logicalBlockSize: 0,
      devRoles: roles,
    };
    medium.preset(SUPER_OFFSET * SECTOR, encodeSuperblock(superblock));
    if (hasBitmap) medium.preset(BITMAP_AT, firstBitmap(setUuid, shape.map.sizeBytes / SECTOR));
  }
};

const firstBitmap = (setUuid: Uint8Array, syncSize: number): Uint8Array =>
  encodeBitmapSuperblock({
    version: 4,
    uuid: setUuid,
    events: EVENTS,
    eventsCleared: EVENTS,
    syncSize,
    state: 0,
    chunkBytes: BITMAP_CHUNK,
    daemonSleepSeconds: 5,
    writeBehind: 0,
    sectorsReserved: 0,
    nodes: 0,
    clusterName: new Uint8Array(64),
    pad: new Uint8Array(120),
  });

/** A medium that claims a place in the array. */
interface Leg {
  readonly medium: SimMedium;
  /** Its role; -1 without one. */
  readonly raidSlot: number;
  readonly superblock: Superblock;
  /** Chunks whose bit is set on it; null without a bitmap. */
  readonly bits: ReadonlySet<number> | null;
  /** Ranges that nobody may read on it, bytes behind the data offset. */
  readonly bad: readonly BadRange[];
}

/** What the media say after a stop. */
export interface MediaView {
  readonly inSync: readonly Leg[];
  readonly rebuilding: readonly Leg[];
  readonly clean: boolean;
  /** Chunks whose bit is set on any in-sync leg; null without a bitmap. */
  readonly dirty: ReadonlySet<number> | null;
}

const legOf = (medium: SimMedium): Leg | null => {
  const decoded = decodeSuperblock(medium.durable.subarray(4096, 8192), SUPER_OFFSET);
  if (!decoded.ok) {
    // A torn superblock write is possible only in its first 512 bytes, which one sector holds.
    assert(decoded.reason === "no-magic", `a superblock became unreadable: ${decoded.reason}`);
    return null;
  }
  const superblock = decoded.value;
  const role = memberRole(superblock, superblock.devNumber);
  const raidSlot = role.type === "slot" ? role.raidSlot : -1;
  const bad = badOf(medium, superblock);
  return { medium, raidSlot, superblock, bits: bitsOf(medium, superblock), bad };
};

const badOf = (medium: SimMedium, superblock: Superblock): readonly BadRange[] => {
  const range = badBlockRange(superblock);
  if (range === null) return [];
  const page = medium.durable.subarray(range.offset, range.offset + range.length);
  const runs = decodeBadBlocks(page, superblock.bblogShift);
  assert(runs !== null, "a bad-block list became unreadable");
  return rangesFromRuns(runs, superblock.dataOffset);
};

const bitsOf = (medium: SimMedium, superblock: Superblock): Set<number> | null => {
  if ((superblock.featureMap & 1) === 0) return null;
  const area = medium.durable.subarray(BITMAP_AT, BITMAP_AT + 4096);
  const decoded = decodeBitmapSuperblock(area, superblock.setUuid);
  // A spare's superblock may be durable before its bitmap is.
  if (!decoded.ok && memberRole(superblock, superblock.devNumber).type !== "slot") return null;
  assert(decoded.ok, "every leg keeps a readable bitmap");
  const bits = new Set<number>();
  const chunks = bitmapChunks(decoded.value.syncSize, BITMAP_CHUNK);
  for (let chunk = 0; chunk < chunks; chunk++) {
    if (((area[256 + (chunk >> 3)] ?? 0) & (1 << (chunk & 7))) !== 0) bits.add(chunk);
  }
  return bits;
};

/** The legs as assembly must see them: this is written from md's rules, not from our assembly. */
export const viewMedia = (media: readonly SimMedium[]): MediaView => {
  const legs = media.map(legOf).filter((leg) => leg !== null);
  const active = legs.filter(
    ({ superblock }) => memberRole(superblock, superblock.devNumber).type === "slot",
  );
  const events = Math.max(...active.map(({ superblock }) => superblock.events));
  const freshest =
    active.find(({ superblock: sb }) => sb.events === events && (sb.featureMap & 2) === 0) ??
    active.find(({ superblock: sb }) => sb.events === events);
  assert(freshest !== undefined, "an active member is left");
  const present = active.filter(({ superblock: sb }) => {
    const role = memberRole(freshest.superblock, sb.devNumber).type;
    return sb.events + 1 >= events && role === "slot";
  });
  const isRebuilding = ({ superblock: sb }: Leg) =>
    (sb.featureMap & MD_FEATURE_RECOVERY_OFFSET) !== 0;
  const inSync = present.filter((leg) => !isRebuilding(leg));
  const hasBitmap = (freshest.superblock.featureMap & 1) !== 0;
  return {
    inSync,
    rebuilding: present.filter(isRebuilding),
    clean: inSync.every(({ superblock }) => superblock.resyncOffset !== 0),
    dirty: hasBitmap ? new Set(inSync.flatMap(({ bits }) => [...(bits ?? [])])) : null,
  };
};

/** Bytes of two members that must be equal: `[from, to)` of the one against the other's place. */
interface Pair {
  readonly a: Leg;
  readonly aAt: number;
  readonly b: Leg;
  readonly bAt: number;
  readonly length: number;
}

const dataAt = (leg: Leg, at: number, length: number): Uint8Array =>
  leg.medium.durable.subarray(
    DATA_OFFSET * SECTOR + at,
    DATA_OFFSET * SECTOR + at + Math.max(length, 0),
  );

const isBad = ({ bad }: Leg, at: number): boolean =>
  bad.some(([from, to]) => from < at + SECTOR && at < to);

const differ = ({ a, aAt, b, bAt, length }: Pair): boolean => {
  if (Buffer.compare(dataAt(a, aAt, length), dataAt(b, bAt, length)) === 0) return false;
  for (let at = 0; at < length; at += SECTOR) {
    if (isBad(a, aAt + at) || isBad(b, bAt + at)) continue;
    if (Buffer.compare(dataAt(a, aAt + at, SECTOR), dataAt(b, bAt + at, SECTOR)) !== 0) return true;
  }
  return false;
};

/**
 * In-sync copies are equal wherever they must be: everywhere when the superblocks say clean and
 * nothing is to be resynced, else in every chunk whose bit is missing on a leg. Legs under rebuild
 * hold what their superblock claims.
 */
export const checkLegsOnMedia = (media: readonly SimMedium[], shape: SimShape): void => {
  const view = viewMedia(media);
  const { map } = shape;
  const slots = new Set(view.inSync.map(({ raidSlot }) => raidSlot));
  assert(map.copiesLeft((slot) => slots.has(slot)) > 0, "a copy of everything is left");
  const step = Math.min(BITMAP_CHUNK, map.chunkBytes);
  const resynced = resyncedUpTo(view, map.sizeBytes);
  for (let offset = 0; offset < map.sizeBytes; offset += step) {
    const [extent] = map.extents(offset, Math.min(step, map.sizeBytes - offset));
    assert(extent !== undefined, "an extent of the array");
    const legs = (wanted: readonly Leg[]) =>
      extent.places.flatMap(({ slot, position }) =>
        wanted.flatMap((leg) => (leg.raidSlot === slot ? [{ leg, position }] : [])),
      );
    const [first, ...others] = legs(view.inSync);
    if (first === undefined) continue;
    const chunk = Math.floor(offset / BITMAP_CHUNK);
    for (const { leg, position } of others) {
      const equal = hasBit(first.leg, leg, chunk)
        ? Math.min(resynced - offset, extent.length)
        : extent.length;
      const pair = { a: first.leg, aAt: first.position, b: leg, bAt: position, length: equal };
      if (differ(pair)) complain("legs", pair, offset);
    }
    for (const { leg, position } of legs(view.rebuilding)) {
      const upTo = hasBit(first.leg, leg, chunk) ? rebuiltUpTo(view, leg) : claimOf(leg);
      const equal = Math.min(upTo - position, extent.length);
      const pair = { a: first.leg, aAt: first.position, b: leg, bAt: position, length: equal };
      if (differ(pair)) complain("a leg under rebuild", pair, offset);
    }
  }
};

/** The chunk may differ between the two: its bit is on both, or there is no bitmap. */
const hasBit = (a: Leg, b: Leg, chunk: number): boolean =>
  a.bits === null || (a.bits.has(chunk) && b.bits?.has(chunk) === true);

/** How far in-sync legs must be equal whatever the bits say, bytes of the array. */
const resyncedUpTo = (view: MediaView, sizeBytes: number): number => {
  if (!view.clean) return 0;
  const claims = view.inSync.map(({ superblock: { resyncOffset } }) =>
    resyncOffset === "none" ? sizeBytes : resyncOffset * SECTOR,
  );
  // With a bitmap a checkpoint counts for nothing: the set bits say what is to be done.
  const claim = Math.min(...claims);
  return view.dirty !== null && claim < sizeBytes ? 0 : claim;
};

/** How far a leg under rebuild is equal whatever the bits say, bytes of the member. */
const rebuiltUpTo = (view: MediaView, { superblock }: Leg): number => {
  const { recoveryOffset } = superblock;
  return view.clean && recoveryOffset !== "none" ? recoveryOffset * SECTOR : 0;
};

/** How far it is equal where no bit is set. */
const claimOf = ({ superblock }: Leg): number => {
  const guided = (superblock.featureMap & MD_FEATURE_RECOVERY_BITMAP) !== 0;
  const { recoveryOffset } = superblock;
  return guided || recoveryOffset === "none" ? SIZE * SECTOR : recoveryOffset * SECTOR;
};

const complain = (what: string, { a, b }: Pair, offset: number): void =>
  assert(false, `${what} differ at ${offset} of the array: ${describe(a)}; ${describe(b)}`);

const describe = ({ superblock: sb, bits }: Leg): string =>
  `number ${sb.devNumber} events ${sb.events} resync ${sb.resyncOffset} features ` +
  `${sb.featureMap} recovery ${sb.recoveryOffset} roles ${[...sb.devRoles.slice(0, 6)].join()} ` +
  `bits ${bits === null ? "none" : [...bits].join()}`;
