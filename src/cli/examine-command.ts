/**
 * `satsuma examine` and `satsuma examine-bitmap`: what members say of themselves, as mdadm prints
 * it or as JSON. Each member is looked at on its own; one that cannot be shown does not keep the
 * others from being shown. Nothing is written.
 */

import { createHash } from "node:crypto";
import { CodedError } from "../common/errors.ts";
import type { BlockDevice } from "../hal/block-device.ts";
import { superblockReasonText, unusableText } from "../raid/assembly-candidate.ts";
import type { BitmapSuperblock } from "../raid/bitmap-superblock.ts";
import { decodeBitmapSuperblock } from "../raid/bitmap-superblock.ts";
import { readContent, readRange } from "../raid/content-driver.ts";
import type { DeviceContent } from "../raid/device-content.ts";
import { examineSuperblock090 } from "../raid/examine-090.ts";
import { examineBitmap } from "../raid/examine-bitmap.ts";
import {
  BITMAP_LABEL_WIDTH,
  EXAMINE_LABEL_WIDTH,
  levelName,
  renderReport,
} from "../raid/examine-lines.ts";
import { examineSuperblock } from "../raid/examine-superblock.ts";
import { bitmapSuperblockRange, type FoundSuperblock } from "../raid/probe.ts";
import type { ParsedSuperblock } from "../raid/superblock.ts";
import type { Superblock090 } from "../raid/superblock-090.ts";
import { SECTOR_BYTES, type Superblock } from "../raid/superblock-fields.ts";
import { findBitmap, readSlots } from "./bitmap-slots.ts";
import { bitmapJson, superblockJson } from "./examine-json.ts";
import { type MemberFile, openMember } from "./member-file.ts";

/** One member's report: text, values, and what is wrong with it. */
export interface Examined {
  /** Empty when there is nothing to show. */
  readonly text: string;
  readonly values: Record<string, unknown>;
  readonly problem: CodedError | null;
}

/** Reports on one member's superblock. Never rejects for what a member holds. */
export async function examineMember(path: string, homehost: string): Promise<Examined> {
  return await withMember(path, async (file) => {
    const content = await readContent(file.device);
    const { superblock, superblock090 } = content.probe;
    if (superblock !== null && superblock.parsed !== null) {
      return await reportSuperblock(file, superblock, superblock.parsed, homehost);
    }
    if (superblock090 !== null) return report090(file, superblock090, homehost);
    throw noSuperblock(path, content);
  });
}

/** Reports on one member's bitmap. Never rejects for what a member holds. */
export async function examineBitmapOf(path: string): Promise<Examined> {
  return await withMember(path, async ({ device }) => {
    const content = await readContent(device);
    const { superblock, superblock090 } = content.probe;
    if (superblock?.parsed == null && superblock090 === null) throw noSuperblock(path, content);
    const place = findBitmap(path, content.probe);
    const slots = await readSlots(path, device, place);
    return {
      text: renderReport(examineBitmap(path, slots, place.is090), BITMAP_LABEL_WIDTH),
      values: { path, ...bitmapJson(slots), problem: null },
      problem: null,
    };
  });
}

async function reportSuperblock(
  file: MemberFile,
  found: FoundSuperblock,
  parsed: ParsedSuperblock,
  homehost: string,
): Promise<Examined> {
  const { path, device } = file;
  const bitmap = await readBitmap(device, parsed.value);
  const deviceSectors = Math.floor(device.sizeBytes / SECTOR_BYTES);
  const lines = examineSuperblock(parsed, { path, homehost, bitmap, deviceSectors });
  const problem = found.problem === null ? null : damagedSuperblock(path, found.problem);
  const values = {
    path,
    size_bytes: device.sizeBytes,
    ...superblockJson(parsed, bitmap, deviceSectors),
    problem: problemJson(problem),
  };
  return { text: renderReport(lines, EXAMINE_LABEL_WIDTH), values, problem };
}

function damagedSuperblock(
  path: string,
  reason: NonNullable<FoundSuperblock["problem"]>,
): CodedError {
  return new CodedError("RAID_SUPERBLOCK_DAMAGED", `${path} ${superblockReasonText(reason)}`, {
    remedy: "md would not load it; use another member of the array",
  });
}

async function readBitmap(device: BlockDevice, sb: Superblock): Promise<BitmapSuperblock | null> {
  const range = bitmapSuperblockRange(sb);
  const bytes = range === null ? null : await readRange(device, range.offset, range.length);
  const decoded = bytes === null ? null : decodeBitmapSuperblock(bytes, sb.setUuid);
  return decoded?.ok === true ? decoded.value : null;
}

function report090(file: MemberFile, sb: Superblock090, homehost: string): Examined {
  const { path, device } = file;
  const localHost = namesHost(sb, homehost) ? homehost : null;
  const values = {
    path,
    size_bytes: device.sizeBytes,
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

function noSuperblock(path: string, { probe, signatures }: DeviceContent): CodedError {
  if (probe.superblock?.problem != null) return damagedSuperblock(path, probe.superblock.problem);
  const holds = signatures.length === 0 ? "" : `; it holds ${signatures.join(", ")}`;
  return new CodedError("RAID_NO_SUPERBLOCK", `${path} ${unusableText({ probe })}${holds}`, {
    remedy: "name a member of an md array",
  });
}

async function withMember(
  path: string,
  look: (file: MemberFile) => Promise<Examined>,
): Promise<Examined> {
  try {
    const file = await openMember(path, "read");
    try {
      return await look(file);
    } finally {
      await file.device.close();
    }
  } catch (problem) {
    if (!(problem instanceof CodedError)) throw problem;
    return { text: "", values: { path, problem: problemJson(problem) }, problem };
  }
}

function problemJson(problem: CodedError | null): Record<string, string> | null {
  return problem === null ? null : { code: problem.code, message: problem.advice };
}
