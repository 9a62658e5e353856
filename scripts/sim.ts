/**
 * `npm run sim -- [--story NAME] [--seeds N] [--from S] [--stop] [--trace]`: the simulation of
 * test/sim over many seeds. Prints every seed that fails, with the violation, and what the stories
 * went through. Exit code 0 only when no seed failed; `--stop` ends at the first failure, `--trace`
 * prints every move.
 */
import { parseArgs } from "node:util";
import { STORIES, type StoryName } from "../test/sim/stories.ts";
import { runStory } from "../test/sim/story.ts";

const USAGE = "npm run sim -- [--story NAME] [--seeds N] [--from S] [--stop] [--trace]";
if (process.argv.includes("--help")) {
  process.stdout.write(`${USAGE}\nstories: ${Object.keys(STORIES).join(", ")}\n`);
  process.exit(0);
}

const { values: options } = parseArgs({
  options: {
    story: { type: "string", default: "all" },
    seeds: { type: "string", default: "1000" },
    from: { type: "string", default: "1" },
    stop: { type: "boolean", default: false },
    trace: { type: "boolean", default: false },
  },
});

const print = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

const isStory = (name: string): name is StoryName => Object.hasOwn(STORIES, name);

/** Runs the seeds of one story; returns how many failed. */
const runSeeds = async (name: StoryName, from: number, count: number): Promise<number> => {
  const began = performance.now();
  const totals = new Map<string, number>();
  let failed = 0;
  for (let seed = from; seed < from + count; seed++) {
    try {
      const counts = await runStory(name, seed, options.trace ? { onTrace: print } : {});
      for (const [what, times] of counts) totals.set(what, (totals.get(what) ?? 0) + times);
    } catch (error) {
      failed++;
      const text = error instanceof Error ? error.message : String(error);
      print(`FAIL ${name} seed ${seed}: ${text}`);
      if (options.stop) break;
    }
  }
  const seconds = (performance.now() - began) / 1000;
  print(`${name}: ${count} seeds from ${from}, ${failed} failed, ${seconds.toFixed(1)} s`);
  const sorted = [...totals].sort(([a], [b]) => a.localeCompare(b));
  print(`  ${sorted.map(([what, times]) => `${what} ${times}`).join(", ")}`);
  return failed;
};

const main = async (): Promise<number> => {
  const names = options.story === "all" ? Object.keys(STORIES) : [options.story];
  const from = Number(options.from);
  const count = Number(options.seeds);
  let failed = 0;
  for (const name of names) {
    if (!isStory(name) || !Number.isInteger(from) || !Number.isInteger(count)) {
      print(`stories: ${Object.keys(STORIES).join(", ")}; --seeds and --from take integers`);
      return 2;
    }
    failed += await runSeeds(name, from, count);
  }
  return failed === 0 ? 0 : 1;
};

// Whoever read our output is gone (`npm run sim | head`).
process.stdout.on("error", () => process.exit(1));
process.exitCode = await main();
