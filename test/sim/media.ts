/** The simulated array's geometry, its creation, and what must hold on the media after any stop. */

import { assert } from "../../src/common/assert.ts";
import type { Prng } from "../../src/common/prng.ts";
import type { SimMedium } from "../../src/hal/sim/crash-device.ts";
import {
  bitmapChunks,
  decodeBitmapSuperblock,
  encodeBitmapSuperblock,
} from "../../src/raid/bitmap-superblock.ts";
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
const CHUNKS = bitmapChunks(SIZE, BITMAP_CHUNK);
const EVENTS = 5;

export const GEOMETRY = {
  mediumBytes: (DATA_OFFSET + SIZE) * SECTOR,
  bitmapAt: BITMAP_AT,
  dataAt: DATA_OFFSET * SECTOR,
  chunkBytes: BITMAP_CHUNK,
  chunks: CHUNKS,
} as const;
export const contentBytes = (): number => SIZE * SECTOR;

/** A fresh raid1 array, legs equal and in sync, made by hand so that it stays small. */
export const createOnMedia = (
  media: readonly SimMedium[],
  withBitmap: boolean,
  prng: Prng,
): void => {
  const setUuid = prng.bytes(16);
  const roles = new Uint16Array(128).fill(0xffff);
  for (let index = 0; index < media.length; index++) roles[index] = index;
  const created = { seconds: 1_700_000_000, microseconds: 0 };
  for (const [index, medium] of media.entries()) {
    const superblock: Superblock = {
      featureMap: withBitmap ? 1 : 0,
      setUuid,
      setName: new TextEncoder().encode("sim:md0".padEnd(32, "\0")),
      ctime: created,
      level: 1,
      layout: 0,
      size: SIZE,
      chunkSize: 0,
      raidDisks: media.length,
      bitmapOffset: withBitmap ? 8 : 0,
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
      bblogSize: 0,
      bblogOffset: 0,
      utime: created,
      events: EVENTS,
      resyncOffset: "none",
      logicalBlockSize: 0,
      devRoles: roles,
    };
    medium.preset(SUPER_OFFSET * SECTOR, encodeSuperblock(superblock));
    if (withBitmap) medium.preset(BITMAP_AT, firstBitmap(setUuid));
  }
};

const firstBitmap = (setUuid: Uint8Array): Uint8Array =>
  encodeBitmapSuperblock({
    version: 4,
    uuid: setUuid,
    events: EVENTS,
    eventsCleared: EVENTS,
    syncSize: SIZE,
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
  readonly superblock: Superblock;
  /** Chunks whose bit is set on it; null without a bitmap. */
  readonly bits: ReadonlySet<number> | null;
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
  return { medium, superblock: decoded.value, bits: bitsOf(medium, decoded.value) };
};

const bitsOf = (medium: SimMedium, superblock: Superblock): Set<number> | null => {
  if ((superblock.featureMap & 1) === 0) return null;
  const area = medium.durable.subarray(BITMAP_AT, BITMAP_AT + 4096);
  const decoded = decodeBitmapSuperblock(area, superblock.setUuid);
  // A spare's superblock may be durable before its bitmap is.
  if (!decoded.ok && memberRole(superblock, superblock.devNumber).type !== "slot") return null;
  assert(decoded.ok, "every leg keeps a readable bitmap");
  const bits = new Set<number>();
  for (let chunk = 0; chunk < CHUNKS; chunk++) {
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

const differ = (a: SimMedium, b: SimMedium, from: number, to: number): boolean => {
  const lo = DATA_OFFSET * SECTOR + from;
  const hi = DATA_OFFSET * SECTOR + Math.min(to, contentBytes());
  return lo < hi && Buffer.compare(a.durable.subarray(lo, hi), b.durable.subarray(lo, hi)) !== 0;
};

/**
 * Legs in sync are equal wherever they must be: everywhere when the superblocks say clean and
 * nothing is to be resynced, else in every chunk whose bit is missing on a leg. Legs under rebuild
 * hold what their superblock claims.
 */
export const checkLegsOnMedia = (media: readonly SimMedium[]): void => {
  const view = viewMedia(media);
  const [first, ...others] = view.inSync;
  assert(first !== undefined, "a leg in sync is left");
  for (const leg of others) checkEqual(view, first, leg, resyncedUpTo(view));
  for (const leg of view.rebuilding) checkEqual(view, first, leg, rebuiltUpTo(view, leg));
};

/** How far in-sync legs must be equal whatever the bits say, bytes. */
const resyncedUpTo = (view: MediaView): number => {
  if (!view.clean) return 0;
  const claims = view.inSync.map(({ superblock: { resyncOffset } }) =>
    resyncOffset === "none" ? contentBytes() : resyncOffset * SECTOR,
  );
  // With a bitmap a checkpoint counts for nothing: the set bits say what is to be done.
  const claim = Math.min(...claims);
  return view.dirty !== null && claim < contentBytes() ? 0 : claim;
};

const rebuiltUpTo = (view: MediaView, { superblock }: Leg): number => {
  const { recoveryOffset } = superblock;
  return view.clean && recoveryOffset !== "none" ? recoveryOffset * SECTOR : 0;
};

const checkEqual = (view: MediaView, first: Leg, leg: Leg, upTo: number): void => {
  const { superblock } = leg;
  const rebuilding = view.rebuilding.includes(leg);
  const guided = (superblock.featureMap & MD_FEATURE_RECOVERY_BITMAP) !== 0;
  const claimed =
    rebuilding && !guided && superblock.recoveryOffset !== "none"
      ? superblock.recoveryOffset * SECTOR
      : contentBytes();
  for (let chunk = 0; chunk < CHUNKS; chunk++) {
    const from = chunk * BITMAP_CHUNK;
    const to = Math.min(from + BITMAP_CHUNK, claimed);
    const bitSet = first.bits === null || (first.bits.has(chunk) && leg.bits?.has(chunk) === true);
    if (bitSet && upTo < to) {
      if (upTo <= from || !differ(first.medium, leg.medium, from, upTo)) continue;
    } else if (!differ(first.medium, leg.medium, from, to)) continue;
    const what = rebuilding ? "a leg under rebuild" : "legs";
    const why = bitSet ? "claimed equal" : "not dirty";
    assert(false, `${what} differ in chunk ${chunk}, ${why}: ${describe(first)}; ${describe(leg)}`);
  }
};

const describe = ({ superblock: sb, bits }: Leg): string =>
  `number ${sb.devNumber} events ${sb.events} resync ${sb.resyncOffset} features ` +
  `${sb.featureMap} recovery ${sb.recoveryOffset} roles ${[...sb.devRoles.slice(0, 6)].join()} ` +
  `bits ${bits === null ? "none" : [...bits].join()}`;
