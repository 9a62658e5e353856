/**
 * `npm run fault-runs -- --runs N --from SEED`: randomised runs of boards as real processes under
 * verified load from clients on all of them, with whatever can happen to boards, links, disks and
 * etcd. Exit code 1 when a run finds something wrong; its logs and files are kept.
 */
import { makeFolder } from "../src/hal/linux/make-folder.ts";
import type { BoardsKind } from "../test/helpers/fault-runs/fault-boards.ts";
import {
  type FaultRunReport,
  faultRun,
  missingFaults,
} from "../test/helpers/fault-runs/fault-run.ts";
import { scriptOptions } from "./script-options.ts";

const USAGE = `npm run fault-runs -- [--runs N] [--from SEED] [--jobs N] [--seconds S]
    [--boards N] [--etcd MEMBERS] [--size MIB] [--shared] [--dir DIR] [--verbose] [--keep] [--keep-going]`;

const values = scriptOptions(USAGE, {
  runs: { type: "string", default: "10" },
  from: { type: "string", default: "1" },
  jobs: { type: "string", default: "1" },
  seconds: { type: "string", default: "75" },
  boards: { type: "string", default: "3" },
  etcd: { type: "string", default: "3" },
  size: { type: "string", default: "64" },
  shared: { type: "boolean", default: false },
  dir: { type: "string" },
  keep: { type: "boolean", default: false },
  verbose: { type: "boolean", default: false },
  "keep-going": { type: "boolean", default: false },
});

const print = (line: string): void => void process.stdout.write(`${line}\n`);
const seconds = (ms: number | null): string =>
  ms === null ? "never" : `${(ms / 1000).toFixed(1)} s`;

const tell = (report: FaultRunReport): void => {
  const { seed, happened, problems, writes, reads, moves, fences, changes } = report;
  print(
    `seed ${seed}: ${problems.length === 0 ? "good" : "WRONG"}, ${report.seconds.toFixed(0)} s`,
  );
  for (const line of happened) print(`    ${line}`);
  print(
    `  ${writes} writes, ${reads} reads, ${moves} blocks passed on, ${fences} sessions fenced, ` +
      `${report.givenUp} requests given up, ${changes} reads beside unfinished writes changed`,
  );
  print(
    `  longest hold: ${seconds(report.longestWrite.ms)} (${report.longestWrite.what}), ` +
      `of reads ${seconds(report.longestRead.ms)}; ` +
      `whole ${seconds(report.wholeMs)} after all was mended`,
  );
  for (const problem of problems) print(`  WRONG: ${problem}`);
  if (report.folder !== null) print(`  its logs and files: ${report.folder}`);
};

// What was started ends with this process.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));
for (const [kind, why] of missingFaults()) print(`left out: ${kind}: ${why}`);
if (values.dir !== undefined) makeFolder(values.dir);
const kind: BoardsKind = values.shared ? "shared" : "own";
const first = Number(values.from);
const end = first + Number(values.runs);
let next = first;
let good = 0;
let wrong = 0;

/** Takes one seed after the other until none is left, or one was wrong. */
const lane = async (): Promise<void> => {
  while (next < end && (wrong === 0 || values["keep-going"])) {
    const seed = next++;
    const report = await faultRun({
      ...{ seed, kind, boards: Number(values.boards), etcdMembers: Number(values.etcd) },
      ...{ ms: Number(values.seconds) * 1000, sizeMib: Number(values.size) },
      ...(values.dir === undefined ? {} : { parent: values.dir }),
      isKept: values.keep,
      ...(values.verbose ? { say: print } : {}),
    });
    tell(report);
    if (report.problems.length === 0) good += 1;
    else wrong += 1;
  }
};
await Promise.all(Array.from({ length: Number(values.jobs) }, lane));
print(`${good} runs were good, ${wrong} found something wrong`);
process.exitCode = wrong === 0 ? 0 : 1;
