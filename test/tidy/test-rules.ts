/** Rules over tests: what would make a run green without testing. */
import type { SourceFile, Violation } from "./repository.ts";
import { lineAt } from "./source-text.ts";

/** Suites that never run, and suites that keep others from running. */
export function checkSuites(files: readonly SourceFile[]): Violation[] {
  return files
    .filter((file) => file.path.startsWith("test/") && file.path.endsWith(".test.ts"))
    .filter((file) => !file.path.startsWith("test/canary/"))
    .flatMap((file) => {
      const violations: Violation[] = [];
      const suites = [...file.code.matchAll(/(?<![.\w])suite\s*(<[^>]*>)?\(/g)].length;
      const runs = [...file.code.matchAll(/\.run\(\)/g)].length;
      if (runs === 0) violations.push(`${file.path}:1: no suite is run; end it with \`.run()\``);
      else if (runs < suites) {
        violations.push(`${file.path}:1: ${suites} suites, but only ${runs} \`.run()\``);
      }
      for (const match of file.code.matchAll(/\.only\(/g)) {
        violations.push(
          `${file.path}:${lineAt(file.text, match.index)}: \`.only\` drops other tests`,
        );
      }
      return violations;
    });
}

/** Where waiting is implemented once for all tests. */
const WAITING = /^test\/(helpers|runner|canary)\//;

/** Sleeps: they make tests slow when long enough and flaky when not. */
export function checkSleeps(files: readonly SourceFile[]): Violation[] {
  return files
    .filter((file) => file.path.startsWith("test/") && !WAITING.test(file.path))
    .flatMap((file) => [
      ...findAll(file, file.code, /(?<![.\w])setTimeout\(/g),
      ...findAll(file, file.strings, /["'](node:)?timers\/promises["']/g),
    ]);
}

function findAll(file: SourceFile, view: string, pattern: RegExp): Violation[] {
  return (
    [...view.matchAll(pattern)]
      // A quote that is blank in `code` stands inside a string, such as a sample.
      .filter((match) => file.code[match.index] !== " ")
      .map((match) => {
        const line = lineAt(file.text, match.index);
        return `${file.path}:${line}: no sleeps; wait for an event, or use test/helpers/timeout.ts`;
      })
  );
}

/** Files in test/unit and test/integration that the runner would not find. */
export function checkTestNames(paths: readonly string[]): Violation[] {
  return paths
    .filter((path) => /^test\/(unit|integration|conformance\/run-).*\.ts$/.test(path))
    .filter((path) => !path.endsWith(".test.ts"))
    .map((path) => `${path}:1: not run: tests end in .test.ts, helpers live in test/helpers`);
}
