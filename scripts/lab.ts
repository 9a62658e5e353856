/**
 * `npm run lab`: the whole lab. Every array that Linux makes goes to our engine and back, every
 * array of ours to Linux and back, power cuts included; `npm test` does a share of it.
 * Arguments go to the test runner (`npm run lab -- lab/ours-to-linux`).
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";

const runner = join(import.meta.dirname, "../test/run.ts");
const filters = process.argv.slice(2);
const { status } = spawnSync(
  process.execPath,
  [runner, ...(filters.length === 0 ? ["integration/lab"] : filters)],
  { stdio: "inherit", env: { ...process.env, SATSUMA_LAB: "all" } },
);
process.exitCode = status ?? 1;
