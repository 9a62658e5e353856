/** Reads of an open device what assembly wants to know of it. Writes nothing. */

import type { BlockDevice } from "../hal/block-device.ts";
import type { AssemblyCandidate } from "./assembly-types.ts";
import { decodeBitmapSuperblock } from "./bitmap-superblock.ts";
import { readContent, readRange } from "./content-driver.ts";
import { bitmapSuperblockRange } from "./probe.ts";
import { superblockIsAtStart } from "./superblock.ts";

/** One candidate for `assemble`. What cannot be read is told in it; never rejects for that. */
export const readCandidate = async (
  path: string,
  device: BlockDevice,
): Promise<AssemblyCandidate> => {
  const { probe } = await readContent(device);
  const sb = probe.superblock?.parsed?.value;
  // It may have grown since it was opened. Metadata at its end is where the end was.
  if (sb !== undefined && superblockIsAtStart(sb)) await device.measure?.();
  const range = sb === undefined ? null : bitmapSuperblockRange(sb);
  if (sb === undefined || range === null) return { path, probe, bitmap: null };
  const bytes = await readRange(device, range.offset, range.length);
  const bitmap = bytes === null ? "unreadable" : decodeBitmapSuperblock(bytes, sb.setUuid);
  return { path, probe, bitmap };
};
