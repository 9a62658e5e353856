/**
 * `npm run model -- [--sequences N] [--from S] [--layout L] [--keep-going] [--whole]`: random
 * operation sequences of test/model, seeds S to S + N - 1. Prints every seed that fails with the
 * shortest trace that still fails the same way (`--whole`: with all of it), and what the sequences
 * went through. Ends after 20 failures unless `--keep-going`. Exit code 0 only when no seed failed.
 */
import { parseArgs } from "node:util";
import { LAYOUTS } from "../test/model/array-shape.ts";
import { runSequence } from "../test/model/sequence.ts";
import { describeFailure, shrinkSequence } from "../test/model/shrink.ts";

const FAILURES_MAX = 20;
const PROGRESS_EVERY = 5000;

const USAGE = "npm run model -- [--sequences N] [--from S] [--layout L] [--keep-going] [--whole]";
if (process.argv.includes("--help")) {
  process.stdout.write(`${USAGE}\n`);
  process.exit(0);
}

const { values: options } = parseArgs({
  options: {
    sequences: { type: "string", default: "10000" },
    from: { type: "string", default: "1" },
    layout: { type: "string" },
    "keep-going": { type: "boolean", default: false },
    whole: { type: "boolean", default: false },
  },
});

const print = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

const runSeeds = async (from: number, count: number, layout: string | null): Promise<number> => {
  const began = performance.now();
  const totals = new Map<string, number>();
  const seconds = (): number => (performance.now() - began) / 1000;
  let failed = 0;
  let done = 0;
  for (let seed = from; seed < from + count; seed++) {
    const result = await runSequence(seed, { layout });
    done++;
    for (const [what, times] of result.counts) totals.set(what, (totals.get(what) ?? 0) + times);
    if (result.problem !== null) {
      failed++;
      const least = options.whole ? result : await shrinkSequence(seed, layout, result);
      print(`FAIL ${describeFailure(seed, least)}`);
      if (failed === FAILURES_MAX && !options["keep-going"]) break;
    }
    if (done % PROGRESS_EVERY === 0)
      print(`... ${done} sequences, ${failed} failed, ${seconds().toFixed(0)} s`);
  }
  const rate = (done / seconds()).toFixed(0);
  print(
    `${layout ?? "all layouts"}: seeds ${from} to ${from + done - 1}, ${failed} failed, ` +
      `${seconds().toFixed(1)} s, ${rate} a second`,
  );
  const sorted = [...totals].sort(([a], [b]) => a.localeCompare(b));
  print(`  ${sorted.map(([what, times]) => `${what} ${times}`).join(", ")}`);
  return failed;
};

const main = async (): Promise<number> => {
  const from = Number(options.from);
  const count = Number(options.sequences);
  const layout = options.layout ?? null;
  const isRight = Number.isInteger(from) && Number.isInteger(count) && from >= 0 && count > 0;
  if (!isRight || (layout !== null && !LAYOUTS.has(layout))) {
    print(`--sequences and --from take integers; layouts: ${[...LAYOUTS.keys()].join(", ")}`);
    return 2;
  }
  return (await runSeeds(from, count, layout)) === 0 ? 0 : 1;
};

// Whoever read our output is gone (`npm run model | head`).
process.stdout.on("error", () => process.exit(1));
process.exitCode = await main();
