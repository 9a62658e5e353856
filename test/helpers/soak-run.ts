/** A soak: load on a real daemon, and whether it keeps more at the end than at the beginning. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { MemoryReports, type ThreadMemory } from "./memory-reports.ts";
import { type NodeOptions, ServeProcess } from "./serve-process.ts";
import { metricsOf, SOAK_DEVICE_BYTES, type SoakCounts, SoakLoad } from "./soak-load.ts";
import {
  type MemoryLimits,
  type MemorySample,
  type MemorySeries,
  memoryLeaks,
  seriesOf,
} from "./soak-memory.ts";
import { eventually } from "./timeout.ts";

/** Idle connections of the API's clients must have been closed within this. */
const SETTLE_MS = 60_000;

/** What a daemon holds while nobody uses it. */
export interface Holdings {
  readonly files: number;
  readonly threads: number;
  /** Timers, sockets and ports of the control thread, by type. */
  readonly resources: Readonly<Record<string, number>>;
  readonly rssMib: number;
  /** Of each thread, after a full collection. */
  readonly memory: readonly ThreadMemory[];
}

export interface SoakResult {
  readonly counts: SoakCounts;
  readonly begin: Holdings;
  readonly end: Holdings;
  /** Memory while it was busy. */
  readonly series: readonly MemorySeries[];
  /** What is held at the end and was not at the beginning; empty when nothing leaks. */
  readonly leaks: readonly string[];
}

export interface SoakPlan {
  readonly folder: string;
  /** Before anything is measured. */
  readonly warmUpMs: number;
  readonly runMs: number;
  readonly sampleMs: number;
  readonly seed: number;
  readonly limits: MemoryLimits;
  /** Modules that are loaded into every thread. */
  readonly preload?: readonly string[];
  readonly onSample?: (sample: MemorySample, counts: SoakCounts) => void;
}

/** Runs the soak. Errors: rejects when the daemon refuses work or ends. */
export async function soak(plan: SoakPlan): Promise<SoakResult> {
  const reports = new MemoryReports(join(plan.folder, "memory"));
  const serve = new ServeProcess(join(plan.folder, "data"), [], undefined, nodeOf(plan, reports));
  await serve.start();
  const subject = { serve, reports };
  try {
    await prepare(serve);
    await load(serve, plan.seed, plan.warmUpMs);
    const begin = await settled(subject, null);
    const samples: MemorySample[] = [];
    const started = Date.now();
    const counts = await load(serve, plan.seed + 100, plan.runMs, plan.sampleMs, async (so) => {
      const threads = await reports.ask(serve.pid, false);
      const sample = { atMs: Date.now() - started, rssMib: rssMibOf(serve.pid), threads };
      samples.push(sample);
      plan.onSample?.(sample, so);
    });
    const end = await settled(subject, begin);
    const series = seriesOf(samples);
    const [resident = { name: "resident", points: [] }] = series;
    const grown = memoryLeaks(begin.memory, end.memory, resident, plan.limits);
    return { counts, begin, end, series, leaks: [...leaksOf(begin, end), ...grown] };
  } finally {
    await serve.shutDown();
  }
}

const nodeOf = ({ preload = [] }: SoakPlan, reports: MemoryReports): NodeOptions => {
  const { args, env } = reports.nodeOptions;
  return { args: [...args, ...preload.map((module) => `--import=${module}`)], env };
};

const prepare = async (serve: ServeProcess): Promise<void> => {
  for (const name of ["a", "b"])
    await serve.request("POST", "/devices", { name, size: SOAK_DEVICE_BYTES });
  const order = { name: "md0", level: "raid1", device_ids: ["a", "b"] };
  await serve.request("POST", "/arrays", order);
  await serve.request("POST", "/exports", { name: "md0", array: "md0" });
  // Members return as quickly as they can, beside busy clients too.
  await serve.request("PATCH", "/arrays/md0", { sync_speed_min: 2 ** 40, sync_speed_max: 2 ** 40 });
  await new SoakLoad({ serve, array: "md0", device: "b" }, 0).untilWhole();
};

/** Load for a time; `look` every `everyMs`. */
const load = async (
  serve: ServeProcess,
  seed: number,
  forMs: number,
  everyMs = forMs,
  look: (counts: SoakCounts) => Promise<void> = async () => undefined,
): Promise<SoakCounts> => {
  const running = new SoakLoad({ serve, array: "md0", device: "b" }, seed);
  const ended = running.run();
  for (let at = 0; at < forMs; at += everyMs) {
    await Promise.race([pause(everyMs), ended]);
    await look(running.counts);
  }
  running.end();
  await ended;
  await running.untilWhole();
  return running.counts;
};

const MAP_MIB = 1024;

const rssMibOf = (pid: number): number => {
  const text = readFileSync(`/proc/${pid}/status`, "latin1");
  return Number(/VmRSS:\s+(\d+)/.exec(text)?.[1] ?? 0) / MAP_MIB;
};

/** What is looked at. */
interface Subject {
  readonly serve: ServeProcess;
  readonly reports: MemoryReports;
}

const holdings = async ({ serve, reports }: Subject): Promise<Holdings> => {
  const { pid } = serve;
  const memory = await reports.ask(pid, true);
  const metrics = await metricsOf(serve);
  const resources = [...metrics].flatMap(([name, value]) => {
    const type = /^nodejs_active_resources\{type="(\w+)"\}$/.exec(name)?.[1];
    return type === undefined ? [] : [[type, value] as const];
  });
  return {
    files: readdirSync(`/proc/${pid}/fd`).length,
    threads: readdirSync(`/proc/${pid}/task`).length,
    resources: Object.fromEntries(resources),
    rssMib: rssMibOf(pid),
    memory,
  };
};

/** What is held once clients that left are forgotten: no more than `before`, or as it stays. */
const settled = async (subject: Subject, before: Holdings | null): Promise<Holdings> => {
  let last = await holdings(subject);
  const isSettled = async (): Promise<boolean> => {
    const now = await holdings(subject);
    const isSteady = JSON.stringify(countsOf(now)) === JSON.stringify(countsOf(last));
    last = now;
    return before === null ? isSteady : leaksOf(before, now).length === 0;
  };
  // The API's clients keep a connection for some seconds, and questions without a pause keep all
  // that there are: let those of the load go.
  await pause(KEEP_ALIVE_MS);
  last = await holdings(subject);
  await eventually("what is held is settled", SETTLE_MS, isSettled).catch(() => undefined);
  return last;
};

/** Longer than undici and the server keep an idle connection. */
const KEEP_ALIVE_MS = 8000;

const countsOf = ({ files, threads, resources }: Holdings): Readonly<Record<string, number>> => ({
  files,
  threads,
  ...resources,
});

const leaksOf = (begin: Holdings, end: Holdings): string[] => {
  const before = countsOf(begin);
  return Object.entries(countsOf(end)).flatMap(([what, count]) =>
    count > (before[what] ?? 0) ? [`${what}: ${before[what] ?? 0} before, ${count} after`] : [],
  );
};
