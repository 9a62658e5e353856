/** Whether the members of an array at rest hold the same, but for what their bitmaps mark. */
import { closeSync, openSync, readSync } from "node:fs";
import { runSatsuma } from "../satsuma-command.ts";

const COMPARED_BYTES = 256 * 1024;
const PAGE = 4096;

interface Leg {
  readonly file: string;
  readonly dataOffset: number;
  readonly sizeBytes: number;
  readonly events: number;
}

export interface LegDifference {
  /** Of the array. */
  readonly offset: number;
  readonly files: readonly string[];
}

export interface LegReport {
  readonly bytes: number;
  /** Bits that are set in any slot of any member's bitmap. */
  readonly dirtyBits: number;
  readonly differences: readonly LegDifference[];
}

/** Reads every member; nobody may write meanwhile. */
export async function compareLegs(files: readonly string[]): Promise<LegReport> {
  const legs: Leg[] = [];
  let dirtyBits = 0;
  for (const file of files) {
    const { stdout } = await runSatsuma("examine", "--json", file);
    const [told] = [JSON.parse(stdout)].flat();
    legs.push({
      file,
      dataOffset: told.data_offset_bytes,
      sizeBytes: told.array_size_bytes,
      events: told.events,
    });
    dirtyBits += await dirtyBitsOf(file);
  }
  return { bytes: legs[0]?.sizeBytes ?? 0, dirtyBits, differences: differencesOf(legs) };
}

const dirtyBitsOf = async (file: string): Promise<number> => {
  const { stdout } = await runSatsuma("examine-bitmap", "--json", file);
  const counts = [...stdout.matchAll(/"dirty_(?:chunks|bits)":\s*(\d+)/g)];
  return counts.reduce((sum, [, count]) => sum + Number(count), 0);
};

const differencesOf = (legs: readonly Leg[]): LegDifference[] => {
  const opened = legs.map((leg) => ({ ...leg, fd: openSync(leg.file, "r") }));
  const [first, ...rest] = opened;
  const differences: LegDifference[] = [];
  if (first === undefined) return differences;
  try {
    const own = Buffer.alloc(COMPARED_BYTES);
    const other = Buffer.alloc(COMPARED_BYTES);
    for (let offset = 0; offset < first.sizeBytes; offset += COMPARED_BYTES) {
      const length = Math.min(COMPARED_BYTES, first.sizeBytes - offset);
      readSync(first.fd, own, 0, length, first.dataOffset + offset);
      for (const leg of rest) {
        readSync(leg.fd, other, 0, length, leg.dataOffset + offset);
        if (Buffer.compare(own.subarray(0, length), other.subarray(0, length)) === 0) continue;
        for (let page = 0; page < length; page += PAGE)
          if (
            Buffer.compare(own.subarray(page, page + PAGE), other.subarray(page, page + PAGE)) !== 0
          )
            differences.push({ offset: offset + page, files: [first.file, leg.file] });
      }
    }
  } finally {
    for (const { fd } of opened) closeSync(fd);
  }
  return differences;
};
