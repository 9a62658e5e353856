/**
 * `npm run cluster-sim -- [--seeds N] [--from S] [--seed S] [--plant FAULT] [--stop] [--trace]`:
 * the simulation of a cluster (test/sim/cluster) over many seeds. Prints every seed that fails,
 * with what was violated and the last events, and what the stories went through. Exit code 0 only
 * when no seed failed; `--seed` runs one, `--trace` prints every event, `--plant` breaks a rule.
 */
import { parseArgs } from "node:util";
import { runClusterStory } from "../test/sim/cluster/cluster-story.ts";
import { HONEST, PLANTED, type PlantedName } from "../test/sim/cluster/planted-faults.ts";

const USAGE =
  "npm run cluster-sim -- [--seeds N] [--from S] [--seed S] [--plant FAULT] [--stop] [--trace]";
if (process.argv.includes("--help")) {
  process.stdout.write(`${USAGE}\nfaults: ${Object.keys(PLANTED).join(", ")}\n`);
  process.exit(0);
}

const { values: options } = parseArgs({
  options: {
    seeds: { type: "string", default: "1000" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
    plant: { type: "string" },
    stop: { type: "boolean", default: false },
    trace: { type: "boolean", default: false },
  },
});

const print = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

const isPlanted = (name: string): name is PlantedName => Object.hasOwn(PLANTED, name);

const main = async (): Promise<number> => {
  const from = Number(options.seed ?? options.from);
  const count = options.seed === undefined ? Number(options.seeds) : 1;
  const { plant } = options;
  if (!Number.isInteger(from) || !Number.isInteger(count) || (plant && !isPlanted(plant))) {
    print(USAGE);
    return 2;
  }
  const planted = plant !== undefined && isPlanted(plant) ? PLANTED[plant] : HONEST;
  const trace = options.trace ? { onTrace: print } : {};
  const began = performance.now();
  const totals = new Map<string, number>();
  let failed = 0;
  let done = 0;
  for (let seed = from; seed < from + count; seed++) {
    done++;
    try {
      const counts = await runClusterStory(seed, { planted, ...trace });
      for (const [what, times] of counts) totals.set(what, (totals.get(what) ?? 0) + times);
    } catch (error) {
      failed++;
      print(`FAIL ${error instanceof Error ? error.message : String(error)}`);
      const cause = error instanceof Error ? error.cause : null;
      if (options.trace && cause instanceof Error) print(cause.stack ?? "");
      if (options.stop) break;
    }
  }
  const seconds = (performance.now() - began) / 1000;
  print(`${done} seeds from ${from}, ${failed} failed, ${seconds.toFixed(1)} s`);
  const sorted = [...totals].sort(([a], [b]) => a.localeCompare(b));
  print(`  ${sorted.map(([what, times]) => `${what} ${times}`).join(", ")}`);
  return failed === 0 ? 0 : 1;
};

// Whoever read our output is gone (`npm run cluster-sim | head`).
process.stdout.on("error", () => process.exit(1));
process.exitCode = await main();
