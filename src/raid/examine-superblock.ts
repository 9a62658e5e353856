/**
 * `mdadm --examine` of a version-1 superblock: the same lines in the same order and wording.
 * Source: mdadm super1.c examine_super1, getinfo_super1; compared with mdadm 4.2 line by line.
 */

import {
  BITMAP_SUPERBLOCK_BYTES,
  type BitmapSuperblock,
  bitmapClusterName,
} from "./bitmap-superblock.ts";
import { formatCtime, levelName, parityLayoutName, type ReportLine } from "./examine-lines.ts";
import { humanSize } from "./human-size.ts";
import { formatRaid10Layout } from "./raid10-layout.ts";
import type { ParsedSuperblock } from "./superblock.ts";
import { memberRole, superblockMinor, superblockName } from "./superblock.ts";
import type { Superblock } from "./superblock-fields.ts";
import {
  FAIL_FAST,
  MD_FEATURE_BAD_BLOCKS,
  MD_FEATURE_BITMAP_OFFSET,
  MD_FEATURE_NEW_OFFSET,
  MD_FEATURE_RECOVERY_OFFSET,
  MD_FEATURE_REPLACEMENT,
  SECTOR_BYTES,
  WRITE_MOSTLY,
} from "./superblock-fields.ts";
import { uuidToMdadmText } from "./uuid.ts";

/** What a report needs besides the superblock. */
export interface ExamineContext {
  readonly path: string;
  /** Host name that array names are compared with. */
  readonly homehost: string;
  /** First bitmap slot's superblock, when the superblock names a bitmap and it is sound. */
  readonly bitmap: BitmapSuperblock | null;
  /** Sectors that the member really has. */
  readonly deviceSectors: number;
}

/** The report on one member. */
export function examineSuperblock(
  parsed: ParsedSuperblock,
  context: ExamineContext,
): readonly ReportLine[] {
  return [
    { text: `${context.path}:` },
    ...arrayLines(parsed.value, context),
    { text: "" },
    ...sizeLines(parsed.value, context),
    ...stateLines(parsed, context),
    { text: "" },
    ...layoutLines(parsed.value),
    { text: "" },
    // mdadm indents these two by one column less.
    { text: `   Device Role : ${describeRole(parsed.value)}` },
    { text: `   Array State : ${describeRoles(parsed.value)} ${ROLES_LEGEND}` },
  ];
}

const ROLES_LEGEND = "('A' == active, '.' == missing, 'R' == replacing)";
/** Longest report on roles: a hostile raid_disks must not print for ever. */
const ROLES_SHOWN_MAX = 2048;

function line(label: string, value: string): ReportLine {
  return { label, value };
}

function arrayLines(sb: Superblock, context: ExamineContext): readonly ReportLine[] {
  const name = superblockName(sb);
  const isLocal = name.startsWith(`${context.homehost}:`);
  const lines = [
    line("Magic", "a92b4efc"),
    line("Version", `1.${superblockMinor(sb)}`),
    line("Feature Map", `0x${sb.featureMap.toString(16)}`),
    line("Array UUID", uuidToMdadmText(sb.setUuid)),
    line("Name", `${name}${isLocal ? `  (local to host ${context.homehost})` : ""}`),
  ];
  if (context.bitmap !== null && context.bitmap.nodes > 0) {
    lines.push(line("Cluster Name", bitmapClusterName(context.bitmap).padEnd(64)));
  }
  lines.push(line("Creation Time", formatCtime(sb.ctime.seconds)));
  lines.push(line("Raid Level", levelName(sb.level)));
  lines.push(line("Raid Devices", String(sb.raidDisks)));
  return lines;
}

function sizeLines(sb: Superblock, context: ExamineContext): readonly ReportLine[] {
  const lines = [line("Avail Dev Size", sectorsText(sb.dataSize))];
  const arrayBytes = arraySizeBytes(sb);
  if (arrayBytes !== null) {
    lines.push(line("Array Size", `${Math.floor(arrayBytes / 1024)} KiB${humanSize(arrayBytes)}`));
  }
  if (sb.level > 0 && sb.size !== sb.dataSize) {
    lines.push(line("Used Dev Size", sectorsText(sb.size)));
  }
  if (sb.dataOffset !== 0) lines.push(line("Data Offset", `${sb.dataOffset} sectors`));
  if ((sb.featureMap & MD_FEATURE_NEW_OFFSET) !== 0) {
    lines.push(line("New Offset", `${sb.dataOffset + sb.newOffset} sectors`));
  }
  lines.push(line("Super Offset", `${sb.superOffset} sectors`));
  if ((sb.featureMap & MD_FEATURE_RECOVERY_OFFSET) !== 0) {
    const done = sb.recoveryOffset === "none" ? "18446744073709551615" : String(sb.recoveryOffset);
    lines.push(line("Recovery Offset", `${done} sectors`));
  }
  if ((sb.featureMap & MD_FEATURE_NEW_OFFSET) === 0) {
    const { before, after } = unusedSpace(sb, context.bitmap, context.deviceSectors);
    lines.push(line("Unused Space", `before=${before} sectors, after=${afterText(after)}`));
  }
  return lines;
}

function sectorsText(sectors: number): string {
  return `${sectors} sectors${humanSize(sectors * SECTOR_BYTES)}`;
}

function afterText(after: number): string {
  return after < 0 ? `-${-after} sectors DEVICE TOO SMALL` : `${after} sectors`;
}

/** Bytes of the array as `--examine` computes them; null where it prints none. */
export function arraySizeBytes(sb: Superblock): number | null {
  const bytes = sb.size * SECTOR_BYTES;
  switch (sb.level) {
    case 1:
      return bytes;
    case 4:
    case 5:
      return bytes * (sb.raidDisks - 1);
    case 6:
      return bytes * (sb.raidDisks - 2);
    case 10: {
      const copies = (sb.layout & 0xff) * ((sb.layout >> 8) & 0xff);
      if (copies === 0) return null;
      return Number((BigInt(bytes) * BigInt(sb.raidDisks)) / BigInt(copies));
    }
    default:
      return null;
  }
}

/**
 * Sectors free before and behind the data; negative when the device ends before its data does.
 * Source: mdadm super1.c getinfo_super1.
 */
export function unusedSpace(
  sb: Superblock,
  bitmap: BitmapSuperblock | null,
  deviceSectors: number,
): { readonly before: number; readonly after: number } {
  const hasBitmap = (sb.featureMap & MD_FEATURE_BITMAP_OFFSET) !== 0;
  const hasLog = sb.bblogSize !== 0 && sb.bblogOffset !== 0;
  const used = sb.level > 0 ? sb.size : sb.dataSize;
  if (sb.dataOffset < sb.superOffset) {
    let end = sb.superOffset;
    if (hasLog) end = Math.min(end, sb.superOffset + sb.bblogOffset);
    if (hasBitmap) end = Math.min(end, sb.superOffset + sb.bitmapOffset);
    return { before: sb.dataOffset, after: Math.max(0, end - sb.dataOffset - used) };
  }
  const room = Math.min(sb.dataSize, deviceSectors - sb.dataOffset);
  let earliest = sb.superOffset + 72;
  if (hasBitmap && sb.bitmapOffset > 0 && bitmap !== null) {
    const bits = Math.floor(bitmap.syncSize / (bitmap.chunkBytes / SECTOR_BYTES));
    const bytes = Math.floor((bits + 7) / 8) + BITMAP_SUPERBLOCK_BYTES;
    earliest = Math.max(earliest, sb.bitmapOffset + Math.ceil(bytes / 4096) * 8);
  }
  if (hasLog) earliest = Math.max(earliest, sb.superOffset + sb.bblogOffset + sb.bblogSize);
  return { before: Math.max(0, sb.dataOffset - earliest), after: room - used };
}

function stateLines(parsed: ParsedSuperblock, context: ExamineContext): readonly ReportLine[] {
  const sb = parsed.value;
  const { after } = unusedSpace(sb, context.bitmap, context.deviceSectors);
  const state = sb.resyncOffset === "none" ? "clean" : "active";
  const lines = [
    line("State", after < 0 ? `${state} TRUNCATED DEVICE` : state),
    line("Device UUID", uuidToMdadmText(sb.deviceUuid)),
    { text: "" },
  ];
  if ((sb.featureMap & MD_FEATURE_BITMAP_OFFSET) !== 0) {
    lines.push(line("Internal Bitmap", `${sb.bitmapOffset} sectors from superblock`));
  }
  const flags = deviceFlags(sb);
  if (sb.devFlags !== 0) lines.push(line("Flags", flags.join(" ")));
  lines.push(line("Update Time", formatCtime(sb.utime.seconds)));
  if (sb.bblogSize !== 0 && sb.bblogOffset !== 0) {
    const entries = (sb.bblogSize * SECTOR_BYTES) / 8;
    const present = (sb.featureMap & MD_FEATURE_BAD_BLOCKS) === 0 ? "" : " - bad blocks present.";
    const where = `available at offset ${sb.bblogOffset} sectors`;
    lines.push(line("Bad Block Log", `${entries} entries ${where}${present}`));
  }
  const stored = parsed.storedChecksum.toString(16);
  const verdict =
    parsed.storedChecksum === parsed.computedChecksum
      ? "correct"
      : `expected ${parsed.computedChecksum.toString(16)}`;
  lines.push(line("Checksum", `${stored} - ${verdict}`));
  lines.push(line("Events", String(sb.events)));
  return lines;
}

/** mdadm's words for devflags. */
export function deviceFlags(sb: Superblock): readonly string[] {
  const flags: string[] = [];
  if ((sb.devFlags & WRITE_MOSTLY) !== 0) flags.push("write-mostly");
  if ((sb.devFlags & FAIL_FAST) !== 0) flags.push("failfast");
  return flags;
}

function layoutLines(sb: Superblock): readonly ReportLine[] {
  const lines: ReportLine[] = [];
  if (sb.level === 5 || sb.level === 6) lines.push(line("Layout", parityLayoutName(sb.layout)));
  if (sb.level === 10) lines.push(line("Layout", formatRaid10Layout(sb.layout)));
  if ([0, 4, 5, 6, 10].includes(sb.level)) {
    lines.push(line("Chunk Size", `${Math.floor(sb.chunkSize / 2)}K`));
  }
  if (sb.level === -1) lines.push(line("Rounding", `${Math.floor(sb.chunkSize / 2)}K`));
  return lines;
}

/** `Active device 0`, `spare` …: the member's own role. */
export function describeRole(sb: Superblock): string {
  const role = memberRole(sb, sb.devNumber);
  if (role.type === "journal") return "Journal";
  if (role.type !== "slot") return "spare";
  const isReplacement = (sb.featureMap & MD_FEATURE_REPLACEMENT) !== 0;
  return `${isReplacement ? "Replacement" : "Active"} device ${role.raidSlot}`;
}

/** One letter per raid slot: `A` one holder, `R` two, `.` none. */
export function describeRoles(sb: Superblock): string {
  let letters = "";
  for (let raidSlot = 0; raidSlot < Math.min(sb.raidDisks, ROLES_SHOWN_MAX); raidSlot += 1) {
    const holders = sb.devRoles.filter((role) => role === raidSlot).length;
    letters += [".", "A", "R"][holders] ?? "?";
  }
  return letters;
}
