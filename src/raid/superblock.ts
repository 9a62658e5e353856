/**
 * Codec of md's version-1 superblock (metadata 1.0, 1.1, 1.2): position, checksum, bytes to value,
 * value to bytes, and the acceptance rules of the kernel. Decoding never throws and never reads
 * beyond the given bytes; decode followed by encode gives back the same bytes.
 * Reshape fields are carried along, not interpreted.
 */

import { isZero, toSafeNumber } from "../common/bytes.ts";
import type { MemberRole, MinorVersion, Superblock, SuperblockTime } from "./superblock-fields.ts";
import {
  MAX_DEV_LIMIT,
  MAX_SECTOR,
  MD_DISK_ROLE_FAULTY,
  MD_DISK_ROLE_JOURNAL,
  MD_DISK_ROLE_MAX,
  MD_FEATURE_ALL,
  MD_FEATURE_NEW_OFFSET,
  MD_FEATURE_RAID0_LAYOUT,
  MD_FEATURE_RESHAPE_ACTIVE,
  MD_SB_MAGIC,
  MIN_DEVICE_SECTORS,
  RESHAPE_AREA_BYTES,
  SECTOR_BYTES,
  SUPERBLOCK_HEADER_BYTES,
  SUPERBLOCK_OFFSET,
} from "./superblock-fields.ts";

/** Why bytes are not a superblock that md would load. */
export type SuperblockReason =
  | "truncated"
  | "no-magic"
  | "major-version"
  | "max-dev"
  | "out-of-range"
  | "super-offset"
  | "feature-map"
  | "checksum"
  | "padding"
  | "data-size"
  | "data-offset"
  | "raid0-layout"
  | "device-too-small";

export type SuperblockDecoded =
  | { readonly ok: true; readonly value: Superblock }
  | { readonly ok: false; readonly reason: SuperblockReason };

/** A superblock as read, before the acceptance rules: what `examine` shows of a damaged one. */
export interface ParsedSuperblock {
  readonly value: Superblock;
  readonly storedChecksum: number;
  readonly computedChecksum: number;
  /** True when pad0 and pad3 are all zero. */
  readonly paddingIsZero: boolean;
}

export type SuperblockParsed =
  | { readonly ok: true; readonly value: ParsedSuperblock }
  | { readonly ok: false; readonly reason: SuperblockReason };

/**
 * Sector at which a superblock of this minor version lies on a device of `deviceSectors`, or null
 * when the device is too short for one.
 * Source: drivers/md/md.c super_1_load.
 */
export function superblockOffsetSectors(minor: MinorVersion, deviceSectors: number): number | null {
  if (deviceSectors < MIN_DEVICE_SECTORS) return null;
  if (minor === 1) return 0;
  if (minor === 2) return 8;
  // 4 KiB aligned, 8 to 12 KiB before the end: 1000 sectors -> 984.
  const position = deviceSectors - 16;
  return position - (position % 8);
}

/** Bytes that the superblock itself takes: header and dev_roles, without rounding. */
export function superblockBytes(maxDev: number): number {
  return SUPERBLOCK_HEADER_BYTES + 2 * maxDev;
}

/**
 * Checksum over header and dev_roles with the checksum field taken as zero.
 * `bytes` holds at least `superblockBytes(maxDev)` bytes.
 * Source: drivers/md/md.c calc_sb_1_csum.
 */
export function superblockChecksum(bytes: Uint8Array, maxDev: number): number {
  const view = viewOf(bytes);
  const length = superblockBytes(maxDev);
  // At most 1024 words of 32 bits: the sum stays far below 2^53.
  let sum = 0;
  let at = 0;
  for (; at + 4 <= length; at += 4) {
    if (at !== SUPERBLOCK_OFFSET.checksum) sum += view.getUint32(at, true);
  }
  if (at + 2 <= length) sum += view.getUint16(at, true);
  return ((sum >>> 0) + Math.floor(sum / 2 ** 32)) >>> 0;
}

/**
 * Reads the fields without judging them. `bytes` starts at the superblock; 4096 bytes are enough
 * for every max_dev. The value's arrays are copies.
 */
export function parseSuperblock(bytes: Uint8Array): SuperblockParsed {
  if (bytes.length < SUPERBLOCK_HEADER_BYTES) return { ok: false, reason: "truncated" };
  const view = viewOf(bytes);
  const at = SUPERBLOCK_OFFSET;
  if (view.getUint32(at.magic, true) !== MD_SB_MAGIC) return { ok: false, reason: "no-magic" };
  if (view.getUint32(at.majorVersion, true) !== 1) return { ok: false, reason: "major-version" };
  const maxDev = view.getUint32(at.maxDev, true);
  if (maxDev > MAX_DEV_LIMIT) return { ok: false, reason: "max-dev" };
  if (bytes.length < superblockBytes(maxDev)) return { ok: false, reason: "truncated" };
  const value = parseFields(bytes, view, maxDev);
  if (value === null) return { ok: false, reason: "out-of-range" };
  const paddingIsZero =
    view.getUint32(at.pad0, true) === 0 && isZero(bytes, at.pad3, SUPERBLOCK_HEADER_BYTES);
  return {
    ok: true,
    value: {
      value,
      storedChecksum: view.getUint32(at.checksum, true),
      computedChecksum: superblockChecksum(bytes, maxDev),
      paddingIsZero,
    },
  };
}

/**
 * Decodes the superblock found at `positionSectors` of a member and applies the kernel's rules for
 * one device on its own; `deviceSectors` adds the rule that the data fits the device.
 * Source: drivers/md/md.c super_1_load. Its check of bytes 224-227 is not applied: kernels from
 * 6.19 on keep logical_block_size there.
 */
export function decodeSuperblock(
  bytes: Uint8Array,
  positionSectors: number,
  deviceSectors?: number,
): SuperblockDecoded {
  const parsed = parseSuperblock(bytes);
  if (!parsed.ok) return parsed;
  const reason = superblockProblem(parsed.value, positionSectors, deviceSectors);
  return reason === null ? { ok: true, value: parsed.value.value } : { ok: false, reason };
}

/** The first rule of `decodeSuperblock` that a parsed superblock breaks, or null. */
export function superblockProblem(
  parsed: ParsedSuperblock,
  positionSectors: number,
  deviceSectors?: number,
): SuperblockReason | null {
  const sb = parsed.value;
  if (sb.superOffset !== positionSectors) return "super-offset";
  if (parsed.storedChecksum !== parsed.computedChecksum) return "checksum";
  if (sb.dataSize < 10) return "data-size";
  if (!parsed.paddingIsZero) return "padding";
  if ((sb.featureMap & ~MD_FEATURE_ALL) !== 0) return "feature-map";
  if ((sb.featureMap & MD_FEATURE_RAID0_LAYOUT) !== 0 && sb.level !== 0) return "raid0-layout";
  if (superblockIsAtStart(sb)) {
    const firstFree = sb.superOffset + superblockSectors(sb);
    if (sb.dataOffset < firstFree) return "data-offset";
    const moving = MD_FEATURE_RESHAPE_ACTIVE | MD_FEATURE_NEW_OFFSET;
    if ((sb.featureMap & moving) === moving && sb.dataOffset + sb.newOffset < firstFree) {
      return "data-offset";
    }
  }
  if (deviceSectors === undefined) return null;
  const room = superblockIsAtStart(sb) ? deviceSectors - sb.dataOffset : sb.superOffset;
  return room < sb.dataSize ? "device-too-small" : null;
}

/** True for metadata 1.1 and 1.2, where the data lies behind the superblock. */
export function superblockIsAtStart(sb: Superblock): boolean {
  return sb.superOffset === 0 || sb.superOffset === 8;
}

/** Minor version of a decoded superblock, told by where it lies. */
export function superblockMinor(sb: Superblock): MinorVersion {
  if (sb.superOffset === 0) return 1;
  return sb.superOffset === 8 ? 2 : 0;
}

/**
 * The bytes of a superblock with a fresh checksum, padded with zeros to whole sectors: what is
 * written to the member. Source: drivers/md/md.c super_1_sync; mdadm super1.c store_super1.
 */
export function encodeSuperblock(sb: Superblock): Uint8Array {
  const maxDev = sb.devRoles.length;
  const bytes = new Uint8Array(superblockSectors(sb) * SECTOR_BYTES);
  const view = viewOf(bytes);
  const at = SUPERBLOCK_OFFSET;
  view.setUint32(at.magic, MD_SB_MAGIC, true);
  view.setUint32(at.majorVersion, 1, true);
  view.setUint32(at.featureMap, sb.featureMap, true);
  bytes.set(sb.setUuid, at.setUuid);
  bytes.set(sb.setName, at.setName);
  view.setBigUint64(at.ctime, packTime(sb.ctime), true);
  view.setInt32(at.level, sb.level, true);
  view.setUint32(at.layout, sb.layout, true);
  view.setBigUint64(at.size, BigInt(sb.size), true);
  view.setUint32(at.chunkSize, sb.chunkSize, true);
  view.setUint32(at.raidDisks, sb.raidDisks, true);
  view.setInt32(at.bitmapOffset, sb.bitmapOffset, true);
  bytes.set(sb.reshapeArea, at.reshapeArea);
  view.setInt32(at.newOffset, sb.newOffset, true);
  view.setBigUint64(at.dataOffset, BigInt(sb.dataOffset), true);
  view.setBigUint64(at.dataSize, BigInt(sb.dataSize), true);
  view.setBigUint64(at.superOffset, BigInt(sb.superOffset), true);
  view.setBigUint64(at.recoveryOffset, packOffset(sb.recoveryOffset), true);
  view.setUint32(at.devNumber, sb.devNumber, true);
  view.setUint32(at.cntCorrectedRead, sb.cntCorrectedRead, true);
  bytes.set(sb.deviceUuid, at.deviceUuid);
  view.setUint8(at.devFlags, sb.devFlags);
  view.setUint8(at.bblogShift, sb.bblogShift);
  view.setUint16(at.bblogSize, sb.bblogSize, true);
  view.setInt32(at.bblogOffset, sb.bblogOffset, true);
  view.setBigUint64(at.utime, packTime(sb.utime), true);
  view.setBigUint64(at.events, BigInt(sb.events), true);
  view.setBigUint64(at.resyncOffset, packOffset(sb.resyncOffset), true);
  view.setUint32(at.maxDev, maxDev, true);
  view.setUint32(at.logicalBlockSize, sb.logicalBlockSize, true);
  sb.devRoles.forEach((role, number) => {
    view.setUint16(at.devRoles + 2 * number, role, true);
  });
  view.setUint32(at.checksum, superblockChecksum(bytes, maxDev), true);
  return bytes;
}

/** Sectors that the superblock takes on the member, rounded up. */
export function superblockSectors(sb: Superblock): number {
  return Math.ceil(superblockBytes(sb.devRoles.length) / SECTOR_BYTES);
}

/**
 * What a superblock says of a device number: its own (`sb.devNumber`) or another member's. Numbers
 * beyond dev_roles, and roles at or past raid_disks, count as spare.
 * Source: drivers/md/md.c super_1_validate, md_run.
 */
export function memberRole(sb: Superblock, deviceNumber: number): MemberRole {
  const role = sb.devRoles[deviceNumber];
  if (role === MD_DISK_ROLE_FAULTY) return { type: "faulty" };
  if (role === MD_DISK_ROLE_JOURNAL) return { type: "journal" };
  if (role === undefined || role >= MD_DISK_ROLE_MAX || role >= sb.raidDisks) {
    return { type: "spare" };
  }
  return { type: "slot", raidSlot: role };
}

/** set_name up to its first NUL; bytes that are not UTF-8 read as U+FFFD. */
export function superblockName(sb: Superblock): string {
  const end = sb.setName.indexOf(0);
  return new TextDecoder().decode(end === -1 ? sb.setName : sb.setName.subarray(0, end));
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function parseFields(bytes: Uint8Array, view: DataView, maxDev: number): Superblock | null {
  const at = SUPERBLOCK_OFFSET;
  const size = toSafeNumber(view.getBigUint64(at.size, true));
  const dataOffset = toSafeNumber(view.getBigUint64(at.dataOffset, true));
  const dataSize = toSafeNumber(view.getBigUint64(at.dataSize, true));
  const superOffset = toSafeNumber(view.getBigUint64(at.superOffset, true));
  const events = toSafeNumber(view.getBigUint64(at.events, true));
  const recoveryOffset = offsetOrNone(view.getBigUint64(at.recoveryOffset, true));
  const resyncOffset = offsetOrNone(view.getBigUint64(at.resyncOffset, true));
  if (size === undefined || dataOffset === undefined || dataSize === undefined) return null;
  if (superOffset === undefined || events === undefined) return null;
  if (recoveryOffset === undefined || resyncOffset === undefined) return null;
  const devRoles = new Uint16Array(maxDev);
  for (let number = 0; number < maxDev; number += 1) {
    devRoles[number] = view.getUint16(at.devRoles + 2 * number, true);
  }
  return {
    featureMap: view.getUint32(at.featureMap, true),
    setUuid: bytes.slice(at.setUuid, at.setUuid + 16),
    setName: bytes.slice(at.setName, at.setName + 32),
    ctime: unpackTime(view.getBigUint64(at.ctime, true)),
    level: view.getInt32(at.level, true),
    layout: view.getUint32(at.layout, true),
    size,
    chunkSize: view.getUint32(at.chunkSize, true),
    raidDisks: view.getUint32(at.raidDisks, true),
    bitmapOffset: view.getInt32(at.bitmapOffset, true),
    reshapeArea: bytes.slice(at.reshapeArea, at.reshapeArea + RESHAPE_AREA_BYTES),
    newOffset: view.getInt32(at.newOffset, true),
    dataOffset,
    dataSize,
    superOffset,
    recoveryOffset,
    devNumber: view.getUint32(at.devNumber, true),
    cntCorrectedRead: view.getUint32(at.cntCorrectedRead, true),
    deviceUuid: bytes.slice(at.deviceUuid, at.deviceUuid + 16),
    devFlags: view.getUint8(at.devFlags),
    bblogShift: view.getUint8(at.bblogShift),
    bblogSize: view.getUint16(at.bblogSize, true),
    bblogOffset: view.getInt32(at.bblogOffset, true),
    utime: unpackTime(view.getBigUint64(at.utime, true)),
    events,
    resyncOffset,
    logicalBlockSize: view.getUint32(at.logicalBlockSize, true),
    devRoles,
  };
}

function offsetOrNone(word: bigint): number | "none" | undefined {
  return word === MAX_SECTOR ? "none" : toSafeNumber(word);
}

function packOffset(offset: number | "none"): bigint {
  return offset === "none" ? MAX_SECTOR : BigInt(offset);
}

function unpackTime(word: bigint): SuperblockTime {
  return { seconds: Number(word & 0xff_ffff_ffffn), microseconds: Number(word >> 40n) };
}

function packTime(time: SuperblockTime): bigint {
  return BigInt(time.seconds) | (BigInt(time.microseconds) << 40n);
}
