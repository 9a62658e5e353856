/**
 * How long the disk takes to make a small write durable, as etcd's log needs it, and what follows
 * for etcd's timings. Source: etcd's own test of disks (fio, 2300 bytes, fdatasync).
 */
import { closeSync, fdatasync, openSync, rmSync, write } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { CodedError } from "../common/errors.ts";

/** Heartbeat and election times of etcd, milliseconds. */
export interface EtcdTiming {
  readonly heartbeatMs: number;
  readonly electionMs: number;
}

const WRITES = 100;
/** A slow disk is known by fewer: whoever measures has more to do. */
const MEASURE_MS = 5000;
const WRITES_MIN = 20;
const WRITE_BYTES = 2300;
/** etcd's advice for its log: well below a tenth of the short election time. */
const QUICK_MS = 10;
const writeAsync = promisify(write);
const syncAsync = promisify(fdatasync);

/**
 * 99 of 100 writes are durable within so many milliseconds; of a slow disk fewer are made, and it
 * is the longest. Errors: those of the file system.
 */
export const measureFsync = async (folder: string): Promise<number> => {
  const file = path.join(folder, "fsync-test");
  const bytes = Buffer.alloc(WRITE_BYTES, 0x5a);
  const times: number[] = [];
  const handle = openSync(file, "w", 0o600);
  try {
    const endBy = performance.now() + MEASURE_MS;
    for (let count = 0; count < WRITES; count += 1) {
      if (count >= WRITES_MIN && performance.now() > endBy) break;
      const start = performance.now();
      await writeAsync(handle, bytes, 0, bytes.length, count * WRITE_BYTES);
      await syncAsync(handle);
      times.push(performance.now() - start);
    }
  } finally {
    closeSync(handle);
    rmSync(file, { force: true });
  }
  return percentile99(times);
};

/** The second longest of a hundred, the longest of fewer. */
export const percentile99 = (times: readonly number[]): number =>
  [...times].sort((a, b) => a - b)[Math.ceil(times.length * 0.99) - 1] ?? 0;

/**
 * Times for a disk; `warning` for people.
 * Errors: LIFE_DISK_TOO_SLOW above the limit: it would expel boards that are well.
 */
export const timingFor = (
  p99Ms: number,
  limitMs: number,
): EtcdTiming & { readonly warning: string | null } => {
  const shown = p99Ms.toFixed(1);
  if (p99Ms > limitMs) {
    throw new CodedError(
      "LIFE_DISK_TOO_SLOW",
      `a durable write takes ${shown} ms here (99 of 100), more than ${limitMs} ms`,
      {
        remedy:
          "keep the data folder of a board that votes on an SSD or NVMe drive, not on an SD card",
        details: { fsync_p99_ms: p99Ms, limit_ms: limitMs },
      },
    );
  }
  if (p99Ms <= QUICK_MS) return { heartbeatMs: 100, electionMs: 1000, warning: null };
  const warning = `a durable write takes ${shown} ms here (99 of 100): a new leader of etcd takes up to 5 s`;
  return { heartbeatMs: 250, electionMs: 2500, warning };
};
