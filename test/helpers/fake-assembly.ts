/** What the fake engine says of paths that are asked about before a start. */

import type { ArrayStatus } from "../../src/raid/array-status.ts";
import type { AssemblyReport, FoundMember } from "../../src/raid/assembly-status.ts";
import type { FakeContent } from "./fake-status.ts";

/** What is known of devices and arrays. */
interface Known {
  readonly contents: ReadonlyMap<string, FakeContent>;
  readonly lastStatuses: ReadonlyMap<string, ArrayStatus>;
}

const RUNNABLE = ["raid1", "raid10"];

const refusalOf = (
  metadata: string | undefined,
  level: string | undefined,
): AssemblyReport["refusal"] => {
  if (metadata === undefined || level === undefined) {
    return { code: "RAID_NO_MEMBERS", message: "no active member", remedy: "give its members" };
  }
  if (metadata === "0.90") {
    const message = "the members carry metadata other than 1.0, 1.1 or 1.2";
    return { code: "RAID_UNSUPPORTED_METADATA", message, remedy: "assemble them with Linux md" };
  }
  if (RUNNABLE.includes(level)) return null;
  const message = `the array is ${level}; only raid1 and raid10 are supported`;
  return { code: "RAID_UNSUPPORTED_LEVEL", message, remedy: "assemble it with Linux md" };
};

const memberOf = (engine: Known, path: string, slot: number, isUsable: boolean): FoundMember => {
  const md = engine.contents.get(path)?.md;
  const isSound = md !== undefined && md.metadata !== "0.90";
  return {
    path,
    superblock: isSound
      ? {
          arrayUuid: md.arrayUuid,
          deviceUuid: md.deviceUuid,
          events: md.events,
          updatedAt: 1_700_000_000_000,
          role: `Active device ${slot}`,
          dataOffset: 2 ** 20,
          superblockOffset: 4096,
        }
      : null,
    placement: isSound && isUsable ? "in-sync" : "unusable",
    raidSlot: isSound && isUsable ? slot : null,
    reason: isSound ? "in-sync" : md === undefined ? "no-superblock" : "metadata-0.90",
    text: isSound ? `is in sync in raid slot ${slot}` : "has no usable superblock",
  };
};

/** The report on arrays that the test has put on devices. */
export function fakeReport(engine: Known, paths: readonly string[]): AssemblyReport {
  const md = paths.map((path) => engine.contents.get(path)?.md).find((found) => found != null);
  const refusal = refusalOf(md?.metadata, md?.level);
  const members = paths.map((path, slot) => memberOf(engine, path, slot, refusal === null));
  const inSync = members.filter(({ placement }) => placement === "in-sync").length;
  const known = engine.lastStatuses.get(md?.arrayUuid ?? "");
  return {
    array:
      md === undefined || md.metadata === "0.90"
        ? null
        : {
            uuid: md.arrayUuid,
            name: md.name,
            homehost: "pc",
            level: md.level,
            layout: known?.layout ?? null,
            chunkBytes: known?.chunkBytes ?? null,
            raidDevices: md.raidDevices,
            metadata: md.metadata,
            sizeBytes: known?.sizeBytes ?? null,
            memberBytes: known?.memberBytes ?? 0,
            createdAt: known?.createdAt ?? 0,
            events: md.events,
            bitmap: known?.bitmap ?? { type: "internal", nodes: 0, clusterName: "" },
          },
    refusal,
    isComplete: refusal === null && inSync >= (md?.raidDevices ?? 0) - (known?.degraded ?? 0),
    degraded: Math.max(0, (md?.raidDevices ?? 0) - inSync),
    needsResync: false,
    members,
  };
}
