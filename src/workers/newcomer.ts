/** Reads what is on a device that is to join a running array. */

import { randomBytes } from "node:crypto";
import { CodedError } from "../common/errors.ts";
import type { BlockDevice } from "../hal/block-device.ts";
import { probeDevice, readBitmapArea } from "../raid/assemble-driver.ts";
import type { Newcomer } from "../raid/array-messages.ts";
import type { Superblock } from "../raid/superblock-fields.ts";
import { findSignatures } from "./signatures.ts";

/**
 * A member that holds another array's superblock, a file system or a partition table is refused
 * unless `force`. Errors: RAID_DEVICE_NOT_CLEAN, and those of the device.
 */
export const readNewcomer = async (
  device: BlockDevice,
  options: { readonly force: boolean; readonly setUuid: Uint8Array },
): Promise<Omit<Newcomer, "member" | "path">> => {
  const probe = await probeDevice(device);
  const found = probe.superblock;
  const superblock = found?.problem === null ? (found.parsed?.value ?? null) : null;
  const ours = superblock !== null && isSame(superblock, options.setUuid);
  if (!ours && !options.force) await refuseContent(device, superblock);
  return {
    sizeBytes: device.sizeBytes,
    superblock: ours ? superblock : null,
    bitmapArea: ours ? await readBitmapArea(device, superblock) : null,
    freshUuid: new Uint8Array(randomBytes(16)),
  };
};

const isSame = (superblock: Superblock, setUuid: Uint8Array): boolean =>
  superblock.setUuid.every((byte, index) => byte === setUuid[index]);

const refuseContent = async (device: BlockDevice, superblock: Superblock | null): Promise<void> => {
  const signatures = superblock === null ? await findSignatures(device) : ["md superblock of another array"];
  if (signatures.length === 0) return;
  throw new CodedError("RAID_DEVICE_NOT_CLEAN", `${device.name} holds ${signatures.join(", ")}`, {
    remedy: "use another device, or add with force to lose what it holds",
    details: { path: device.name, signatures },
  });
};
