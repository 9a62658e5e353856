/**
 * `npm run locks -- [--operations N] [--from S] [--trace]`: random operations on the DLM, judged by
 * test/helpers/lock-oracle.ts, in sequences of 400 with seeds from S on. Prints every seed that
 * fails, with its last operations (`--trace`: all), and what the sequences went through. Exit code
 * 0 only when no seed failed.
 */
import { parseArgs } from "node:util";
import { Prng } from "../src/common/prng.ts";
import { PRODUCT_DLM } from "../test/helpers/dlm-under-test.ts";
import { runLockSequence, SEQUENCE_STEPS } from "../test/helpers/lock-sequence.ts";

const LINES_TOLD = 12;
const USAGE = "npm run locks -- [--operations N] [--from S] [--trace]";

const { values: options } = parseArgs({
  options: {
    operations: { type: "string", default: "1000000" },
    from: { type: "string", default: "1" },
    trace: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

const print = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

const main = (): number => {
  const operations = Number(options.operations);
  const from = Number(options.from);
  if (options.help || !(Number.isInteger(operations) && Number.isInteger(from) && from >= 0)) {
    print(USAGE);
    return options.help ? 0 : 2;
  }
  const began = performance.now();
  const sequences = Math.ceil(operations / SEQUENCE_STEPS);
  const totals = new Map<string, number>();
  let failed = 0;
  for (let seed = from; seed < from + sequences; seed++) {
    const lines: string[] = [];
    const note = (line: string): void => {
      lines.push(line);
    };
    try {
      const counts = runLockSequence(PRODUCT_DLM, new Prng(seed), SEQUENCE_STEPS, note);
      for (const [what, times] of counts) totals.set(what, (totals.get(what) ?? 0) + times);
      if (options.trace) print(lines.join("\n"));
    } catch (error) {
      failed++;
      const text = error instanceof Error ? error.message : String(error);
      const told = options.trace ? lines : lines.slice(-LINES_TOLD);
      print(`FAIL seed ${seed}, operation ${lines.length}: ${text}\n  ${told.join("\n  ")}`);
    }
  }
  const seconds = (performance.now() - began) / 1000;
  const done = sequences * SEQUENCE_STEPS;
  print(`seeds from ${from}: ${done} operations, ${failed} failed, ${seconds.toFixed(1)} s`);
  const sorted = [...totals].sort(([a], [b]) => a.localeCompare(b));
  print(`  ${sorted.map(([what, times]) => `${what} ${times}`).join(", ")}`);
  return failed === 0 ? 0 : 1;
};

// Whoever read our output is gone (`npm run locks | head`).
process.stdout.on("error", () => process.exit(1));
process.exitCode = main();
