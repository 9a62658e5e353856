/**
 * Programs that run for long, ended by signals as a terminal and npm send them: no folder and no
 * process is left behind, whatever they were about to do.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { skipUnless } from "../helpers/skip.ts";
import { inFolder } from "../helpers/temporary-folder.ts";
import { eventually, withTimeout } from "../helpers/timeout.ts";

const test = suite("interrupted");
const benchTest = skipUnless(["fio", "nbdcopy"], test);

const ROOT = join(import.meta.dirname, "../..");
const LIMIT_MS = 60_000;

/** Processes whose command line has the word. */
const processesWith = (word: string): number[] =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "latin1").includes(word);
      } catch {
        return false;
      }
    })
    .map(Number);

/** Starts the program, sends the signals once a daemon of its own runs; its exit code. */
const interrupt = async (
  folder: string,
  [script = "", ...args]: readonly string[],
  signals: readonly NodeJS.Signals[],
): Promise<number | null> => {
  mkdirSync(folder);
  const child = spawn(process.execPath, [join(ROOT, script), ...args], {
    env: { ...process.env, TMPDIR: folder },
    stdio: "ignore",
  });
  const exit = once(child, "exit");
  await eventually("its daemon runs", LIMIT_MS, () => processesWith(folder).length > 0);
  for (const signal of signals) child.kill(signal);
  const [code] = await exit;
  assert.equal(readdirSync(folder), []);
  assert.equal(processesWith(folder), []);
  return code;
};

test(
  "a soak that is told to end",
  withTimeout(
    2 * LIMIT_MS,
    inFolder(async (folder) => {
      const command = ["scripts/soak.ts", "--minutes", "5"];
      assert.is(await interrupt(join(folder, "soak"), command, ["SIGTERM"]), 143);
    }),
  ),
);

benchTest(
  "a bench at Ctrl-C, and at another signal while it ends",
  withTimeout(
    2 * LIMIT_MS,
    inFolder(async (folder) => {
      const command = ["bench/run.ts", "--size", "16", "--targets", "satsuma"];
      const code = await interrupt(join(folder, "bench"), command, ["SIGINT", "SIGTERM"]);
      // Of signals that are sent at once, either may arrive first.
      assert.ok(code === 130 || code === 143, String(code));
    }),
  ),
);

test.run();
