/**
 * The media of a simulated cluster's array: a clustered raid1 or raid10 made by hand, small, and
 * what the superblocks and bitmaps on the media say, read by md's rules and not by our assembly.
 */

import { assert } from "../../../src/common/assert.ts";
import type { Prng } from "../../../src/common/prng.ts";
import { ArrayMap } from "../../../src/raid/array-map.ts";
import {
  bitmapChunks,
  bitmapSlotBytes,
  encodeBitmapSuperblock,
} from "../../../src/raid/bitmap-superblock.ts";
import { parseRaid10Layout } from "../../../src/raid/raid10-layout.ts";
import { decodeSuperblock, encodeSuperblock, memberRole } from "../../../src/raid/superblock.ts";
import {
  MD_FEATURE_RECOVERY_OFFSET,
  type Superblock,
} from "../../../src/raid/superblock-fields.ts";
import type { SharedMedium } from "./shared-medium.ts";

const SECTOR = 512;
const SUPER_SECTOR = 8;
const SUPER_AT = SUPER_SECTOR * SECTOR;
const SUPER_BYTES = 4096;
const BITMAP_AT = 16 * SECTOR;
const BITMAP_HEAD = 256;
const DATA_AT = 128 * SECTOR;
/** Sectors of the largest array. */
const SECTORS = 8192;
const CHUNK = 64 * 1024;
const EVENTS = 5;

/** Byte sizes and places; `arrayBytes`, `sectors` and `chunks` of the largest array. */
export const CLUSTER_GEOMETRY = {
  dataAt: DATA_AT,
  arrayBytes: SECTORS * SECTOR,
  sectors: SECTORS,
  chunkBytes: CHUNK,
  chunks: bitmapChunks(SECTORS, CHUNK),
} as const;

export const CLUSTER_NAME = "sim";

const SLOT_BYTES = bitmapSlotBytes(CLUSTER_GEOMETRY.chunks);
const BIT_BYTES = Math.ceil(CLUSTER_GEOMETRY.chunks / 8);

/** What array a story begins with. Sizes are sectors of each member. */
export interface ArrayShape {
  readonly name: string;
  readonly level: 1 | 10;
  /** 0 for raid1, as `chunkSectors`. */
  readonly layout: number;
  readonly chunkSectors: number;
  readonly raidDisks: number;
  readonly size: number;
  /** As large as it can be made; not more than `size` where md does not grow the layout. */
  readonly sizeMax: number;
}

const raid1 = (raidDisks: number): ArrayShape => ({
  name: `raid1 of ${raidDisks}`,
  level: 1,
  layout: 0,
  chunkSectors: 0,
  raidDisks,
  size: 6144,
  sizeMax: SECTORS,
});

const raid10 = (name: string, raidDisks: number, size: number, sizeMax: number): ArrayShape => {
  const layout = parseRaid10Layout(name);
  assert(layout !== null, `${name} is a layout`);
  return {
    name: `raid10 ${name} of ${raidDisks}`,
    level: 10,
    layout,
    chunkSectors: 16,
    raidDisks,
    size,
    sizeMax,
  };
};

const MIRRORS: readonly ArrayShape[] = [raid1(2), raid1(2), raid1(2), raid1(3)];
const STRIPES: readonly ArrayShape[] = [
  raid10("n2", 3, 4096, 5376),
  raid10("n2", 4, 3072, 4096),
  raid10("f2", 3, 4096, 4096),
  raid10("o2", 3, 4096, 5376),
];

/** Three of four stories have a raid1. */
export const drawShape = (prng: Prng): ArrayShape =>
  prng.pick(prng.below(4) === 0 ? STRIPES : MIRRORS);

/** Bytes of a medium that has room for the largest array of this shape. */
export const mediumBytes = ({ sizeMax }: ArrayShape): number => DATA_AT + sizeMax * SECTOR;

/** A clustered array, copies equal and in sync; media beyond `raidDisks` stay blank. */
export const createClusteredArray = (
  media: readonly SharedMedium[],
  { level, layout, chunkSectors, raidDisks, size, sizeMax }: ArrayShape,
  nodes: number,
  prng: Prng,
): Uint8Array => {
  const setUuid = prng.bytes(16);
  const roles = new Uint16Array(128).fill(0xffff);
  for (let index = 0; index < raidDisks; index++) roles[index] = index;
  const time = { seconds: 1_700_000_000, microseconds: 0 };
  const members = media.slice(0, raidDisks);
  const any = {
    // MD_FEATURE_BITMAP_OFFSET and MD_FEATURE_CLUSTERED.
    featureMap: 0x101,
    setUuid,
    setName: new TextEncoder().encode("sim:md0".padEnd(32, "\0")),
    ctime: time,
    level,
    layout,
    size,
    chunkSize: chunkSectors,
    raidDisks,
    bitmapOffset: 8,
    reshapeArea: new Uint8Array(24),
    newOffset: 0,
    dataOffset: DATA_AT / SECTOR,
    dataSize: sizeMax,
    superOffset: SUPER_SECTOR,
    recoveryOffset: 0,
    cntCorrectedRead: 0,
    devFlags: 0,
    bblogShift: 0,
    bblogSize: 0,
    bblogOffset: 0,
    utime: time,
    events: EVENTS,
    resyncOffset: 0,
    logicalBlockSize: 0,
    devRoles: roles,
  } as const;
  const syncSize = new ArrayMap(mapShape({ level, layout, chunkSectors, raidDisks, size }));
  const bitmap = firstBitmap(setUuid, nodes, syncSize.sizeBytes / SECTOR);
  for (const [index, medium] of members.entries()) {
    const superblock: Superblock = { ...any, devNumber: index, deviceUuid: prng.bytes(16) };
    medium.preset(SUPER_AT, encodeSuperblock(superblock));
    for (let slot = 0; slot < nodes; slot++) medium.preset(BITMAP_AT + slot * SLOT_BYTES, bitmap);
  }
  return setUuid;
};

/** As the product's map of an array wants it. */
export const mapShape = (
  shape: Omit<ArrayShape, "name" | "sizeMax">,
): ConstructorParameters<typeof ArrayMap>[0] => ({
  raidSlots: shape.raidDisks,
  componentSectors: shape.size,
  raid10: shape.level === 1 ? null : { layout: shape.layout, chunkSectors: shape.chunkSectors },
});

const firstBitmap = (setUuid: Uint8Array, nodes: number, syncSize: number): Uint8Array => {
  const clusterName = new Uint8Array(64);
  clusterName.set(new TextEncoder().encode(CLUSTER_NAME));
  return encodeBitmapSuperblock({
    version: 5,
    uuid: setUuid,
    events: EVENTS,
    eventsCleared: EVENTS,
    syncSize,
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

/** Whether a write changes a medium's superblock. */
export const isSuperblockAt = (offset: number, length: number): boolean =>
  offset < SUPER_AT + SUPER_BYTES && offset + length > SUPER_AT;

/** What a medium's superblock claims; null without one. */
export const superblockOf = (bytes: Uint8Array): Superblock | null => {
  const decoded = decodeSuperblock(bytes.subarray(SUPER_AT, SUPER_AT + SUPER_BYTES), SUPER_SECTOR);
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

/** The bits of each slot that a write to a medium covers: bytes of the medium. */
export const bitsUnder = (
  offset: number,
  length: number,
  nodes: number,
): readonly { readonly slot: number; readonly from: number; readonly to: number }[] => {
  const found: { slot: number; from: number; to: number }[] = [];
  for (let slot = 0; slot < nodes; slot++) {
    const bits = BITMAP_AT + slot * SLOT_BYTES + BITMAP_HEAD;
    const from = Math.max(offset, bits);
    const to = Math.min(offset + length, bits + BIT_BYTES);
    if (from < to) found.push({ slot, from, to });
  }
  return found;
};

/** The first chunk whose bit is in this byte of a slot's bits. */
export const chunkAt = (slot: number, at: number): number =>
  (at - BITMAP_AT - slot * SLOT_BYTES - BITMAP_HEAD) * 8;

/** Media with a role, as the freshest superblock gives them. */
export interface MediaRoles {
  readonly inSync: readonly SharedMedium[];
  readonly rebuilding: readonly SharedMedium[];
  /** Raid slots of those in sync. */
  readonly slots: ReadonlyMap<number, SharedMedium>;
  readonly raidDisks: number;
  /** Sectors of each member. */
  readonly size: number;
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
  const inSync = present.filter(({ sb }) => !isRebuilding(sb));
  const rebuilding = present.filter(({ sb }) => isRebuilding(sb));
  return {
    inSync: inSync.map(({ medium }) => medium),
    rebuilding: rebuilding.map(({ medium }) => medium),
    slots: new Map(
      inSync.flatMap(({ medium, sb }) => {
        const role = memberRole(freshest.sb, sb.devNumber);
        return role.type === "slot" ? [[role.raidSlot, medium] as const] : [];
      }),
    ),
    raidDisks: freshest.sb.raidDisks,
    size: freshest.sb.size,
  };
};

const isRebuilding = (sb: Superblock): boolean =>
  (sb.featureMap & MD_FEATURE_RECOVERY_OFFSET) !== 0;

/** The write that a sector of a medium's data holds: sectors are filled with its number. */
export const sectorOn = (bytes: Uint8Array, position: number): number => {
  const at = DATA_AT + position;
  return (
    (bytes[at] ?? 0) |
    ((bytes[at + 1] ?? 0) << 8) |
    ((bytes[at + 2] ?? 0) << 16) |
    ((bytes[at + 3] ?? 0) << 24)
  );
};
