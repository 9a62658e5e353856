/**
 * Writes a new array's metadata on open devices: everything is checked before the first write, and
 * superblocks go last, so that a crash in between leaves no half-made array behind.
 */

import { CodedError } from "../common/errors.ts";
import type { BlockDevice } from "../hal/block-device.ts";
import { readContent } from "./content-driver.ts";
import {
  type CreateMember,
  type CreateOptions,
  type CreatePlan,
  type PlannedWrite,
  planCreate,
  staleRanges,
} from "./create-plan.ts";
import { contentWords } from "./device-content.ts";

/** A device to make a member of; `missing` leaves its raid slot empty. */
export type CreateDevice =
  | "missing"
  | {
      readonly path: string;
      readonly device: BlockDevice;
      readonly deviceUuid: Uint8Array;
      readonly devFlags?: number;
    };

/**
 * Plans and writes. `force`: devices may hold something, which is lost.
 * Errors: HAL_IO_ERROR, RAID_DEVICE_NOT_CLEAN, RAID_BAD_*, RAID_MEMBER_TOO_SMALL,
 * RAID_NOT_ENOUGH_MEMBERS before anything is written; HAL_* when a write fails.
 */
export const createOnDevices = async (
  options: CreateOptions,
  devices: readonly CreateDevice[],
  force: boolean,
): Promise<CreatePlan> => {
  const members: CreateMember[] = [];
  const held: { path: string; signatures: readonly string[] }[] = [];
  for (const entry of devices) {
    if (entry === "missing") {
      members.push("missing");
      continue;
    }
    const { path, device, deviceUuid, devFlags = 0 } = entry;
    const content = await readContent(device);
    const words = contentWords(content);
    if (words.length > 0) held.push({ path, signatures: words });
    if (content.probe.unreadable) {
      throw new CodedError("HAL_IO_ERROR", `${path}: cannot be read where metadata lies`, {
        remedy: "choose another device",
      });
    }
    const stale = staleRanges(content.probe);
    const { sizeBytes, logicalBlockSize } = device;
    members.push({ path, sizeBytes, logicalBlockSize, deviceUuid, devFlags, stale });
  }
  if (held.length > 0 && !force) {
    const text = held.map(({ path, signatures }) => `${path} holds ${signatures.join(", ")}`);
    throw new CodedError("RAID_DEVICE_NOT_CLEAN", text.join("; "), {
      remedy: "use other devices, or create with force (--force) to lose what they hold",
      details: { devices: held },
    });
  }
  const plan = planCreate(options, members);
  if (!plan.ok) throw new CodedError(plan.code, plan.message, { remedy: plan.remedy });
  await writePlan(plan.value, devices);
  return plan.value;
};

interface DeviceWork {
  readonly device: BlockDevice;
  readonly writes: readonly PlannedWrite[];
}

const writePlan = async (plan: CreatePlan, devices: readonly CreateDevice[]): Promise<void> => {
  const work = plan.members.flatMap((planned, index): DeviceWork[] => {
    const entry = devices[index];
    if (planned === null || entry === undefined || entry === "missing") return [];
    return [{ device: entry.device, writes: planned.writes }];
  });
  await writeAll(work, ({ kind }) => kind !== "superblock");
  try {
    await writeAll(work, ({ kind }) => kind === "superblock");
  } catch (error) {
    await blankSuperblocks(work);
    throw error;
  }
};

/** Writes on every device, then makes all of it durable. */
const writeAll = async (
  work: readonly DeviceWork[],
  wanted: (write: PlannedWrite) => boolean,
): Promise<void> => {
  for (const { device, writes } of work) {
    for (const { offset, bytes } of writes.filter(wanted)) await device.write([bytes], offset);
  }
  for (const { device } of work) await device.flush();
};

/** After a failed create no device is left that claims to be a member. */
const blankSuperblocks = async (work: readonly DeviceWork[]): Promise<void> => {
  for (const { device, writes } of work) {
    for (const { kind, offset, bytes } of writes) {
      if (kind !== "superblock") continue;
      try {
        await device.write([new Uint8Array(bytes.length)], offset);
        await device.flush();
      } catch (error) {
        // This device fails writes; the caller reports the first failure.
        if (!(error instanceof CodedError)) throw error;
      }
    }
  }
};
