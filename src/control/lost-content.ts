/**
 * What a board keeps of a disk of its own that lost content: why, and which member it was. A bitmap
 * tells what a disk missed, not what it lost, so that member never counts as in sync again. A
 * member that is added gets a device UUID of its own and is copied whole, whichever board adds it:
 * the loss is over as soon as the disk carries another one. Pure.
 */

import { parseUuid, uuidToHex } from "../raid/uuid.ts";
import type { DeviceContent, SeenFile } from "../store/device-records.ts";

/** The member by its device UUID, however that is written; null: it tells none. */
const memberOf = (deviceUuid: string | null | undefined): string | null => {
  const uuid = parseUuid(deviceUuid ?? "");
  return uuid === null ? null : uuidToHex(uuid);
};

/** Why a member fails whose file got shorter, and what its board keeps of it. */
export const cutText = (before: number, now: number): string =>
  `it was cut from ${before} to ${now} bytes`;

export const isCut = (reason: string): boolean => /^it was cut from \d+ to \d+ bytes$/.test(reason);

/** The file was seen in this size. Who got shorter lost content; null: nothing is new. */
export function withSize(
  known: DeviceContent,
  file: SeenFile,
  deviceUuid: string | null,
): DeviceContent | null {
  const before = known.file?.identity === file.identity ? known.file.sizeBytes : null;
  if (before === file.sizeBytes) return null;
  if (before === null || file.sizeBytes > before) return { ...known, file };
  const lostContent = cutText(before, file.sizeBytes);
  return { file, lostContent, lostMember: memberOf(deviceUuid) };
}

/**
 * The disk carries this device UUID now; null: nothing is new. Where nobody could tell which member
 * was cut, it is the first one that can be read: to be added, a disk is looked at before.
 */
export function withMember(known: DeviceContent, deviceUuid: string | null): DeviceContent | null {
  const member = memberOf(deviceUuid);
  const { file, lostContent, lostMember } = known;
  if (lostContent === null || member === null || member === lostMember) return null;
  if (lostMember === null) return { ...known, lostMember: member };
  return { file, lostContent: null, lostMember: null };
}
