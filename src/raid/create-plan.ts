/**
 * `create` as a decision: from options and member sizes to the exact bytes `mdadm --create` writes
 * on each member, or a refusal. Pure: UUIDs, time and names come in, nothing is written here.
 * Source: mdadm super1.c init_super1, write_init_super1, write_bitmap1; measured with mdadm 4.2
 * (test/golden/mdadm-create): the bad-block page is reserved, not written.
 */

import { assert } from "../common/assert.ts";
import type { BitmapSuperblock } from "./bitmap-superblock.ts";
import { BITMAP_NODES_MAX, encodeBitmapSuperblock } from "./bitmap-superblock.ts";
import type { ByteRange, ProbedMember } from "./probe.ts";
import type { Raid10Geometry } from "./raid10-layout.ts";
import { raid10ArraySectors, raid10Enough, raid10Geometry } from "./raid10-layout.ts";
import type { BitmapSizing, MemberLayout } from "./sizing.ts";
import { dataOffsetSectors, layOutMember, sizeBitmap, usableSectors } from "./sizing.ts";
import { encodeSuperblock } from "./superblock.ts";
import { SUPERBLOCK_090_BYTES, superblock090Sector } from "./superblock-090.ts";
import type { MinorVersion, Superblock } from "./superblock-fields.ts";
import {
  MAX_DEV_LIMIT,
  MD_DISK_ROLE_SPARE,
  MD_FEATURE_BITMAP_OFFSET,
  MD_FEATURE_CLUSTERED,
  RESHAPE_AREA_BYTES,
  SECTOR_BYTES,
  SUPERBLOCK_HEADER_BYTES,
  SUPERBLOCK_MAX_BYTES,
} from "./superblock-fields.ts";

/** What to create. Sizes in sectors unless named otherwise. */
export interface CreateOptions {
  readonly level: 1 | 10;
  readonly raidDevices: number;
  readonly spareDevices: number;
  /** raid10 layout word; 0 for raid1. */
  readonly layout: number;
  /** 0 for raid1. */
  readonly chunkSectors: number;
  readonly minor: MinorVersion;
  readonly bitmap: "internal" | "clustered" | "none";
  /** Bytes per bitmap bit; null = choose. */
  readonly bitmapChunkBytes: number | null;
  /** Seconds between bitmap sweeps; md's default is 5. */
  readonly bitmapDelaySeconds: number;
  /** Bitmap slots of a clustered array. */
  readonly nodes: number;
  readonly clusterName: string;
  /** 32 bytes, see `setNameBytes`. */
  readonly setName: Uint8Array;
  readonly setUuid: Uint8Array;
  /** Seconds since the epoch. */
  readonly createdAt: number;
  readonly assumeClean: boolean;
  /** Component size; null = as much as fits every member. */
  readonly size: number | null;
}

/** One position of the member list, in mdadm's order: raid slots first, then spares. */
export type CreateMember =
  | "missing"
  | {
      readonly path: string;
      readonly sizeBytes: number;
      /** Smallest unit it writes, bytes; 512 when not told. */
      readonly logicalBlockSize?: number;
      readonly deviceUuid: Uint8Array;
      /** WRITE_MOSTLY, FAIL_FAST; none unless said. */
      readonly devFlags?: number;
      /** Old metadata to blank so that nothing finds it any more. */
      readonly stale: readonly ByteRange[];
    };

/**
 * Bytes for one member at a byte offset. Superblocks go AFTER every other write of every member.
 */
export interface PlannedWrite {
  readonly kind: "erase" | "bitmap" | "superblock";
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** What is written on one member; null in the list stands for a missing one. */
export interface PlannedMember {
  readonly path: string;
  readonly superblock: Superblock;
  readonly writes: readonly PlannedWrite[];
}

export interface CreatePlan {
  readonly members: readonly (PlannedMember | null)[];
  /** Component size and array size. */
  readonly size: number;
  readonly arraySectors: number;
  readonly dataOffset: number;
  readonly bitmap: { readonly chunkBytes: number; readonly chunks: number } | null;
}

/** Codes of refusals; each names what is wrong and what to do. */
export type CreateRefusalCode =
  | "RAID_BAD_NAME"
  | "RAID_BAD_MEMBER_COUNT"
  | "RAID_BAD_LAYOUT"
  | "RAID_BAD_BITMAP_CHUNK"
  | "RAID_BAD_CLUSTER"
  | "RAID_MEMBER_TOO_SMALL"
  | "RAID_NOT_ENOUGH_MEMBERS"
  | "RAID_SECTOR_SIZE_MISMATCH";

export interface CreateRefusal {
  readonly ok: false;
  readonly code: CreateRefusalCode;
  readonly message: string;
  readonly remedy: string;
}

export type CreatePlanned = { readonly ok: true; readonly value: CreatePlan } | CreateRefusal;

type PresentMember = Exclude<CreateMember, "missing">;

/** What all members of the array to be created share. */
interface CreateGeometry {
  readonly size: number;
  readonly arraySectors: number;
  readonly dataOffset: number;
  readonly bitmap: (BitmapSizing & { readonly ok: true; readonly syncSize: number }) | null;
}

const SET_NAME_BYTES = 32;
const CLUSTER_NAME_BYTES = 64;
const BITMAP_PAD_BYTES = 120;

/**
 * set_name for a name on a host: `host:name` when that fits 31 bytes and the name has no colon,
 * else the name alone. Null when the name is empty or longer than 31 bytes. Source: mdadm super1.c
 * init_super1; measured.
 */
export function setNameBytes(name: string, homehost: string): Uint8Array | null {
  const encoder = new TextEncoder();
  const plain = encoder.encode(name);
  if (plain.length === 0 || plain.length >= SET_NAME_BYTES || name.includes("\0")) return null;
  const bytes = new Uint8Array(SET_NAME_BYTES);
  const full = encoder.encode(`${homehost}:${name}`);
  const useHost = homehost !== "" && !name.includes(":") && full.length < SET_NAME_BYTES;
  bytes.set(useHost ? full : plain);
  return bytes;
}

/** cluster_name of a clustered bitmap; null when the name is empty or longer than 63 bytes. */
export function clusterNameBytes(name: string): Uint8Array | null {
  const plain = new TextEncoder().encode(name);
  if (plain.length === 0 || plain.length >= CLUSTER_NAME_BYTES) return null;
  const bytes = new Uint8Array(CLUSTER_NAME_BYTES);
  bytes.set(plain);
  return bytes;
}

/** Old md metadata on a member, to be blanked so that nothing takes it for the new array's. */
export function staleRanges(probe: ProbedMember): readonly ByteRange[] {
  const range = (sector: number, length: number): ByteRange => {
    const offset = sector * SECTOR_BYTES;
    return { offset, length: Math.min(length, probe.sizeBytes - offset) };
  };
  const ranges = probe.allSuperblocks.map(({ positionSectors }) =>
    range(positionSectors, SUPERBLOCK_MAX_BYTES),
  );
  const sector090 = superblock090Sector(Math.floor(probe.sizeBytes / SECTOR_BYTES));
  return probe.superblock090 === null || sector090 === null
    ? ranges
    : [...ranges, range(sector090, SUPERBLOCK_090_BYTES)];
}

/**
 * Plans the creation of an array on these members. The first present member's size decides the data
 * offset, as in mdadm.
 * Errors: a refusal, and then nothing is to be written.
 */
export function planCreate(
  options: CreateOptions,
  members: readonly CreateMember[],
): CreatePlanned {
  const refusal =
    checkOptions(options, members) ?? checkCluster(options) ?? checkSectorSizes(members);
  if (refusal !== null) return refusal;
  const geometry = chooseGeometry(options, members);
  if (isRefusal(geometry)) return geometry;
  const planned: (PlannedMember | null)[] = [];
  for (const [number, member] of members.entries()) {
    if (member === "missing") {
      planned.push(null);
      continue;
    }
    const deviceSectors = Math.floor(member.sizeBytes / SECTOR_BYTES);
    const layout = layOutMember({
      minor: options.minor,
      deviceSectors,
      dataOffset: geometry.dataOffset,
      size: geometry.size,
      bitmapSlotSectors: geometry.bitmap === null ? null : geometry.bitmap.slotBytes / SECTOR_BYTES,
      clusterSlots: options.bitmap === "clustered" ? options.nodes : 0,
    });
    // 64 slots of the largest bitmap take 16384 sectors; devices that large keep 264192 free.
    assert(layout !== null, `no room for the metadata of ${member.path}`);
    planned.push(planMember(options, members, geometry, number, member, layout));
  }
  const { size, arraySectors, dataOffset, bitmap } = geometry;
  return { ok: true, value: { members: planned, size, arraySectors, dataOffset, bitmap } };
}

function checkOptions(
  options: CreateOptions,
  members: readonly CreateMember[],
): CreateRefusal | null {
  const { raidDevices, spareDevices } = options;
  const wanted = raidDevices + spareDevices;
  if (members.length !== wanted) {
    return refuse(
      "RAID_BAD_MEMBER_COUNT",
      `${members.length} members given for ${raidDevices} raid devices and ${spareDevices} spares`,
      `give ${wanted}, with the word missing for each absent one`,
    );
  }
  if (raidDevices < 1 || wanted > MAX_DEV_LIMIT) {
    return refuse(
      "RAID_BAD_MEMBER_COUNT",
      `${wanted} members is outside 1 to ${MAX_DEV_LIMIT}`,
      "choose another number of raid devices",
    );
  }
  if (members.slice(raidDevices).includes("missing")) {
    return refuse("RAID_BAD_MEMBER_COUNT", "a spare cannot be missing", "ask for fewer spares");
  }
  const isPresent = (raidSlot: number): boolean => members[raidSlot] !== "missing";
  if (options.level === 10) return checkRaid10(options, isPresent);
  return members.slice(0, raidDevices).some((member) => member !== "missing")
    ? null
    : refuse("RAID_NOT_ENOUGH_MEMBERS", "every raid device is missing", "give at least one");
}

function checkRaid10(
  options: CreateOptions,
  isPresent: (raidSlot: number) => boolean,
): CreateRefusal | null {
  const geometry = geometryOf(options);
  if (geometry === null) return refuseLayout(options);
  if (options.bitmap === "clustered" && geometry.farCopies !== 1) {
    return refuse(
      "RAID_BAD_CLUSTER",
      "a clustered raid10 array has near copies only: far and offset ones are not supported",
      "use a layout like n2",
    );
  }
  return raid10Enough(geometry, isPresent)
    ? null
    : refuse(
        "RAID_NOT_ENOUGH_MEMBERS",
        "the missing raid devices hold all copies of some data",
        "give more of the members",
      );
}

/** Why md takes no such layout. */
function refuseLayout({ layout, chunkSectors, raidDevices }: CreateOptions): CreateRefusal {
  if (chunkSectors < 8 || (chunkSectors & (chunkSectors - 1)) !== 0) {
    return refuse(
      "RAID_BAD_LAYOUT",
      `a chunk of ${chunkSectors * SECTOR_BYTES} bytes is no power of two of 4 KiB or more`,
      "use a chunk like 64K or 512K",
    );
  }
  const copies = (layout & 0xff) * ((layout >> 8) & 0xff);
  if (copies > raidDevices) {
    return refuse(
      "RAID_BAD_LAYOUT",
      `${copies} copies need as many raid devices, there are ${raidDevices}`,
      "use fewer copies or more raid devices",
    );
  }
  return refuse(
    "RAID_BAD_LAYOUT",
    `layout 0x${layout.toString(16)} is not one that raid10 has`,
    "use n, f or o and a number of copies from 2 up, like n2",
  );
}

function checkCluster(options: CreateOptions): CreateRefusal | null {
  if (options.bitmap !== "clustered") return null;
  if (options.minor !== 2) {
    return refuse("RAID_BAD_CLUSTER", "a clustered array has metadata 1.2", "leave --metadata out");
  }
  if (options.nodes < 2 || options.nodes > BITMAP_NODES_MAX) {
    return refuse(
      "RAID_BAD_CLUSTER",
      `${options.nodes} nodes is outside 2 to ${BITMAP_NODES_MAX}`,
      "choose another number of nodes",
    );
  }
  if (clusterNameBytes(options.clusterName) !== null) return null;
  return refuse(
    "RAID_BAD_CLUSTER",
    `a cluster name has 1 to ${CLUSTER_NAME_BYTES - 1} bytes`,
    "choose another name",
  );
}

/**
 * md itself runs such a mix with the larger unit; then a file system made on 512-byte sectors stops
 * working the day a 4096-byte member joins. Here the unit is settled at creation.
 */
function checkSectorSizes(members: readonly CreateMember[]): CreateRefusal | null {
  const present = members.filter((member): member is PresentMember => member !== "missing");
  const sizeOf = (member: PresentMember): number => member.logicalBlockSize ?? SECTOR_BYTES;
  const first = present[0];
  const other = present.find((member) => first !== undefined && sizeOf(member) !== sizeOf(first));
  if (first === undefined || other === undefined) return null;
  return refuse(
    "RAID_SECTOR_SIZE_MISMATCH",
    `${first.path} has sectors of ${sizeOf(first)} bytes, ${other.path} of ${sizeOf(other)}`,
    "use members with equal logical sectors",
  );
}

function chooseGeometry(
  options: CreateOptions,
  members: readonly CreateMember[],
): CreateGeometry | CreateRefusal {
  const { minor, chunkSectors } = options;
  const present = members.filter((member): member is PresentMember => member !== "missing");
  const sectors = present.map((member) => Math.floor(member.sizeBytes / SECTOR_BYTES));
  const dataOffset = dataOffsetSectors(minor, sectors[0] ?? 0, chunkSectors);
  const usable = sectors.map((count) => usableSectors(minor, count, dataOffset, chunkSectors));
  const wanted = options.size ?? Math.min(...usable);
  const rounding = chunkSectors === 0 ? 2 : chunkSectors;
  const size = wanted - (wanted % rounding);
  const smallest = options.size === null ? Math.max(rounding, 1) : size;
  const short = usable.findIndex((count) => count < smallest);
  if (short !== -1 || size <= 0) {
    return refuse(
      "RAID_MEMBER_TOO_SMALL",
      `${present[Math.max(short, 0)]?.path} of ${sectors[Math.max(short, 0)]} sectors leaves ` +
        `${usable[Math.max(short, 0)]} for data behind the metadata`,
      options.size === null ? "use a larger member" : "use a larger member or a smaller --size",
    );
  }
  const arraySectors = arraySectorsOf(options, size);
  if (options.bitmap === "none") return { size, arraySectors, dataOffset, bitmap: null };
  const syncSize = bitmapSyncSize(options, size);
  const bitmap = sizeBitmap({ size, syncSize, chunkBytes: options.bitmapChunkBytes });
  if (!bitmap.ok) {
    const chunkKib = (options.bitmapChunkBytes ?? 0) / 1024;
    return refuse(
      "RAID_BAD_BITMAP_CHUNK",
      `a bitmap with chunks of ${chunkKib} KiB needs more room than there is`,
      Number.isFinite(bitmap.minimumChunkBytes)
        ? `use --bitmap-chunk ${bitmap.minimumChunkBytes / 1024}K or more`
        : "use larger members or --bitmap none",
    );
  }
  return { size, arraySectors, dataOffset, bitmap: { ...bitmap, syncSize } };
}

function geometryOf(options: CreateOptions): Raid10Geometry | null {
  return raid10Geometry(options.layout, options.raidDevices, options.chunkSectors);
}

function arraySectorsOf(options: CreateOptions, size: number): number {
  const geometry = options.level === 10 ? geometryOf(options) : null;
  return geometry === null ? size : raid10ArraySectors(geometry, size);
}

/** mdadm's own estimate for raid10, not rounded to chunks; the kernel corrects it at start. */
function bitmapSyncSize(options: CreateOptions, size: number): number {
  const geometry = options.level === 10 ? geometryOf(options) : null;
  if (geometry === null) return size;
  return Math.floor((size * geometry.raidDisks) / (geometry.nearCopies * geometry.farCopies));
}

function planMember(
  options: CreateOptions,
  members: readonly CreateMember[],
  geometry: CreateGeometry,
  number: number,
  member: PresentMember,
  layout: MemberLayout,
): PlannedMember {
  const superblock = newSuperblock(options, members, geometry, number, member, layout);
  const writes: PlannedWrite[] = member.stale.map((range) => ({
    kind: "erase",
    offset: range.offset,
    bytes: new Uint8Array(range.length),
  }));
  if (geometry.bitmap !== null) {
    const offset = (layout.superOffset + layout.bitmapOffset) * SECTOR_BYTES;
    writes.push({ kind: "bitmap", offset, bytes: bitmapBytes(options, geometry.bitmap) });
  }
  const offset = layout.superOffset * SECTOR_BYTES;
  writes.push({ kind: "superblock", offset, bytes: encodeSuperblock(superblock) });
  return { path: member.path, superblock, writes };
}

function newSuperblock(
  options: CreateOptions,
  members: readonly CreateMember[],
  geometry: CreateGeometry,
  devNumber: number,
  member: PresentMember,
  layout: MemberLayout,
): Superblock {
  const time = { seconds: options.createdAt, microseconds: 0 };
  const bitmapFeature = options.bitmap === "none" ? 0 : MD_FEATURE_BITMAP_OFFSET;
  const clusterFeature = options.bitmap === "clustered" ? MD_FEATURE_CLUSTERED : 0;
  return {
    featureMap: bitmapFeature | clusterFeature,
    setUuid: options.setUuid,
    setName: options.setName,
    ctime: time,
    level: options.level,
    layout: options.layout,
    size: geometry.size,
    chunkSize: options.chunkSectors,
    raidDisks: options.raidDevices,
    bitmapOffset: layout.bitmapOffset,
    reshapeArea: new Uint8Array(RESHAPE_AREA_BYTES),
    newOffset: 0,
    dataOffset: layout.dataOffset,
    dataSize: layout.dataSize,
    superOffset: layout.superOffset,
    recoveryOffset: 0,
    devNumber,
    cntCorrectedRead: 0,
    deviceUuid: member.deviceUuid,
    devFlags: member.devFlags ?? 0,
    bblogShift: 0,
    bblogSize: layout.bblogSize,
    bblogOffset: layout.bblogOffset,
    utime: time,
    events: 0,
    resyncOffset: options.assumeClean ? "none" : 0,
    logicalBlockSize: 0,
    devRoles: newRoles(options.raidDevices, members),
  };
}

function newRoles(raidDevices: number, members: readonly CreateMember[]): Uint16Array {
  const bytes = SUPERBLOCK_HEADER_BYTES + 2 * members.length;
  const rounded = Math.ceil(bytes / SECTOR_BYTES) * SECTOR_BYTES;
  const roles = new Uint16Array((rounded - SUPERBLOCK_HEADER_BYTES) / 2).fill(MD_DISK_ROLE_SPARE);
  members.forEach((member, number) => {
    if (member !== "missing" && number < raidDevices) roles[number] = number;
  });
  return roles;
}

/** All slots: the same superblock in each, slot 0 with every bit set, the others with none. */
function bitmapBytes(
  options: CreateOptions,
  sizing: NonNullable<CreateGeometry["bitmap"]>,
): Uint8Array {
  const isClustered = options.bitmap === "clustered";
  const slots = isClustered ? options.nodes : 1;
  const clusterName = isClustered ? clusterNameBytes(options.clusterName) : null;
  const superblock: BitmapSuperblock = {
    version: isClustered ? 5 : 4,
    uuid: options.setUuid,
    events: 0,
    eventsCleared: 0,
    syncSize: sizing.syncSize,
    state: 0,
    chunkBytes: sizing.chunkBytes,
    daemonSleepSeconds: options.bitmapDelaySeconds,
    writeBehind: 0,
    sectorsReserved: 0,
    nodes: isClustered ? options.nodes : 0,
    clusterName: clusterName ?? new Uint8Array(CLUSTER_NAME_BYTES),
    pad: new Uint8Array(BITMAP_PAD_BYTES),
  };
  const header = encodeBitmapSuperblock(superblock);
  const bytes = new Uint8Array(slots * sizing.slotBytes);
  bytes.fill(0xff, 0, sizing.slotBytes);
  for (let slot = 0; slot < slots; slot += 1) bytes.set(header, slot * sizing.slotBytes);
  return bytes;
}

function refuse(code: CreateRefusalCode, message: string, remedy: string): CreateRefusal {
  return { ok: false, code, message, remedy };
}

function isRefusal(value: CreateGeometry | CreateRefusal): value is CreateRefusal {
  return "ok" in value;
}
