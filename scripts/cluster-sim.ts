/**
 * `npm run cluster-sim -- [--seeds N] [--from S] [--jobs N] [--seconds T] [--seed S]
 * [--story shared|boards] [--plant FAULT] [--stop] [--trace] [--shorten]`: the simulation of a
 * cluster (test/sim/cluster) over many seeds, on several processes at once, as many as there are
 * processors. Prints every seed that fails, with what was violated and the last events, and what
 * the stories went through. Exit code 0 only when no seed failed. `--story boards`: boards serve
 * their disks to each other. `--seconds` begins no seed after that time; `--seed` runs one,
 * `--trace` prints every event, `--shorten` leaves out what a failure does not need; `--plant`
 * breaks a rule.
 */
import { fork } from "node:child_process";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { StoryName } from "../test/sim/cluster/cluster-story.ts";
import { PLANTED, type PlantedName } from "../test/sim/cluster/planted-faults.ts";
import { runSeed, type SeedOptions, type SeedResult } from "../test/sim/cluster/seed-result.ts";
import { scriptOptions } from "./script-options.ts";

const USAGE = [
  "npm run cluster-sim -- [--seeds N] [--from S] [--jobs N] [--seconds T] [--seed S]",
  "                       [--story shared|boards] [--plant FAULT] [--stop] [--trace] [--shorten]",
].join("\n");

const options = scriptOptions(`${USAGE}\nfaults: ${Object.keys(PLANTED).join(", ")}`, {
  seeds: { type: "string", default: "1000" },
  from: { type: "string", default: "1" },
  jobs: { type: "string", default: String(availableParallelism()) },
  seconds: { type: "string", default: "1000000000" },
  seed: { type: "string" },
  story: { type: "string", default: "shared" },
  plant: { type: "string" },
  stop: { type: "boolean", default: false },
  trace: { type: "boolean", default: false },
  shorten: { type: "boolean", default: false },
});
/** Seeds after which a word is said. */
const PROGRESS_EVERY = 1000;

const print = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

const isPlanted = (name: string): name is PlantedName => Object.hasOwn(PLANTED, name);

const isStory = (name: string): name is StoryName => name === "shared" || name === "boards";

/** The seeds of this run, what came of them, and whether to go on. */
class Tally {
  readonly #from: number;
  readonly #count: number;
  readonly #began = performance.now();
  readonly #limit: number;
  readonly #totals = new Map<string, number>();
  #next: number;
  #cpuMs = 0;
  #isOver = false;
  done = 0;
  failed = 0;

  constructor(from: number, count: number, seconds: number) {
    this.#from = from;
    this.#next = from;
    this.#count = count;
    this.#limit = seconds;
  }

  get #seconds(): number {
    return (performance.now() - this.#began) / 1000;
  }

  /** Null: there is none left. */
  take(): number | null {
    const isLeft = this.#next < this.#from + this.#count && this.#seconds < this.#limit;
    return isLeft && !this.#isOver ? this.#next++ : null;
  }

  add({ counts, failure, cpuMs }: SeedResult): void {
    this.done++;
    this.#cpuMs += cpuMs;
    for (const [what, times] of counts)
      this.#totals.set(what, (this.#totals.get(what) ?? 0) + times);
    if (failure !== null) {
      this.failed++;
      print(`FAIL ${failure}`);
      if (options.stop) this.#isOver = true;
    }
    if (this.done % PROGRESS_EVERY === 0) print(`… ${this.done} seeds, ${this.failed} failed`);
  }

  tell(): void {
    const each = (this.#cpuMs / 1000 / Math.max(1, this.done)).toFixed(3);
    const words = `${this.done} seeds from ${this.#from}, ${this.failed} failed`;
    print(`${words}, ${this.#seconds.toFixed(1)} s, ${each} s of a processor per seed`);
    const sorted = [...this.#totals].sort(([a], [b]) => a.localeCompare(b));
    print(`  ${sorted.map(([what, times]) => `${what} ${times}`).join(", ")}`);
  }
}

/** One process that runs seeds until there are none; rejects when it dies. */
const runProcess = (tally: Tally, task: Omit<SeedOptions, "onTrace">): Promise<void> =>
  new Promise((resolve, reject) => {
    const child = fork(join(import.meta.dirname, "../test/sim/cluster/seed-process.ts"));
    let running: number | null = null;
    const next = (): void => {
      running = tally.take();
      if (running === null) child.disconnect();
      else child.send({ seed: running, ...task });
    };
    child.on("message", (result: SeedResult) => {
      tally.add(result);
      next();
    });
    child.on("exit", (code) => {
      if (running === null && code === 0) resolve();
      else reject(new Error(`seed ${running}: its process ended with ${code}`));
    });
    next();
  });

const main = async (): Promise<number> => {
  const from = Number(options.seed ?? options.from);
  const count = options.seed === undefined ? Number(options.seeds) : 1;
  const jobs = Math.min(Number(options.jobs), count);
  const { plant, story } = options;
  const numbers = [from, count, jobs, Number(options.seconds)];
  const isRight = numbers.every((number) => Number.isInteger(number) && number >= 0);
  const isKnown = isStory(story) && (plant === undefined || isPlanted(plant));
  if (!isRight || jobs < 1 || !isKnown) {
    print(USAGE);
    return 2;
  }
  const task = { story, plant: plant ?? null, shortens: options.shorten };
  const tally = new Tally(from, count, Number(options.seconds));
  if (jobs === 1 || options.trace) {
    const onTrace = options.trace ? print : null;
    for (let seed = tally.take(); seed !== null; seed = tally.take())
      tally.add(await runSeed(seed, { ...task, onTrace }));
  } else {
    await Promise.all(Array.from({ length: jobs }, () => runProcess(tally, task)));
  }
  tally.tell();
  return tally.failed === 0 ? 0 : 1;
};

// Whoever read our output is gone (`npm run cluster-sim | head`).
process.stdout.on("error", () => process.exit(1));
process.exitCode = await main();
