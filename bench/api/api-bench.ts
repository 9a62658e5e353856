/** `npm run bench -- api`: how long API requests take while the data path is idle or saturated. */
import { join } from "node:path";
import { runCommand } from "../../test/helpers/command.ts";
import type { Bench, BenchContext, BenchOutcome, BenchSettings } from "../bench.ts";
import type { BenchBoard } from "../bench-board.ts";
import { fioArguments } from "../clients/fio-job.ts";
import { type SatsumaTarget, startSatsuma } from "../clients/satsuma.ts";
import { WORKLOADS } from "../clients/workloads.ts";
import { setPageCache } from "../page-cache.ts";
import { makePattern, verifyTarget } from "../pattern.ts";
import {
  type Figure,
  formatMarkdown,
  formatNumber,
  formatTable,
  OURS,
  quantileOf,
  type Row,
} from "../report.ts";
import { API_REQUESTS, sendRequest } from "./api-requests.ts";

/** Bar of the busy board's p99. */
const P99_LIMIT_MS = 20;
/** Between two requests: stays below the limit of requests per minute. */
const PACE_MS = 15;
const GRACE_MS = 60_000;
/** What saturates the data path, of the client table; null: nothing. */
const LOADS = [
  { name: "idle", text: "no clients", workload: null, cache: "hot" },
  { name: "reads", text: "4 connections read", workload: "rr32x4", cache: "hot" },
  { name: "writes", text: "4 connections write", workload: "rw32x4", cache: "evicted" },
] as const;

type Load = (typeof LOADS)[number];

/** One request. */
export interface Timing {
  readonly load: string;
  readonly request: string;
  readonly round: number;
  readonly ms: number;
}

/** Sends every request in turn until the load is over. */
async function timeRequests(board: BenchBoard, isOver: () => boolean) {
  const timings: { readonly request: string; readonly ms: number }[] = [];
  while (!isOver()) {
    for (const request of API_REQUESTS) {
      const ms = await sendRequest(board.serve, request, timings.length);
      timings.push({ request: request.name, ms });
      await pause(PACE_MS);
    }
  }
  return timings;
}

async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

/** The load of some seconds; resolves when it is over. */
async function putLoad(target: SatsumaTarget, load: Load, settings: BenchSettings): Promise<void> {
  const workload = WORKLOADS.find(({ name }) => name === load.workload);
  if (workload === undefined) return await pause(settings.seconds * 1000);
  const args = fioArguments(target, workload, settings);
  await runCommand("fio", args, settings.seconds * 1000 + GRACE_MS);
}

async function measureLoad(
  target: SatsumaTarget,
  load: Load,
  { settings }: BenchContext,
  round: number,
): Promise<Timing[]> {
  await setPageCache(target.legs, load.cache);
  let isOver = false;
  const timing = timeRequests(target.board, () => isOver);
  try {
    await putLoad(target, load, settings);
  } finally {
    isOver = true;
  }
  return (await timing).map((each) => ({ ...each, load: load.name, round }));
}

/** Every load has a row for the p50 and one for the p99 of all requests. */
export function figuresOf(timings: readonly Timing[]): Figure[] {
  const groups = Map.groupBy(timings, ({ load, round }) => `${load} ${round}`);
  return [...groups.values()].flatMap((group) => {
    const [{ load, round } = { load: "", round: 0 }] = group;
    const all = group.map(({ ms }) => ms);
    return PARTS.map(({ suffix, part }) => ({
      row: `${load}.${suffix}`,
      subject: OURS,
      round,
      value: quantileOf(all, part),
    }));
  });
}

const PARTS = [
  { suffix: "p50", part: 0.5 },
  { suffix: "p99", part: 0.99 },
] as const;

const ROWS: readonly Row[] = LOADS.flatMap(({ name, text }) =>
  PARTS.map(
    ({ suffix }): Row => ({
      name: `${name}.${suffix}`,
      description: `${suffix} of all requests, ${text}`,
      unit: "ms",
      better: "lower",
      ...(suffix === "p99" ? { limit: P99_LIMIT_MS } : {}),
    }),
  ),
);

/** p50 and p99 of each request by itself, over all rounds. */
function formatRequests(timings: readonly Timing[], loads: readonly Load[]): string {
  const header = ["request", ...loads.map(({ text }) => `${text}: p50 / p99`)];
  const lines = API_REQUESTS.map((request) => [
    request.name,
    ...loads.map((load) => {
      const own = timings.filter((t) => t.request === request.name && t.load === load.name);
      const ms = own.map((timing) => timing.ms);
      return PARTS.map(({ part }) => formatNumber(quantileOf(ms, part))).join(" / ");
    }),
  ]);
  return formatMarkdown(header, lines);
}

async function runApi(context: BenchContext): Promise<BenchOutcome> {
  const { settings, folder, say, onEnd } = context;
  const seat = { array: "raid1x2", transport: "unix", isLab: false, isDirect: false } as const;
  const target = await startSatsuma(OURS, folder, settings.sizeBytes, seat);
  onEnd(() => target.stop());
  const pattern = join(folder, "pattern");
  await makePattern(pattern, settings.sizeBytes);
  await verifyTarget(target, pattern);
  const loads = LOADS.filter(({ name }) => settings.workloads.includes(name));
  const timings: Timing[] = [];
  for (let round = 0; round < settings.rounds; round++) {
    for (const load of loads) {
      const own = await measureLoad(target, load, context, round);
      timings.push(...own);
      const p99 = quantileOf(
        own.map(({ ms }) => ms),
        0.99,
      );
      say(`round ${round + 1}/${settings.rounds} ${load.name} p99 ${p99.toFixed(1)} ms`);
    }
  }
  const rows = ROWS.filter((row) => loads.some(({ name }) => row.name.startsWith(`${name}.`)));
  return {
    tables: [
      {
        id: "api",
        title: "Latency of API requests as a client sees it, median (min-max) of the rounds:",
        markdown: formatTable(figuresOf(timings), rows, [OURS], []),
      },
      {
        id: "api-requests",
        title: "Each request by itself, milliseconds:",
        markdown: formatRequests(timings, loads),
      },
    ],
    results: timings,
  };
}

export const API_BENCH: Bench = {
  name: "api",
  summary: "latency of API requests while the data path is saturated",
  workloads: LOADS.map(({ name, text }) => ({ name, group: "loads", description: text })),
  targets: [],
  tables: ["api", "api-requests"],
  // Two copies, random data, and what came back of it.
  space: ({ sizeBytes }) => 4 * sizeBytes,
  tools: () => ["fio", "nbdcopy"],
  defaults: { seconds: 10, rounds: 3, sizeMib: 1024, workloads: ["all"], targets: [] },
  run: runApi,
};
