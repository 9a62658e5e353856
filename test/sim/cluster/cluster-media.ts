/**
 * The media of a simulated cluster's array: a clustered raid1 made by hand, small, and what the
 * superblocks and bitmaps on the media say, read by md's rules and not by our assembly.
 */

import { assert } from "../../../src/common/assert.ts";
import type { Prng } from "../../../src/common/prng.ts";
import {
  bitmapChunks,
  bitmapSlotBytes,
  encodeBitmapSuperblock,
} from "../../../src/raid/bitmap-superblock.ts";
import { decodeSuperblock, encodeSuperblock, memberRole } from "../../../src/raid/superblock.ts";
import {
  MD_FEATURE_RECOVERY_OFFSET,
  type Superblock,
} from "../../../src/raid/superblock-fields.ts";
import type { SharedMedium } from "./shared-medium.ts";

const SECTOR = 512;
const SUPER_SECTOR = 8;
const BITMAP_AT = 16 * SECTOR;
const BITMAP_HEAD = 256;
const DATA_AT = 128 * SECTOR;
const SIZE = 6144;
const CHUNK = 64 * 1024;
const EVENTS = 5;

/** Byte sizes and places. */
export const CLUSTER_GEOMETRY = {
  mediumBytes: DATA_AT + SIZE * SECTOR,
  dataAt: DATA_AT,
  arrayBytes: SIZE * SECTOR,
  sectors: SIZE,
  chunkBytes: CHUNK,
  chunks: bitmapChunks(SIZE, CHUNK),
} as const;

export const CLUSTER_NAME = "sim";

const SLOT_BYTES = bitmapSlotBytes(CLUSTER_GEOMETRY.chunks);

/** A clustered array, copies equal and in sync; media beyond `raidDisks` stay blank. */
export const createClusteredArray = (
  media: readonly SharedMedium[],
  raidDisks: number,
  nodes: number,
  prng: Prng,
): Uint8Array => {
  const setUuid = prng.bytes(16);
  const roles = new Uint16Array(128).fill(0xffff);
  for (let index = 0; index < raidDisks; index++) roles[index] = index;
  const time = { seconds: 1_700_000_000, microseconds: 0 };
  const members = media.slice(0, raidDisks);
  for (const [index, medium] of members.entries()) {
    const superblock: Superblock = {
      // MD_FEATURE_BITMAP_OFFSET and MD_FEATURE_CLUSTERED.
      featureMap: 0x101,
      setUuid,
      setName: new TextEncoder().encode("sim:md0".padEnd(32, "\0")),
      ctime: time,
      level: 1,
      layout: 0,
      size: SIZE,
      chunkSize: 0,
      raidDisks,
      bitmapOffset: 8,
      reshapeArea: new Uint8Array(24),
      newOffset: 0,
      dataOffset: DATA_AT / SECTOR,
      dataSize: SIZE,
      superOffset: SUPER_SECTOR,
      recoveryOffset: 0,
      devNumber: index,
      cntCorrectedRead: 0,
      deviceUuid: prng.bytes(16),
      devFlags: 0,
      bblogShift: 0,
      bblogSize: 0,
      bblogOffset: 0,
      utime: time,
      events: EVENTS,
      resyncOffset: 0,
      logicalBlockSize: 0,
      devRoles: roles,
    };
    medium.preset(SUPER_SECTOR * SECTOR, encodeSuperblock(superblock));
    for (let slot = 0; slot < nodes; slot++)
      medium.preset(BITMAP_AT + slot * SLOT_BYTES, firstBitmap(setUuid, nodes));
  }
  return setUuid;
};

const firstBitmap = (setUuid: Uint8Array, nodes: number): Uint8Array => {
  const clusterName = new Uint8Array(64);
  clusterName.set(new TextEncoder().encode(CLUSTER_NAME));
  return encodeBitmapSuperblock({
    version: 5,
    uuid: setUuid,
    events: EVENTS,
    eventsCleared: EVENTS,
    syncSize: SIZE,
    state: 0,
    chunkBytes: CHUNK,
    daemonSleepSeconds: 5,
    writeBehind: 0,
    sectorsReserved: 0,
    nodes,
    clusterName,
    pad: new Uint8Array(120),
  });
};

/** What a medium's superblock claims; null without one. */
export const superblockOf = (bytes: Uint8Array): Superblock | null => {
  const decoded = decodeSuperblock(bytes.subarray(4096, 8192), SUPER_SECTOR);
  return decoded.ok ? decoded.value : null;
};

/** Chunks whose bit is set in a slot's bitmap. */
export const bitsIn = (bytes: Uint8Array, slot: number): Set<number> => {
  const bits = new Set<number>();
  for (let chunk = 0; chunk < CLUSTER_GEOMETRY.chunks; chunk++)
    if (hasBitIn(bytes, slot, chunk)) bits.add(chunk);
  return bits;
};

/** Where a slot's bit of a chunk lies on a medium. */
export const bitPlace = (
  slot: number,
  chunk: number,
): { readonly at: number; readonly mask: number } => ({
  at: BITMAP_AT + slot * SLOT_BYTES + BITMAP_HEAD + (chunk >> 3),
  mask: 1 << (chunk & 7),
});

export const hasBitIn = (bytes: Uint8Array, slot: number, chunk: number): boolean => {
  const { at, mask } = bitPlace(slot, chunk);
  return ((bytes[at] ?? 0) & mask) !== 0;
};

/** The slot whose bits lie at a position of a medium, and the first chunk of that byte; or null. */
export const bitsAt = (
  position: number,
  nodes: number,
): { readonly slot: number; readonly chunk: number } | null => {
  const slot = Math.floor((position - BITMAP_AT) / SLOT_BYTES);
  const within = position - BITMAP_AT - slot * SLOT_BYTES - BITMAP_HEAD;
  const isBits = slot >= 0 && slot < nodes && within >= 0 && within * 8 < CLUSTER_GEOMETRY.chunks;
  return isBits ? { slot, chunk: within * 8 } : null;
};

/** Media with a role, as the freshest superblock gives them. */
export interface MediaRoles {
  readonly inSync: readonly SharedMedium[];
  readonly rebuilding: readonly SharedMedium[];
}

/**
 * By the superblocks as every node reads them now (`current`), or as a power cut would leave them.
 * A member two events behind, or whose role the freshest one has taken, is out.
 */
export const rolesOn = (
  media: readonly SharedMedium[],
  of: "current" | "durable" = "current",
): MediaRoles => {
  const found = media.flatMap((medium) => {
    const sb = superblockOf(medium[of]);
    return sb === null ? [] : [{ medium, sb, own: memberRole(sb, sb.devNumber) }];
  });
  const active = found.filter(({ own }) => own.type === "slot");
  const events = Math.max(...active.map(({ sb }) => sb.events));
  const newest = active.filter(({ sb }) => sb.events === events);
  const freshest = newest.find(({ sb }) => !isRebuilding(sb)) ?? newest[0];
  assert(freshest !== undefined, "an active member is left");
  const present = active.filter(
    ({ sb }) => sb.events + 1 >= events && memberRole(freshest.sb, sb.devNumber).type === "slot",
  );
  const media_ = (isWanted: boolean) =>
    present.flatMap(({ medium, sb }) => (isRebuilding(sb) === isWanted ? [medium] : []));
  return { inSync: media_(false), rebuilding: media_(true) };
};

const isRebuilding = (sb: Superblock): boolean =>
  (sb.featureMap & MD_FEATURE_RECOVERY_OFFSET) !== 0;

/** The write that a sector of the array holds on a medium: sectors are filled with its number. */
export const sectorOn = (bytes: Uint8Array, sector: number): number => {
  const at = DATA_AT + sector * SECTOR;
  return (
    (bytes[at] ?? 0) |
    ((bytes[at + 1] ?? 0) << 8) |
    ((bytes[at + 2] ?? 0) << 16) |
    ((bytes[at + 3] ?? 0) << 24)
  );
};

/** Whether two media hold the same in these bytes of the array. */
export const isEqualOn = (
  one: Uint8Array,
  other: Uint8Array,
  offset: number,
  length: number,
): boolean =>
  Buffer.compare(
    one.subarray(DATA_AT + offset, DATA_AT + offset + length),
    other.subarray(DATA_AT + offset, DATA_AT + offset + length),
  ) === 0;
