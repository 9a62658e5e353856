/** A soak: load on a real daemon, and whether it keeps more at the end than at the beginning. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { ServeProcess } from "./serve-process.ts";
import { metricsOf, SOAK_DEVICE_BYTES, type SoakCounts, SoakLoad } from "./soak-load.ts";
import { eventually } from "./timeout.ts";

const MIB = 1024 * 1024;
const MS_PER_HOUR = 3_600_000;
/** Idle connections of the API's clients must have been closed within this. */
const SETTLE_MS = 60_000;

/** What a daemon holds while nobody uses it. */
export interface Holdings {
  readonly files: number;
  readonly threads: number;
  /** Timers, sockets and ports of the control thread, by type. */
  readonly resources: Readonly<Record<string, number>>;
  readonly rssMib: number;
  readonly heapMib: number;
}

export interface SoakResult {
  readonly counts: SoakCounts;
  readonly begin: Holdings;
  readonly end: Holdings;
  /** MiB per hour, a line through the samples after the first fifth. */
  readonly slope: number;
  readonly rssMaxMib: number;
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
  readonly onSample?: (elapsedMs: number, rssMib: number, counts: SoakCounts) => void;
}

interface Sample {
  readonly atMs: number;
  readonly rssMib: number;
}

/** Runs the soak. Errors: rejects when the daemon refuses work or ends. */
export async function soak(plan: SoakPlan): Promise<SoakResult> {
  const serve = new ServeProcess(join(plan.folder, "data"));
  await serve.start();
  try {
    await prepare(serve);
    await load(serve, plan.seed, plan.warmUpMs);
    const begin = await settled(serve, null);
    const samples: Sample[] = [];
    const started = Date.now();
    const counts = await load(serve, plan.seed + 100, plan.runMs, plan.sampleMs, (so) => {
      const sample = { atMs: Date.now() - started, rssMib: rssMibOf(serve.pid) };
      samples.push(sample);
      plan.onSample?.(sample.atMs, sample.rssMib, so);
    });
    const end = await settled(serve, begin);
    const rssMaxMib = Math.max(...samples.map(({ rssMib }) => rssMib));
    return { counts, begin, end, slope: slopeOf(samples), rssMaxMib, leaks: leaksOf(begin, end) };
  } finally {
    await serve.shutDown();
  }
}

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
  look: (counts: SoakCounts) => void = () => undefined,
): Promise<SoakCounts> => {
  const running = new SoakLoad({ serve, array: "md0", device: "b" }, seed);
  const ended = running.run();
  for (let at = 0; at < forMs; at += everyMs) {
    await Promise.race([pause(everyMs), ended]);
    look(running.counts);
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

const holdings = async (serve: ServeProcess): Promise<Holdings> => {
  const { pid } = serve;
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
    heapMib: (metrics.get("nodejs_heap_size_used_bytes") ?? 0) / MIB,
  };
};

/** What is held once clients that left are forgotten: no more than `before`, or as it stays. */
const settled = async (serve: ServeProcess, before: Holdings | null): Promise<Holdings> => {
  let last = await holdings(serve);
  const isSettled = async (): Promise<boolean> => {
    const now = await holdings(serve);
    const isSteady = JSON.stringify(countsOf(now)) === JSON.stringify(countsOf(last));
    last = now;
    return before === null ? isSteady : leaksOf(before, now).length === 0;
  };
  // The API's clients keep a connection for some seconds, and questions without a pause keep all
  // that there are: let those of the load go.
  await pause(KEEP_ALIVE_MS);
  last = await holdings(serve);
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

/** Least squares, in MiB per hour. */
export const slopeOf = (samples: readonly Sample[]): number => {
  const late = samples.slice(Math.floor(samples.length / 5));
  const meanAt = late.reduce((sum, { atMs }) => sum + atMs, 0) / late.length;
  const meanRss = late.reduce((sum, { rssMib }) => sum + rssMib, 0) / late.length;
  let above = 0;
  let below = 0;
  for (const { atMs, rssMib } of late) {
    above += (atMs - meanAt) * (rssMib - meanRss);
    below += (atMs - meanAt) ** 2;
  }
  return below === 0 ? 0 : (above / below) * MS_PER_HOUR;
};
