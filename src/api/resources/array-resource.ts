/** Arrays, members, sync and bitmaps as the API shows them. */

import type { ArrayCandidate } from "../../control/array-commands.ts";
import type { ArrayPlan } from "../../control/array-plan.ts";
import type { ArrayView } from "../../control/array-view.ts";
import type { ControlPlane } from "../../control/control-plane.ts";
import { subjectOf } from "../../control/subject.ts";
import type { ArrayStatus, MemberStatus } from "../../raid/array-status.ts";
import type {
  ArrayCandidateResource,
  ArrayPlanResource,
  ArrayResource,
  SyncResource,
} from "../schemas/array.ts";
import type { BitmapResource } from "../schemas/bitmap.ts";
import type { MemberResource } from "../schemas/member.ts";
import type { SyncActionResource } from "../schemas/sync-action.ts";
import { percentOf } from "./job-resource.ts";
import { timeText, timeTextOrNull } from "./times.ts";

/** The resource of one member of the array. */
export function memberResource(
  control: ControlPlane,
  uuid: string,
  member: MemberStatus,
): MemberResource {
  const deviceId = member.path === null ? null : control.devices.idOf(member.path);
  const array = subjectOf("array", uuid);
  return {
    slot: member.raidSlot,
    device_id: deviceId,
    path: member.path,
    device_uuid: member.deviceUuid,
    device_number: member.deviceNumber,
    node: control.options.nodeName,
    states: [...member.states],
    recovery_offset: member.recoveryOffset,
    errors_corrected: member.readErrorsCorrected,
    stalled_since: timeTextOrNull(member.stalledSince),
    fault_reason: member.faultReason,
    links:
      deviceId === null
        ? {}
        : {
            self: `${array}/members/${encodeURIComponent(deviceId)}`,
            device: subjectOf("device", deviceId),
          },
  };
}

/** The resource of the sync action under way, or null. */
export function syncResource(control: ControlPlane, view: ArrayView): SyncResource | null {
  const sync = view.isRunning ? (view.status?.sync ?? null) : null;
  if (sync === null) {
    return null;
  }
  return {
    action: sync.action,
    sub_state: sync.paused ? "paused" : "running",
    reason: sync.reason,
    scope: sync.scope,
    node: control.options.nodeName,
    started_at: timeText(sync.startedAt),
    completed: sync.completedBytes,
    total: sync.totalBytes,
    percent: percentOf(sync.completedBytes, sync.totalBytes),
    copied: sync.copiedBytes,
    skipped_by_bitmap: sync.skippedBytes,
    speed: sync.speedBytesPerSecond,
    eta: sync.eta,
    job_id: control.syncJobs.jobOf(view.record.uuid),
  };
}

const arrayConfig = (view: ArrayView): ArrayResource["config"] => {
  const { record, status } = view;
  return {
    level: status?.level ?? "raid1",
    raid_devices: status?.raidDevices ?? record.memberPaths.length,
    layout: null,
    chunk_size: null,
    size: status?.sizeBytes ?? 0,
    metadata: status?.metadata ?? "1.2",
    bitmap: {
      type: status?.bitmap.type ?? "none",
      chunk_size: status?.bitmap.chunkBytes ?? 0,
      delay: status?.bitmap.delaySeconds ?? 0,
    },
    desired_state: record.desiredState,
    sync_speed_min: status?.syncSpeedMin ?? record.syncSpeedMin ?? 0,
    sync_speed_max: status?.syncSpeedMax ?? record.syncSpeedMax ?? 0,
  };
};

/** The members of an array that does not run: the paths it had, their state not known. */
const absentMembers = (view: ArrayView): MemberStatus[] =>
  view.status !== null
    ? [...view.status.members]
    : view.record.memberPaths.map((path) => ({
        path,
        deviceUuid: null,
        raidSlot: null,
        deviceNumber: null,
        states: [],
        recoveryOffset: null,
        readErrorsCorrected: 0,
        stalledSince: null,
        faultReason: null,
      }));

const observed = (control: ControlPlane, view: ArrayView): ArrayResource["status"] => {
  const { record, status, isRunning } = view;
  const live: ArrayStatus | null = isRunning ? status : null;
  return {
    array_state: live?.arrayState ?? "inactive",
    health: view.health,
    health_reasons: view.reasons.map((reason) => ({
      code: reason.code,
      message: reason.message,
      slot: reason.raidSlot,
      device_id: reason.path === null ? null : control.devices.idOf(reason.path),
      since: timeTextOrNull(reason.since),
    })),
    degraded: live?.degraded ?? 0,
    in_sync_copies: live?.inSyncCopies ?? 0,
    survives: { devices: Math.max(0, (live?.inSyncCopies ?? 0) - 1) },
    events: status?.events ?? 0,
    mismatch_count: status?.mismatchCount ?? 0,
    consistency_policy: status?.consistencyPolicy ?? "none",
    members: absentMembers(view).map((member) => memberResource(control, record.uuid, member)),
    sync: syncResource(control, view),
    bitmap:
      live === null || live.bitmap.type === "none"
        ? null
        : { dirty: live.bitmap.dirtyChunks, total: live.bitmap.totalChunks },
    exports: control.exports.namesOf(record.uuid),
  };
};

/** The resource of an array. */
export function arrayResource(control: ControlPlane, view: ArrayView): ArrayResource {
  const self = subjectOf("array", view.record.uuid);
  return {
    id: view.record.uuid,
    name: view.record.name,
    config: arrayConfig(view),
    status: observed(control, view),
    links: {
      self,
      members: `${self}/members`,
      sync_action: `${self}/sync-action`,
      bitmaps: `${self}/bitmaps`,
      exports: "/api/v1/exports",
    },
    created_at: timeText(view.record.createdAt),
    updated_at: timeText(view.record.updatedAt),
  };
}

/** The resource of an array's sync action and speed limits. */
export function syncActionResource(control: ControlPlane, view: ArrayView): SyncActionResource {
  const sync = syncResource(control, view);
  return {
    action: sync?.action ?? "idle",
    sync_speed_min: view.status?.syncSpeedMin ?? 0,
    sync_speed_max: view.status?.syncSpeedMax ?? 0,
    sync,
  };
}

/** The bitmaps of an array: none, or the one of a single board. */
export function bitmapResources(control: ControlPlane, view: ArrayView): BitmapResource[] {
  const bitmap = view.status?.bitmap;
  if (bitmap === undefined || bitmap.type === "none") {
    return [];
  }
  return [
    {
      slot: 0,
      node: control.options.nodeName,
      type: bitmap.type,
      state: view.isRunning ? "held" : "free",
      chunk_size: bitmap.chunkBytes,
      dirty: bitmap.dirtyChunks,
      total: bitmap.totalChunks,
    },
  ];
}

/** The resource of a plan. */
export function planResource(plan: ArrayPlan): ArrayPlanResource {
  return {
    dry_run: true,
    name: plan.name,
    level: plan.level,
    raid_devices: plan.raidDevices,
    smallest_device: plan.smallestDeviceBytes,
    survives: { devices: Math.min(plan.raidDevices, plan.devices.length) - 1 },
    initial_sync: plan.hasInitialResync,
    devices: plan.devices.map(({ view, role }) => ({
      device_id: view.record.id,
      path: view.record.path,
      size: view.probe?.sizeBytes ?? 0,
      role,
    })),
  };
}

/** The resource of an array that could be assembled. */
export function candidateResource(candidate: ArrayCandidate): ArrayCandidateResource {
  const found = candidate.members.flatMap(({ record, probe }) =>
    probe?.md == null ? [] : [{ record, md: probe.md }],
  );
  const newest = [...found].sort((a, b) => b.md.events - a.md.events)[0]?.md;
  return {
    id: candidate.uuid,
    name: newest?.name ?? "",
    level: newest?.level ?? "",
    metadata: newest?.metadata ?? "",
    raid_devices: newest?.raidDevices ?? 0,
    registered: candidate.isRegistered,
    members: found.map(({ record, md }) => ({
      device_id: record.id,
      path: record.path,
      device_uuid: md.deviceUuid,
      role: md.role,
      events: md.events,
    })),
  };
}
