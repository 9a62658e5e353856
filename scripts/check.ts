/**
 * `npm run check`: types, lint and format, and the tidy rules; everything that runs no product
 * code.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { checkSteps } from "./check-steps.ts";

const ROOT = join(import.meta.dirname, "..");

const steps = [
  ...checkSteps(ROOT),
  { name: "tidy", command: [process.execPath, join(ROOT, "test", "run.ts"), "test/tidy.test.ts"] },
];

let failed = 0;
for (const { name, command } of steps) {
  const [file = "", ...args] = command;
  const startedAt = performance.now();
  const result = spawnSync(file, args, { cwd: ROOT, stdio: "inherit" });
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  const ok = result.status === 0 && existsSync(file);
  if (!ok) failed += 1;
  process.stdout.write(`${ok ? "ok  " : "FAIL"} ${name} ${seconds} s\n`);
}
process.exitCode = failed === 0 ? 0 : 1;
