/** Device files of a Linux filesystem, over stat and open. */

import { constants, promises as fs } from "node:fs";
import path from "node:path";
import { CodedError } from "../../common/errors.ts";
import type { DeviceFile, DeviceFiles } from "../device-files.ts";
import { makeFolder } from "./make-folder.ts";

const codeOf = (error: unknown): string =>
  error instanceof Error ? ((error as NodeJS.ErrnoException).code ?? "") : "";

const isAbsent = (error: unknown): boolean =>
  ["ENOENT", "ENOTDIR", "ELOOP", "ENXIO"].includes(codeOf(error));

async function identify(file: string): Promise<DeviceFile | null> {
  try {
    const stat = await fs.stat(file, { bigint: true });
    if (stat.isBlockDevice()) {
      return { kind: "block", identity: `block ${stat.rdev}`, sizeBytes: 0, changedAt: 0 };
    }
    return {
      kind: stat.isFile() ? "file" : "other",
      identity: `file ${stat.dev} ${stat.ino}`,
      sizeBytes: Number(stat.size),
      changedAt: Number(stat.mtimeMs),
    };
  } catch (error) {
    if (isAbsent(error)) {
      return null;
    }
    throw error;
  }
}

async function listImages(directory: string): Promise<readonly string[]> {
  try {
    const names = await fs.readdir(directory);
    return names
      .filter((name) => name.endsWith(".img"))
      .sort()
      .map((name) => path.join(directory, name));
  } catch (error) {
    if (isAbsent(error)) {
      return [];
    }
    throw error;
  }
}

const createError = (error: unknown, file: string): unknown => {
  switch (codeOf(error)) {
    case "EEXIST":
      return new CodedError("HAL_FILE_EXISTS", `${file} exists already`, {
        remedy: "choose another name",
        cause: error,
      });
    case "ENOSPC":
    case "EFBIG":
    case "EDQUOT":
      return new CodedError("HAL_NO_SPACE", `there is no space for ${file}`, {
        remedy: "free space on its filesystem, or choose a smaller size",
        cause: error,
      });
    case "EACCES":
    case "EPERM":
    case "EROFS":
    case "ENOTDIR":
      return new CodedError("HAL_NOT_WRITABLE", `${file} cannot be made`, {
        remedy: "make its directory writable for the daemon",
        cause: error,
      });
    default:
      return error;
  }
};

async function createImage(file: string, sizeBytes: number): Promise<void> {
  const flags = constants.O_CREAT | constants.O_EXCL | constants.O_RDWR;
  try {
    makeFolder(path.dirname(file));
    const handle = await fs.open(file, flags, 0o600);
    try {
      await handle.truncate(sizeBytes);
      await handle.sync();
    } catch (error) {
      await fs.rm(file, { force: true });
      throw error;
    } finally {
      await handle.close();
    }
    await using directory = await fs.open(path.dirname(file));
    await directory.sync();
  } catch (error) {
    throw createError(error, file);
  }
}

/** The files and block devices of this machine. */
export const linuxDeviceFiles: DeviceFiles = { identify, listImages, createImage };
