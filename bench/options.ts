/** Command line of the benches: which one, and its settings. */
import { parseArgs } from "node:util";
import { CodedError } from "../src/common/errors.ts";
import type { Bench, BenchSettings, WorkloadName } from "./bench.ts";

export interface BenchOptions {
  readonly bench: Bench;
  readonly settings: BenchSettings;
  readonly wantsHelp: boolean;
  readonly dir: string | undefined;
  readonly json: string | undefined;
  readonly markdown: string | undefined;
  readonly document: string | undefined;
}

const SECONDS_MAX = 3600;
const ROUNDS_MAX = 100;
const RUNS_MAX = 10;
/** 64 TiB: the bitmap's array is that large, the others have a disk that is not. */
const MIB_MAX = 64 * 2 ** 20;

/** The help: all benches, or one with its workloads. */
export function usageOf(benches: readonly Bench[], bench: Bench | undefined): string {
  const named = bench ?? benches[0];
  const list = benches.map(({ name, summary }) => `  ${name.padEnd(9)} ${summary}`);
  if (named === undefined) return "";
  const { defaults } = named;
  const words = named.workloads.map(
    ({ name, group, description }) => `  ${name.padEnd(14)} ${group.padEnd(9)} ${description}`,
  );
  const targets = named.targets.length === 0 ? "none to choose" : named.targets.join(" ");
  return `usage: npm run bench -- [BENCH] [options]
benches (default ${benches[0]?.name}; --help BENCH tells its workloads):
${list.join("\n")}
options, with the defaults of ${named.name}:
  --seconds N        seconds per timed job (${defaults.seconds})
  --rounds N         rounds; medians are over them (${defaults.rounds})
  --runs N           ${named.hasRuns === true ? "runs, each with servers started anew (1)" : "one run only (1)"}
  --size MIB         MiB of each array or file that are used (${defaults.sizeMib})
  --workloads A,B    names or groups, or all (${defaults.workloads.join(",")})
  --targets A,B      of: ${targets} (${defaults.targets.join(",")})
  --dir DIR          a folder that exists; its disk is what is measured (the temporary one)
  --json FILE        also write every result to FILE
  --markdown FILE    also write the tables to FILE
  --document FILE    also put each table in its place in FILE (docs/performance.md has them all)
workloads of ${named.name}, with their groups:
${words.join("\n")}`;
}

/** The bench that the words name: the first one that is no option, else the default. */
export function findBench(benches: readonly Bench[], words: readonly string[]): Bench {
  const [first] = benches;
  const [word] = words;
  const found = word === undefined ? first : benches.find(({ name }) => name === word);
  if (found === undefined || words.length > 1) {
    const names = benches.map(({ name }) => name).join(", ");
    throw usageError(`${words.join(" ")}: name one bench of ${names}`);
  }
  return found;
}

const TEXT = { type: "string" } as const;
const OPTIONS = {
  help: { type: "boolean", default: false },
  seconds: TEXT,
  rounds: TEXT,
  runs: TEXT,
  size: TEXT,
  workloads: TEXT,
  targets: TEXT,
  dir: TEXT,
  json: TEXT,
  markdown: TEXT,
  document: TEXT,
} as const;

/** Errors: BENCH_USAGE, which names the option and what it takes. */
function usageError(message: string): CodedError {
  return new CodedError("BENCH_USAGE", message, { remedy: "see npm run bench -- --help" });
}

/** Node's own parser, whose word for an option without its value names no option of ours. */
function parseWords(args: readonly string[]) {
  const last = args.at(-1) ?? "";
  const option = last.startsWith("--") ? last.slice(2) : "";
  if (Object.hasOwn(OPTIONS, option) && option !== "help") {
    throw usageError(`${last}: give its value, as in ${last} VALUE`);
  }
  try {
    return parseArgs({ args: [...args], allowPositionals: true, options: OPTIONS });
  } catch (error) {
    throw usageError((error as Error).message.split("\n", 1)[0] ?? "");
  }
}

/** Parses the command line. Errors: BENCH_USAGE. */
export function parseOptions(args: readonly string[], benches: readonly Bench[]): BenchOptions {
  const { values, positionals } = parseWords(args);
  const bench = findBench(benches, positionals);
  const { defaults } = bench;
  const sizeMib = parseCount("--size", values.size ?? defaults.sizeMib, MIB_MAX);
  const { dir, json, markdown, document } = values;
  return {
    bench,
    settings: {
      seconds: parseCount("--seconds", values.seconds ?? defaults.seconds, SECONDS_MAX),
      rounds: parseCount("--rounds", values.rounds ?? defaults.rounds, ROUNDS_MAX),
      runs: parseCount("--runs", values.runs ?? 1, bench.hasRuns === true ? RUNS_MAX : 1),
      sizeBytes: sizeMib * 2 ** 20,
      workloads: selectWorkloads(
        values.workloads === undefined ? defaults.workloads : splitWords(values.workloads),
        bench.workloads,
      ),
      targets:
        values.targets === undefined
          ? [...defaults.targets]
          : selectTargets(splitWords(values.targets), bench),
    },
    wantsHelp: values.help,
    ...{ dir, json, markdown, document },
  };
}

function parseCount(option: string, given: string | number, max: number): number {
  const count = Number(given);
  if (!/^\d+$/.test(String(given)) || count < 1 || count > max) {
    throw usageError(`${option} ${given}: takes a whole number from 1 to ${max}`);
  }
  return count;
}

function splitWords(text: string): string[] {
  return text.split(/[\s,]+/).filter((word) => word !== "");
}

/** Names of the workloads that the words select, in the bench's own order, each once. */
function selectWorkloads(words: readonly string[], known: readonly WorkloadName[]): string[] {
  const selects = (word: string, { name, group }: WorkloadName) =>
    word === "all" || word === name || word === group;
  const unknown = words.find((word) => !known.some((workload) => selects(word, workload)));
  if (unknown !== undefined || words.length === 0) {
    const groups = [...new Set(known.map(({ group }) => group))];
    const names = known.map(({ name }) => name);
    throw usageError(
      `--workloads ${unknown ?? ""}: takes all, ${[...groups, ...names].join(", ")}`,
    );
  }
  return known
    .filter((workload) => words.some((word) => selects(word, workload)))
    .map(({ name }) => name);
}

function selectTargets(words: readonly string[], { name, targets }: Bench): string[] {
  if (targets.length === 0) {
    throw usageError(`--targets: ${name} measures Satsuma alone; leave the option out`);
  }
  const unknown = words.find((word) => !targets.includes(word));
  if (unknown !== undefined || words.length === 0) {
    throw usageError(`--targets ${unknown ?? ""}: takes ${targets.join(", ")}`);
  }
  return targets.filter((target) => words.includes(target));
}
