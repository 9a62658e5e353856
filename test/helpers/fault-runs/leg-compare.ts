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
  /**
   * Bits of all slots that may be set on every member: no write goes on by fewer. A member that
   * joined while another node recovered a slot may keep bits of it that nobody else has.
   */
  readonly dirtyBits: number;
  readonly differences: readonly LegDifference[];
}

/** Reads every member; nobody may write meanwhile. */
export async function compareLegs(files: readonly string[]): Promise<LegReport> {
  const legs: Leg[] = [];
  const dirty: (readonly number[])[] = [];
  for (const file of files) {
    const { stdout } = await runSatsuma("examine", "--json", file);
    const [told] = [JSON.parse(stdout)].flat();
    legs.push({
      file,
      dataOffset: told.data_offset_bytes,
      sizeBytes: told.array_size_bytes,
      events: told.events,
    });
    dirty.push(await dirtyBitsOf(file));
  }
  const [first = [], ...rest] = dirty;
  const everywhere = first.map((own, slot) =>
    Math.min(own, ...rest.map((bits) => bits[slot] ?? 0)),
  );
  const dirtyBits = everywhere.reduce((sum, bits) => sum + bits, 0);
  return { bytes: legs[0]?.sizeBytes ?? 0, dirtyBits, differences: differencesOf(legs) };
}

/** Set bits of each slot. */
const dirtyBitsOf = async (file: string): Promise<readonly number[]> => {
  const { stdout } = await runSatsuma("examine-bitmap", "--json", file);
  const [told] = [JSON.parse(stdout)].flat();
  return told.slots.map((slot: { readonly dirty_chunks: number }) => slot.dirty_chunks);
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
