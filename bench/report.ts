/** Medians, ratios and ranges of the results, as a Markdown table. */
import type { JobResult } from "./fio-job.ts";
import type { Workload } from "./workload.ts";

/** Label of the column that the ratios are of. */
export const OURS = "satsuma";

export interface Cell {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Middle value; the mean of the two middle ones for an even count. */
export function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const high = sorted[Math.floor(middle)] ?? Number.NaN;
  const low = sorted[Math.ceil(middle) - 1] ?? Number.NaN;
  return (low + high) / 2;
}

/** Median and range of one workload on one target, in the workload's unit. */
export function summarize(
  results: readonly JobResult[],
  workload: Workload,
  target: string,
): Cell | undefined {
  const values = results
    .filter((result) => result.workload === workload.name && result.target === target)
    .map((result) => (workload.unit === "IOPS" ? result.iops : result.mibPerSecond));
  if (values.length === 0) return undefined;
  return { median: medianOf(values), min: Math.min(...values), max: Math.max(...values) };
}

/** The table: a row per workload, a column per target, then ours as a multiple of each peer. */
export function formatTable(
  results: readonly JobResult[],
  workloads: readonly Workload[],
  targets: readonly string[],
): string {
  const peers = targets.includes(OURS) ? targets.filter((target) => target !== OURS) : [];
  const header = ["workload", "unit", ...targets, ...peers.map((peer) => `vs ${peer}`)];
  const rows = workloads.map((workload) => [
    workload.description,
    workload.unit,
    ...targets.map((target) => formatCell(summarize(results, workload, target))),
    ...peers.map((peer) => formatRatio(results, workload, peer)),
  ]);
  return markdown(header, rows);
}

/** The servers' CPU time and the clients' latency: medians, the same rows. */
export function formatCostTable(
  results: readonly JobResult[],
  workloads: readonly Workload[],
  targets: readonly string[],
): string {
  const header = ["workload", ...targets.map((target) => `${target}: CPU / p50 / p99`)];
  const rows = workloads.map((workload) => [
    workload.description,
    ...targets.map((target) => {
      const own = results.filter((r) => r.workload === workload.name && r.target === target);
      const cost = (pick: (result: JobResult) => number) => format(medianOf(own.map(pick)));
      if (own.length === 0) return "-";
      const parts = [
        cost((result) => result.cpuUsPerRequest),
        cost((result) => result.p50Us),
        cost((result) => result.p99Us),
      ];
      return parts.join(" / ");
    }),
  ]);
  return markdown(header, rows);
}

function formatCell(cell: Cell | undefined): string {
  if (cell === undefined) return "-";
  return `${format(cell.median)} (${format(cell.min)}-${format(cell.max)})`;
}

function formatRatio(results: readonly JobResult[], workload: Workload, peer: string): string {
  const ours = summarize(results, workload, OURS);
  const theirs = summarize(results, workload, peer);
  if (ours === undefined || theirs === undefined) return "-";
  const ratio = ours.median / theirs.median;
  const bar = workload.bar[peer];
  const verdict = bar === undefined ? "" : ` (bar ${bar}: ${ratio >= bar ? "met" : "missed"})`;
  return `${ratio.toFixed(2)}x${verdict}`;
}

function format(value: number): string {
  return value.toFixed(value < 10 ? 1 : 0).replace(/\B(?=(\d{3})+$)/g, " ");
}

function markdown(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const rule = header.map((_, index) => (index === 0 ? "---" : "---:"));
  return [line(header), line(rule), ...rows.map(line)].join("\n");
}
