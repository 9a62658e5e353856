/**
 * Runs test files in this process, one after the other, and reports each on descriptor 3.
 * Arguments: the files, relative to the working directory.
 *
 * It drives uvu's queue itself instead of `uvu.exec`, which passes a file that forgets `.run()`, a
 * suite whose `before` hook throws, and a process that something keeps alive. What tests throw is
 * made readable first (readable-errors.ts).
 */
import { writeSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { endAll } from "./after-all.ts";
import { makeErrorsReadable } from "./readable-errors.ts";
import { REPORT_FD, type Report } from "./report.ts";
import { takeSkips } from "./skips.ts";

/** A suite as uvu queues it: resolves to [error text or true, passed, skipped, total]. */
type QueuedSuite = () => Promise<[string | true, number, number, number]>;

interface UvuGlobals {
  UVU_DEFER?: number;
  UVU_QUEUE?: (string | QueuedSuite)[][];
  UVU_INDEX?: number;
}

/** How long handles may stay open after the last test before they count as leaked. */
const EXIT_GRACE_MS = 5_000;

const globals = globalThis as UvuGlobals;

function report(line: Report): void {
  writeSync(REPORT_FD, `${JSON.stringify(line)}\n`);
}

/** Imports one file and returns the suites it queued by `.run()`. */
async function loadSuites(file: string, index: number): Promise<QueuedSuite[]> {
  globals.UVU_DEFER = 1;
  globals.UVU_QUEUE ??= [];
  globals.UVU_QUEUE[index] = [];
  globals.UVU_INDEX = index;
  await import(pathToFileURL(resolve(file)).href);
  return globals.UVU_QUEUE[index] as QueuedSuite[];
}

async function runFile(file: string, index: number): Promise<void> {
  report({ type: "started", file });
  const failures: string[] = [];
  let passed = 0;
  let failed = 0;
  let skipped = 0;
  try {
    const suites = await loadSuites(file, index);
    for (const suite of suites) {
      const [errors, ran, skips, total] = await suite();
      passed += ran;
      skipped += skips;
      failed += total - ran;
      if (errors !== true) failures.push(errors);
    }
  } catch (error) {
    failed += 1;
    failures.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  const skips = takeSkips();
  if (skipped > skips.length) {
    failed += 1;
    failures.push("a test was skipped without a reason; use test/helpers/skip.ts\n");
  }
  if (passed + failed + skipped === 0) {
    failed += 1;
    failures.push("no test was run: is `.run()` missing at the end of the suite?\n");
  }
  report({ type: "ended", file, passed, failed, skips, failures });
}

makeErrorsReadable();
for (const [index, file] of process.argv.slice(2).entries()) await runFile(file, index);
await endAll();
report({ type: "all-ended" });
setTimeout(() => {
  report({ type: "leaked", resources: process.getActiveResourcesInfo() });
  process.exit(1);
}, EXIT_GRACE_MS).unref();
