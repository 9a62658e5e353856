/** Runs one group of test files in a process group of its own, under a wall limit. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { toolPath } from "../../scripts/test-tools.ts";
import { CODE_CACHE } from "../helpers/satsuma-command.ts";
import type { Group } from "./plan.ts";
import { parseReport, type Report } from "./report.ts";
import type { Skip } from "./skips.ts";

/** What became of a group. */
export interface GroupResult {
  readonly group: Group;
  readonly passed: number;
  readonly failed: number;
  readonly skips: readonly (Skip & { readonly file: string })[];
  readonly durationMs: number;
}

export interface GroupOptions {
  readonly root: string;
  /** Where the group's temporary files go (TMPDIR); removed by the caller. */
  readonly scratch: string;
  readonly limitSeconds: number;
  /** Called with the text of each failure when it happens. */
  readonly onFailure: (text: string) => void;
}

/** How much of a failed process's output is shown. */
const OUTPUT_TAIL_CHARS = 20_000;
/** How long processes of the group may outlive the one that runs the tests. */
const ORPHAN_GRACE_MS = 2_000;
/** How long tests may take to tidy up when the runner is ended. */
const TIDY_MS = 3000;

const running = new Set<ChildProcess>();

/** Ends every group under way, for the runner's own end by a signal: tests may tidy up first. */
export async function endAllGroups(): Promise<void> {
  const children = [...running];
  for (const child of children) signalGroup(child, "SIGTERM");
  const deadline = performance.now() + TIDY_MS;
  while (children.some(isGroupAlive) && performance.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 20));
  for (const child of children) killGroup(child);
}

export async function runGroup(group: Group, options: GroupOptions): Promise<GroupResult> {
  const startedAt = performance.now();
  const child = startChild(group, options);
  running.add(child);
  const tally = new Tally(group.name, options.onFailure);
  const output = collectTail(child);
  const reports = readReports(child, (line) => tally.add(line));
  const limitMs = options.limitSeconds * 1000;
  const timer = setTimeout(() => {
    tally.problem(`killed after its limit of ${options.limitSeconds} s`);
    killGroup(child);
  }, limitMs);
  const exit = await exitOf(child);
  clearTimeout(timer);
  if (await hasOrphans(child)) {
    tally.problem("left processes behind; every test ends what it starts");
    killGroup(child);
  }
  running.delete(child);
  // Orphans may hold the pipes open, so this comes AFTER they are killed.
  await reports;
  tally.close(exit);
  if (tally.failed > 0 && output.text() !== "") {
    options.onFailure(`--- output of ${group.name} ---\n${output.text()}\n`);
  }
  const { passed, failed, skips } = tally;
  return { group, passed, failed, skips, durationMs: performance.now() - startedAt };
}

/** Counts of one group, from its reports and from how its process ended. */
class Tally {
  passed = 0;
  failed = 0;
  readonly skips: (Skip & { readonly file: string })[] = [];
  readonly #onFailure: (text: string) => void;
  readonly #name: string;
  #current = "before its first file";
  #allEnded = false;
  #explained = false;

  constructor(name: string, onFailure: (text: string) => void) {
    this.#name = name;
    this.#onFailure = onFailure;
  }

  add(report: Report): void {
    switch (report.type) {
      case "started":
        this.#current = `in ${report.file}`;
        break;
      case "ended":
        this.passed += report.passed;
        this.failed += report.failed;
        this.skips.push(...report.skips.map((skip) => ({ ...skip, file: report.file })));
        for (const text of report.failures) this.#onFailure(`${report.file}\n${text}`);
        break;
      case "all-ended":
        this.#allEnded = true;
        this.#current = "after its last test";
        break;
      case "leaked":
        this.problem(`did not exit: left open ${report.resources.join(", ")}`);
        break;
    }
  }

  /** A failure of the process, not of a test: counts as one. */
  problem(text: string): void {
    this.#explained = true;
    this.failed += 1;
    this.#onFailure(`${this.#name}: the test process ${text} (${this.#current})\n`);
  }

  /** The process ended so; anything but exit 0 after the last report is a failure. */
  close(exit: string): void {
    if (this.#explained) return;
    if (!this.#allEnded) this.problem(`ended before its tests finished (${exit})`);
    else if (exit !== "code 0") this.problem(`failed after its tests (${exit})`);
  }
}

function startChild(group: Group, options: GroupOptions): ChildProcess {
  mkdirSync(options.scratch, { recursive: true });
  const entry = join(options.root, "test", "runner", "child.ts");
  return spawn(process.execPath, [entry, ...group.files], {
    cwd: options.root,
    env: {
      // As bin/satsuma does for boards.
      NODE_COMPILE_CACHE: CODE_CACHE,
      ...process.env,
      PATH: toolPath(),
      TMPDIR: options.scratch,
    },
    stdio: ["ignore", "pipe", "pipe", "pipe"],
    detached: true,
  });
}

async function readReports(child: ChildProcess, onReport: (report: Report) => void): Promise<void> {
  const stream = child.stdio[3] as Readable;
  for await (const line of createInterface({ input: stream })) onReport(parseReport(line));
}

function collectTail(child: ChildProcess): { text: () => string } {
  let tail = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (chunk: string) => {
      tail = (tail + chunk).slice(-OUTPUT_TAIL_CHARS);
    });
  }
  return { text: () => tail.trim() };
}

function exitOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.on("error", (error) => resolve(error.message));
    child.on("exit", (code, signal) => resolve(signal ?? `code ${code}`));
  });
}

/** True while processes of the group live on after the grace period. */
async function hasOrphans(child: ChildProcess): Promise<boolean> {
  const deadline = performance.now() + ORPHAN_GRACE_MS;
  while (isGroupAlive(child)) {
    if (performance.now() > deadline) return true;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return false;
}

function isGroupAlive(child: ChildProcess): boolean {
  return signalGroup(child, 0);
}

function killGroup(child: ChildProcess): void {
  signalGroup(child, "SIGKILL");
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals | 0): boolean {
  if (child.pid === undefined) return false;
  try {
    process.kill(-child.pid, signal);
    return true;
  } catch {
    return false;
  }
}
