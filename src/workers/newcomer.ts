/** Reads what is on a device that is to join a running array. */

import { randomBytes } from "node:crypto";
import { type ForcedView, ranApartByForce } from "../cluster/node/cluster-view.ts";
import { equalBytes } from "../common/bytes.ts";
import { CodedError } from "../common/errors.ts";
import type { BlockDevice } from "../hal/block-device.ts";
import type { Newcomer } from "../raid/array-messages.ts";
import { readBadBlocks, readBitmapAreas } from "../raid/assemble-driver.ts";
import { readContent } from "../raid/content-driver.ts";
import { contentWords } from "../raid/device-content.ts";

/**
 * A device that holds another array's superblock, a file system or a partition table is refused
 * unless `force`. Errors: RAID_DEVICE_NOT_CLEAN.
 */
export const readNewcomer = async (
  device: BlockDevice,
  options: {
    readonly force: boolean;
    /** It counts as a device that was never a member. */
    readonly distrust: boolean;
    readonly setUuid: Uint8Array;
    readonly writeMostly: boolean;
    readonly failfast: boolean;
    /** A start by force that the array's cluster knows of. */
    readonly forced?: ForcedView | null;
  },
): Promise<Omit<Newcomer, "member" | "path">> => {
  const content = await readContent(device);
  const found = content.probe.superblock;
  const superblock = found?.problem === null ? (found.parsed?.value ?? null) : null;
  const ours = superblock !== null && equalBytes(superblock.setUuid, options.setUuid);
  const words = contentWords(content);
  if (!ours && !options.force && words.length > 0) {
    throw new CodedError("RAID_DEVICE_NOT_CLEAN", `${device.name} holds ${words.join(", ")}`, {
      remedy: "use another device, or add with force (--force) to lose what it holds",
      details: { devices: [{ path: device.name, signatures: words }] },
    });
  }
  const isTrusted = ours && !options.distrust;
  const { forced = null } = options;
  const isApart = superblock !== null && ranApartByForce(superblock.events, { forced });
  return {
    sizeBytes: device.sizeBytes,
    superblock: isTrusted ? superblock : null,
    bitmapAreas: isTrusted ? await readBitmapAreas(device, superblock) : [],
    apartSince: isApart ? (forced?.from ?? null) : null,
    badBlocks: isTrusted ? await readBadBlocks(device, superblock) : [],
    logicalBlockBytes: device.logicalBlockSize,
    writeMostly: options.writeMostly,
    failfast: options.failfast,
    freshUuid: new Uint8Array(randomBytes(16)),
  };
};

export type NewcomerFlags = Omit<Parameters<typeof readNewcomer>[1], "setUuid" | "forced">;

/**
 * A member that returns keeps the flags of its superblock; so does one on which another node has
 * put metadata, who decides.
 */
export const RETURNING: NewcomerFlags = {
  force: true,
  distrust: false,
  writeMostly: false,
  failfast: false,
};
