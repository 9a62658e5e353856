/** `npm run bench`: what NBD clients get from Satsuma and from its peers, given the same jobs. */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { hasTool } from "../../scripts/test-tools.ts";
import { CodedError } from "../../src/common/errors.ts";
import type { Bench, BenchContext, BenchOutcome, BenchSettings } from "../bench.ts";
import { makePattern, verifyTarget } from "../pattern.ts";
import { OURS } from "../report.ts";
import type { Target } from "../target.ts";
import { missingText } from "../tools.ts";
import { CLIENT_TABLES, measuredBy, reportClients } from "./client-tables.ts";
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

/** The workloads that chosen ones are compared with and that are not chosen themselves. */
export function comparedWith(chosen: readonly Workload[]): Workload[] {
  const names = new Set(chosen.flatMap(({ than }) => than?.row ?? []));
  return WORKLOADS.filter((workload) => names.has(workload.name) && !chosen.includes(workload));
}

/** Every server's files, random data, and a copy of it that came back. */
function spaceOf({ workloads, targets, sizeBytes }: BenchSettings): number {
  const { chosen, compared, contenders, ours } = planOf(workloads, targets);
  const seats = [...seatsOf(chosen, contenders), ...seatsOf(compared, ours)];
  const copies = [...new Map(seats).values()].reduce((sum, seat) => sum + seat.copies, 0);
  return (copies + 2) * sizeBytes;
}

async function startAll(
  seats: ReadonlyMap<string, Seat>,
  folder: string,
  { settings, say, onEnd }: BenchContext,
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

/** What a run measures: rows for everybody, and rows of ours that they are compared with. */
interface Plan {
  readonly chosen: readonly Workload[];
  readonly compared: readonly Workload[];
  readonly contenders: readonly Contender[];
  readonly ours: readonly Contender[];
}

/** All rounds on servers started anew. */
async function runOnce(plan: Plan, run: number, context: BenchContext): Promise<JobResult[]> {
  const { settings, say } = context;
  const { chosen, compared, contenders, ours } = plan;
  const folder = join(context.folder, String(run));
  mkdirSync(folder);
  const seats = new Map([...seatsOf(chosen, contenders), ...seatsOf(compared, ours)]);
  const targets = await startAll(seats, folder, context);
  const results: JobResult[] = [];
  for (let round = 0; round < settings.rounds; round++) {
    const jobs = [...planRound(compared, ours, round), ...planRound(chosen, contenders, round)];
    for (const { workload, key } of jobs) {
      const target = targets.get(key);
      if (target === undefined) throw new Error(`${key} has not been started`);
      const result = { run, ...(await runJob(target, workload, settings, round)) };
      results.push(result);
      const value = measuredBy(workload, result).toFixed(0);
      const line = `${workload.name.padEnd(12)} ${target.label.padEnd(12)} ${value}`;
      const when = settings.runs > 1 ? `run ${run + 1}/${settings.runs}, ` : "";
      say(`${when}round ${round + 1}/${settings.rounds} ${line} ${workload.unit}`);
    }
  }
  for (const target of targets.values()) await target.stop();
  rmSync(folder, { recursive: true, maxRetries: 5 });
  return results;
}

/** What names on the command line stand for: contenders whose program is installed. */
function planOf(workloads: readonly string[], targets: readonly string[]): Plan {
  const chosen = WORKLOADS.filter(({ name }) => workloads.includes(name));
  const contenders = CONTENDERS.filter(
    ({ name, tool }) => targets.includes(name) && (tool === null || hasTool(tool)),
  );
  const ours = contenders.filter(({ name }) => name === OURS);
  return { chosen, compared: comparedWith(chosen), contenders, ours };
}

/** A row that nobody fills is refused BEFORE anything is made. Errors: BENCH_USAGE. */
function refuseLonely({ chosen, contenders }: Plan): void {
  const row = chosen.find((workload) =>
    contenders.every((contender) => contender.seat(workload) === undefined),
  );
  if (row === undefined) return;
  const names = contenders.map(({ name }) => name).join(", ");
  throw new CodedError("BENCH_USAGE", `${row.name}: none of ${names || "the targets"} has it`, {
    remedy: `add ${OURS} to --targets, or choose other workloads`,
  });
}

async function runClients(context: BenchContext): Promise<BenchOutcome> {
  const { settings, say } = context;
  const plan = planOf(settings.workloads, settings.targets);
  const asked = CONTENDERS.filter(({ name }) => settings.targets.includes(name));
  const notes = asked.flatMap(({ name, tool }) =>
    tool === null || hasTool(tool) ? [] : [`No column ${name}: ${missingText(tool)}.`],
  );
  for (const note of notes) say(note);
  refuseLonely(plan);
  const results: JobResult[] = [];
  for (let run = 0; run < settings.runs; run++) {
    results.push(...(await runOnce(plan, run, context)));
  }
  return { tables: reportClients(results, plan.chosen, plan.contenders, notes), results };
}

export const CLIENTS_BENCH: Bench = {
  name: "clients",
  summary: "requests and bandwidth of NBD clients, beside peers",
  workloads: WORKLOADS,
  targets: CONTENDERS.map(({ name }) => name),
  tables: CLIENT_TABLES,
  hasRuns: true,
  space: spaceOf,
  // A peer that is not installed is left out; without these there is nothing.
  tools: () => ["fio", "nbdcopy"],
  defaults: {
    seconds: 3,
    rounds: 3,
    sizeMib: 1024,
    workloads: ["core"],
    targets: ["satsuma", "qemu-quorum", "nbdkit"],
  },
  run: runClients,
};
