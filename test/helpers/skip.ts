/**
 * Tests that need a tool or a feature of the machine. Every skip has a reason; the runner prints
 * and counts it, and fails a file that skips without one. With CI=true a missing tool is a failure.
 */
import type { Callback, Test } from "uvu";
import { hasTool, TEST_TOOLS } from "../../scripts/test-tools.ts";
import { recordSkip } from "../runner/skips.ts";

/** Registers one test, as uvu's `test(name, body)` does. */
export type Register<T> = (name: string, body: Callback<T>) => void;

/**
 * `test` where every tool is installed; else a stand-in that skips (or, with CI=true, fails).
 * Use: `const mdadmTest = skipUnless("mdadm", test); mdadmTest("examines our superblock", …)`.
 */
export function skipUnless<T>(tools: string | readonly string[], test: Test<T>): Register<T> {
  const missing = [tools].flat().filter((tool) => !isInstalled(tool));
  if (missing.length === 0) return test;
  const packages = [...new Set(missing.map((tool) => TEST_TOOLS[tool]))].join(" ");
  const reason = `${missing.join(", ")} not installed (Debian: ${packages})`;
  if (process.env["CI"] === "true") {
    return (name) =>
      test(name, () => {
        throw new Error(reason);
      });
  }
  return skipBecause(reason, test);
}

/** `test` where `reason` is undefined; else a stand-in that skips with it, CI or not. */
export function skipWhen<T>(reason: string | undefined, test: Test<T>): Register<T> {
  return reason === undefined ? test : skipBecause(reason, test);
}

function skipBecause<T>(reason: string, test: Test<T>): Register<T> {
  return (name) => {
    recordSkip(name, reason);
    test.skip(name);
  };
}

function isInstalled(tool: string): boolean {
  if (TEST_TOOLS[tool] === undefined) {
    throw new Error(`${tool} is not in TEST_TOOLS of scripts/test-tools.ts; add it there`);
  }
  return hasTool(tool);
}
