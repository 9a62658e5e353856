/** One fio job against one target, and what came of it. */
import { readFileSync } from "node:fs";
import { runCommand } from "../../test/helpers/command.ts";
import { METADATA_BYTES } from "../bench-board.ts";
import { setPageCache } from "../page-cache.ts";
import type { Target } from "../target.ts";
import { underCondition } from "./conditions.ts";
import { fineChunkBytes, type Workload } from "./workloads.ts";

const GRACE_MS = 60_000;
const CLOCK_TICKS_PER_SECOND = 100; // USER_HZ: fixed by Linux's ABI.

export interface JobResult {
  /** From 0. */
  readonly run: number;
  readonly target: string;
  readonly workload: string;
  readonly round: number;
  readonly iops: number;
  readonly mibPerSecond: number;
  /** Latency as the client sees it; of the fsync where each write has one. */
  readonly p50Us: number;
  readonly p99Us: number;
  /** The server's CPU time per request, microseconds; null where nobody serves. */
  readonly cpuUsPerRequest: number | null;
}

/** What one run of fio tells. */
export type FioResult = Pick<JobResult, "iops" | "mibPerSecond" | "p50Us" | "p99Us"> & {
  readonly requests: number;
};

/** The parts of fio's JSON that are used. */
interface FioLatency {
  readonly percentile?: Readonly<Record<string, number>>;
}
interface FioDirection {
  readonly iops: number;
  readonly bw_bytes: number;
  readonly total_ios: number;
  readonly clat_ns: FioLatency;
}
interface FioReport {
  readonly jobs: readonly {
    readonly error: number;
    readonly mixed?: FioDirection;
    readonly read?: FioDirection;
    readonly write?: FioDirection;
    readonly sync?: { readonly total_ios: number; readonly lat_ns: FioLatency };
  }[];
}

export interface JobSettings {
  readonly seconds: number;
  readonly sizeBytes: number;
}

/** The command line of one job. A raw file is used through io_uring and the page cache. */
export function fioArguments(
  target: Pick<Target, "uri" | "pid">,
  workload: Workload,
  settings: JobSettings,
): string[] {
  const engine =
    target.pid === null
      ? ["--ioengine=io_uring", `--filename=${target.uri}`, "--direct=0", "--invalidate=0"]
      : ["--ioengine=nbd", `--uri=${target.uri}`];
  const once = [`--blockalign=${fineChunkBytes(settings.sizeBytes + METADATA_BYTES)}`];
  return [
    "--name=bench",
    ...engine,
    "--thread",
    "--group_reporting",
    `--runtime=${settings.seconds}`,
    `--size=${settings.sizeBytes}`,
    ...(workload.array === "fine-bitmap" ? once : ["--time_based", "--norandommap"]),
    "--randrepeat=0",
    "--output-format=json",
    ...workload.fio,
  ];
}

/** What fio printed with `--output-format=json`. Errors: when the job failed. */
export function parseFio(output: string): FioResult {
  // fio prints warnings before the JSON.
  const report = JSON.parse(output.slice(output.indexOf("{"))) as FioReport;
  const [job] = report.jobs;
  if (job === undefined || job.error !== 0) throw new Error(`fio failed (error ${job?.error})`);
  const { mixed, read, write, sync } = job;
  const direction = [mixed, read, write].find((each) => each !== undefined && each.total_ios > 0);
  if (direction === undefined) throw new Error("fio made no request");
  const latency = sync !== undefined && sync.total_ios > 0 ? sync.lat_ns : direction.clat_ns;
  const { percentile = {} } = latency;
  return {
    iops: direction.iops,
    mibPerSecond: direction.bw_bytes / 2 ** 20,
    requests: direction.total_ios,
    p50Us: (percentile["50.000000"] ?? Number.NaN) / 1000,
    p99Us: (percentile["99.000000"] ?? Number.NaN) / 1000,
  };
}

/** Makes the condition, sets the page cache, runs the workload, measures. */
export async function runJob(
  target: Target,
  workload: Workload,
  settings: JobSettings,
  round: number,
): Promise<Omit<JobResult, "run">> {
  return await underCondition(target, workload, settings, async () => {
    await setPageCache(target.legs, workload.cache);
    const cpuBefore = cpuSeconds(target.pid);
    const args = fioArguments(target, workload, settings);
    const { stdout } = await runCommand("fio", args, settings.seconds * 1000 + GRACE_MS);
    const cpuUsed = cpuSeconds(target.pid) - cpuBefore;
    const { requests, ...measured } = parseFio(stdout);
    return {
      target: target.label,
      workload: workload.name,
      round,
      ...measured,
      cpuUsPerRequest: target.pid === null ? null : (cpuUsed * 1e6) / requests,
    };
  });
}

/** User and system time of a process with all its threads; 0 of none. */
function cpuSeconds(pid: number | null): number {
  if (pid === null) return 0;
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  // The name in parentheses may hold spaces; utime and stime are the 12th and 13th field after it.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS_PER_SECOND;
}
