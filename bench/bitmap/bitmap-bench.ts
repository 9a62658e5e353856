/**
 * `npm run bench -- bitmap`: the pure write-intent bitmap of a 16 TiB array, in operations and bits
 * per second, and a real array of that size: time to assemble, memory.
 */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Bench, BenchContext, BenchOutcome } from "../bench.ts";
import { METADATA_BYTES } from "../bench-board.ts";
import { measureRate } from "../core-rate.ts";
import { type Figure, formatTable, OURS, type Row } from "../report.ts";
import { CORE_STEPS } from "./bitmap-core.ts";
import { measureLargeArray } from "./large-array.ts";

type StepName = keyof typeof CORE_STEPS;

interface CoreRow extends Row {
  readonly name: StepName;
  readonly group: "core";
}

const PER_TIB_LIMIT = 64;

const coreRow = (name: StepName, description: string, unit: string): CoreRow => ({
  name,
  group: "core",
  description,
  unit,
});

const CORE_ROWS: readonly CoreRow[] = [
  coreRow("touch", "a write counted and let through: its bit is durable", "writes/s"),
  coreRow("commit1", "a bit set, committed alone, cleared", "bits/s"),
  coreRow("commit32", "bits set, committed 32 at a time, cleared", "bits/s"),
  coreRow("sweep.clear", "sweep, all bits clear", "bits/s"),
  coreRow("sweep.set", "sweep, all bits set and due", "bits/s"),
  coreRow("load.clear", "load of two legs' bits, all clear", "bits/s"),
  coreRow("load.set", "load of two legs' bits, all set", "bits/s"),
  coreRow("merge", "merge of another leg's bits, all set", "bits/s"),
];

const LARGE_ARRAYS = [
  { name: "assemble.clear", group: "array", text: "bits clear", isClean: true },
  { name: "assemble.set", group: "array", text: "bits set", isClean: false },
] as const;

const LARGE_ROWS: readonly Row[] = LARGE_ARRAYS.flatMap(({ name, text }) => [
  { name, description: `assemble a raid10, ${text}`, unit: "ms", better: "lower" },
  {
    name: `${name}.memory`,
    description: `its memory, ${text}`,
    unit: "MiB/TiB",
    better: "lower",
    limit: PER_TIB_LIMIT,
  },
]);

function measureCore(names: readonly string[], { settings, say }: BenchContext): Figure[] {
  const rows = CORE_ROWS.filter(({ name }) => names.includes(name));
  const figures: Figure[] = [];
  for (let round = 0; round < settings.rounds; round++) {
    for (const { name, unit } of rows) {
      const { units, take } = CORE_STEPS[name](settings.sizeBytes);
      const value = measureRate(settings.seconds, units, take);
      figures.push({ row: name, subject: OURS, round, value });
      say(`round ${round + 1}/${settings.rounds} ${name} ${value.toExponential(2)} ${unit}`);
    }
  }
  return figures;
}

async function measureArrays(names: readonly string[], context: BenchContext): Promise<Figure[]> {
  const { settings, folder, say } = context;
  const chosen = LARGE_ARRAYS.filter(({ name }) => names.includes(name));
  const figures: Figure[] = [];
  for (let round = 0; round < settings.rounds; round++) {
    for (const { name, isClean } of chosen) {
      const own = join(folder, `${name}-${round}`);
      mkdirSync(own);
      const { assembleMs, mibPerTib } = await measureLargeArray(own, settings.sizeBytes, isClean);
      rmSync(own, { recursive: true });
      figures.push({ row: name, subject: OURS, round, value: assembleMs });
      figures.push({ row: `${name}.memory`, subject: OURS, round, value: mibPerTib });
      say(`round ${round + 1}/${settings.rounds} ${name} ${assembleMs.toFixed(0)} ms`);
    }
  }
  return figures;
}

async function runBitmap(context: BenchContext): Promise<BenchOutcome> {
  const { workloads } = context.settings;
  const figures = [
    ...measureCore(workloads, context),
    ...(await measureArrays(workloads, context)),
  ];
  const measured = (rows: readonly Row[]) =>
    rows.filter(({ name }) => figures.some(({ row }) => row === name));
  const rows = measured([...CORE_ROWS, ...LARGE_ROWS]);
  const tib = context.settings.sizeBytes / 2 ** 40;
  const title = `The bitmap of an array of ${tib} TiB, 64 MiB chunks; median (min-max):`;
  return {
    tables: [{ id: "bitmap", title, markdown: formatTable(figures, rows, [OURS], []) }],
    results: figures,
  };
}

export const BITMAP_BENCH: Bench = {
  name: "bitmap",
  summary: "write-intent bitmap of a 16 TiB array: operations, scans, assembly",
  workloads: [
    ...CORE_ROWS,
    ...LARGE_ARRAYS.map(({ name, group, text }) => ({ name, group, description: text })),
  ],
  targets: [],
  tables: ["bitmap"],
  // The members are holes, but for what lies before their data.
  space: () => METADATA_BYTES,
  tools: () => [],
  defaults: { seconds: 1, rounds: 3, sizeMib: 16 * 2 ** 20, workloads: ["all"], targets: [] },
  run: runBitmap,
};
