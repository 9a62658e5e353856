/**
 * Loop devices: a file and the block device over it are the same bytes under two names.
 * Source: Documentation/ABI/testing/sysfs-block-loop (`loop/backing_file`).
 */

import { readdirSync, readFileSync, statSync } from "node:fs";

const BLOCK_FOLDER = "/sys/block";

/** A loop device and the identity of the file under it, as `identityOf` tells it. */
export interface LoopDevice {
  readonly path: string;
  readonly backing: { readonly dev: number; readonly ino: number };
}

/** The loop devices of this machine that have a file; empty where there is no sysfs. */
export function listLoopDevices(): readonly LoopDevice[] {
  return namesIn(BLOCK_FOLDER)
    .filter((name) => name.startsWith("loop"))
    .flatMap((name): LoopDevice[] => {
      const file = backingFile(`${BLOCK_FOLDER}/${name}/loop/backing_file`);
      const stat = file === null ? undefined : statSync(file, { throwIfNoEntry: false });
      return stat === undefined ? [] : [{ path: `/dev/${name}`, backing: stat }];
    });
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (isAbsent(error)) return [];
    throw error;
  }
}

/** Null for a loop device without a file. */
function backingFile(path: string): string | null {
  try {
    return readFileSync(path, "utf8").trimEnd();
  } catch (error) {
    if (isAbsent(error)) return null;
    throw error;
  }
}

function isAbsent(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : "";
  return code === "ENOENT" || code === "ENOTDIR" || code === "ENXIO";
}
