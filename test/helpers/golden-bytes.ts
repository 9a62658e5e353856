/** Recorded bytes of real tools, as text in test/golden. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const GOLDEN = join(import.meta.dirname, "../golden");

/** Path of a file below test/golden. */
export function goldenPath(...parts: readonly string[]): string {
  return join(GOLDEN, ...parts);
}

/** Names of the golden files of a folder with this ending, so that a new file is run unasked. */
export function goldenNames(folder: string, ending: string): readonly string[] {
  return readdirSync(goldenPath(folder))
    .filter((name) => name.endsWith(ending))
    .sort();
}

/**
 * Bytes of a `.hex` file: lines of a hexadecimal offset and 16 bytes. `length` bytes in all; what
 * the file leaves out is zero below offset 256 and ones from there on.
 */
export function readHexRows(path: string, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  bytes.fill(0xff, 256);
  for (const row of readFileSync(path, "utf8").trim().split("\n")) {
    const [offset = "", digits = ""] = row.split(" ");
    bytes.set(Buffer.from(digits, "hex"), Number.parseInt(offset, 16));
  }
  return bytes;
}

/** A run of equal sectors that mdadm wrote. */
export interface WrittenRun {
  readonly sector: number;
  readonly count: number;
  readonly bytes: Uint8Array;
}

/** What `mdadm --create` did with these arguments and device sizes. */
export interface RecordedCreate {
  readonly name: string;
  readonly args: string;
  /** mdadm's refusal; undefined when it wrote. */
  readonly refused?: string;
  /** Null: the word missing. */
  readonly members: readonly (RecordedMember | null)[];
}

export interface RecordedMember {
  readonly sizeBytes: number;
  readonly runs: readonly WrittenRun[];
}

interface CreatedFile {
  readonly sectors: readonly string[];
  readonly cases: readonly {
    readonly name: string;
    readonly args: string;
    readonly refused?: string;
    readonly members: readonly ({
      readonly size: number;
      readonly runs: readonly (readonly [number, number, number])[];
    } | null)[];
  }[];
}

/** Everything recorded of `mdadm --create`. */
export function readRecordedCreates(): readonly RecordedCreate[] {
  const path = goldenPath("mdadm-create", "created.json");
  const file = JSON.parse(readFileSync(path, "utf8")) as CreatedFile;
  const sectors = file.sectors.map(expandSector);
  return file.cases.map(({ members, ...rest }) => ({
    ...rest,
    members: members.map((member) =>
      member === null
        ? null
        : {
            sizeBytes: member.size,
            runs: member.runs.map(([sector, count, index]) => ({
              sector,
              count,
              bytes: sectors[index] ?? new Uint8Array(0),
            })),
          },
    ),
  }));
}

/** `a1b2*00`: these bytes, then the last one to the end of the sector. */
function expandSector(text: string): Uint8Array {
  const [digits = "", fill = ""] = text.split("*");
  const bytes = new Uint8Array(512).fill(Number.parseInt(fill, 16));
  bytes.set(Buffer.from(digits, "hex"));
  return bytes;
}
