/** Command line of the bench. */
import { parseArgs } from "node:util";
import { WORKLOADS, type Workload } from "./workload.ts";

export const USAGE = `usage: npm run bench -- [options]
  --seconds N        seconds per job (5)
  --rounds N         rounds; medians are over them (3)
  --size MIB         MiB of each export that are used (1024)
  --workloads A,B    of: ${WORKLOADS.map((workload) => workload.name).join(" ")} (all)
  --targets A,B      of: satsuma qemu-quorum nbdkit qemu-direct (the first three)
  --dir DIR          folder for the legs; its disk is what is measured (the system's temporary one)
  --json FILE        also write every result to FILE
  --markdown FILE    also write the tables to FILE`;

export const TARGET_NAMES = ["satsuma", "qemu-quorum", "nbdkit", "qemu-direct"] as const;
export type TargetName = (typeof TARGET_NAMES)[number];

export interface BenchOptions {
  readonly seconds: number;
  readonly rounds: number;
  readonly sizeBytes: number;
  readonly workloads: readonly Workload[];
  readonly targets: readonly TargetName[];
  readonly dir: string | undefined;
  readonly json: string | undefined;
  readonly markdown: string | undefined;
}

/** Parses the command line. Errors: one that names the option and what it takes. */
export function parseOptions(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seconds: { type: "string", default: "5" },
      rounds: { type: "string", default: "3" },
      size: { type: "string", default: "1024" },
      workloads: { type: "string", default: WORKLOADS.map((workload) => workload.name).join(",") },
      targets: { type: "string", default: "satsuma,qemu-quorum,nbdkit" },
      dir: { type: "string" },
      json: { type: "string" },
      markdown: { type: "string" },
    },
  });
  return {
    seconds: parseCount("--seconds", values.seconds, 3600),
    rounds: parseCount("--rounds", values.rounds, 100),
    sizeBytes: parseCount("--size", values.size, 1024 * 1024) * 2 ** 20,
    workloads: parseList("--workloads", values.workloads, WORKLOADS, (workload) => workload.name),
    targets: parseList("--targets", values.targets, TARGET_NAMES, (name) => name),
    dir: values.dir,
    json: values.json,
    markdown: values.markdown,
  };
}

function parseCount(option: string, text: string, max: number): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1 || count > max) {
    throw new Error(`${option} ${text}: takes a whole number from 1 to ${max}`);
  }
  return count;
}

function parseList<T>(
  option: string,
  text: string,
  known: readonly T[],
  nameOf: (item: T) => string,
): readonly T[] {
  return text
    .split(/[\s,]+/)
    .filter((name) => name !== "")
    .map((name) => {
      const found = known.find((item) => nameOf(item) === name);
      if (found === undefined) {
        throw new Error(`${option} ${name}: takes ${known.map(nameOf).join(", ")}`);
      }
      return found;
    });
}
