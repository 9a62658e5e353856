/**
 * Which metadata a would-be member holds and where: md 1.0, 1.1, 1.2, and the kinds we recognise
 * only to refuse them by name (md 0.90, DDF, Intel Matrix). Pure: the caller reads the bytes.
 */

import { BITMAP_SUPERBLOCK_BYTES } from "./bitmap-superblock.ts";
import type { ParsedSuperblock, SuperblockReason } from "./superblock.ts";
import { parseSuperblock, superblockOffsetSectors, superblockProblem } from "./superblock.ts";
import type { Superblock090 } from "./superblock-090.ts";
import {
  decodeSuperblock090,
  SUPERBLOCK_090_BYTES,
  superblock090Sector,
} from "./superblock-090.ts";
import type { MinorVersion, Superblock } from "./superblock-fields.ts";
import {
  MD_FEATURE_BITMAP_OFFSET,
  MD_SB_MAGIC,
  SECTOR_BYTES,
  SUPERBLOCK_MAX_BYTES,
} from "./superblock-fields.ts";

/** A piece of a member, in bytes. */
export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/** Bytes at a range of a member, or null when they cannot be read. */
export type ReadRange = (offset: number, length: number) => Uint8Array | null;

/** Something that starts like an md 1.x superblock, good or damaged. */
export interface FoundSuperblock {
  readonly minor: MinorVersion;
  readonly positionSectors: number;
  /** Null when the fields could not be read at all. */
  readonly parsed: ParsedSuperblock | null;
  /** Why md would not load it; null when it would. */
  readonly problem: SuperblockReason | null;
}

/** What a member holds. */
export interface ProbedMember {
  readonly sizeBytes: number;
  /** The md 1.x superblock that counts, or the damaged one to report; null when there is none. */
  readonly superblock: FoundSuperblock | null;
  /** Every md 1.x superblock found, the one that counts included. */
  readonly allSuperblocks: readonly FoundSuperblock[];
  readonly superblock090: Superblock090 | null;
  /** Other RAID metadata found. */
  readonly foreign: readonly ("ddf" | "imsm")[];
  /** True when some range could not be read: what is absent may be unreadable. */
  readonly unreadable: boolean;
}

const MINORS: readonly MinorVersion[] = [0, 1, 2];
/** Source: SNIA Common RAID Disk Data Format 2.0, "DDF header": big-endian signature. */
const DDF_SIGNATURE = 0xde11de11;
/** Source: mdadm super-intel.c MPB_SIGNATURE. */
const IMSM_SIGNATURE = "Intel Raid ISM Cfg Sig. ";

/**
 * The ranges `probeMember` reads on a member of `sizeBytes`, for callers that read ahead of time.
 * They may overlap.
 */
export function memberProbeRanges(sizeBytes: number): readonly ByteRange[] {
  const sectors = Math.floor(sizeBytes / SECTOR_BYTES);
  const ranges: ByteRange[] = [];
  const add = (sector: number | null, length: number): void => {
    if (sector === null || sector < 0) return;
    const offset = sector * SECTOR_BYTES;
    ranges.push({ offset, length: Math.min(length, sizeBytes - offset) });
  };
  for (const minor of MINORS) add(superblockOffsetSectors(minor, sectors), SUPERBLOCK_MAX_BYTES);
  add(superblock090Sector(sectors), SUPERBLOCK_090_BYTES);
  add(sectors - 1, SECTOR_BYTES);
  add(sectors - 2, SECTOR_BYTES);
  return ranges;
}

/**
 * Finds the metadata of a member of `sizeBytes`. Of several loadable superblocks the one created
 * last counts, as in mdadm; a damaged one counts only when no good one is there.
 * Source: mdadm super1.c load_super1 (probing order 1.0, 1.1, 1.2, largest ctime).
 */
export function probeMember(read: ReadRange, sizeBytes: number): ProbedMember {
  let unreadable = false;
  const readRange: ReadRange = (offset, length) => {
    const bytes = read(offset, length);
    if (bytes === null || bytes.length < length) unreadable = true;
    return bytes;
  };
  const sectors = Math.floor(sizeBytes / SECTOR_BYTES);
  const allSuperblocks: FoundSuperblock[] = [];
  for (const minor of MINORS) {
    const found = findSuperblock(readRange, minor, sectors, sizeBytes);
    if (found !== null) allSuperblocks.push(found);
  }
  const position090 = superblock090Sector(sectors);
  const bytes090 =
    position090 === null ? null : readRange(position090 * SECTOR_BYTES, SUPERBLOCK_090_BYTES);
  return {
    sizeBytes,
    superblock: chooseSuperblock(allSuperblocks),
    allSuperblocks,
    superblock090: bytes090 === null ? null : decodeSuperblock090(bytes090),
    foreign: findForeign(readRange, sectors),
    unreadable,
  };
}

/** Bytes of the member at which the first bitmap slot lies; null when there is no bitmap. */
export function bitmapPosition(sb: Superblock): number | null {
  if ((sb.featureMap & MD_FEATURE_BITMAP_OFFSET) === 0 || sb.bitmapOffset === 0) return null;
  const sector = sb.superOffset + sb.bitmapOffset;
  return sector < 0 ? null : sector * SECTOR_BYTES;
}

/** The range of a member that holds its first bitmap superblock; null when there is no bitmap. */
export function bitmapSuperblockRange(sb: Superblock): ByteRange | null {
  const offset = bitmapPosition(sb);
  return offset === null ? null : { offset, length: BITMAP_SUPERBLOCK_BYTES };
}

function findSuperblock(
  read: ReadRange,
  minor: MinorVersion,
  sectors: number,
  sizeBytes: number,
): FoundSuperblock | null {
  const positionSectors = superblockOffsetSectors(minor, sectors);
  if (positionSectors === null) return null;
  const offset = positionSectors * SECTOR_BYTES;
  const bytes = read(offset, Math.min(SUPERBLOCK_MAX_BYTES, sizeBytes - offset));
  if (bytes === null) return null;
  const parsed = parseSuperblock(bytes);
  if (!parsed.ok) {
    if (parsed.reason === "no-magic" || !startsWithVersion1(bytes)) return null;
    return { minor, positionSectors, parsed: null, problem: parsed.reason };
  }
  // A block that says it belongs elsewhere is data that looks like a superblock, or a copy.
  const problem = superblockProblem(parsed.value, positionSectors, sectors);
  return { minor, positionSectors, parsed: parsed.value, problem };
}

function startsWithVersion1(bytes: Uint8Array): boolean {
  if (bytes.length < 8) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return view.getUint32(0, true) === MD_SB_MAGIC && view.getUint32(4, true) === 1;
}

function chooseSuperblock(all: readonly FoundSuperblock[]): FoundSuperblock | null {
  const good = all.filter((found) => found.problem === null);
  let best: FoundSuperblock | null = null;
  for (const found of good.length > 0 ? good : all) {
    if (best === null || createdAt(found) > createdAt(best)) best = found;
  }
  return best;
}

function createdAt(found: FoundSuperblock): number {
  return found.parsed === null ? -1 : found.parsed.value.ctime.seconds;
}

function findForeign(read: ReadRange, sectors: number): readonly ("ddf" | "imsm")[] {
  const foreign: ("ddf" | "imsm")[] = [];
  if (sectors < 2) return foreign;
  const last = read((sectors - 1) * SECTOR_BYTES, SECTOR_BYTES);
  if (last !== null && last.length >= 4) {
    const view = new DataView(last.buffer, last.byteOffset, last.byteLength);
    if (view.getUint32(0, false) === DDF_SIGNATURE) foreign.push("ddf");
  }
  const beforeLast = read((sectors - 2) * SECTOR_BYTES, SECTOR_BYTES);
  if (beforeLast !== null && startsWith(beforeLast, IMSM_SIGNATURE)) foreign.push("imsm");
  return foreign;
}

function startsWith(bytes: Uint8Array, text: string): boolean {
  for (let index = 0; index < text.length; index += 1) {
    if (bytes[index] !== text.charCodeAt(index)) return false;
  }
  return true;
}
