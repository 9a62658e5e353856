/**
 * `npm run bench`: starts Satsuma and its peers, gives every one the same jobs in turn, and prints
 * medians and ratios. Numbers compare within one run only: the machine changes between runs.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type JobResult, runJob } from "./fio-job.ts";
import { describeLoad, describeMachine } from "./machine.ts";
import { type BenchOptions, parseOptions, type TargetName, USAGE } from "./options.ts";
import { startOurs } from "./ours.ts";
import { startNbdkit, startQemuQuorum } from "./peers.ts";
import { formatCostTable, formatTable } from "./report.ts";
import type { Target } from "./target.ts";
import { makePattern, verifyTarget } from "./verification.ts";

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

async function startTarget(name: TargetName, folder: string, sizeBytes: number): Promise<Target> {
  switch (name) {
    case "satsuma":
      return await startOurs(folder, sizeBytes);
    case "qemu-quorum":
      return await startQemuQuorum(name, folder, sizeBytes, false);
    case "qemu-direct":
      return await startQemuQuorum(name, folder, sizeBytes, true);
    case "nbdkit":
      return await startNbdkit(folder, sizeBytes);
  }
}

async function verifyAll(targets: readonly Target[], folder: string, sizeBytes: number) {
  const pattern = join(folder, "pattern");
  say("making random data");
  await makePattern(pattern, sizeBytes);
  for (const target of targets) {
    say(`verifying ${target.label}`);
    await verifyTarget(target, pattern);
  }
  rmSync(pattern);
}

/** All jobs: per round every workload, per workload every target, each round from another one. */
async function runRounds(targets: readonly Target[], options: BenchOptions): Promise<JobResult[]> {
  const results: JobResult[] = [];
  for (let round = 0; round < options.rounds; round++) {
    for (const workload of options.workloads) {
      const first = round % targets.length;
      for (const target of [...targets.slice(first), ...targets.slice(0, first)]) {
        const { seconds, sizeBytes } = options;
        const result = await runJob(target, workload, { round, seconds, sizeBytes });
        results.push(result);
        const value = workload.unit === "IOPS" ? result.iops : result.mibPerSecond;
        const line = `${workload.name.padEnd(9)} ${target.label.padEnd(12)} ${value.toFixed(0)}`;
        say(`round ${round + 1}/${options.rounds} ${line} ${workload.unit}`);
      }
    }
  }
  return results;
}

function writeReport(
  results: readonly JobResult[],
  options: BenchOptions,
  machine: readonly string[],
) {
  const { rounds, seconds, sizeBytes, targets, workloads } = options;
  const report = [
    ...machine.map((line) => `- ${line}`),
    `- ${rounds} rounds of ${seconds} s per job on ${sizeBytes / 2 ** 20} MiB, interleaved`,
    "",
    "Median (min-max) of the rounds:",
    "",
    formatTable(results, workloads, targets),
    "",
    "Median of the server's CPU time per request and of the client's latency, microseconds:",
    "",
    formatCostTable(results, workloads, targets),
    "",
  ].join("\n");
  process.stdout.write(report);
  if (options.markdown !== undefined) writeFileSync(options.markdown, report);
  if (options.json !== undefined) {
    const settings = { rounds, seconds, size_bytes: sizeBytes };
    writeFileSync(options.json, `${JSON.stringify({ machine, settings, results }, null, 2)}\n`);
  }
}

async function runBench(options: BenchOptions): Promise<void> {
  const base = options.dir ?? tmpdir();
  mkdirSync(base, { recursive: true });
  const folder = mkdtempSync(join(base, "sb-"));
  const targets: Target[] = [];
  const stopAll = async (): Promise<void> => {
    await Promise.allSettled(targets.splice(0).map((target) => target.stop()));
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => void stopAll().finally(() => process.exit(130)));
  }
  try {
    const machine = [...(await describeMachine(folder)), describeLoad()];
    for (const name of options.targets) {
      say(`starting ${name}`);
      targets.push(await startTarget(name, folder, options.sizeBytes));
    }
    await verifyAll(targets, folder, options.sizeBytes);
    writeReport(await runRounds(targets, options), options, machine);
  } finally {
    await stopAll();
  }
}

async function main(args: readonly string[]): Promise<number> {
  if (args.includes("--help")) {
    say(USAGE);
    return 0;
  }
  let options: BenchOptions;
  try {
    options = parseOptions(args);
  } catch (error) {
    say(`${(error as Error).message}\n${USAGE}`);
    return 2;
  }
  try {
    await runBench(options);
    return 0;
  } catch (error) {
    say(`bench: ${(error as Error).message}`);
    return 1;
  }
}

process.exitCode = await main(process.argv.slice(2));
