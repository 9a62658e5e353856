/**
 * What `status` and `detail` print: arrays in the manner of /proc/mdstat and `mdadm --detail`.
 *
 * Source: drivers/md/md.c md_seq_show; mdadm Detail.c.
 */

import type { ArrayResource, SyncResource } from "../api/schemas/array.ts";
import type { MemberResource } from "../api/schemas/member.ts";

const KIB = 1024;
const BAR_CELLS = 20;
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;

/** Bytes in the largest binary unit that keeps the number at 1 or above, one decimal. */
export function sizeText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit + 1 < UNITS.length) {
    value /= 1024;
    unit += 1;
  }
  const text = unit === 0 || Number.isInteger(value) ? String(value) : value.toFixed(1);
  return `${text} ${UNITS[unit]}`;
}

/** Seconds as `2 h 5 min`, `3.5 min` or `12 s`. */
export function durationText(seconds: number): string {
  if (seconds < 60) {
    return `${Math.ceil(seconds)} s`;
  }
  if (seconds < 3600) {
    return `${(seconds / 60).toFixed(1)} min`;
  }
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

/** `[=====>...............]` as mdstat draws it. */
export function barText(percent: number): string {
  const done = Math.min(BAR_CELLS, Math.floor((percent / 100) * BAR_CELLS));
  return `[${"=".repeat(done)}>${".".repeat(BAR_CELLS - done)}]`;
}

/** The line of a sync action: bar, percent, position, time left, speed. */
export function syncLine(sync: SyncResource): string {
  const word = sync.action === "recover" ? "recovery" : sync.action;
  const done = `${Math.floor(sync.completed / KIB)}/${Math.floor(sync.total / KIB)}`;
  const left =
    sync.eta === null
      ? "unknown"
      : sync.eta.low === sync.eta.high
        ? durationText(sync.eta.low)
        : `${durationText(sync.eta.low)} - ${durationText(sync.eta.high)}`;
  const speed = sync.sub_state === "paused" ? "paused" : `${sizeText(sync.speed)}/s`;
  const percent = sync.percent.toFixed(1);
  return `${barText(sync.percent)}  ${word} = ${percent}% (${done}) finish=${left} speed=${speed}`;
}

const flagOf = (member: MemberResource): string => {
  if (member.states.includes("faulty")) {
    return "(F)";
  }
  return member.states.includes("spare") && !member.states.includes("rebuilding") ? "(S)" : "";
};

const slotsText = (array: ArrayResource): string => {
  const slots = Array.from({ length: array.config.raid_devices }, (_, slot) => {
    const member = array.status.members.find((candidate) => candidate.slot === slot);
    return member?.states.includes("in_sync") ? "U" : "_";
  });
  return `[${array.config.raid_devices}/${array.status.in_sync_copies}] [${slots.join("")}]`;
};

const bitmapLine = (array: ArrayResource): string[] => {
  const { bitmap } = array.status;
  if (bitmap === null) {
    return [];
  }
  const chunk = sizeText(array.config.bitmap.chunk_size);
  return [`      bitmap: ${bitmap.dirty}/${bitmap.total} chunks dirty, ${chunk} chunk`];
};

/** The lines of one array. */
export function statusLines(array: ArrayResource): string[] {
  const { status, config } = array;
  const members = status.members
    .filter((member) => member.path !== null)
    .map((member) => {
      const number = member.device_number ?? member.slot;
      return `${member.device_id ?? member.path}[${number ?? "-"}]${flagOf(member)}`;
    });
  const isRunning = status.array_state !== "inactive" && status.array_state !== "clear";
  const head = [array.name, ":", isRunning ? "active" : "inactive", config.level, ...members];
  const reasons = status.health_reasons.map((reason) => `      ${reason.message}`);
  const health = `      health: ${status.health}`;
  if (!isRunning) {
    return [head.join(" "), health, ...reasons];
  }
  const size = `${Math.floor(config.size / KIB)} blocks super ${config.metadata}`;
  return [
    head.join(" "),
    `      ${size} ${slotsText(array)}`,
    health,
    ...reasons,
    ...(status.sync === null ? [] : [`      ${syncLine(status.sync)}`]),
    ...bitmapLine(array),
  ];
}

const memberRow = (member: MemberResource): string => {
  const cells = [
    String(member.device_number ?? "-").padStart(8),
    String(member.slot ?? "-").padStart(10),
    member.states.join(",").padEnd(22),
    member.path ?? "",
  ];
  return cells.join("   ").trimEnd();
};

/** The lines of `detail`. */
export function detailLines(array: ArrayResource): string[] {
  const { status, config } = array;
  const count = (state: MemberResource["states"][number]): number =>
    status.members.filter((member) => member.states.includes(state)).length;
  const row = (label: string, value: string): string => `${label.padStart(20)} : ${value}`;
  const size = `${Math.floor(config.size / KIB)} (${sizeText(config.size)})`;
  return [
    `${array.name}:`,
    row("Version", config.metadata),
    row("Creation Time", array.created_at),
    row("Raid Level", config.level),
    row("Array Size", size),
    row("Raid Devices", String(config.raid_devices)),
    row("Intent Bitmap", config.bitmap.type),
    "",
    row("State", `${status.array_state}, ${status.health}`),
    row("Copies In Sync", String(status.in_sync_copies)),
    row("May Fail Now", `${status.survives.devices} members`),
    row("Failed Devices", String(count("faulty"))),
    row("Spare Devices", String(count("spare"))),
    ...status.health_reasons.map((reason) => row("Because", reason.message)),
    row("Consistency Policy", status.consistency_policy),
    ...(status.sync === null ? [] : ["", row("Sync", syncLine(status.sync))]),
    "",
    row("UUID", array.id),
    row("Events", String(status.events)),
    row("Mismatches", `${status.mismatch_count} sectors`),
    row("Exports", status.exports.length === 0 ? "none" : status.exports.join(", ")),
    "",
    "  Number   RaidDevice   State                    Member",
    ...status.members.map(memberRow),
  ];
}
