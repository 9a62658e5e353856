/**
 * The bad-block list of one member while the array runs: ranges of its data that must not be read.
 * Positions are bytes behind the data offset; on disk they are sectors from the start of the
 * device, in runs of at most 512. Source: include/linux/badblocks.h.
 */

import type { BadRange } from "./bad-block-table.ts";
import { BAD_BLOCKS_MAX, type BadBlockRun, encodeBadBlocks } from "./bad-blocks.ts";
import type { Superblock } from "./superblock-fields.ts";
import { SECTOR_BYTES } from "./superblock-fields.ts";

/** Longest run of one entry on disk, sectors. */
const RUN_SECTORS_MAX = 512;

/** Whether the member has room for a list. */
export const hasBadBlockLog = (sb: Superblock): boolean => sb.bblogSize > 0 && sb.bblogOffset !== 0;

/** The runs of a list as ranges, ascending and joined; what lies before the data is dropped. */
export const rangesFromRuns = (runs: readonly BadBlockRun[], dataOffset: number): BadRange[] => {
  const ranges = runs.map(({ sector, sectors }): BadRange => {
    const from = Math.max(sector - dataOffset, 0) * SECTOR_BYTES;
    return [from, Math.max((sector - dataOffset + sectors) * SECTOR_BYTES, from)];
  });
  return joinRanges(ranges.filter(([from, to]) => to > from));
};

/** Ascending, apart from each other. */
export const joinRanges = (ranges: readonly BadRange[]): BadRange[] => {
  const joined: [number, number][] = [];
  for (const [from, to] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const last = joined.at(-1);
    if (last !== undefined && from <= last[1]) last[1] = Math.max(last[1], to);
    else joined.push([from, to]);
  }
  return joined;
};

/** The ranges without `[from, to)`. */
export const withoutRange = (ranges: readonly BadRange[], [from, to]: BadRange): BadRange[] =>
  ranges.flatMap(([start, end]): BadRange[] => {
    if (end <= from || to <= start) return [[start, end]];
    const left: BadRange[] = start < from ? [[start, from]] : [];
    return end > to ? [...left, [to, end]] : left;
  });

/** The ranges widened to whole sectors. */
export const wholeSectors = (ranges: readonly BadRange[]): BadRange[] =>
  ranges.map(([from, to]) => [
    Math.floor(from / SECTOR_BYTES) * SECTOR_BYTES,
    Math.ceil(to / SECTOR_BYTES) * SECTOR_BYTES,
  ]);

/** The whole sectors of a range; null when it has none. */
export const innerSectors = ([from, to]: BadRange): BadRange | null => {
  const first = Math.ceil(from / SECTOR_BYTES) * SECTOR_BYTES;
  const end = Math.floor(to / SECTOR_BYTES) * SECTOR_BYTES;
  return first < end ? [first, end] : null;
};

/** The list as it goes on disk, or null when it has no room for it. */
export const runsFromRanges = (
  ranges: readonly BadRange[],
  sb: Superblock,
): readonly BadBlockRun[] | null => {
  const runs: BadBlockRun[] = [];
  for (const [from, to] of ranges) {
    const end = to / SECTOR_BYTES + sb.dataOffset;
    for (let at = from / SECTOR_BYTES + sb.dataOffset; at < end; at += RUN_SECTORS_MAX)
      runs.push({ sector: at, sectors: Math.min(RUN_SECTORS_MAX, end - at) });
  }
  return runs.length > listEntries(sb) ? null : runs;
};

const listEntries = (sb: Superblock): number =>
  Math.min(BAD_BLOCKS_MAX, (sb.bblogSize * SECTOR_BYTES) / 8);

/** Where the page lies (bytes from the start of the device) and what is written there. */
export const badBlockPage = (
  ranges: readonly BadRange[],
  sb: Superblock,
): { readonly offset: number; readonly data: Uint8Array } | null => {
  const runs = runsFromRanges(ranges, sb);
  if (runs === null || !hasBadBlockLog(sb)) return null;
  const offset = (sb.superOffset + sb.bblogOffset) * SECTOR_BYTES;
  const bytes = Math.min(sb.bblogSize * SECTOR_BYTES, BAD_BLOCKS_MAX * 8);
  return { offset, data: encodeBadBlocks(runs, bytes) };
};
