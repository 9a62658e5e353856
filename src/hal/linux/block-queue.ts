/** What the kernel says about a block device and its request queue. */

import * as fs from "node:fs";

export interface BlockQueue {
  readonly sizeBytes: number;
  /** 512 or 4096. */
  readonly logicalBlockSize: number;
  /** The device zeroes ranges by a command of its own. */
  readonly hasWriteZeroes: boolean;
}

/** Of the device itself, or of the whole device when it is a partition. */
const readQueue = (base: string, attribute: string): number | null => {
  for (const queue of [`${base}/queue`, `${base}/../queue`]) {
    const file = `${queue}/${attribute}`;
    if (fs.existsSync(file)) return Number(fs.readFileSync(file, "utf8"));
  }
  return null;
};

/**
 * Reads it from sysfs, where sizes count sectors of 512 bytes whatever the device's own are.
 * Source: Documentation/ABI/stable/sysfs-block.
 */
export const readBlockQueue = (rdev: number): BlockQueue => {
  const major = (rdev >> 8) & 0xfff;
  const minor = (rdev & 0xff) | ((rdev >> 12) & 0xfff00);
  const base = `/sys/dev/block/${major}:${minor}`;
  return {
    sizeBytes: Number(fs.readFileSync(`${base}/size`, "utf8")) * 512,
    logicalBlockSize: readQueue(base, "logical_block_size") ?? 512,
    hasWriteZeroes: (readQueue(base, "write_zeroes_max_bytes") ?? 0) > 0,
  };
};
