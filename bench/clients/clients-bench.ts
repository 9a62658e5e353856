/** `npm run bench`: what NBD clients get from Satsuma and from its peers, given the same jobs. */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Bench, BenchContext, BenchOutcome } from "../bench.ts";
import { makePattern, verifyTarget } from "../pattern.ts";
import {
  type Figure,
  formatMarkdown,
  formatNumber,
  formatTable,
  medianOf,
  type ReportTable,
} from "../report.ts";
import type { Target } from "../target.ts";
import { CONTENDERS, type Contender, type Seat } from "./contenders.ts";
import { type JobResult, runJob } from "./fio-job.ts";
import { WORKLOADS, type Workload } from "./workloads.ts";

/** A workload on a contender's server. */
interface Job {
  readonly workload: Workload;
  readonly key: string;
}

/** Every job of one round, workload by workload, beginning with another contender each round. */
export function planRound(
  workloads: readonly Workload[],
  contenders: readonly Contender[],
  round: number,
): Job[] {
  return workloads.flatMap((workload) => {
    const keys = contenders.flatMap((contender) => contender.seat(workload)?.key ?? []);
    const first = keys.length === 0 ? 0 : round % keys.length;
    return [...keys.slice(first), ...keys.slice(0, first)].map((key) => ({ workload, key }));
  });
}

/** The servers that the workloads need, each once. */
export function seatsOf(
  workloads: readonly Workload[],
  contenders: readonly Contender[],
): Map<string, Seat> {
  const seats = workloads.flatMap((workload) =>
    contenders.flatMap((contender) => contender.seat(workload) ?? []),
  );
  return new Map(seats.map((seat) => [seat.key, seat]));
}

async function startAll(
  seats: ReadonlyMap<string, Seat>,
  { settings, folder, say, onEnd }: BenchContext,
): Promise<Map<string, Target>> {
  const { sizeBytes } = settings;
  const pattern = join(folder, "pattern");
  say("making random data");
  await makePattern(pattern, sizeBytes);
  const targets = new Map<string, Target>();
  for (const [key, seat] of seats) {
    say(`starting and verifying ${key}`);
    const own = join(folder, key);
    mkdirSync(own);
    const target = await seat.start(own, sizeBytes);
    onEnd(() => target.stop());
    await verifyTarget(target, pattern);
    targets.set(key, target);
  }
  rmSync(pattern);
  return targets;
}

async function runRounds(
  targets: ReadonlyMap<string, Target>,
  workloads: readonly Workload[],
  contenders: readonly Contender[],
  { settings, say }: BenchContext,
): Promise<JobResult[]> {
  const results: JobResult[] = [];
  for (let round = 0; round < settings.rounds; round++) {
    for (const { workload, key } of planRound(workloads, contenders, round)) {
      const target = targets.get(key);
      if (target === undefined) throw new Error(`${key} has not been started`);
      const result = await runJob(target, workload, settings, round);
      results.push(result);
      const value = measuredBy(workload, result).toFixed(0);
      const line = `${workload.name.padEnd(12)} ${target.label.padEnd(12)} ${value}`;
      say(`round ${round + 1}/${settings.rounds} ${line} ${workload.unit}`);
    }
  }
  return results;
}

function measuredBy(workload: Workload, result: JobResult): number {
  return workload.unit === "IOPS" ? result.iops : result.mibPerSecond;
}

/** The servers' CPU time and the clients' latency: medians, a row per workload. */
function formatCosts(
  results: readonly JobResult[],
  workloads: readonly Workload[],
  subjects: readonly string[],
): string {
  const header = ["workload", ...subjects.map((subject) => `${subject}: CPU / p50 / p99`)];
  const lines = workloads.map((workload) => [
    workload.description,
    ...subjects.map((subject) => {
      const own = results.filter((r) => r.workload === workload.name && r.target === subject);
      if (own.length === 0) return "-";
      const cpu = own.flatMap(({ cpuUsPerRequest }) => cpuUsPerRequest ?? []);
      const parts = [cpu, own.map(({ p50Us }) => p50Us), own.map(({ p99Us }) => p99Us)];
      return parts.map((of) => (of.length === 0 ? "-" : formatNumber(medianOf(of)))).join(" / ");
    }),
  ]);
  return formatMarkdown(header, lines);
}

/** The tables of some results. */
export function reportClients(
  results: readonly JobResult[],
  workloads: readonly Workload[],
  contenders: readonly Contender[],
): ReportTable[] {
  const byName = new Map(workloads.map((workload) => [workload.name, workload]));
  const figures = results.flatMap((result): Figure[] => {
    const workload = byName.get(result.workload);
    if (workload === undefined) return [];
    const { target: subject, round } = result;
    return [{ row: workload.name, subject, round, value: measuredBy(workload, result) }];
  });
  const subjects = contenders.map(({ name }) => name);
  const peers = contenders.flatMap(({ name, rival }) =>
    rival === null ? [] : [{ name, ours: rival }],
  );
  return [
    {
      title: "Median (min-max) of the rounds.",
      markdown: formatTable(figures, workloads, subjects, peers),
    },
    {
      title:
        "Median of the server's CPU time per request and of the client's latency (of the fsync " +
        "where each write has one), microseconds:",
      markdown: formatCosts(results, workloads, subjects),
    },
  ];
}

async function runClients(context: BenchContext): Promise<BenchOutcome> {
  const { settings } = context;
  const workloads = WORKLOADS.filter(({ name }) => settings.workloads.includes(name));
  const contenders = CONTENDERS.filter(({ name }) => settings.targets.includes(name));
  const targets = await startAll(seatsOf(workloads, contenders), context);
  const results = await runRounds(targets, workloads, contenders, context);
  return { tables: reportClients(results, workloads, contenders), results };
}

export const CLIENTS_BENCH: Bench = {
  name: "clients",
  summary: "requests and bandwidth of NBD clients, beside peers",
  workloads: WORKLOADS,
  targets: CONTENDERS.map(({ name }) => name),
  defaults: {
    seconds: 3,
    rounds: 3,
    sizeMib: 1024,
    workloads: ["core"],
    targets: ["satsuma", "qemu-quorum", "nbdkit"],
  },
  run: runClients,
};
