/** Where requests to a device may lie. */

import { CodedError } from "../common/errors.ts";

/** Errors: HAL_OUT_OF_RANGE unless the whole range lies inside the device. */
export const checkRange = (
  device: { readonly name: string; readonly sizeBytes: number },
  offset: number,
  length: number,
): void => {
  const isInside =
    offset >= 0 &&
    length >= 0 &&
    offset + length <= device.sizeBytes &&
    Number.isSafeInteger(offset) &&
    Number.isSafeInteger(length);
  if (isInside) return;
  const text = `${device.name}: ${length} bytes at ${offset} lie outside`;
  throw new CodedError("HAL_OUT_OF_RANGE", text);
};
