/** Resources as the API would return them, for tests of the panel's pure parts. */
import type { ArrayResource, SyncResource } from "../../src/api/schemas/array.ts";
import type { DeviceResource, DeviceStateWord } from "../../src/api/schemas/device.ts";
import type { EventResource } from "../../src/api/schemas/event.ts";
import type { JobResource } from "../../src/api/schemas/job.ts";
import type { MemberResource } from "../../src/api/schemas/member.ts";
import type { SystemResource } from "../../src/api/schemas/system.ts";

const TIME = "2026-01-02T00:00:00.000Z";
const SIZE = 2 ** 30;

export function systemSample(): SystemResource {
  return {
    product: "satsuma",
    version: "0.0.0",
    node: "board",
    cluster: null,
    lab_mode: false,
    started_at: TIME,
    time: TIME,
    health: { state: "optimal", sentence: "No arrays yet.", attention: [] },
    counts: { arrays: 0, devices: 0, exports: 0, clients: 0 },
    nbd: { tcp: null, socket: null },
    links: {},
  };
}

/** An array named like its id, optimal with two copies unless `status` says otherwise. */
export function arraySample(
  id: string,
  status: Partial<ArrayResource["status"]> = {},
): ArrayResource {
  return {
    id,
    name: id,
    config: {
      level: "raid1",
      raid_devices: 2,
      layout: null,
      chunk_size: null,
      size: SIZE,
      member_size: SIZE,
      logical_block_size: 512,
      metadata: "1.2",
      bitmap: { type: "internal", chunk_size: 2 ** 26, delay: 5, nodes: 0 },
      home_cluster: null,
      desired_state: "started",
      sync_speed_min: 0,
      sync_speed_max: SIZE,
    },
    status: {
      array_state: "clean",
      health: "optimal",
      health_reasons: [],
      degraded: 0,
      in_sync_copies: 2,
      survives: { devices: 1 },
      events: 0,
      mismatch_count: 0,
      mismatch_ranges: 0,
      consistency_policy: "bitmap",
      members: [],
      sync: null,
      bitmap: { dirty: 0, total: 16 },
      cluster: null,
      exports: [],
      ...status,
    },
    links: {},
    created_at: TIME,
    updated_at: TIME,
  };
}

export function syncSample(action: SyncResource["action"], percent: number): SyncResource {
  const completed = Math.round((SIZE * percent) / 100);
  return {
    action,
    sub_state: "running",
    reason: "device-added",
    scope: "full",
    node: "board",
    started_at: TIME,
    completed,
    total: SIZE,
    percent,
    copied: completed,
    skipped_by_bitmap: 0,
    speed: 0,
    eta: null,
    job_id: null,
  };
}

export function memberSample(
  slot: number | null,
  device: string,
  states: MemberResource["states"],
): MemberResource {
  return {
    slot,
    device_id: device,
    path: `/disks/${device}.img`,
    device_uuid: null,
    device_number: slot,
    node: "board",
    states,
    recovery_offset: null,
    errors_corrected: 0,
    read_errors: 0,
    bad_blocks: 0,
    stalled_since: null,
    fault_reason: null,
    links: {},
  };
}

/** A device; `arrayId` is the array that its superblock names. */
export function deviceSample(
  id: string,
  state: DeviceStateWord,
  arrayId: string | null = null,
): DeviceResource {
  const superblock = {
    device_uuid: "",
    name: "md0",
    level: "raid1",
    raid_devices: 2,
    events: 1,
    metadata: "1.2",
    role: "active device 0",
  };
  return {
    id,
    name: id,
    config: { label: null },
    status: {
      state,
      reasons: [],
      path: `/disks/${id}.img`,
      kind: "file",
      size: SIZE,
      logical_block_size: 512,
      read_only: false,
      node: "board",
      array_id: null,
      array_name: null,
      slot: null,
      superblock: arrayId === null ? null : { ...superblock, array_id: arrayId },
      signatures: [],
    },
    links: {},
    created_at: TIME,
    updated_at: TIME,
  };
}

/** An ended job unless `changes` say otherwise. */
export function jobSample(id: string, changes: Partial<JobResource> = {}): JobResource {
  return {
    id,
    kind: "array.check",
    state: "succeeded",
    subject: "/api/v1/arrays/a",
    progress: null,
    node: "board",
    cancelable: false,
    pausable: false,
    created_by: "token:admin",
    created_at: TIME,
    started_at: TIME,
    finished_at: TIME,
    result: null,
    problem: null,
    log: [],
    links: {},
    ...changes,
  };
}

/** An event of the history. */
export function eventSample(id: number): EventResource {
  return {
    id,
    time: TIME,
    type: "member.failed",
    severity: "warning",
    subject: "/api/v1/arrays/a",
    node: "board",
    message: `event ${id}`,
    data: {},
  };
}
