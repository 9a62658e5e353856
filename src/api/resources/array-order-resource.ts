/** Planned and found arrays as the API shows them. */

import type { ArrayCandidate } from "../../control/array-import.ts";
import type { ArrayPlan } from "../../control/array-plan.ts";
import { layoutWord } from "../../control/survival.ts";
import type { ArrayCandidateResource } from "../schemas/array-candidate.ts";
import type { ArrayPlanResource } from "../schemas/array-order.ts";
import { timeText } from "./times.ts";

/** The resource of a plan. */
export function planResource(plan: ArrayPlan): ArrayPlanResource {
  const { request } = plan;
  return {
    dry_run: true,
    name: request.name,
    level: request.level,
    layout: plan.layout,
    chunk_size: plan.chunkBytes,
    raid_devices: request.raidDevices,
    size: plan.sizeBytes,
    member_size: plan.memberBytes,
    bitmap: {
      type: request.bitmap,
      chunk_size: plan.bitmapChunkBytes ?? 0,
      nodes: request.nodes,
    },
    smallest_device: plan.smallestDeviceBytes,
    survives: { devices: plan.survives },
    initial_sync: plan.hasInitialResync,
    devices: plan.devices.map(({ view, role }) => ({
      device_id: view.record.id,
      path: view.record.path,
      size: view.probe?.sizeBytes ?? 0,
      role,
    })),
  };
}

type Members = ArrayCandidateResource["members"];

const membersOf = ({ members, report }: ArrayCandidate): Members =>
  members.flatMap(({ record, probe }): Members => {
    const found = report.members.find(({ path }) => path === record.path);
    const md = probe?.md ?? null;
    if (found === undefined || md === null) {
      return [];
    }
    const { superblock, placement, raidSlot, reason, text } = found;
    return [
      {
        device_id: record.id,
        path: record.path,
        device_uuid: md.deviceUuid,
        role: superblock?.role ?? md.role,
        events: superblock?.events ?? md.events,
        updated_at: superblock === null ? null : timeText(superblock.updatedAt),
        placement,
        slot: raidSlot,
        reason,
        message: text,
      },
    ];
  });

/** The resource of an array that could be assembled, or why it could not. */
export function candidateResource(candidate: ArrayCandidate): ArrayCandidateResource {
  const { uuid, report, members } = candidate;
  const { array, refusal } = report;
  const md = members.find(({ probe }) => probe?.md != null)?.probe?.md ?? null;
  return {
    id: uuid,
    name: array?.name ?? md?.name ?? "",
    homehost: array?.homehost ?? null,
    level: array?.level ?? md?.level ?? "",
    layout: array === null || array.layout === null ? null : layoutWord(array.layout),
    metadata: array?.metadata ?? md?.metadata ?? "",
    raid_devices: array?.raidDevices ?? md?.raidDevices ?? 0,
    size: array?.sizeBytes ?? null,
    bitmap: array?.bitmap.type ?? "none",
    home_cluster: array?.bitmap.clusterName || null,
    registered: candidate.isRegistered,
    startable: refusal === null,
    complete: report.isComplete,
    degraded: report.degraded,
    needs_resync: report.needsResync,
    refusal:
      refusal === null
        ? null
        : { code: refusal.code, message: refusal.message, correction: refusal.remedy },
    members: membersOf(candidate),
  };
}
