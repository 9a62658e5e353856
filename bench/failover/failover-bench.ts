/**
 * `npm run bench -- failover`: three boards with their own disks (or the same ones) run an array
 * under light writes on each; one is killed (kill -9), with the leader of etcd or alone.
 */
import type { Bench, BenchContext, BenchOutcome } from "../bench.ts";
import { METADATA_BYTES } from "../bench-board.ts";
import { formatMarkdown, formatNumber, medianOf } from "../report.ts";
import { ETCD_BYTES } from "../target.ts";
import {
  FAILOVER_BOARDS,
  type FailoverFigures,
  FailoverSubject,
  type FailoverWork,
} from "./failover-subject.ts";

const MIB = 2 ** 20;
/** Seconds to writes that flow: with the default timings, and with etcd's leader dying too. */
const BAR = 11;
const BAR_WITH_LEADER = 14;

interface FailoverRow extends FailoverWork {
  readonly name: string;
  readonly group: "own" | "shared";
  readonly description: string;
}

const row = (
  group: FailoverRow["group"],
  name: string,
  what: string,
  withLeader: boolean,
): FailoverRow => ({ name, group, description: `${what}, ${group} disks`, withLeader });

const ROWS: readonly FailoverRow[] = [
  row("own", "board", "a board", false),
  row("own", "leader", "a board and etcd's leader", true),
  row("shared", "shared-board", "a board", false),
  row("shared", "shared-leader", "a board and etcd's leader", true),
];

interface FailoverResult extends FailoverFigures {
  readonly row: string;
  readonly round: number;
}

const HEADER = [
  "killed",
  "writes flow after, s",
  "bar",
  "copies known after, s",
  "longest hold of a write, s",
  "errors of clients",
  "whole after its return, s",
  "written meanwhile, MiB",
  "copied on return, MiB",
];

const seconds = (ms: number): string => formatNumber(ms / 1000);

const formatRow = (row: FailoverRow, results: readonly FailoverResult[]): string[] => {
  const mine = results.filter((result) => result.row === row.name);
  const spread = (pick: (result: FailoverResult) => number): string => {
    const values = mine.map(pick);
    const range = `${seconds(Math.min(...values))}-${seconds(Math.max(...values))}`;
    return `${seconds(medianOf(values))} (${range})`;
  };
  const bar = row.withLeader ? BAR_WITH_LEADER : BAR;
  const isMet = mine.every(({ flowing }) => flowing <= bar * 1000);
  return [
    row.description,
    spread((result) => result.flowing),
    `≤ ${bar}: ${isMet ? "met" : "missed"}`,
    spread((result) => result.known),
    spread((result) => result.longestHold),
    String(mine.reduce((sum, { errors }) => sum + errors, 0)),
    spread((result) => result.whole),
    formatNumber(medianOf(mine.map(({ written }) => written / MIB))),
    formatNumber(medianOf(mine.map(({ copied }) => copied / MIB))),
  ];
};

const runFailover = async (context: BenchContext): Promise<BenchOutcome> => {
  const { settings, folder, say, onEnd } = context;
  const rows = ROWS.filter(({ name }) => settings.workloads.includes(name));
  const results: FailoverResult[] = [];
  for (const kind of ["own", "shared"] as const) {
    const ofKind = rows.filter(({ group }) => group === kind);
    if (ofKind.length === 0) continue;
    const subject = new FailoverSubject(folder, kind, settings.sizeBytes);
    onEnd(() => subject.stop());
    say(`starting three boards (${kind} disks) and three members of etcd`);
    await subject.start();
    for (let round = 0; round < settings.rounds; round += 1)
      for (const row of ofKind) {
        const figures = await subject.measure(round % FAILOVER_BOARDS, row);
        results.push({ row: row.name, round, ...figures });
        const text = `writes flow after ${seconds(figures.flowing)} s`;
        say(`round ${round + 1}/${settings.rounds} ${row.name} ${text}`);
      }
    await subject.stop();
  }
  const title = "A board is killed under writes on all three; medians (and range) of the rounds:";
  const markdown = formatMarkdown(
    HEADER,
    rows.map((row) => formatRow(row, results)),
  );
  return { tables: [{ id: "failover", title, markdown }], results };
};

export const FAILOVER_BENCH: Bench = {
  name: "failover",
  summary: "a board is killed: when writes flow on the others, what its return copies",
  workloads: ROWS,
  targets: [],
  tables: ["failover"],
  space: ({ sizeBytes }) => FAILOVER_BOARDS * (sizeBytes + METADATA_BYTES + ETCD_BYTES),
  tools: () => ["etcd"],
  defaults: { seconds: 1, rounds: 3, sizeMib: 256, workloads: ["all"], targets: [] },
  run: runFailover,
};
