/**
 * `npm run scale -- [--boards 2,4,8,16] [--arrays 1,16,64] [--rest SECONDS] [--commits N]`: what a
 * cluster asks of its store, is told by it, keeps in memory, and takes to recover a board, by its
 * size. Board sessions, fence ledgers and cluster nodes are the product's, over a simulated store
 * and in simulated time; arrays move no data. `--commits`: transactions that the store commits in
 * a second (0: no limit). Prints a table (docs/scaling.md); exit code 1 when a cell fails.
 */
import { fork } from "node:child_process";
import { join } from "node:path";
import type { CellFigures, CellPlan } from "../test/sim/scale/scale-cell.ts";
import { scriptOptions } from "./script-options.ts";

const USAGE =
  "npm run scale -- [--boards 2,4,8,16] [--arrays 1,16,64] [--rest SECONDS] [--commits N]";
const options = scriptOptions(USAGE, {
  boards: { type: "string", default: "2,4,8,16" },
  arrays: { type: "string", default: "1,16,64" },
  rest: { type: "string", default: "30" },
  commits: { type: "string", default: "0" },
});

const print = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

const CELL = join(import.meta.dirname, "../test/sim/scale/cell-process.ts");

const runCell = (plan: CellPlan): Promise<CellFigures> =>
  new Promise((resolve, reject) => {
    const child = fork(CELL, { execArgv: ["--expose-gc"] });
    child.on("message", (told: { figures?: CellFigures; problem?: string }) => {
      if (told.figures !== undefined) resolve(told.figures);
      else reject(new Error(told.problem));
    });
    child.on("exit", (code) => reject(new Error(`the cell's process ended with ${code}`)));
    child.send(plan);
  });

const COLUMNS: readonly (readonly [title: string, of: (figures: CellFigures) => string])[] = [
  ["arrays", ({ arrays }) => String(arrays)],
  ["boards", ({ boards }) => String(boards)],
  ["transactions/s at rest", ({ transactionsAtRest }) => transactionsAtRest.toFixed(0)],
  ["keepalives/s", ({ keepAlivesAtRest }) => keepAlivesAtRest.toFixed(0)],
  ["lists/s", ({ listsAtRest }) => listsAtRest.toFixed(1)],
  ["events/s per board", ({ eventsAtRest }) => eventsAtRest.toFixed(0)],
  ["watches per board", ({ watches }) => watches.toFixed(0)],
  ["heap per board", ({ heapBytes }) => `${(heapBytes / 2 ** 20).toFixed(1)} MiB`],
  ["recovery", ({ recoverySeconds }) => `${recoverySeconds.toFixed(1)} s`],
  ["transactions/s then", ({ transactionsInFailover }) => transactionsInFailover.toFixed(0)],
  ["events/s per board then", ({ eventsInFailover }) => eventsInFailover.toFixed(0)],
  ["extra per array and board", ({ extraTransactions }) => extraTransactions.toFixed(1)],
];

const row = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;

const numbers = (text: string): number[] =>
  text.split(",").map((word) => {
    const number = Number(word);
    if (Number.isInteger(number) && number > 0) return number;
    throw new Error(`${text} is no list of numbers`);
  });

const main = async (): Promise<number> => {
  const restSeconds = Number(options.rest);
  const commits = Number(options.commits);
  let failed = 0;
  print(row(COLUMNS.map(([title]) => title)));
  print(row(COLUMNS.map(() => "---:")));
  for (const arrays of numbers(options.arrays)) {
    for (const boards of numbers(options.boards)) {
      const commitsPerSecond = commits > 0 ? commits : null;
      try {
        const figures = await runCell({ boards, arrays, restSeconds, commitsPerSecond });
        print(row(COLUMNS.map(([, of]) => of(figures))));
      } catch (error) {
        failed += 1;
        const text = error instanceof Error ? error.message : String(error);
        print(row([String(arrays), String(boards), text]));
      }
    }
  }
  return failed === 0 ? 0 : 1;
};

process.exitCode = await main();
