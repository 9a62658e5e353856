/** Metrics of arrays, their syncs, and devices. */

import type { ArrayView } from "../control/array-view.ts";
import type { ControlPlane } from "../control/control-plane.ts";
import { copiesNow } from "../control/survival.ts";
import type { ArrayStatus, MemberStatus } from "../raid/array-status.ts";
import type { Family, Sample } from "./metrics-family.ts";
import { memberFamilies } from "./metrics-members.ts";

const KIB = 1024;
const MS_PER_SECOND = 1000;
const MD_STATES = ["active", "inactive", "recovering", "resync", "check"] as const;
const HEALTH = [
  "optimal",
  "building",
  "resyncing",
  "degraded",
  "recovering",
  "failed",
  "inactive",
  "unknown",
] as const;

/** The word node_exporter would read from /proc/mdstat. */
const mdState = (view: ArrayView): (typeof MD_STATES)[number] => {
  if (!view.isRunning || view.status?.arrayState === "broken") {
    return "inactive";
  }
  switch (view.status?.sync?.action) {
    case "recover":
      return "recovering";
    case "resync":
      return "resync";
    case "check":
    case "repair":
      return "check";
    default:
      return "active";
  }
};

type MemberCount = "active" | "failed" | "spare" | "removed";

const memberKind = (member: MemberStatus): MemberCount => {
  if (member.states.includes("faulty")) {
    return "failed";
  }
  if (member.states.includes("in_sync")) {
    return "active";
  }
  return member.states.includes("removed") || member.states.includes("missing")
    ? "removed"
    : "spare";
};

const memberCounts = (status: ArrayStatus | null): Record<MemberCount, number> => {
  const counts = { active: 0, failed: 0, spare: 0, removed: 0 };
  for (const member of status?.members ?? []) {
    counts[memberKind(member)] += 1;
  }
  return counts;
};

/** Arrays that run, with the status that is certain to be there. */
const running = (
  control: ControlPlane,
): { readonly name: string; readonly uuid: string; readonly status: ArrayStatus }[] =>
  control.arrays
    .list()
    .flatMap(({ record, isRunning, status }) =>
      isRunning && status !== null ? [{ name: record.name, uuid: record.uuid, status }] : [],
    );

const mdFamilies = (control: ControlPlane): Family[] => {
  const gauge = (name: string, help: string, value: (view: ArrayView) => number): Family => ({
    name,
    help,
    type: "gauge",
    values: () =>
      control.arrays
        .list()
        .map((view) => ({ labels: { device: view.record.name }, value: value(view) })),
  });
  return [
    {
      name: "node_md_state",
      help: "Indicates the state of md-device.",
      type: "gauge",
      values: () =>
        control.arrays.list().flatMap((view) =>
          MD_STATES.map((state) => ({
            labels: { device: view.record.name, state },
            value: mdState(view) === state ? 1 : 0,
          })),
        ),
    },
    {
      name: "node_md_disks",
      help: "Number of active/failed/spare/removed members of the array.",
      type: "gauge",
      values: () =>
        control.arrays.list().flatMap((view) => {
          const counts = Object.entries(memberCounts(view.isRunning ? view.status : null));
          return counts.map(([state, value]) => ({
            labels: { device: view.record.name, state },
            value,
          }));
        }),
    },
    gauge(
      "node_md_disks_required",
      "Total number of members of the array.",
      (view) => view.status?.raidDevices ?? 0,
    ),
    gauge(
      "node_md_raid_disks",
      "Number of raid slots of the array.",
      (view) => view.status?.raidDevices ?? 0,
    ),
    gauge("node_md_degraded", "Number of members missing from the array.", (view) =>
      view.isRunning ? (view.status?.degraded ?? 0) : (view.status?.raidDevices ?? 0),
    ),
    gauge("node_md_blocks", "Size of the array in KiB.", (view) =>
      Math.floor((view.status?.sizeBytes ?? 0) / KIB),
    ),
    gauge("node_md_blocks_synced", "KiB that the sync under way has settled.", (view) => {
      const status = view.status;
      const settled = status?.sync?.completedBytes ?? status?.sizeBytes ?? 0;
      return view.isRunning ? Math.floor(settled / KIB) : 0;
    }),
  ];
};

const lastCheckFamily = (control: ControlPlane): Family => ({
  name: "satsuma_array_last_check_timestamp_seconds",
  help: "End of the last check or repair of the whole array; absent when there was none.",
  type: "gauge",
  values: () =>
    control.arrays.list().flatMap(({ record }) => {
      const last = control.scrubs.passes.lastWhole(record.uuid);
      return last === null
        ? []
        : [{ labels: { array: record.name }, value: last.endedAt / MS_PER_SECOND }];
    }),
});

const healthFamilies = (control: ControlPlane): Family[] => {
  const gauge = (
    name: string,
    help: string,
    type: "gauge" | "counter",
    value: (status: ArrayStatus) => number,
  ): Family => ({
    name,
    help,
    type,
    values: () =>
      running(control).map((array) => ({
        labels: { array: array.name },
        value: value(array.status),
      })),
  });
  return [
    {
      name: "satsuma_array_health",
      help: "1 for the word that names the array's health, 0 for the others.",
      type: "gauge",
      values: () =>
        control.arrays.list().flatMap((view) =>
          HEALTH.map((health) => ({
            labels: { array: view.record.name, health },
            value: view.health === health ? 1 : 0,
          })),
        ),
    },
    gauge("satsuma_array_in_sync_copies", "Copies that hold the content.", "gauge", copiesNow),
    gauge(
      "satsuma_array_events_total",
      "Event count of the superblocks.",
      "counter",
      (status) => status.events,
    ),
    gauge(
      "satsuma_array_mismatch_sectors",
      "Sectors found different by the last check or repair.",
      "gauge",
      (status) => status.mismatchCount,
    ),
    gauge(
      "satsuma_array_mismatch_ranges",
      "Ranges that the last check or repair found different.",
      "gauge",
      (status) => status.mismatches.ranges.length,
    ),
    lastCheckFamily(control),
  ];
};

const bitmapFamilies = (control: ControlPlane): Family[] => {
  const samples = (value: (status: ArrayStatus) => number) => (): Sample[] =>
    running(control)
      .filter(({ status }) => status.bitmap.type !== "none")
      .map(({ name, status }) => ({
        labels: { array: name, slot: String(status.cluster?.slot ?? 0) },
        value: value(status),
      }));
  return [
    {
      name: "satsuma_bitmap_dirty_chunks",
      help: "Chunks of the write-intent bitmap whose bit is set.",
      type: "gauge",
      values: samples((status) => status.bitmap.dirtyChunks),
    },
    {
      name: "satsuma_bitmap_chunks",
      help: "Chunks of the write-intent bitmap.",
      type: "gauge",
      values: samples((status) => status.bitmap.totalChunks),
    },
  ];
};

const syncTotals = (control: ControlPlane, of: "copiedBytes" | "skippedBytes"): Sample[] =>
  control.syncJobs.totals().map((totals) => ({
    labels: {
      array: control.arrays.get(totals.uuid)?.record.name ?? totals.uuid,
      action: totals.action,
      scope: totals.scope,
    },
    value: totals[of],
  }));

const syncFamilies = (control: ControlPlane): Family[] => [
  {
    name: "satsuma_sync_bytes_total",
    help: "Bytes that sync actions copied or compared.",
    type: "counter",
    values: () => syncTotals(control, "copiedBytes"),
  },
  {
    name: "satsuma_sync_skipped_bytes_total",
    help: "Bytes that sync actions skipped because the bitmap said so.",
    type: "counter",
    values: () => syncTotals(control, "skippedBytes"),
  },
  {
    name: "satsuma_sync_speed_bytes",
    help: "Speed of the sync action under way, bytes per second.",
    type: "gauge",
    values: () =>
      running(control).flatMap(({ name, status: { sync } }) =>
        sync === null
          ? []
          : [{ labels: { array: name, action: sync.action }, value: sync.speedBytesPerSecond }],
      ),
  },
  {
    name: "satsuma_sync_eta_seconds",
    help: "Time until the sync action under way is done, lower and upper estimate.",
    type: "gauge",
    values: () =>
      running(control).flatMap(({ name, status: { sync } }) =>
        sync === null || sync.eta === null
          ? []
          : [
              { labels: { array: name, bound: "low" }, value: sync.eta.low },
              { labels: { array: name, bound: "high" }, value: sync.eta.high },
            ],
      ),
  },
];

/** Metrics of arrays and devices. */
export function arrayFamilies(control: ControlPlane): Family[] {
  return [
    ...mdFamilies(control),
    ...healthFamilies(control),
    ...bitmapFamilies(control),
    ...syncFamilies(control),
    ...memberFamilies(control),
    {
      name: "satsuma_device_up",
      help: "1 while the device is there and usable; the series stays when it is not.",
      type: "gauge",
      values: () =>
        control.devices.list().map((view) => ({
          labels: { device: view.record.id },
          value: ["missing", "failed", "unusable"].includes(view.state) ? 0 : 1,
        })),
    },
  ];
}
