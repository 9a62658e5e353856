/**
 * The bad-block list of a member: sectors of it that must not be read. Positions count from the
 * start of the device, the data offset included. Meaningful with MD_FEATURE_BAD_BLOCKS only.
 * Source: drivers/md/md.c super_1_load, include/linux/badblocks.h.
 */

import type { ByteRange } from "./probe.ts";
import type { Superblock } from "./superblock-fields.ts";
import { MD_FEATURE_BAD_BLOCKS, SECTOR_BYTES } from "./superblock-fields.ts";

/** Entries that one page holds: the kernel reads no more. */
export const BAD_BLOCKS_MAX = 512;
/** Longest run of one entry, in units of the list. */
const LENGTH_MAX = 512;
const ENTRY_BYTES = 8;
const END_OF_LIST = 0xffff_ffff_ffff_ffffn;

/** A run of bad sectors, counted from the start of the device. */
export interface BadBlockRun {
  readonly sector: number;
  readonly sectors: number;
}

/** Where a member's list lies, or null when it has none or the list is empty. */
export function badBlockRange(sb: Superblock): ByteRange | null {
  if ((sb.featureMap & MD_FEATURE_BAD_BLOCKS) === 0) return null;
  const sector = sb.superOffset + sb.bblogOffset;
  if (sb.bblogSize === 0 || sb.bblogOffset === 0 || sector < 0) return null;
  const length = Math.min(sb.bblogSize * SECTOR_BYTES, BAD_BLOCKS_MAX * ENTRY_BYTES);
  return { offset: sector * SECTOR_BYTES, length };
}

/**
 * Reads the list; `shift` is bblog_shift. Null when an entry is impossible (no length, beyond
 * 2^53): then every sector of the member is suspect.
 */
export function decodeBadBlocks(bytes: Uint8Array, shift: number): readonly BadBlockRun[] | null {
  if (shift > 32) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const runs: BadBlockRun[] = [];
  for (let at = 0; at + ENTRY_BYTES <= bytes.length; at += ENTRY_BYTES) {
    const entry = view.getBigUint64(at, true);
    if (entry === END_OF_LIST) break;
    const unit = 2 ** shift;
    const sector = Number(entry >> 10n) * unit;
    const length = Number(entry & 0x3ffn);
    if (length === 0 || length > LENGTH_MAX || !Number.isSafeInteger(sector + length * unit)) {
      return null;
    }
    runs.push({ sector, sectors: length * unit });
  }
  return runs;
}

/**
 * The page for a list in units of one sector, unused entries all ones. At most 512 runs of at most
 * 512 sectors, ascending.
 */
export function encodeBadBlocks(runs: readonly BadBlockRun[], pageBytes: number): Uint8Array {
  const bytes = new Uint8Array(pageBytes).fill(0xff);
  const view = new DataView(bytes.buffer);
  runs.forEach(({ sector, sectors }, index) => {
    view.setBigUint64(index * ENTRY_BYTES, (BigInt(sector) << 10n) | BigInt(sectors), true);
  });
  return bytes;
}

/** True when `[sector, sector + sectors)` of the device touches a bad run. */
export function touchesBadBlock(
  runs: readonly BadBlockRun[],
  sector: number,
  sectors: number,
): boolean {
  return runs.some((run) => sector < run.sector + run.sectors && run.sector < sector + sectors);
}
