/**
 * Where `mdadm --create` puts things on a member and how big the array becomes: data offset, room
 * for the bitmap, bitmap chunk, bad-block log, component size. All in sectors unless named
 * otherwise. Source: mdadm super1.c validate_geometry1, choose_bm_space, add_internal_bitmap1,
 * write_init_super1, Create.c; every rule measured with mdadm 4.2 (test/golden/mdadm-create).
 */

import { bitmapChunks, bitmapSlotBytes } from "./bitmap-superblock.ts";
import { superblockOffsetSectors } from "./superblock.ts";
import type { MinorVersion } from "./superblock-fields.ts";
import { SECTOR_BYTES } from "./superblock-fields.ts";

/** Sectors of the bad-block log: one page of 512 entries. */
export const BAD_BLOCK_LOG_SECTORS = 8;
/** Sectors from a 1.1 or 1.2 superblock to the bitmap. */
export const BITMAP_OFFSET_SECTORS = 8;
/** Default bytes per bitmap bit, unless that needs more room than there is. */
export const BITMAP_CHUNK_DEFAULT_BYTES = 64 * 1024 * 1024;
/** raid1 component sizes are multiples of 64 KiB. */
const RAID1_ROUNDING_SECTORS = 128;
const MIB_SECTORS = 2048;
const GIB_SECTORS = 1024 * MIB_SECTORS;
const BITMAP_SUPERBLOCK = 256;
const MIN_BITMAP_CHUNK_BYTES = 4096;

/** Sectors set aside for a bitmap on a device, or for a component size, of `sectors`. */
export function bitmapSpaceSectors(sectors: number): number {
  if (sectors < 128) return 0;
  if (sectors - 128 >= 200 * GIB_SECTORS) return 256;
  return sectors - 8 > 8 * GIB_SECTORS ? 128 : 8;
}

/**
 * First data sector of metadata 1.1 and 1.2 on a device of `deviceSectors`: superblock, bitmap room
 * and about 0.1 % headroom for later reshapes, rounded up to 1 MiB. 0 for metadata 1.0.
 * `chunkSectors` is 0 for raid1.
 */
export function dataOffsetSectors(
  minor: MinorVersion,
  deviceSectors: number,
  chunkSectors: number,
): number {
  if (minor === 0) return 0;
  let headroom = 128 * MIB_SECTORS;
  const chunkKib = chunkSectors / 2;
  while (
    headroom * 1024 > deviceSectors &&
    (chunkSectors === 0 || Math.floor(headroom / 2) >= 4 * chunkKib)
  ) {
    headroom = Math.floor(headroom / 2);
  }
  return roundUp(24 + bitmapSpaceSectors(deviceSectors) + headroom, MIB_SECTORS);
}

/**
 * Largest component size a device allows: a multiple of 64 KiB (raid1) or of the chunk (raid10), 0
 * when nothing fits.
 */
export function usableSectors(
  minor: MinorVersion,
  deviceSectors: number,
  dataOffset: number,
  chunkSectors: number,
): number {
  const superOffset = superblockOffsetSectors(minor, deviceSectors);
  if (superOffset === null) return 0;
  const room =
    minor === 0
      ? superOffset - bitmapSpaceSectors(deviceSectors) - BAD_BLOCK_LOG_SECTORS
      : deviceSectors - dataOffset;
  if (room <= 0) return 0;
  return room - (room % (chunkSectors === 0 ? RAID1_ROUNDING_SECTORS : chunkSectors));
}

/** What to bitmap: `size` is the component size, `syncSize` the sectors that the bits cover. */
export interface BitmapSizingRequest {
  readonly size: number;
  readonly syncSize: number;
  /** Bytes per bit that the user asked for; null = choose. */
  readonly chunkBytes: number | null;
}

export type BitmapSizing =
  | {
      readonly ok: true;
      readonly chunkBytes: number;
      readonly chunks: number;
      /** Bytes of one bitmap slot. */
      readonly slotBytes: number;
    }
  | { readonly ok: false; readonly minimumChunkBytes: number };

/** Chooses the bitmap chunk so that one slot fits the room that `size` sets aside. */
export function sizeBitmap(request: BitmapSizingRequest): BitmapSizing {
  return sizeBitmapFor(bitmapSpaceSectors(request.size), request);
}

/**
 * Chooses the bitmap chunk so that one slot fits `room` sectors: 64 MiB unless that is too many
 * bits. A requested chunk below the smallest possible one is refused.
 */
export function sizeBitmapFor(
  room: number,
  request: Pick<BitmapSizingRequest, "syncSize" | "chunkBytes">,
): BitmapSizing {
  const bitsMax = (room * SECTOR_BYTES - BITMAP_SUPERBLOCK) * 8;
  let minimumChunkBytes = MIN_BITMAP_CHUNK_BYTES;
  let bits = Math.floor((request.syncSize * SECTOR_BYTES) / minimumChunkBytes) + 1;
  if (bitsMax <= 0) return { ok: false, minimumChunkBytes: Number.POSITIVE_INFINITY };
  while (bits > bitsMax) {
    minimumChunkBytes *= 2;
    bits = Math.floor((bits + 1) / 2);
  }
  const chunkBytes = request.chunkBytes ?? Math.max(minimumChunkBytes, BITMAP_CHUNK_DEFAULT_BYTES);
  if (chunkBytes < minimumChunkBytes) return { ok: false, minimumChunkBytes };
  const chunks = bitmapChunks(request.syncSize, chunkBytes);
  return { ok: true, chunkBytes, chunks, slotBytes: bitmapSlotBytes(chunks) };
}

/** Where the pieces lie on one member. Offsets of bitmap and log count from the superblock. */
export interface MemberLayout {
  readonly superOffset: number;
  readonly dataOffset: number;
  readonly dataSize: number;
  /** 0 when there is no bitmap. */
  readonly bitmapOffset: number;
  readonly bblogSize: number;
  readonly bblogOffset: number;
}

/**
 * Lays out one member. `bitmapSlotSectors` is null without a bitmap; a clustered bitmap takes no
 * bad-block log and `clusterSlots` times the room.
 * Invariant: the pieces do not overlap each other or the data; null when they would.
 */
export function layOutMember(request: {
  readonly minor: MinorVersion;
  readonly deviceSectors: number;
  readonly dataOffset: number;
  readonly size: number;
  readonly bitmapSlotSectors: number | null;
  readonly clusterSlots: number;
}): MemberLayout | null {
  const { minor, deviceSectors, dataOffset, size, bitmapSlotSectors, clusterSlots } = request;
  const superOffset = superblockOffsetSectors(minor, deviceSectors);
  if (superOffset === null) return null;
  const bitmapSectors = bitmapSlotSectors ?? bitmapSpaceSectors(size);
  const hasBitmap = bitmapSlotSectors !== null;
  if (minor === 0) {
    const dataSize = superOffset - bitmapSectors - BAD_BLOCK_LOG_SECTORS;
    return {
      superOffset,
      dataOffset: 0,
      dataSize,
      bitmapOffset: hasBitmap ? -(bitmapSectors + BAD_BLOCK_LOG_SECTORS) : 0,
      bblogSize: BAD_BLOCK_LOG_SECTORS,
      bblogOffset: -BAD_BLOCK_LOG_SECTORS,
    };
  }
  const isClustered = clusterSlots > 0;
  const bitmapEnd = BITMAP_OFFSET_SECTORS + bitmapSectors * Math.max(clusterSlots, 1);
  const end = superOffset + bitmapEnd + (isClustered ? 0 : BAD_BLOCK_LOG_SECTORS);
  if (end > dataOffset) return null;
  return {
    superOffset,
    dataOffset,
    dataSize: deviceSectors - dataOffset,
    bitmapOffset: hasBitmap ? BITMAP_OFFSET_SECTORS : 0,
    bblogSize: isClustered ? 0 : BAD_BLOCK_LOG_SECTORS,
    bblogOffset: isClustered ? 0 : bitmapEnd,
  };
}

function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}
