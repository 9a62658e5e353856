/**
 * Reader of md's old 0.90 superblock, so that such members are recognised, shown and refused by
 * name. Written in the byte order of the machine that made it; only little-endian is read.
 * Nothing here writes one.
 */

import { MD_SB_MAGIC } from "./superblock-fields.ts";

/** Bytes of the superblock, and the alignment of its position. Source: md_p.h MD_RESERVED_BYTES. */
export const SUPERBLOCK_090_BYTES = 4096;
const RESERVED_SECTORS = 128;

/** Where the fields lie, as 32-bit words. Source: include/uapi/linux/raid/md_p.h mdp_super_t. */
const WORD = {
  magic: 0,
  majorVersion: 1,
  minorVersion: 2,
  patchVersion: 3,
  setUuid0: 5,
  ctime: 6,
  level: 7,
  sizeKib: 8,
  totalDevices: 9,
  raidDisks: 10,
  mdMinor: 11,
  setUuid1: 13,
  utime: 32,
  state: 33,
  activeDevices: 34,
  workingDevices: 35,
  failedDevices: 36,
  spareDevices: 37,
  checksum: 38,
  eventsLow: 39,
  eventsHigh: 40,
  layout: 64,
  chunkBytes: 65,
  devices: 128,
  thisDevice: 992,
} as const;
const DEVICE_WORDS = 32;
/** Entries of the device table. Source: md_p.h MD_SB_DISKS. */
const DEVICES_MAX = 27;

/** One entry of the device table. Source: md_p.h mdp_disk_t. */
export interface Device090 {
  readonly number: number;
  readonly major: number;
  readonly minor: number;
  readonly raidSlot: number;
  readonly state: number;
}

/** A 0.90 superblock as far as it is shown. Sizes in KiB, times in seconds. */
export interface Superblock090 {
  readonly patchVersion: number;
  readonly uuidWords: readonly number[];
  readonly ctime: number;
  readonly level: number;
  readonly sizeKib: number;
  readonly totalDevices: number;
  readonly raidDisks: number;
  readonly mdMinor: number;
  readonly utime: number;
  readonly state: number;
  readonly activeDevices: number;
  readonly workingDevices: number;
  readonly failedDevices: number;
  readonly spareDevices: number;
  readonly checksum: number;
  readonly computedChecksum: number;
  readonly events: number;
  readonly layout: number;
  readonly chunkBytes: number;
  readonly devices: readonly Device090[];
  readonly thisDevice: Device090;
}

/**
 * Sector of a 0.90 superblock: the last whole 64 KiB of the device; null when it is too short.
 * Source: md_p.h MD_NEW_SIZE_SECTORS.
 */
export function superblock090Sector(deviceSectors: number): number | null {
  const position = deviceSectors - (deviceSectors % RESERVED_SECTORS) - RESERVED_SECTORS;
  return position < 0 ? null : position;
}

/** The superblock in these 4096 bytes, or null when they hold none. */
export function decodeSuperblock090(bytes: Uint8Array): Superblock090 | null {
  if (bytes.length < SUPERBLOCK_090_BYTES) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const word = (index: number): number => view.getUint32(index * 4, true);
  if (word(WORD.magic) !== MD_SB_MAGIC || word(WORD.majorVersion) !== 0) return null;
  if (word(WORD.minorVersion) < 90) return null;
  const device = (index: number): Device090 => ({
    number: word(index),
    major: word(index + 1),
    minor: word(index + 2),
    raidSlot: word(index + 3),
    state: word(index + 4),
  });
  return {
    patchVersion: word(WORD.patchVersion),
    uuidWords: [WORD.setUuid0, WORD.setUuid1, WORD.setUuid1 + 1, WORD.setUuid1 + 2].map(word),
    ctime: word(WORD.ctime),
    level: word(WORD.level) | 0,
    sizeKib: word(WORD.sizeKib),
    totalDevices: word(WORD.totalDevices),
    raidDisks: word(WORD.raidDisks),
    mdMinor: word(WORD.mdMinor),
    utime: word(WORD.utime),
    state: word(WORD.state),
    activeDevices: word(WORD.activeDevices),
    workingDevices: word(WORD.workingDevices),
    failedDevices: word(WORD.failedDevices),
    spareDevices: word(WORD.spareDevices),
    checksum: word(WORD.checksum),
    computedChecksum: checksum090(view),
    events: word(WORD.eventsLow) + word(WORD.eventsHigh) * 2 ** 32,
    layout: word(WORD.layout),
    chunkBytes: word(WORD.chunkBytes),
    devices: Array.from({ length: DEVICES_MAX }, (_, index) =>
      device(WORD.devices + index * DEVICE_WORDS),
    ),
    thisDevice: device(WORD.thisDevice),
  };
}

/** Source: drivers/md/md.c calc_sb_csum. */
function checksum090(view: DataView): number {
  let sum = 0;
  for (let at = 0; at < SUPERBLOCK_090_BYTES; at += 4) {
    if (at !== WORD.checksum * 4) sum += view.getUint32(at, true);
  }
  return ((sum >>> 0) + Math.floor(sum / 2 ** 32)) >>> 0;
}
