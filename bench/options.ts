/** Command line of the benches: which one, and its settings. */
import { parseArgs } from "node:util";
import type { Bench, BenchSettings, WorkloadName } from "./bench.ts";

export interface BenchOptions {
  readonly bench: Bench;
  readonly settings: BenchSettings;
  readonly wantsHelp: boolean;
  readonly dir: string | undefined;
  readonly json: string | undefined;
  readonly markdown: string | undefined;
}

const SECONDS_MAX = 3600;
const ROUNDS_MAX = 100;
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
  --size MIB         MiB of each array or file that are used (${defaults.sizeMib})
  --workloads A,B    names or groups, or all (${defaults.workloads.join(",")})
  --targets A,B      of: ${targets} (${defaults.targets.join(",")})
  --dir DIR          folder for the files; its disk is what is measured (the temporary one)
  --json FILE        also write every result to FILE
  --markdown FILE    also write the tables to FILE
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
    throw new Error(`${words.join(" ")}: name one bench of ${names}`);
  }
  return found;
}

/** Parses the command line. Errors: one that names the option and what it takes. */
export function parseOptions(args: readonly string[], benches: readonly Bench[]): BenchOptions {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      help: { type: "boolean", default: false },
      seconds: { type: "string" },
      rounds: { type: "string" },
      size: { type: "string" },
      workloads: { type: "string" },
      targets: { type: "string" },
      dir: { type: "string" },
      json: { type: "string" },
      markdown: { type: "string" },
    },
  });
  const bench = findBench(benches, positionals);
  const { defaults } = bench;
  const sizeMib = parseCount("--size", values.size ?? defaults.sizeMib, MIB_MAX);
  return {
    bench,
    settings: {
      seconds: parseCount("--seconds", values.seconds ?? defaults.seconds, SECONDS_MAX),
      rounds: parseCount("--rounds", values.rounds ?? defaults.rounds, ROUNDS_MAX),
      sizeBytes: sizeMib * 2 ** 20,
      workloads: selectWorkloads(
        values.workloads === undefined ? defaults.workloads : splitWords(values.workloads),
        bench.workloads,
      ),
      targets: selectTargets(
        values.targets === undefined ? defaults.targets : splitWords(values.targets),
        bench.targets,
      ),
    },
    wantsHelp: values.help,
    dir: values.dir,
    json: values.json,
    markdown: values.markdown,
  };
}

function parseCount(option: string, given: string | number, max: number): number {
  const count = Number(given);
  if (!Number.isInteger(count) || count < 1 || count > max) {
    throw new Error(`${option} ${given}: takes a whole number from 1 to ${max}`);
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
    throw new Error(`--workloads ${unknown ?? ""}: takes all, ${[...groups, ...names].join(", ")}`);
  }
  return known
    .filter((workload) => words.some((word) => selects(word, workload)))
    .map(({ name }) => name);
}

function selectTargets(words: readonly string[], known: readonly string[]): string[] {
  const unknown = words.find((word) => !known.includes(word));
  if (unknown !== undefined || (words.length === 0 && known.length > 0)) {
    throw new Error(`--targets ${unknown ?? ""}: takes ${known.join(", ") || "nothing"}`);
  }
  return known.filter((name) => words.includes(name));
}
