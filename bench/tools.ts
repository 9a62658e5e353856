/** The programs that benches run: which Debian package has one, and what to say without it. */
import { hasTool, TEST_TOOLS } from "../scripts/test-tools.ts";
import { CodedError } from "../src/common/errors.ts";

type HasTool = (tool: string) => boolean;

/** `nbdkit is not installed (Debian package nbdkit)`. */
export function missingText(tool: string): string {
  return `${tool} is not installed (Debian package ${TEST_TOOLS[tool] ?? tool})`;
}

/** Errors: BENCH_TOOL_MISSING, which names every program that is not there, and its package. */
export function requireTools(tools: readonly string[], has: HasTool = hasTool): void {
  const missing = tools.filter((tool) => !has(tool));
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((tool) => TEST_TOOLS[tool] ?? tool))];
  throw new CodedError("BENCH_TOOL_MISSING", missing.map(missingText).join(", "), {
    remedy: `install what is missing: apt-get install ${packages.join(" ")}`,
    details: { missing, packages },
  });
}
