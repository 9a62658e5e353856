/** What a path holds, for control: size, md superblock, signatures, or why it cannot be used. */

import { accessSync, constants } from "node:fs";
import { CodedError } from "../common/errors.ts";
import type { DeviceProbe } from "../control/engine.ts";
import { readContent } from "../raid/content-driver.ts";
import { levelName } from "../raid/examine-lines.ts";
import { memberRole, superblockMinor, superblockName } from "../raid/superblock.ts";
import type { Superblock090 } from "../raid/superblock-090.ts";
import { MD_FEATURE_CLUSTERED, type Superblock } from "../raid/superblock-fields.ts";
import { uuidToKernelText } from "../raid/uuid.ts";
import { isPeer } from "./open-store.ts";
import { type ReadStore, withStore } from "./read-store.ts";

const writable = (path: string): boolean => {
  if (isPeer(path)) return true;
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
    level: levelName(sb.level),
    raidDevices: sb.raidDisks,
    events: sb.events,
    metadata: `1.${superblockMinor(sb)}`,
    role: role.type === "slot" ? `active device ${role.raidSlot}` : role.type,
    isClustered: (sb.featureMap & MD_FEATURE_CLUSTERED) !== 0,
  };
};

/**
 * Old metadata is told of, so that its array shows with the reason why it is not run. The UUID is
 * in the words that mdadm prints.
 */
const describe090 = (sb: Superblock090): NonNullable<DeviceProbe["md"]> => {
  const words = new Uint8Array(16);
  const view = new DataView(words.buffer);
  for (const [index, word] of sb.uuidWords.entries()) view.setUint32(index * 4, word);
  return {
    arrayUuid: uuidToKernelText(words),
    deviceUuid: "",
    name: `md${sb.mdMinor}`,
    level: levelName(sb.level),
    raidDevices: sb.raidDisks,
    events: sb.events,
    metadata: "0.90",
    role: `active device ${sb.thisDevice.raidSlot}`,
  };
};

/** Never rejects for what it finds. */
export const probePath = async (path: string, open: ReadStore): Promise<DeviceProbe> => {
  const unknown = {
    path,
    sizeBytes: 0,
    logicalBlockSize: 512,
    readOnly: true,
    md: null,
    signatures: [],
  };
  try {
    return await withStore(path, open, async (device) => {
      const { probe, signatures } = await readContent(device);
      const found = probe.superblock;
      const { sizeBytes, logicalBlockSize } = device;
      const sb = found?.problem === null ? found.parsed?.value : undefined;
      const old090 = sb === undefined ? probe.superblock090 : null;
      const md = sb === undefined ? old090 && describe090(old090) : describe(sb);
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
    });
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    return { ...unknown, problem: { code: error.code, message: error.advice } };
  }
};
