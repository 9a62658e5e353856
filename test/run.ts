/**
 * The test runner: `npm test`, or `npm test -- [options] [FILTER…]`.
 *
 * Plans groups of test files, runs each in a process of its own, two at a time, and sums up. Its
 * last line is exactly `N passed, N failed`, with `, N skipped` after it when tests were skipped.
 * Exit code 0 only when something passed and nothing failed.
 *
 * A FILTER is a part of a path (`unit/raid`, `tidy`). Options: `--list` prints the plan, `--jobs N`
 * processes at a time, `--seed N` replays one seed (SATSUMA_SEED), `--fresh N` draws N seeds anew
 * for each seeded test instead of one (SATSUMA_FRESH), `--limit S` seconds per process, `--canary`
 * runs the files of test/canary, which must fail.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { installMissingTools } from "../scripts/test-tools.ts";
import { endAllGroups, type GroupResult, runGroup } from "./runner/group-process.ts";
import { findTestFiles, type Group, planGroups, selectFiles } from "./runner/plan.ts";

const ROOT = join(import.meta.dirname, "..");
const PROCESSES_AT_ONCE = 2;
const TOOL_USE = /\bskipUnless\(/;

const { values: options, positionals: filters } = parseArgs({
  allowPositionals: true,
  options: {
    list: { type: "boolean", default: false },
    canary: { type: "boolean", default: false },
    jobs: { type: "string", default: String(PROCESSES_AT_ONCE) },
    limit: { type: "string" },
    seed: { type: "string" },
    fresh: { type: "string" },
  },
});

function print(text: string): void {
  process.stdout.write(text.endsWith("\n") ? text : `${text}\n`);
}

/** Runs the groups: one lane prefers the integration tests, the others leave them alone. */
async function runAll(groups: readonly Group[], scratch: string): Promise<GroupResult[]> {
  const parallel = groups.filter((group) => group.lane === "parallel");
  const integration = groups.filter((group) => group.lane === "integration");
  const results: GroupResult[] = [];
  const runOne = async (group: Group): Promise<void> => {
    const result = await runGroup(group, {
      root: ROOT,
      scratch: join(scratch, String(groups.indexOf(group))),
      limitSeconds: options.limit === undefined ? group.limitSeconds : Number(options.limit),
      onFailure: (text) => print(`\n${text}`),
    });
    results.push(result);
    print(describeResult(result));
  };
  const lane = async (queues: readonly Group[][]): Promise<void> => {
    for (const queue of queues) {
      for (let group = queue.shift(); group !== undefined; group = queue.shift()) {
        await runOne(group);
      }
    }
  };
  const others = Math.max(0, Number(options.jobs) - 1);
  const lanes = Array.from({ length: others }, () => lane([parallel]));
  await Promise.all([
    lane(others === 0 ? [parallel, integration] : [integration, parallel]),
    ...lanes,
  ]);
  return results;
}

function describeResult(result: GroupResult): string {
  const { group, passed, failed, skips, durationMs } = result;
  const mark = failed > 0 ? "FAIL" : "ok  ";
  const counts = `${passed} passed, ${failed} failed, ${skips.length} skipped`;
  return `${mark} ${group.name.padEnd(44)} ${counts}  ${(durationMs / 1000).toFixed(1)} s`;
}

function printList(groups: readonly Group[]): void {
  for (const group of groups) {
    print(`${group.name} (${group.lane}, limit ${group.limitSeconds} s)`);
    for (const file of group.files) print(`  ${file}`);
  }
}

/** Prints skips and totals; returns the exit code. */
function sumUp(results: readonly GroupResult[]): number {
  const skips = results.flatMap((result) => result.skips);
  if (skips.length > 0) print("\nSkipped:");
  for (const skip of skips) print(`  ${skip.file}: ${skip.name}: ${skip.reason}`);
  const passed = results.reduce((sum, result) => sum + result.passed, 0);
  const failed = results.reduce((sum, result) => sum + result.failed, 0);
  const failedGroups = results.filter((result) => result.failed > 0);
  if (failedGroups.length > 0) print("\nFailed:");
  for (const result of failedGroups) print(`  ${describeResult(result)}`);
  print(`\nTotal:   ${passed + failed + skips.length}`);
  print(`Passed:  ${passed}`);
  print(`Skipped: ${skips.length}`);
  print(`${passed} passed, ${failed} failed${skips.length > 0 ? `, ${skips.length} skipped` : ""}`);
  return failed === 0 && passed > 0 ? 0 : 1;
}

async function main(): Promise<number> {
  const all = findTestFiles(ROOT, options.canary ? "test/canary" : "test");
  const files = selectFiles(all, filters);
  const groups = planGroups(ROOT, files);
  if (groups.length === 0) {
    print(`no test file matches ${filters.join(" ")}\n0 passed, 1 failed`);
    return 1;
  }
  if (options.list) {
    printList(groups);
    return 0;
  }
  if (options.seed !== undefined) process.env["SATSUMA_SEED"] = options.seed;
  if (options.fresh !== undefined) process.env["SATSUMA_FRESH"] = options.fresh;
  if (files.some((file) => TOOL_USE.test(readFileSync(join(ROOT, file), "utf8")))) {
    const missing = installMissingTools(print);
    if (missing.length > 0) print(`test tools not available: ${missing.join(" ")}`);
  }
  // A short path: tests put unix sockets below it, whose names end at 107 bytes.
  const scratch = mkdtempSync(join(tmpdir(), "st-"));
  const cleanUp = (): void => rmSync(scratch, { recursive: true, force: true, maxRetries: 5 });
  const giveUp = async (): Promise<never> => {
    await endAllGroups();
    cleanUp();
    process.exit(1);
  };
  process.on("SIGINT", () => void giveUp()).on("SIGTERM", () => void giveUp());
  // Whoever read our output is gone (`npm test | head`).
  process.stdout.on("error", () => void giveUp());
  const results = await runAll(groups, scratch);
  cleanUp();
  return sumUp(results);
}

process.exitCode = await main();
