/**
 * What `status` and `detail` print: arrays in the manner of /proc/mdstat and `mdadm --detail`.
 *
 * Source: drivers/md/md.c md_seq_show; mdadm Detail.c.
 */

import type { ArrayResource, SyncResource } from "../api/schemas/array.ts";
import type { ArrayCandidateResource } from "../api/schemas/array-candidate.ts";
import type { MemberResource } from "../api/schemas/member.ts";
import { countText } from "../common/count-text.ts";
import { sizeText } from "../common/size-text.ts";

const KIB = 1024;
const BAR_CELLS = 20;

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

/** Why it goes slowly or not at all, behind the speed. */
const SPEED_WORDS: Readonly<Record<SyncResource["sub_state"], string>> = {
  running: "",
  paused: " (paused)",
  yielding: " (yields to clients)",
  "sharing-link": " (its share of the network)",
  limited: " (speed limit)",
  "awaiting-nodes": " (waits for other nodes)",
};

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
  const speed = `${sizeText(sync.speed)}/s${SPEED_WORDS[sync.sub_state]}`;
  const percent = sync.percent.toFixed(1);
  return `${barText(sync.percent)}  ${word} = ${percent}% (${done}) finish=${left} speed=${speed}`;
}

const flagOf = ({ states }: MemberResource): string => {
  const mostly = states.includes("writemostly") ? "(W)" : "";
  if (states.includes("faulty")) {
    return `${mostly}(F)`;
  }
  if (states.includes("replacement")) {
    return `${mostly}(R)`;
  }
  return states.includes("spare") && !states.includes("rebuilding") ? `${mostly}(S)` : mostly;
};

const LAYOUT_NAMES = { n: "near", f: "far", o: "offset" } as const;

/** ` 512K chunks 2 near-copies`, as mdstat; empty for raid1. */
const geometryText = ({ layout, chunk_size }: ArrayResource["config"]): string => {
  if (layout === null || chunk_size === null) {
    return "";
  }
  const word = LAYOUT_NAMES[layout.charAt(0) as keyof typeof LAYOUT_NAMES];
  const copies = /^[nfo][0-9]+$/.test(layout) ? `${layout.slice(1)} ${word}-copies` : layout;
  return ` ${Math.floor(chunk_size / KIB)}K chunks ${copies}`;
};

const slotsText = (array: ArrayResource): string => {
  const slots = Array.from({ length: array.config.raid_devices }, (_, slot) => {
    const isInSync = array.status.members.some(
      ({ slot: held, states }) => held === slot && states.includes("in_sync"),
    );
    return isInSync ? "U" : "_";
  });
  const total = array.config.raid_devices;
  return `[${total}/${total - array.status.degraded}] [${slots.join("")}]`;
};

const bitmapLine = (array: ArrayResource): string[] => {
  const { bitmap } = array.status;
  if (bitmap === null) {
    return [];
  }
  const chunk = sizeText(array.config.bitmap.chunk_size);
  return [`      bitmap: ${bitmap.dirty}/${bitmap.total} chunks dirty, ${chunk} chunk`];
};

/** `cluster: slot 1 of 4, nodes opi-a opi-b`, then mdstat's word for a sync that is not here. */
const clusterLines = ({ config, status }: ArrayResource): string[] => {
  const { cluster } = status;
  if (cluster === null) {
    return [];
  }
  const nodes = cluster.nodes.map(({ node }) => node).join(" ");
  const where = `slot ${cluster.slot} of ${config.bitmap.nodes}, nodes ${nodes}`;
  const word = cluster.resync === null ? "" : `, resync=${cluster.resync}`;
  const awaited = cluster.awaited === null ? [] : [`      ${cluster.awaited}`];
  return [`      cluster: ${where}${word}`, ...awaited];
};

/** The lines of one array; `isNamesake`: others have its name, so its uuid is told. */
export function statusLines(array: ArrayResource, isNamesake = false): string[] {
  const { status, config } = array;
  const members = status.members
    .filter((member) => member.path !== null)
    .map((member) => {
      const number = member.device_number ?? member.slot;
      return `${member.device_id ?? member.path}[${number ?? "-"}]${flagOf(member)}`;
    });
  const isRunning = status.array_state !== "inactive" && status.array_state !== "clear";
  const words = [array.name, ":", isRunning ? "active" : "inactive", config.level, ...members];
  const head = [words.join(" "), ...(isNamesake ? [`      UUID ${array.id}`] : [])];
  const reasons = status.health_reasons.map((reason) => `      ${reason.message}`);
  const health = `      health: ${status.health}`;
  if (!isRunning) {
    return [...head, health, ...reasons];
  }
  const blocks = `${Math.floor(config.size / KIB)} blocks super ${config.metadata}`;
  const size = `${blocks}${geometryText(config)}`;
  return [
    ...head,
    `      ${size} ${slotsText(array)}`,
    health,
    ...reasons,
    ...(status.sync === null ? [] : [`      ${syncLine(status.sync)}`]),
    ...bitmapLine(array),
    ...clusterLines(array),
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

const clusterRows = (
  { status: { cluster } }: ArrayResource,
  row: (label: string, value: string) => string,
): string[] =>
  cluster === null
    ? []
    : [
        row("Cluster Slot", `${cluster.slot}, ${cluster.phase}`),
        row("Nodes", cluster.nodes.map(({ slot, node }) => `${node} (slot ${slot})`).join(", ")),
        ...(cluster.resync === null ? [] : [row("Resync", cluster.resync)]),
        ...(cluster.awaited === null ? [] : [row("Awaited", cluster.awaited)]),
      ];

/** The lines of `detail`. */
export function detailLines(array: ArrayResource): string[] {
  const { status, config } = array;
  const count = (state: MemberResource["states"][number]): number =>
    status.members.filter((member) => member.states.includes(state)).length;
  const row = (label: string, value: string): string => `${label.padStart(20)} : ${value}`;
  const size = (bytes: number): string => `${Math.floor(bytes / KIB)} (${sizeText(bytes)})`;
  return [
    `${array.name}:`,
    row("Version", config.metadata),
    row("Creation Time", array.created_at),
    row("Raid Level", config.level),
    row("Array Size", size(config.size)),
    row("Used Dev Size", size(config.member_size)),
    row("Raid Devices", String(config.raid_devices)),
    row("Intent Bitmap", config.bitmap.type),
    ...(config.home_cluster === null
      ? []
      : [row("Cluster Name", `${config.home_cluster}, ${config.bitmap.nodes} nodes`)]),
    ...clusterRows(array, row),
    ...(config.layout === null ? [] : [row("Layout", config.layout)]),
    ...(config.chunk_size === null ? [] : [row("Chunk Size", sizeText(config.chunk_size))]),
    "",
    row("State", `${status.array_state}, ${status.health}`),
    row("Copies In Sync", String(status.in_sync_copies)),
    row("May Fail Now", countText(status.survives.devices, "member")),
    row("Failed Devices", String(count("faulty"))),
    row("Spare Devices", String(count("spare"))),
    ...status.health_reasons.map((reason) => row("Because", reason.message)),
    row("Consistency Policy", status.consistency_policy),
    ...(status.sync === null ? [] : ["", row("Sync", syncLine(status.sync))]),
    "",
    row("UUID", array.id),
    row("Events", String(status.events)),
    row("Mismatches", `${status.mismatch_count} sectors in ${status.mismatch_ranges} ranges`),
    row("Exports", status.exports.length === 0 ? "none" : status.exports.join(", ")),
    "",
    "  Number   RaidDevice   State                    Member",
    ...status.members.map(memberRow),
  ];
}

/** The lines of an array that was found and does not run. */
export function candidateLines(found: ArrayCandidateResource): string[] {
  const host = found.homehost === null ? "" : ` of host ${found.homehost}`;
  const layout = found.layout === null ? "" : ` ${found.layout}`;
  const verdict =
    found.refusal !== null
      ? `cannot start: ${found.refusal.message}; ${found.refusal.correction}`
      : found.complete
        ? `would start${found.degraded === 0 ? "" : `, degraded by ${found.degraded}`}`
        : "would start by `import --run` only: a working member is not here";
  const known = found.registered ? " (known here)" : "";
  return [
    `${found.name}${host}: ${found.level}${layout}, ${found.raid_devices} raid devices, super ${found.metadata}${known}`,
    `      UUID ${found.id}`,
    `      ${verdict}`,
    ...found.members.map(
      ({ device_id, path, message }) => `      ${device_id} (${path}) ${message}`,
    ),
    "",
  ];
}
