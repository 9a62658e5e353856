/** What the files and block devices of this machine fail with. */

import { CodedError } from "../../common/errors.ts";
import type { BlockDevice } from "../block-device.ts";
import { checkRange } from "../device-range.ts";

/** The errno of a failed call by its name; EIO when it has none. */
export const errnoOf = (error: unknown): string =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "EIO";

const NO_SPACE: readonly string[] = ["ENOSPC", "EDQUOT", "EFBIG"];

/** HAL_NO_SPACE or HAL_IO_ERROR. */
export const ioError = (verb: string, path: string, error: unknown): CodedError =>
  NO_SPACE.includes(errnoOf(error))
    ? new CodedError("HAL_NO_SPACE", `${path}: no space left for its data`, {
        remedy: "free space on the file system that holds it",
        cause: error,
      })
    : new CodedError("HAL_IO_ERROR", `${path}: ${verb} failed (${errnoOf(error)})`, {
        cause: error,
      });

export const shortError = (path: string): CodedError =>
  new CodedError("HAL_IO_ERROR", `${path}: shorter than when it was opened`, {
    remedy: "somebody truncated the file; restore or replace the member",
  });

/**
 * BEFORE a call of `length` bytes at `offset` begins. Errors: HAL_DEVICE_CLOSED, HAL_READ_ONLY,
 * HAL_OUT_OF_RANGE.
 */
export const checkCall = (
  device: BlockDevice,
  isOpen: boolean,
  length: number,
  offset: number,
  writing: boolean,
): void => {
  if (!isOpen) throw new CodedError("HAL_DEVICE_CLOSED", `${device.name}: closed`);
  if (writing && device.readOnly) {
    throw new CodedError("HAL_READ_ONLY", `${device.name}: opened read-only`);
  }
  checkRange(device, offset, length);
};
