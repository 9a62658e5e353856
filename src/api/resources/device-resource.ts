/** Devices as the API shows them. */

import type { ControlPlane } from "../../control/control-plane.ts";
import type { DeviceView } from "../../control/device-service.ts";
import { subjectOf } from "../../control/subject.ts";
import type { DeviceResource } from "../schemas/device.ts";
import { timeText } from "./times.ts";

/** The resource of a device. */
export function deviceResource(control: ControlPlane, view: DeviceView): DeviceResource {
  const { record, file, probe, membership } = view;
  const self = subjectOf("device", record.id);
  return {
    id: record.id,
    name: record.label ?? record.id,
    config: { label: record.label },
    status: {
      state: view.state,
      reasons: view.reasons.map(({ code, message }) => ({ code, message })),
      path: record.path,
      kind: file?.kind === "block" ? "block" : "file",
      size: probe?.sizeBytes ?? file?.sizeBytes ?? 0,
      logical_block_size: probe?.logicalBlockSize ?? 512,
      read_only: probe?.readOnly ?? false,
      node: view.board ?? control.nodes.here,
      array_id: membership?.uuid ?? null,
      array_name: membership?.name ?? null,
      slot: membership?.member?.raidSlot ?? null,
      superblock: superblockOf(view),
      signatures: [...(probe?.signatures ?? [])],
    },
    links: {
      self,
      ...(membership === null ? {} : { array: subjectOf("array", membership.uuid) }),
    },
    created_at: timeText(record.createdAt),
    updated_at: timeText(record.updatedAt),
  };
}

/** The superblock as last read; members of a running array show what they held when it started. */
function superblockOf(view: DeviceView): DeviceResource["status"]["superblock"] {
  const md = view.probe?.md ?? null;
  return md === null
    ? null
    : {
        array_id: md.arrayUuid,
        device_uuid: md.deviceUuid,
        name: md.name,
        level: md.level,
        raid_devices: md.raidDevices,
        events: md.events,
        metadata: md.metadata,
        role: md.role,
      };
}
