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
  planCreate,
} from "./create-plan.ts";
import { contentWords } from "./device-content.ts";

/** A device to make a member of; `missing` leaves its raid slot empty. */
export type CreateDevice =
  | "missing"
  | { readonly path: string; readonly device: BlockDevice; readonly deviceUuid: Uint8Array };

/**
 * Plans and writes. `force`: devices may hold something, which is lost.
 * Errors: RAID_DEVICE_NOT_CLEAN, RAID_BAD_*, RAID_MEMBER_TOO_SMALL before anything is written.
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
    const { path, device, deviceUuid } = entry;
    const content = await readContent(device);
    const words = contentWords(content);
    if (words.length > 0) held.push({ path, signatures: words });
    const stale = content.probe.allSuperblocks.map(({ positionSectors }) => ({
      offset: positionSectors * 512,
      length: 4096,
    }));
    members.push({ path, sizeBytes: device.sizeBytes, deviceUuid, stale });
  }
  if (held.length > 0 && !force) {
    const text = held.map(({ path, signatures }) => `${path} holds ${signatures.join(", ")}`);
    throw new CodedError("RAID_DEVICE_NOT_CLEAN", text.join("; "), {
      remedy: "use other devices, or create with force to lose what they hold",
      details: { devices: held },
    });
  }
  const plan = planCreate(options, members);
  if (!plan.ok) throw new CodedError(plan.code, plan.message, { remedy: plan.remedy });
  await writePlan(plan.value, devices);
  return plan.value;
};

const writePlan = async (plan: CreatePlan, devices: readonly CreateDevice[]): Promise<void> => {
  for (const late of [false, true]) {
    for (const [index, planned] of plan.members.entries()) {
      const entry = devices[index];
      if (planned === null || entry === undefined || entry === "missing") continue;
      const writes = planned.writes.filter(({ kind }) => (kind === "superblock") === late);
      for (const { offset, bytes } of writes) await entry.device.write([bytes], offset);
      await entry.device.flush();
    }
  }
};
