/** The files that the rules look at: tracked ones, and new ones that no ignore rule covers. */
import { spawnSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { type BlankedText, blankText } from "./source-text.ts";

/** A text file of the project, by its path from the root. */
export interface SourceFile extends BlankedText {
  readonly path: string;
  readonly text: string;
}

/** Something a rule rejects, as `path:line: why`. */
export type Violation = string;

const SOURCE = /\.(ts|tsx|mjs)$/;

/** Paths of all files, sorted. Fixtures are data and not looked into, but their size counts. */
export function listPaths(root: string): string[] {
  const args = ["-c", "safe.directory=*", "ls-files", "-z", "-co", "--exclude-standard"];
  const listing = spawnSync("git", args, { cwd: root, encoding: "utf8" });
  if (listing.status !== 0) throw new Error(`git ls-files failed: ${listing.stderr}`);
  const paths = [...new Set(listing.stdout.split("\0"))].filter((path) => path !== "");
  return paths.filter((path) => isFile(join(root, path))).sort();
}

/** True for recorded data, which no rule of text applies to. */
export function isRecorded(path: string): boolean {
  return /^test\/(fixtures|golden)\//.test(path);
}

export function isSource(path: string): boolean {
  return SOURCE.test(path) && !isRecorded(path);
}

export function readSources(root: string, paths: readonly string[]): SourceFile[] {
  return paths
    .filter(isSource)
    .map((path) => toSource(path, readFileSync(join(root, path), "utf8")));
}

/** A source file from its text, for the repository and for the rules' own tests alike. */
export function toSource(path: string, text: string): SourceFile {
  return { path, text, ...blankText(text) };
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}
