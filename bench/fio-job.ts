/** One fio job against one target, and what came of it. */
import { readFileSync } from "node:fs";
import { runCommand } from "../test/helpers/command.ts";
import { setPageCache } from "./page-cache.ts";
import type { Target } from "./target.ts";
import type { Workload } from "./workload.ts";

const GRACE_MS = 60_000;
const CLOCK_TICKS_PER_SECOND = 100; // USER_HZ: fixed by Linux's ABI.

export interface JobResult {
  readonly target: string;
  readonly workload: string;
  readonly round: number;
  readonly iops: number;
  readonly mibPerSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  /** The server's CPU time per request, microseconds. */
  readonly cpuUsPerRequest: number;
}

/** The part of fio's JSON that is used. */
interface FioDirection {
  readonly iops: number;
  readonly bw_bytes: number;
  readonly total_ios: number;
  readonly clat_ns: { readonly percentile?: Readonly<Record<string, number>> };
}

/** Sets the page cache, runs the workload for `seconds` on the first `sizeBytes`, measures. */
export async function runJob(
  target: Target,
  workload: Workload,
  options: { readonly round: number; readonly seconds: number; readonly sizeBytes: number },
): Promise<JobResult> {
  await setPageCache(target.legs, workload.cache);
  const args = [
    "--name=bench",
    "--ioengine=nbd",
    `--uri=${target.uri}`,
    "--thread",
    "--group_reporting",
    "--time_based",
    `--runtime=${options.seconds}`,
    `--size=${options.sizeBytes}`,
    "--norandommap",
    "--randrepeat=0",
    "--output-format=json",
    ...workload.fio,
  ];
  const cpuBefore = cpuSeconds(target.pid);
  const { stdout } = await runCommand("fio", args, options.seconds * 1000 + GRACE_MS);
  const cpuUsed = cpuSeconds(target.pid) - cpuBefore;
  const direction = parseFio(stdout);
  const percentile = direction.clat_ns.percentile ?? {};
  return {
    target: target.label,
    workload: workload.name,
    round: options.round,
    iops: direction.iops,
    mibPerSecond: direction.bw_bytes / 2 ** 20,
    p50Us: (percentile["50.000000"] ?? 0) / 1000,
    p99Us: (percentile["99.000000"] ?? 0) / 1000,
    cpuUsPerRequest: direction.total_ios === 0 ? 0 : (cpuUsed * 1e6) / direction.total_ios,
  };
}

function parseFio(output: string): FioDirection {
  // fio prints warnings before the JSON.
  const report: unknown = JSON.parse(output.slice(output.indexOf("{")));
  const [job] = (
    report as { jobs: readonly { error: number; read: FioDirection; write: FioDirection }[] }
  ).jobs;
  if (job === undefined || job.error !== 0) throw new Error(`fio failed (error ${job?.error})`);
  return job.read.total_ios > 0 ? job.read : job.write;
}

/** User and system time of a process with all its threads. */
function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  // The name in parentheses may hold spaces; utime and stime are the 12th and 13th field after it.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS_PER_SECOND;
}
