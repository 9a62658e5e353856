/** What a path holds, for control: size, md superblock, signatures, or why it cannot be used. */

import { accessSync, constants } from "node:fs";
import { CodedError } from "../common/errors.ts";
import type { DeviceProbe } from "../control/engine.ts";
import { FileBlockDevice } from "../hal/linux/file-block-device.ts";
import { readContent } from "../raid/content-driver.ts";
import { memberRole, superblockMinor, superblockName } from "../raid/superblock.ts";
import type { Superblock } from "../raid/superblock-fields.ts";
import { uuidToKernelText } from "../raid/uuid.ts";

const writable = (path: string): boolean => {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    // Not being allowed to write is the answer, not a failure.
    return false;
  }
};

const describe = (sb: Superblock): NonNullable<DeviceProbe["md"]> => {
  const role = memberRole(sb, sb.devNumber);
  const name = superblockName(sb);
  return {
    arrayUuid: uuidToKernelText(sb.setUuid),
    deviceUuid: uuidToKernelText(sb.deviceUuid),
    name: name.slice(name.indexOf(":") + 1),
    level: sb.level >= 0 ? `raid${sb.level}` : "linear",
    raidDevices: sb.raidDisks,
    events: sb.events,
    metadata: `1.${superblockMinor(sb)}`,
    role: role.type === "slot" ? `active device ${role.raidSlot}` : role.type,
  };
};

/** Never rejects for what it finds. */
export const probePath = async (path: string): Promise<DeviceProbe> => {
  const unknown = {
    path,
    sizeBytes: 0,
    logicalBlockSize: 512,
    readOnly: true,
    md: null,
    signatures: [],
  };
  try {
    const device = await FileBlockDevice.open(path, { mode: "read" });
    try {
      const { probe, signatures } = await readContent(device);
      const found = probe.superblock;
      const { sizeBytes, logicalBlockSize } = device;
      const sb = found?.problem === null ? found.parsed?.value : undefined;
      const md = sb === undefined ? null : describe(sb);
      const damaged = found !== null && found.problem !== null ? ["damaged md superblock"] : [];
      const old = probe.superblock090 === null ? [] : ["md 0.90 superblock"];
      const words = [...signatures, ...probe.foreign, ...old, ...damaged];
      return {
        path,
        sizeBytes,
        logicalBlockSize,
        readOnly: !writable(path),
        md,
        signatures: words,
        problem: null,
      };
    } finally {
      await device.close();
    }
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    return { ...unknown, problem: { code: error.code, message: error.advice } };
  }
};
