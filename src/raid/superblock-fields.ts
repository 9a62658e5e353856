/**
 * The words of md's version-1 superblock: constants, where each field lies, and the plain value the
 * codec in superblock.ts turns the bytes into. All positions and sizes are in sectors of 512 bytes
 * unless the name says otherwise. All integers on disk are little-endian.
 */

/** Bytes per sector, always, also on 4Kn devices. */
export const SECTOR_BYTES = 512;
/** Source: include/uapi/linux/raid/md_p.h MD_SB_MAGIC. */
export const MD_SB_MAGIC = 0xa92b4efc;
/** Bytes of the fixed part; dev_roles follows. */
export const SUPERBLOCK_HEADER_BYTES = 256;
/** Bytes to read to have the whole superblock whatever max_dev says. */
export const SUPERBLOCK_MAX_BYTES = 4096;
/** Most entries of dev_roles that fit. Source: drivers/md/md.c super_1_load. */
export const MAX_DEV_LIMIT = (SUPERBLOCK_MAX_BYTES - SUPERBLOCK_HEADER_BYTES) / 2;
/** All ones in a u64: MaxSector, "none". */
export const MAX_SECTOR = 0xffff_ffff_ffff_ffffn;
/** A device shorter than this cannot hold a superblock. Source: mdadm super1.c load_super1. */
export const MIN_DEVICE_SECTORS = 24;

/** Values of dev_roles. Source: md_p.h MD_DISK_ROLE_*. */
export const MD_DISK_ROLE_SPARE = 0xffff;
export const MD_DISK_ROLE_FAULTY = 0xfffe;
export const MD_DISK_ROLE_JOURNAL = 0xfffd;
/** Roles from here on are never raid slots. */
export const MD_DISK_ROLE_MAX = 0xff00;

/** Bits of feature_map. Source: md_p.h MD_FEATURE_*. */
export const MD_FEATURE_BITMAP_OFFSET = 0x1;
export const MD_FEATURE_RECOVERY_OFFSET = 0x2;
export const MD_FEATURE_RESHAPE_ACTIVE = 0x4;
export const MD_FEATURE_BAD_BLOCKS = 0x8;
export const MD_FEATURE_REPLACEMENT = 0x10;
export const MD_FEATURE_RESHAPE_BACKWARDS = 0x20;
export const MD_FEATURE_NEW_OFFSET = 0x40;
export const MD_FEATURE_RECOVERY_BITMAP = 0x80;
export const MD_FEATURE_CLUSTERED = 0x100;
export const MD_FEATURE_JOURNAL = 0x200;
export const MD_FEATURE_PPL = 0x400;
export const MD_FEATURE_MULTIPLE_PPLS = 0x800;
export const MD_FEATURE_RAID0_LAYOUT = 0x1000;
/** A superblock with any other bit is not loaded. */
export const MD_FEATURE_ALL = 0x1fff;

/** Bits of devflags. Source: md_p.h. */
export const WRITE_MOSTLY = 0x1;
export const FAIL_FAST = 0x2;

/** Byte offsets of the fields. Source: md_p.h struct mdp_superblock_1. */
export const SUPERBLOCK_OFFSET = {
  magic: 0,
  majorVersion: 4,
  featureMap: 8,
  pad0: 12,
  setUuid: 16,
  setName: 32,
  ctime: 64,
  level: 72,
  layout: 76,
  size: 80,
  chunkSize: 88,
  raidDisks: 92,
  bitmapOffset: 96,
  reshapeArea: 100,
  newOffset: 124,
  dataOffset: 128,
  dataSize: 136,
  superOffset: 144,
  recoveryOffset: 152,
  devNumber: 160,
  cntCorrectedRead: 164,
  deviceUuid: 168,
  devFlags: 184,
  bblogShift: 185,
  bblogSize: 186,
  bblogOffset: 188,
  utime: 192,
  events: 200,
  resyncOffset: 208,
  checksum: 216,
  maxDev: 220,
  logicalBlockSize: 224,
  pad3: 228,
  devRoles: 256,
} as const;

/** Length of new_level … new_chunk, meaningful only with MD_FEATURE_RESHAPE_ACTIVE. */
export const RESHAPE_AREA_BYTES = SUPERBLOCK_OFFSET.newOffset - SUPERBLOCK_OFFSET.reshapeArea;

/** Minor version of the metadata: it says where the superblock lies. */
export type MinorVersion = 0 | 1 | 2;

/** A time as md stores it: 40 bits of seconds since the epoch, 24 bits of microseconds. */
export interface SuperblockTime {
  readonly seconds: number;
  readonly microseconds: number;
}

/**
 * One member's superblock. Encoding a decoded value gives back the same bytes: also those fields
 * are kept that mean nothing at the moment (stale reshape fields, logical_block_size).
 * Invariant: `devRoles.length` is max_dev.
 */
export interface Superblock {
  readonly featureMap: number;
  /** 16 raw bytes. */
  readonly setUuid: Uint8Array;
  /** 32 raw bytes, NUL padded, not always terminated; `superblockName` reads it. */
  readonly setName: Uint8Array;
  readonly ctime: SuperblockTime;
  /** 1, 10; also 0, 4, 5, 6, -1 (linear), which we refuse. */
  readonly level: number;
  /** raid10 layout word; 0 for raid1. */
  readonly layout: number;
  /** Sectors of each member used for data ("component size"). */
  readonly size: number;
  /** Sectors; 0 for raid1. */
  readonly chunkSize: number;
  readonly raidDisks: number;
  /** Signed sectors from the superblock to the bitmap; with MD_FEATURE_BITMAP_OFFSET only. */
  readonly bitmapOffset: number;
  /** 24 raw bytes, new_level to new_chunk. */
  readonly reshapeArea: Uint8Array;
  readonly newOffset: number;
  /** First data sector on this member. */
  readonly dataOffset: number;
  /** Sectors available for data on this member. */
  readonly dataSize: number;
  /** Sector at which this superblock lies. */
  readonly superOffset: number;
  /** Sectors already rebuilt, from data_offset; with MD_FEATURE_RECOVERY_OFFSET only. */
  readonly recoveryOffset: number | "none";
  /** Device number: index into devRoles. */
  readonly devNumber: number;
  /** Sectors of read errors corrected so far. */
  readonly cntCorrectedRead: number;
  /** 16 raw bytes. */
  readonly deviceUuid: Uint8Array;
  readonly devFlags: number;
  readonly bblogShift: number;
  /** Sectors reserved for the bad-block list; 0 = none. */
  readonly bblogSize: number;
  /** Signed sectors from the superblock to the bad-block list; 0 = none. */
  readonly bblogOffset: number;
  readonly utime: SuperblockTime;
  readonly events: number;
  /**
   * Sectors known in sync; "none" = all of them and cleanly stopped (nothing to resync); 0 = dirty.
   */
  readonly resyncOffset: number | "none";
  readonly logicalBlockSize: number;
  /** Role of device number i. */
  readonly devRoles: Uint16Array;
}

/** What dev_roles says of a device number. */
export type MemberRole =
  | { readonly type: "slot"; readonly raidSlot: number }
  | { readonly type: "spare" }
  | { readonly type: "faulty" }
  | { readonly type: "journal" };
