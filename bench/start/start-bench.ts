/** `npm run bench -- start`: how soon a board is ready, and how much memory it takes. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { runCommand } from "../../test/helpers/command.ts";
import type { Bench, BenchContext, BenchOutcome } from "../bench.ts";
import { BenchBoard, RAID1_X2 } from "../bench-board.ts";
import { readRssMib } from "../process-memory.ts";
import { type Figure, formatTable, OURS, type Row } from "../report.ts";

const READY_LIMIT_MS = 1000;
const IDLE_LIMIT_MIB = 150;
const LOAD_GRACE_MS = 60_000;
const SAMPLE_MS = 100;

interface StartRow extends Row {
  readonly group: "start" | "memory";
  readonly arrays: number;
  readonly measure: (board: BenchBoard, context: BenchContext) => Promise<number>;
}

const COUNTS = [0, 1, 4, 16] as const;

/** From the start of the process until every array runs and the API is ready. */
async function measureReady(board: BenchBoard): Promise<number> {
  await board.stop();
  const began = performance.now();
  await board.start();
  return performance.now() - began;
}

/** All arrays stopped, then assembled at once on a board that runs. */
async function measureAssembly(board: BenchBoard): Promise<number> {
  const names = arrayNames(16);
  for (const name of names) await board.stopArray(name);
  const began = performance.now();
  await Promise.all(
    names.map((name) => board.serve.request("POST", "/arrays", { assemble: name })),
  );
  return performance.now() - began;
}

/** The least of some seconds without clients: what garbage there was may go first. */
async function measureIdle(board: BenchBoard, { settings }: BenchContext): Promise<number> {
  await board.stop();
  await board.start();
  return Math.min(...(await sampleRss(board, settings.seconds, async () => {})));
}

/** The most while clients mix reads and writes on 4 connections to the first array. */
async function measureBusy(board: BenchBoard, { settings }: BenchContext): Promise<number> {
  const [first = ""] = arrayNames(1);
  const samples = await sampleRss(board, settings.seconds, () =>
    runCommand(
      "fio",
      [
        ...["--name=busy", "--ioengine=nbd", `--uri=${board.uri(first, "unix")}`, "--thread"],
        ...["--rw=randrw", "--bssplit=4k/90:1m/10", "--iodepth=32", "--numjobs=4"],
        ...["--time_based", `--runtime=${settings.seconds}`, `--size=${settings.sizeBytes}`],
      ],
      settings.seconds * 1000 + LOAD_GRACE_MS,
    ),
  );
  return Math.max(...samples);
}

/** Resident memory every 100 ms, for so many seconds, beside the load. */
async function sampleRss(
  board: BenchBoard,
  seconds: number,
  load: () => Promise<unknown>,
): Promise<number[]> {
  const samples: number[] = [];
  const timer = setInterval(() => samples.push(readRssMib(board.serve.pid)), SAMPLE_MS);
  try {
    await Promise.all([
      load(),
      new Promise((resolve) => setTimeout(resolve, seconds * 1000 + SAMPLE_MS)),
    ]);
  } finally {
    clearInterval(timer);
  }
  return samples;
}

const textOf = (arrays: number): string => `${arrays} array${arrays === 1 ? "" : "s"}`;

const START_ROWS: readonly StartRow[] = [
  ...COUNTS.map(
    (arrays): StartRow => ({
      name: `ready.${arrays}`,
      group: "start",
      description: `start until ready, ${textOf(arrays)}`,
      unit: "ms",
      better: "lower",
      ...(arrays === 4 ? { limit: READY_LIMIT_MS } : {}),
      arrays,
      measure: measureReady,
    }),
  ),
  {
    name: "assemble.16",
    group: "start",
    description: "assemble 16 arrays at once",
    unit: "ms",
    better: "lower",
    arrays: 16,
    measure: measureAssembly,
  },
  ...COUNTS.map(
    (arrays): StartRow => ({
      name: `idle.${arrays}`,
      group: "memory",
      description: `resident memory, idle, ${textOf(arrays)}`,
      unit: "MiB",
      better: "lower",
      limit: IDLE_LIMIT_MIB,
      arrays,
      measure: measureIdle,
    }),
  ),
  {
    name: "busy.1",
    group: "memory",
    description: "resident memory, 4 connections busy, 1 array",
    unit: "MiB",
    better: "lower",
    arrays: 1,
    measure: measureBusy,
  },
];

function arrayNames(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `md${index}`);
}

async function makeBoard(folder: string, arrays: number, sizeBytes: number): Promise<BenchBoard> {
  mkdirSync(folder);
  const board = new BenchBoard(join(folder, "data"));
  await board.start();
  for (const name of arrayNames(arrays)) {
    await board.makeDisks(name, RAID1_X2, sizeBytes);
    await board.makeArray(name, RAID1_X2, { isClean: true });
  }
  return board;
}

async function runStart(context: BenchContext): Promise<BenchOutcome> {
  const { settings, folder, say, onEnd } = context;
  const rows = START_ROWS.filter(({ name }) => settings.workloads.includes(name));
  const boards = new Map<number, BenchBoard>();
  const figures: Figure[] = [];
  for (const arrays of new Set(rows.map((row) => row.arrays))) {
    say(`making a board with ${textOf(arrays)}`);
    const board = await makeBoard(join(folder, `${arrays}`), arrays, settings.sizeBytes);
    onEnd(() => board.stop());
    boards.set(arrays, board);
    // One daemon at a time: each row starts its own.
    await board.stop();
  }
  for (let round = 0; round < settings.rounds; round++) {
    for (const row of rows) {
      const board = boards.get(row.arrays);
      if (board === undefined) throw new Error(`no board with ${textOf(row.arrays)}`);
      await board.start();
      const value = await row.measure(board, context);
      await board.stop();
      figures.push({ row: row.name, subject: OURS, round, value });
      say(`round ${round + 1}/${settings.rounds} ${row.name} ${value.toFixed(0)} ${row.unit}`);
    }
  }
  const title = "Each array a raid1 of two files; median (min-max):";
  return {
    tables: [{ title, markdown: formatTable(figures, rows, [OURS], []) }],
    results: figures,
  };
}

export const START_BENCH: Bench = {
  name: "start",
  summary: "time to start and to assemble, memory idle and busy",
  workloads: START_ROWS,
  targets: [],
  defaults: { seconds: 3, rounds: 5, sizeMib: 256, workloads: ["all"], targets: [] },
  run: runStart,
};
