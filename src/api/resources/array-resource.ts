/** Arrays, members, sync and bitmaps as the API shows them. */

import type { ArrayView } from "../../control/array-view.ts";
import type { ControlPlane } from "../../control/control-plane.ts";
import { subjectOf } from "../../control/subject.ts";
import { copiesNow, layoutWord, survivesNow } from "../../control/survival.ts";
import type {
  ArrayPeersStatus,
  ArrayStatus,
  MemberStatus,
  SyncHold,
  SyncStatus,
} from "../../raid/array-status.ts";
import type { ArrayResource, SyncResource } from "../schemas/array.ts";
import type { BitmapResource } from "../schemas/bitmap.ts";
import type { MemberResource } from "../schemas/member.ts";
import type { MismatchesResource } from "../schemas/mismatch.ts";
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
    node: control.nodes.here,
    states: [...member.states],
    recovery_offset: member.recoveryOffset,
    errors_corrected: member.readErrorsCorrected,
    read_errors: member.readErrors,
    bad_blocks: member.badBlocks,
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

const HELD_STATES: Readonly<Record<SyncHold, SyncResource["sub_state"]>> = {
  clients: "yielding",
  link: "sharing-link",
  "speed-limit": "limited",
  nodes: "awaiting-nodes",
};

const subState = ({ paused, heldBy }: SyncStatus): SyncResource["sub_state"] => {
  if (heldBy !== null) return HELD_STATES[heldBy];
  return paused ? "paused" : "running";
};

/** The resource of the sync action under way, or null. */
export function syncResource(control: ControlPlane, view: ArrayView): SyncResource | null {
  const sync = view.isRunning ? (view.status?.sync ?? null) : null;
  if (sync === null) {
    return null;
  }
  return {
    action: sync.action,
    sub_state: subState(sync),
    reason: sync.reason,
    scope: sync.scope,
    node: control.nodes.here,
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
    layout: status === null || status.layout === null ? null : layoutWord(status.layout),
    chunk_size: status?.chunkBytes ?? null,
    size: status?.sizeBytes ?? 0,
    member_size: status?.memberBytes ?? 0,
    logical_block_size: status?.logicalBlockBytes ?? 512,
    metadata: status?.metadata ?? "1.2",
    bitmap: {
      type: status?.bitmap.type ?? "none",
      chunk_size: status?.bitmap.chunkBytes ?? 0,
      delay: status?.bitmap.delaySeconds ?? 0,
      nodes: status?.bitmap.nodes ?? 0,
    },
    home_cluster: status?.bitmap.clusterName || null,
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
        readErrors: 0,
        badBlocks: 0,
        stalledSince: null,
        faultReason: null,
      }));

/** Before the array thread has told. */
const NOBODY: ArrayPeersStatus = { phase: "joining", nodes: [], awaited: null, damaged: [] };

const clusterPart = (status: ArrayStatus | null): ArrayResource["status"]["cluster"] => {
  const cluster = status?.cluster ?? null;
  if (cluster === null) return null;
  const { phase, nodes, awaited, damaged } = status?.peers ?? NOBODY;
  return {
    slot: cluster.slot,
    phase,
    nodes: nodes.map(({ slot, node }) => ({ slot, node })),
    resync: cluster.resync,
    pending_action: cluster.pendingAction,
    remote: cluster.remote.map(({ slot, from, to }) => ({ slot, from, to })),
    balances_reads: cluster.balancesReads,
    recovering: [...cluster.recovering],
    awaited,
    damaged: damaged.map(({ key, code, message }) => ({ key, code, message })),
  };
};

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
    in_sync_copies: live === null ? 0 : copiesNow(live),
    survives: { devices: live === null ? 0 : survivesNow(live) },
    events: status?.events ?? 0,
    mismatch_count: status?.mismatchCount ?? 0,
    mismatch_ranges: status?.mismatches.ranges.length ?? 0,
    consistency_policy: status?.consistencyPolicy ?? "none",
    members: absentMembers(view).map((member) => memberResource(control, record.uuid, member)),
    sync: syncResource(control, view),
    bitmap:
      live === null || live.bitmap.type === "none"
        ? null
        : { dirty: live.bitmap.dirtyChunks, total: live.bitmap.totalChunks },
    cluster: clusterPart(live),
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
      mismatches: `${self}/mismatches`,
      rescue: `${self}/rescue`,
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

/** The bitmaps of an array: none, or the one that this board writes. */
export function bitmapResources(control: ControlPlane, view: ArrayView): BitmapResource[] {
  const bitmap = view.status?.bitmap;
  if (bitmap === undefined || bitmap.type === "none") {
    return [];
  }
  return [
    {
      slot: view.status?.cluster?.slot ?? 0,
      node: control.nodes.here,
      type: bitmap.type,
      state: view.isRunning ? "held" : "free",
      chunk_size: bitmap.chunkBytes,
      dirty: bitmap.dirtyChunks,
      total: bitmap.totalChunks,
    },
  ];
}

/** Where the copies differed when they were compared last. */
export function mismatchesResource(view: ArrayView): MismatchesResource {
  const { ranges, truncated } = view.status?.mismatches ?? { ranges: [], truncated: false };
  return {
    mismatch_count: view.status?.mismatchCount ?? 0,
    truncated,
    items: ranges.map(({ offset, length }) => ({ offset, length })),
  };
}
