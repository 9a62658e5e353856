/** `mdadm --examine` of a 0.90 superblock, for people who look at old members. */

import { formatCtime, levelName, type ReportLine } from "./examine-lines.ts";
import { humanSize } from "./human-size.ts";
import type { Device090, Superblock090 } from "./superblock-090.ts";

/** Bits of state. Source: md_p.h MD_SB_*. */
const MD_SB_CLEAN = 0;
const MD_SB_ERRORS = 1;
const MD_SB_BITMAP_PRESENT = 8;
/** Bits of a device's state. Source: md_p.h MD_DISK_*. */
const MD_DISK_FAULTY = 0;
const MD_DISK_ACTIVE = 1;
const MD_DISK_SYNC = 2;
const MD_DISK_REMOVED = 3;
const MD_DISK_WRITEMOSTLY = 9;

/**
 * The report on one member; device node names, which belong to a host, are left out. `localHost` is
 * the host that the UUID names, when that is known.
 */
export function examineSuperblock090(
  path: string,
  sb: Superblock090,
  localHost: string | null,
): readonly ReportLine[] {
  const words = sb.uuidWords.map((word) => word.toString(16).padStart(8, "0")).join(":");
  const line = (label: string, value: string): ReportLine => ({ label, value });
  const lines = [
    { text: `${path}:` },
    line("Magic", "a92b4efc"),
    line("Version", `0.90.${String(sb.patchVersion).padStart(2, "0")}`),
    line("UUID", `${words}${localHost === null ? "" : ` (local to host ${localHost})`}`),
    line("Creation Time", formatCtime(sb.ctime)),
    line("Raid Level", levelName(sb.level)),
  ];
  if (sb.level > 0) {
    lines.push(line("Used Dev Size", `${sb.sizeKib}${humanSize(sb.sizeKib * 1024)}`));
    if (sb.level === 1) {
      lines.push(line("Array Size", `${sb.sizeKib}${humanSize(sb.sizeKib * 1024)}`));
    }
  }
  lines.push(
    line("Raid Devices", String(sb.raidDisks)),
    line("Total Devices", String(sb.totalDevices)),
    line("Preferred Minor", String(sb.mdMinor)),
    { text: "" },
    line("Update Time", formatCtime(sb.utime)),
    line("State", hasBit(sb.state, MD_SB_CLEAN) ? "clean" : "active"),
  );
  if (hasBit(sb.state, MD_SB_ERRORS)) lines.push(line("Errors", "present"));
  if (hasBit(sb.state, MD_SB_BITMAP_PRESENT)) lines.push(line("Internal Bitmap", "present"));
  const verdict =
    sb.checksum === sb.computedChecksum
      ? "correct"
      : `expected ${sb.computedChecksum.toString(16)}`;
  return [
    ...lines,
    line("Active Devices", String(sb.activeDevices)),
    line("Working Devices", String(sb.workingDevices)),
    line("Failed Devices", String(sb.failedDevices)),
    line("Spare Devices", String(sb.spareDevices)),
    line("Checksum", `${sb.checksum.toString(16)} - ${verdict}`),
    line("Events", String(sb.events)),
    { text: "" },
    { text: "" },
    { text: "      Number   Major   Minor   RaidDevice State" },
    { text: deviceRow("this", sb.thisDevice) },
    { text: "" },
    ...sb.devices
      .slice(0, sb.raidDisks + sb.spareDevices)
      .map((device, index) => ({ text: deviceRow(String(index).padStart(4), device) })),
  ];
}

/** Sectors from a 0.90 superblock to its bitmap. Source: mdadm super0.c locate_bitmap0. */
export const BITMAP_SECTOR_090 = 8;

/** True when the superblock says that a bitmap follows it. */
export function hasBitmap090(sb: Superblock090): boolean {
  return hasBit(sb.state, MD_SB_BITMAP_PRESENT);
}

function deviceRow(name: string, device: Device090): string {
  const column = (value: number): string => String(value | 0).padStart(5);
  const node = `${column(device.number)}   ${column(device.major)}    ${column(device.minor)}`;
  const words = describeState090(device.state).join(" ");
  return `${name} ${node}    ${column(device.raidSlot)}      ${words}`;
}

function hasBit(word: number, bit: number): boolean {
  return ((word >>> bit) & 1) === 1;
}

function describeState090(state: number): readonly string[] {
  const words: string[] = [];
  if (hasBit(state, MD_DISK_FAULTY)) words.push("faulty");
  if (hasBit(state, MD_DISK_ACTIVE)) words.push("active");
  if (hasBit(state, MD_DISK_SYNC)) words.push("sync");
  if (hasBit(state, MD_DISK_REMOVED)) words.push("removed");
  if (hasBit(state, MD_DISK_WRITEMOSTLY)) words.push("write-mostly");
  return words.length === 0 ? ["spare"] : words;
}
