/**
 * Which copies a node may go by that begins to run a clustered array: what others wrote last may
 * not have come to rest on its medium. A cluster that was told of superblocks which a power cut
 * takes back again would wait for ever for a copy that nobody has.
 */

import { CodedError } from "../common/errors.ts";
import type { BlockDevice } from "../hal/block-device.ts";
import type { AssemblyMember, AssemblyStart } from "./assembly-types.ts";

/**
 * Flushes the in-sync members with the newest superblocks: one that could be flushed is enough to
 * go by. Returns which of the devices nothing can be told by: none, or all of the newest.
 */
export const unsettledCopies = async (
  devices: readonly { readonly device: BlockDevice }[],
  { members, shape }: AssemblyStart,
): Promise<readonly number[]> => {
  const { events } = shape.freshest;
  const isNewest = (member: AssemblyMember | undefined): boolean =>
    member?.placement.type === "in-sync" && member.superblock?.events === events;
  const newest = [...devices.keys()].filter((at) => isNewest(members[at]));
  const flushed = await Promise.all(newest.map((at) => isFlushed(devices[at]?.device)));
  return flushed.includes(true) ? [] : newest;
};

const isFlushed = async (device: BlockDevice | undefined): Promise<boolean> => {
  try {
    await device?.flush();
    return true;
  } catch (error) {
    if (error instanceof CodedError) return false;
    throw error;
  }
};
