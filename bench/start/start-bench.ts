/** `npm run bench -- start`: how soon a board is ready, and how much memory it takes. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { runCommand } from "../../test/helpers/command.ts";
import type { Bench, BenchContext, BenchOutcome } from "../bench.ts";
import { BenchBoard, METADATA_BYTES, RAID1_X2 } from "../bench-board.ts";
import { readRssMib } from "../process-memory.ts";
import { type Figure, formatTable, OURS, type Row } from "../report.ts";

const ROOT = join(import.meta.dirname, "../..");
const BUILD_LIMIT_MS = 300_000;

/** One form of the program. */
interface Program {
  readonly name: string;
  readonly main: string;
}

const PROGRAMS: readonly Program[] = [
  { name: OURS, main: join(ROOT, "dist", "main.js") },
  { name: "sources", main: join(ROOT, "src", "main.ts") },
];

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

/** A board with so many arrays, that does not run. */
async function makeBoard(
  folder: string,
  program: Program,
  arrays: number,
  sizeBytes: number,
): Promise<BenchBoard> {
  mkdirSync(folder);
  const board = new BenchBoard(join(folder, "data"), { main: program.main });
  await board.start();
  for (const name of arrayNames(arrays)) {
    await board.makeDisks(name, RAID1_X2, sizeBytes);
    await board.makeArray(name, RAID1_X2, { isClean: true });
  }
  // One daemon at a time: each measurement starts its own.
  await board.stop();
  return board;
}

async function runStart(context: BenchContext): Promise<BenchOutcome> {
  const { settings, folder, say, onEnd } = context;
  const rows = START_ROWS.filter(({ name }) => settings.workloads.includes(name));
  const programs = PROGRAMS.filter(({ name }) => settings.targets.includes(name));
  say("building the program");
  await runCommand(process.execPath, [join(ROOT, "scripts", "build.ts")], BUILD_LIMIT_MS);
  const boards = new Map<string, BenchBoard>();
  for (const program of programs) {
    for (const arrays of new Set(rows.map((row) => row.arrays))) {
      const key = `${program.name}-${arrays}`;
      say(`making ${key}`);
      const board = await makeBoard(join(folder, key), program, arrays, settings.sizeBytes);
      onEnd(() => board.stop());
      boards.set(key, board);
    }
  }
  const figures: Figure[] = [];
  for (let round = 0; round < settings.rounds; round++) {
    for (const row of rows) {
      for (const { name } of round % 2 === 0 ? programs : programs.toReversed()) {
        const board = boards.get(`${name}-${row.arrays}`);
        if (board === undefined) throw new Error(`${name} has no board for ${row.name}`);
        await board.start();
        const value = await row.measure(board, context);
        await board.stop();
        figures.push({ row: row.name, subject: name, round, value });
        const text = `${row.name} ${name} ${value.toFixed(0)} ${row.unit}`;
        say(`round ${round + 1}/${settings.rounds} ${text}`);
      }
    }
  }
  const title =
    "`satsuma` is the build that boards run, `sources` a clone without one; each array a raid1 " +
    "of two files; median (min-max):";
  const names = programs.map(({ name }) => name);
  const table = { id: "start", title, markdown: formatTable(figures, rows, names, []) };
  return { tables: [table], results: figures };
}

export const START_BENCH: Bench = {
  name: "start",
  summary: "time to start and to assemble, memory idle and busy",
  workloads: START_ROWS,
  targets: PROGRAMS.map(({ name }) => name),
  tables: ["start"],
  // One array of each program is written by the busy row; of the others there is metadata alone.
  space: ({ sizeBytes, targets }) => targets.length * (2 * sizeBytes + METADATA_BYTES),
  tools: ({ workloads }) => (workloads.includes("busy.1") ? ["fio"] : []),
  defaults: {
    seconds: 3,
    rounds: 3,
    sizeMib: 256,
    workloads: ["all"],
    targets: PROGRAMS.map(({ name }) => name),
  },
  run: runStart,
};
