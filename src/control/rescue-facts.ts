/** Gathers what the rescue guide of an array is made from: its status and its superblocks. */

import type { FoundMember } from "../raid/assembly-status.ts";
import { parseUuid, uuidToMdadmText } from "../raid/uuid.ts";
import type { ArrayService } from "./array-service.ts";
import type { ArrayView } from "./array-view.ts";
import type { DeviceService } from "./device-service.ts";
import type { StorageEngine } from "./engine.ts";
import type { RescueFacts } from "./rescue.ts";

/** What the gathering needs. */
export interface RescueSources {
  readonly engine: StorageEngine;
  readonly arrays: ArrayService;
  readonly devices: DeviceService;
}

type Member = RescueFacts["members"][number];

const mdadmUuid = (text: string): string => {
  const uuid = parseUuid(text);
  return uuid === null ? text : uuidToMdadmText(uuid);
};

const pathsOf = (view: ArrayView): readonly string[] =>
  view.status?.members.flatMap(({ path }) => path ?? []) ?? view.record.memberPaths;

/** The facts of an array by uuid or name. Errors: as `ArrayService.find`. */
export async function rescueFacts(sources: RescueSources, key: string): Promise<RescueFacts> {
  const { engine, arrays, devices } = sources;
  const view = arrays.find(key);
  const { record, status } = view;
  const statesOf = (path: string): readonly string[] =>
    status?.members.find((member) => member.path === path)?.states ?? [];
  const paths = [...new Set(pathsOf(view))];
  const faulty = paths.filter((path) => statesOf(path).includes("faulty"));
  const usable = paths.filter((path) => !faulty.includes(path));
  const report = await engine.examine(usable);
  const found = new Map(report.members.map((member) => [member.path, member]));
  return {
    arrayId: record.uuid,
    name: record.name,
    handle: arrays.isAmbiguous(record.name) ? record.uuid : record.name,
    uuid: mdadmUuid(record.uuid),
    level: status?.level ?? report.array?.level ?? "raid1",
    raidDevices: status?.raidDevices ?? report.array?.raidDevices ?? usable.length,
    sizeBytes: status?.sizeBytes ?? report.array?.sizeBytes ?? 0,
    isRunning: view.isRunning,
    isClustered: (status?.bitmap.type ?? report.array?.bitmap.type) === "clustered",
    members: usable.map((path) => memberOf(devices, path, statesOf(path), found.get(path))),
    faulty,
  };
}

function memberOf(
  devices: DeviceService,
  path: string,
  states: readonly string[],
  found: FoundMember | undefined,
): Member {
  const deviceId = devices.idOf(path);
  const device = deviceId === null ? null : devices.find(path);
  const superblock = found?.superblock ?? null;
  return {
    raidSlot: found?.raidSlot ?? null,
    deviceId,
    path,
    kind: device?.file?.kind === "block" ? "block" : "file",
    sizeBytes: device?.probe?.sizeBytes ?? device?.file?.sizeBytes ?? 0,
    deviceUuid: superblock === null ? null : mdadmUuid(superblock.deviceUuid),
    dataOffset: superblock?.dataOffset ?? null,
    states,
  };
}
