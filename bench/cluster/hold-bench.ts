/**
 * `npm run bench -- holds`: three boards share an array; one of them resyncs or repairs it, and a
 * client of another one writes at random. Prints how many of its writes were held, for how long,
 * and in how much of the array at a time.
 */
import type { Bench, BenchContext, BenchOutcome } from "../bench.ts";
import { METADATA_BYTES } from "../bench-board.ts";
import { formatMarkdown, formatNumber, medianOf } from "../report.ts";
import { ETCD_BYTES } from "../target.ts";
import { type HoldFigures, HoldSubject, type HoldWork } from "./hold-subject.ts";

/** Most milliseconds that a held write waits, of 99 in 100. */
const BAR_MS = 50;
const MIB = 2 ** 20;

interface HoldRow extends HoldWork {
  readonly name: string;
  readonly group: "holds";
  readonly description: string;
}

const row = (
  name: string,
  what: string,
  action: HoldWork["action"],
  speed: HoldWork["speed"] = {},
): HoldRow => ({ name, group: "holds", description: `${action}, ${what}`, action, speed });

const ROWS: readonly HoldRow[] = [
  row("resync", "copies differ", "resync"),
  row("repair", "copies equal", "repair"),
  row("resync.slow", "100 MiB/s at most", "resync", { sync_speed_max: 100 * MIB }),
  row("resync.first", "all speed guaranteed", "resync", { sync_speed_min: 16 * 2 ** 30 }),
];

interface HoldResult extends HoldFigures {
  readonly row: string;
  readonly round: number;
}

const verdict = (p99: number): string => `≤ ${BAR_MS}: ${p99 <= BAR_MS ? "met" : "missed"}`;

const formatRow = (row: HoldRow, results: readonly HoldResult[]): string[] => {
  const mine = results.filter((result) => result.row === row.name);
  const median = (pick: (result: HoldResult) => number): number => medianOf(mine.map(pick));
  const p99 = median((result) => result.p99);
  const range = median((result) => result.rangeBytes);
  const share = median((result) => result.rangeBytes / result.arrayBytes);
  return [
    row.description,
    formatNumber(median((result) => result.writes)),
    `${(100 * median((result) => result.held / result.writes)).toFixed(2)} %`,
    formatNumber(median((result) => result.p50)),
    formatNumber(p99),
    formatNumber(median((result) => result.max)),
    // What is guaranteed goes before the writers.
    row.speed.sync_speed_min === undefined ? verdict(p99) : "-",
    formatNumber(median((result) => result.latencyP99)),
    `${formatNumber(range / MIB)} MiB, ${(100 * share).toFixed(1)} %`,
    formatNumber(median((result) => result.announcement)),
    formatNumber(median((result) => result.speed / MIB)),
  ];
};

const HEADER = [
  "beside",
  "writes",
  "held",
  "p50 ms",
  "p99 ms",
  "max ms",
  "bar, p99",
  "p99 of all writes, ms",
  "longest range at a time, of the array",
  "announcement, ms",
  "MiB/s",
];

const runHolds = async ({ settings, folder, say, onEnd }: BenchContext): Promise<BenchOutcome> => {
  const rows = ROWS.filter(({ name }) => settings.workloads.includes(name));
  const subject = new HoldSubject(folder, settings.sizeBytes);
  onEnd(() => subject.stop());
  say("starting three boards and their store");
  await subject.start();
  const results: HoldResult[] = [];
  for (let round = 0; round < settings.rounds; round += 1)
    for (const row of rows) {
      const figures = await subject.measure(row, settings.seconds);
      results.push({ row: row.name, round, ...figures });
      const { held, writes, p99 } = figures;
      const text = `${held} of ${writes} writes held, p99 ${p99.toFixed(1)} ms`;
      say(`round ${round + 1}/${settings.rounds} ${row.name} ${text}`);
    }
  const title = "Random 4k writes on one board while another one syncs; medians of the rounds:";
  const markdown = formatMarkdown(
    HEADER,
    rows.map((row) => formatRow(row, results)),
  );
  return { tables: [{ id: "holds", title, markdown }], results };
};

export const HOLD_BENCH: Bench = {
  name: "holds",
  summary: "writes that wait while another board of the cluster resyncs: how many, how long",
  workloads: ROWS,
  targets: [],
  tables: ["holds"],
  // Two members and what differs from them, as large; etcd's log.
  space: ({ sizeBytes }) => 3 * (sizeBytes + METADATA_BYTES) + ETCD_BYTES,
  tools: () => ["fio", "etcd"],
  defaults: { seconds: 5, rounds: 3, sizeMib: 2048, workloads: ["all"], targets: [] },
  run: runHolds,
};
