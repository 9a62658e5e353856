/** Looks at what an open device holds. */

import { CodedError } from "../common/errors.ts";
import type { BlockDevice } from "../hal/block-device.ts";
import { contentRanges, type DeviceContent, deviceContent } from "./device-content.ts";

/** The bytes of a range, or null when the device cannot read them. */
export const readRange = async (
  device: BlockDevice,
  offset: number,
  length: number,
): Promise<Uint8Array | null> => {
  const target = new Uint8Array(length);
  try {
    await device.read(target, offset);
    return target;
  } catch (error) {
    // Unreadable is an answer here: whoever asked gives the device a reason of its own.
    if (error instanceof CodedError) return null;
    throw error;
  }
};

export const readContent = async (device: BlockDevice): Promise<DeviceContent> => {
  const read = new Map<string, Uint8Array | null>();
  for (const { offset, length } of contentRanges(device.sizeBytes)) {
    read.set(`${offset}:${length}`, await readRange(device, offset, length));
  }
  return deviceContent(
    (offset, length) => read.get(`${offset}:${length}`) ?? null,
    device.sizeBytes,
  );
};
