/**
 * `npm run bench -- [BENCH]`: runs one bench and prints its tables. Numbers compare within one run
 * only: the machine changes between runs.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BenchOutcome } from "./bench.ts";
import { BENCHES } from "./benches.ts";
import { describeLoad, describeMachine } from "./machine.ts";
import { type BenchOptions, parseOptions, usageOf } from "./options.ts";

const SIGNAL_EXIT_CODE = 130;

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

function writeReport(options: BenchOptions, machine: readonly string[], outcome: BenchOutcome) {
  const { rounds, seconds, sizeBytes } = options.settings;
  const report = [
    `## ${options.bench.name}: ${options.bench.summary}`,
    "",
    ...machine.map((line) => `- ${line}`),
    `- ${rounds} rounds, ${seconds} s per timed job, on ${sizeBytes / 2 ** 20} MiB`,
    "",
    ...outcome.tables.flatMap(({ title, markdown }) => [title, "", markdown, ""]),
  ].join("\n");
  process.stdout.write(report);
  if (options.markdown !== undefined) writeFileSync(options.markdown, report);
  if (options.json !== undefined) {
    const settings = { rounds, seconds, size_bytes: sizeBytes };
    const content = { bench: options.bench.name, machine, settings, results: outcome.results };
    writeFileSync(options.json, `${JSON.stringify(content, null, 2)}\n`);
  }
}

async function runBench(options: BenchOptions): Promise<void> {
  const base = options.dir ?? tmpdir();
  mkdirSync(base, { recursive: true });
  const folder = mkdtempSync(join(base, "sb-"));
  const ends: (() => Promise<void>)[] = [];
  const endAll = async (): Promise<void> => {
    await Promise.allSettled(ends.splice(0).map((end) => end()));
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => void endAll().finally(() => process.exit(SIGNAL_EXIT_CODE)));
  }
  try {
    const machine = [...(await describeMachine(folder)), describeLoad()];
    const onEnd = (end: () => Promise<void>) => void ends.push(end);
    const { bench, settings } = options;
    writeReport(options, machine, await bench.run({ settings, folder, say, onEnd }));
  } finally {
    await endAll();
  }
}

async function main(args: readonly string[]): Promise<number> {
  let options: BenchOptions;
  try {
    options = parseOptions(args, BENCHES);
  } catch (error) {
    say(`bench: ${(error as Error).message}\nsee: npm run bench -- --help`);
    return 2;
  }
  if (options.wantsHelp) {
    process.stdout.write(`${usageOf(BENCHES, options.bench)}\n`);
    return 0;
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
