/**
 * `npm run bench -- [BENCH]`: runs one bench and prints its tables. Numbers compare within one run
 * only: the machine changes between runs.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { CodedError } from "../src/common/errors.ts";
import type { BenchOutcome } from "./bench.ts";
import { BENCHES } from "./benches.ts";
import { fillDocument } from "./document.ts";
import { describeLoad, describeMachine } from "./machine.ts";
import { type BenchOptions, parseOptions, usageOf } from "./options.ts";
import { inOwnFolder } from "./own-folder.ts";
import { checkPlaces, requireSpace } from "./places.ts";
import { requireTools } from "./tools.ts";

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** What the numbers were measured on, and how. */
interface Conditions {
  readonly machine: readonly string[];
  readonly load: string;
  readonly command: string;
}

function writeReport(options: BenchOptions, conditions: Conditions, outcome: BenchOutcome): void {
  const { rounds, runs, seconds, sizeBytes } = options.settings;
  const machine = [...conditions.machine, conditions.load];
  const times = `${runs === 1 ? "" : `${runs} runs of `}${rounds} rounds`;
  const report = [
    `## ${options.bench.name}: ${options.bench.summary}`,
    "",
    ...machine.map((line) => `- ${line}`),
    `- ${times}, ${seconds} s per timed job, on ${sizeBytes / 2 ** 20} MiB`,
    "",
    ...outcome.tables.flatMap(({ title, markdown }) => [title, "", markdown, ""]),
  ].join("\n");
  process.stdout.write(report);
  if (options.markdown !== undefined) writeFileSync(options.markdown, report);
  if (options.json !== undefined) {
    const settings = { rounds, runs, seconds, size_bytes: sizeBytes };
    const content = { bench: options.bench.name, machine, settings, results: outcome.results };
    writeFileSync(options.json, `${JSON.stringify(content, null, 2)}\n`);
  }
  if (options.document !== undefined) writeTables(options.document, conditions, outcome);
}

/** Puts the tables, and what they were measured on, in their places in a document. */
function writeTables(file: string, conditions: Conditions, { tables }: BenchOutcome): void {
  const { machine, load, command } = conditions;
  const day = new Date().toISOString().slice(0, 10);
  const { document, homeless } = fillDocument(readFileSync(file, "utf8"), [
    { id: "machine", content: machine.map((line) => `- ${line}`).join("\n") },
    ...tables.map(({ id, title, markdown }) => ({
      id,
      content: `${title}\n\n${markdown}\n\n\`${command}\`, ${day}, ${load}.`,
    })),
  ]);
  writeFileSync(file, document);
  for (const id of homeless) say(`${file} has no place for ${id}`);
}

/** The command that measures the same again: without the options that name files of this run. */
function commandOf(args: readonly string[]): string {
  const words = args.filter((word, index) => {
    const option = /^--(dir|json|markdown|document)(=|$)/;
    return !option.test(word) && !/^--(dir|json|markdown|document)$/.test(args[index - 1] ?? "");
  });
  return ["npm run bench", ...(words.length === 0 ? [] : ["--", ...words])].join(" ");
}

async function runBench(options: BenchOptions, command: string): Promise<void> {
  const { bench, settings, dir = tmpdir() } = options;
  checkPlaces(options);
  requireTools(bench.tools(settings));
  requireSpace(dir, bench.space(settings));
  await inOwnFolder("sb-", dir, async ({ path: folder, onEnd }) => {
    // Whatever helpers and programs put aside goes with the folder.
    process.env["TMPDIR"] = folder;
    const conditions = { machine: await describeMachine(folder), load: describeLoad(), command };
    writeReport(options, conditions, await bench.run({ settings, folder, say, onEnd }));
  });
}

/** `bench: CODE: what happened; what to do`. */
function fail(error: unknown): void {
  if (error instanceof CodedError) say(`bench: ${error.code}: ${error.advice}`);
  else say(`bench: BENCH_FAILED: ${(error as Error).message}`);
}

async function main(args: readonly string[]): Promise<number> {
  let options: BenchOptions;
  try {
    options = parseOptions(args, BENCHES);
  } catch (error) {
    fail(error);
    return 2;
  }
  if (options.wantsHelp) {
    process.stdout.write(`${usageOf(BENCHES, options.bench)}\n`);
    return 0;
  }
  try {
    await runBench(options, commandOf(args));
    return 0;
  } catch (error) {
    fail(error);
    return 1;
  }
}

process.exitCode = await main(process.argv.slice(2));
