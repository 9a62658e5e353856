/** Which test files run, and which share a process. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Test files that run in one process. */
export interface Group {
  readonly name: string;
  /** Paths from the root of the repository. */
  readonly files: readonly string[];
  /** At most one group of the `integration` lane runs at a time: its tests use whole boards. */
  readonly lane: "parallel" | "integration";
  /** Seconds after which the process is killed and counted as failed. */
  readonly limitSeconds: number;
}

/** Integration tests with one small board, or one engine in the test's own process. */
const BESIDE_OTHERS = ["integration/crash/", "integration/scenarios/"];
/** They wait for leases and fences most of the time: beside others, and last. */
const PATIENT = [
  "integration/boards/",
  "integration/cluster/fault-runs",
  "integration/cluster/namespaces",
  "integration/cluster/rounds",
  "integration/life/",
];
/** Files of such a folder use the same daemons (test/helpers/two-nodes.ts). */
const SHARED_FOLDERS = new Set(["integration/clustermd"]);
const LIMIT_SECONDS = { others: 180, integration: 600 } as const;
const LIMIT_COMMENT = /^\/\/ wall-limit: (\d+) s$/m;

/** Every `*.test.ts` under `folder`, sorted; test/canary only when it is the folder asked for. */
export function findTestFiles(root: string, folder: string): string[] {
  const found: string[] = [];
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory() && path !== "test/canary") found.push(...findTestFiles(root, path));
    else if (entry.isFile() && entry.name.endsWith(".test.ts")) found.push(path);
  }
  return found.sort();
}

/** The files whose path contains one of the filters (`unit/raid`, `test/tidy.test.ts`). */
export function selectFiles(files: readonly string[], filters: readonly string[]): string[] {
  if (filters.length === 0) return [...files];
  return files.filter((file) => filters.some((filter) => file.includes(filter)));
}

/**
 * Unit tests share a process per folder, which saves start-up time, and so do the scenarios that
 * share their daemons; every other file has its own. A file may raise its limit by a line
 * `// wall-limit: 900 s`.
 */
export function planGroups(root: string, files: readonly string[]): Group[] {
  const byName = new Map<string, string[]>();
  for (const file of files) {
    const name = groupName(file);
    byName.set(name, [...(byName.get(name) ?? []), file]);
  }
  const isAmong = (name: string, starts: readonly string[]): boolean =>
    starts.some((start) => name.startsWith(start));
  const isPatient = ([name]: readonly [string, string[]]): number => Number(isAmong(name, PATIENT));
  const sorted = [...byName].sort((a, b) => isPatient(a) - isPatient(b));
  return sorted.map(([name, members]) => {
    const isIntegration = name.startsWith("integration/");
    const isBeside = isAmong(name, [...BESIDE_OTHERS, ...PATIENT]);
    const lane = isIntegration && !isBeside ? "integration" : "parallel";
    const least = LIMIT_SECONDS[isIntegration ? "integration" : "others"];
    const limits = members.map((file) => limitOf(join(root, file)));
    return { name, files: members, lane, limitSeconds: Math.max(least, ...limits) };
  });
}

function groupName(file: string): string {
  const parts = file
    .replace(/\.test\.ts$/, "")
    .split("/")
    .slice(1);
  const folder = parts.slice(0, Math.min(2, parts.length - 1)).join("/");
  return parts[0] === "unit" || SHARED_FOLDERS.has(folder) ? folder : parts.join("/");
}

function limitOf(path: string): number {
  return Number(LIMIT_COMMENT.exec(readFileSync(path, "utf8"))?.[1] ?? 0);
}
