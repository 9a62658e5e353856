/**
 * `satsuma examine` and `satsuma examine-bitmap`: what members say of themselves, as mdadm prints
 * it or as JSON. Each member is looked at on its own; one that cannot be shown does not keep the
 * others from being shown. Nothing is written.
 */

import { createHash } from "node:crypto";
import { CodedError } from "../common/errors.ts";
import { superblockReasonText, unusableText } from "../raid/assembly-candidate.ts";
import type { BitmapReason } from "../raid/bitmap-superblock.ts";
import {
  BITMAP_SUPERBLOCK_BYTES,
  bitmapChunks,
  bitmapSlotBytes,
  decodeBitmapSuperblock,
} from "../raid/bitmap-superblock.ts";
import { BITMAP_SECTOR_090, examineSuperblock090, hasBitmap090 } from "../raid/examine-090.ts";
import {
  bitmapSlotRanges,
  countDirtyChunks,
  type ExaminedSlot,
  examineBitmap,
} from "../raid/examine-bitmap.ts";
import {
  BITMAP_LABEL_WIDTH,
  EXAMINE_LABEL_WIDTH,
  levelName,
  renderReport,
} from "../raid/examine-lines.ts";
import { examineSuperblock } from "../raid/examine-superblock.ts";
import { bitmapPosition, type ProbedMember } from "../raid/probe.ts";
import { detectSignatures } from "../raid/signatures.ts";
import { type Superblock090, superblock090Sector } from "../raid/superblock-090.ts";
import { SECTOR_BYTES } from "../raid/superblock-fields.ts";
import { bitmapJson, superblockJson } from "./examine-json.ts";
import type { MemberFile } from "./member-file.ts";
import { openMember, probeFile, readBitmapSuperblock, readRange } from "./member-file.ts";

/** One member's report: text, values, and what is wrong with it. */
export interface Examined {
  /** Empty when there is nothing to show. */
  readonly text: string;
  readonly values: Record<string, unknown>;
  readonly problem: CodedError | null;
}

/** Most bytes of one bitmap slot that are read to count its bits. */
const SLOT_BYTES_MAX = 64 * 1024 * 1024;

const BITMAP_DAMAGE: Readonly<Record<BitmapReason, string>> = {
  truncated: "is cut off",
  "no-magic": "has no magic number",
  version: "has an unknown version",
  "chunk-size": "has an impossible chunk size",
  "daemon-sleep": "has an impossible flush period",
  "write-behind": "has an impossible number of writes behind",
  nodes: "has an impossible number of nodes",
  "out-of-range": "holds a count beyond 2^53",
  uuid: "belongs to another array",
};

/** Reports on one member's superblock. Never throws for what a member holds. */
export async function examineMember(path: string, homehost: string): Promise<Examined> {
  return await withMember(path, (file) => {
    const probe = probeFile(file);
    const parsed = probe.superblock?.parsed ?? null;
    if (parsed !== null) return examineFound(file, probe, homehost);
    if (probe.superblock090 !== null) return examine090(file, probe.superblock090, homehost);
    return failed(path, noSuperblock(file, probe));
  });
}

function examineFound(file: MemberFile, probe: ProbedMember, homehost: string): Examined {
  const { path } = file;
  const found = probe.superblock;
  const parsed = found?.parsed ?? null;
  if (found === null || parsed === null) return failed(path, noSuperblock(file, probe));
  const bitmapRead = readBitmapSuperblock(file, parsed.value);
  const bitmap =
    bitmapRead !== null && bitmapRead !== "unreadable" && bitmapRead.ok ? bitmapRead.value : null;
  const lines = examineSuperblock(parsed, { path, homehost, bitmap });
  const problem =
    found.problem === null
      ? null
      : new CodedError(
          "RAID_SUPERBLOCK_DAMAGED",
          `${path}: ${superblockReasonText(found.problem)}`,
          { remedy: "md would not load it; use another member of the array" },
        );
  const values = {
    path,
    size_bytes: file.sizeBytes,
    ...superblockJson(parsed, bitmap),
    problem: problemJson(problem),
  };
  return { text: renderReport(lines, EXAMINE_LABEL_WIDTH), values, problem };
}

function examine090(file: MemberFile, sb: Superblock090, homehost: string): Examined {
  const { path } = file;
  const localHost = namesHost(sb, homehost) ? homehost : null;
  const values = {
    path,
    size_bytes: file.sizeBytes,
    metadata: "0.90",
    array_uuid: sb.uuidWords.map((word) => word.toString(16).padStart(8, "0")).join(":"),
    level: levelName(sb.level),
    raid_devices: sb.raidDisks,
    events: sb.events,
    problem: null,
  };
  const lines = examineSuperblock090(path, sb, localHost);
  return { text: renderReport(lines, EXAMINE_LABEL_WIDTH), values, problem: null };
}

/** mdadm puts the start of the host name's SHA-1 into the UUID's second half. */
function namesHost(sb: Superblock090, homehost: string): boolean {
  const hash = createHash("sha1").update(homehost).digest();
  return sb.uuidWords[2] === hash.readUInt32LE(0) && sb.uuidWords[3] === hash.readUInt32LE(4);
}

function noSuperblock(file: MemberFile, probe: ProbedMember): CodedError {
  const { path } = file;
  if (probe.superblock !== null) {
    return new CodedError("RAID_SUPERBLOCK_DAMAGED", `${path}: ${unusableText(probe)}`, {
      remedy: "use another member of the array",
    });
  }
  const read = (offset: number, length: number): Uint8Array | null =>
    readRange(file, offset, length);
  const names = detectSignatures(read, file.sizeBytes).map(({ name }) => name);
  const holds = names.length === 0 ? "" : `, it holds ${names.join(", ")}`;
  return new CodedError("RAID_NO_SUPERBLOCK", `${path} ${unusableText(probe)}${holds}`, {
    remedy: "name a member of an md array",
  });
}

/** Reports on one member's bitmap. Never throws for what a member holds. */
export async function examineBitmapOf(path: string): Promise<Examined> {
  return await withMember(path, (file) => {
    const probe = probeFile(file);
    const place = findBitmap(file, probe);
    if (place instanceof CodedError) return failed(path, place);
    const slots = readSlots(file, place);
    if (slots instanceof CodedError) return failed(path, slots);
    return {
      text: renderReport(examineBitmap(path, slots, place.is090), BITMAP_LABEL_WIDTH),
      values: { path, ...bitmapJson(slots), problem: null },
      problem: null,
    };
  });
}

/** Where a member's bitmap lies, and the array it must belong to. */
interface BitmapPlace {
  readonly offset: number;
  /** Undefined: not checked. */
  readonly setUuid: Uint8Array | undefined;
  readonly is090: boolean;
}

function findBitmap(file: MemberFile, probe: ProbedMember): BitmapPlace | CodedError {
  const sb = probe.superblock?.parsed?.value;
  if (sb !== undefined) {
    const offset = bitmapPosition(sb);
    return offset === null ? noBitmap(file.path) : { offset, setUuid: sb.setUuid, is090: false };
  }
  const sector = superblock090Sector(Math.floor(file.sizeBytes / SECTOR_BYTES));
  if (probe.superblock090 === null || sector === null) return noSuperblock(file, probe);
  if (!hasBitmap090(probe.superblock090)) return noBitmap(file.path);
  const offset = (sector + BITMAP_SECTOR_090) * SECTOR_BYTES;
  return { offset, setUuid: undefined, is090: true };
}

function noBitmap(path: string): CodedError {
  return new CodedError("RAID_NO_BITMAP", `${path} has no write-intent bitmap`);
}

function readSlots(file: MemberFile, place: BitmapPlace): readonly ExaminedSlot[] | CodedError {
  const { path } = file;
  const { offset, setUuid } = place;
  const head = readRange(file, offset, BITMAP_SUPERBLOCK_BYTES);
  if (head === null) return damagedBitmap(path, "cannot be read");
  const decoded = decodeBitmapSuperblock(head, setUuid);
  if (!decoded.ok) return damagedBitmap(path, BITMAP_DAMAGE[decoded.reason]);
  const { value } = decoded;
  const chunks = bitmapChunks(value.syncSize, value.chunkBytes);
  if (bitmapSlotBytes(chunks) > SLOT_BYTES_MAX) {
    return damagedBitmap(path, `would have ${chunks} bits`);
  }
  const slots: ExaminedSlot[] = [];
  for (const [index, range] of bitmapSlotRanges(value, offset).entries()) {
    const bytes = readRange(file, range.offset, range.length);
    if (bytes === null) return damagedBitmap(path, `cannot be read in slot ${index}`);
    const slot = decodeBitmapSuperblock(bytes, setUuid);
    if (!slot.ok) return damagedBitmap(path, `${BITMAP_DAMAGE[slot.reason]} in slot ${index}`);
    slots.push({ superblock: slot.value, chunks, dirty: countDirtyChunks(bytes, chunks) });
  }
  return slots;
}

function damagedBitmap(path: string, what: string): CodedError {
  return new CodedError("RAID_BITMAP_DAMAGED", `the bitmap of ${path} ${what}`, {
    remedy: "use another member; an array without a sound bitmap resyncs in full",
  });
}

async function withMember(path: string, look: (file: MemberFile) => Examined): Promise<Examined> {
  try {
    const file = await openMember(path, "read");
    try {
      return look(file);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof CodedError) return failed(path, error);
    throw error;
  }
}

function failed(path: string, problem: CodedError): Examined {
  return { text: "", values: { path, problem: problemJson(problem) }, problem };
}

function problemJson(problem: CodedError | null): Record<string, string> | null {
  return problem === null ? null : { code: problem.code, message: problem.advice };
}
