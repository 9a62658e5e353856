/**
 * Whether a daemon's memory grows without end, by what it held at rest and while it was busy.
 *
 * What JavaScript keeps is seen exactly: after a full collection at rest, thread by thread, before
 * and after. What the C library and V8 keep beside that comes and goes in steps of some MiB
 * (arenas, pages of heaps), so of the resident memory the medians of the second and the last
 * quarter are compared, and steps are allowed for.
 */
import type { ThreadMemory } from "./memory-reports.ts";

const MS_PER_HOUR = 3_600_000;

/** MiB by which resident memory may step up and be no leak. Choice: twice the steps seen. */
export const STEP_MIB = 8;

/** How much more may be held before it is a leak. */
export interface MemoryLimits {
  /** MiB of JavaScript in each thread: code, and histories that fill up. */
  readonly retainedMib: number;
  /** MiB per hour of resident memory, a step apart. */
  readonly residentMibPerHour: number;
}

/** One look at a busy daemon. */
export interface MemorySample {
  readonly atMs: number;
  readonly rssMib: number;
  readonly threads: readonly ThreadMemory[];
}

/** A thing that was looked at over and over. */
export interface MemorySeries {
  readonly name: string;
  readonly points: readonly { readonly atMs: number; readonly mib: number }[];
}

/** Resident memory, the parts of each thread, and what remains: the C library's and the code. */
export const seriesOf = (samples: readonly MemorySample[]): MemorySeries[] => {
  const threads = samples.at(-1)?.threads.map(({ thread }) => thread) ?? [];
  const series = (name: string, pick: (sample: MemorySample) => number): MemorySeries => ({
    name,
    points: samples.map((sample) => ({ atMs: sample.atMs, mib: pick(sample) })),
  });
  const part = (name: string, pick: (memory: ThreadMemory) => number) => (sample: MemorySample) => {
    const own = sample.threads.find(({ thread }) => thread === name);
    return own === undefined ? 0 : pick(own);
  };
  return [
    series("resident", ({ rssMib }) => rssMib),
    ...threads.flatMap((name) => [
      series(
        `${name}: heap used`,
        part(name, ({ heapUsedMib }) => heapUsedMib),
      ),
      series(
        `${name}: heap`,
        part(name, ({ heapTotalMib }) => heapTotalMib),
      ),
      series(
        `${name}: external`,
        part(name, ({ externalMib }) => externalMib),
      ),
    ]),
    series("beside V8", ({ rssMib, threads: all }) =>
      all.reduce((rest, own) => rest - own.heapTotalMib - own.externalMib, rssMib),
    ),
  ];
};

/** Least squares over the points after the first quarter, MiB per hour. */
export const slopeOf = ({ points }: Pick<MemorySeries, "points">): number => {
  const late = points.slice(Math.floor(points.length / 4));
  const meanAt = late.reduce((sum, { atMs }) => sum + atMs, 0) / late.length;
  const mean = late.reduce((sum, { mib }) => sum + mib, 0) / late.length;
  let above = 0;
  let below = 0;
  for (const { atMs, mib } of late) {
    above += (atMs - meanAt) * (mib - mean);
    below += (atMs - meanAt) ** 2;
  }
  return below === 0 ? 0 : (above / below) * MS_PER_HOUR;
};

/** The median of the last quarter less that of the second one, MiB, and the hours between them. */
export const growthOf = ({
  points,
}: Pick<MemorySeries, "points">): { readonly mib: number; readonly hours: number } => {
  const quarter = Math.floor(points.length / 4);
  const second = points.slice(quarter, 2 * quarter);
  const last = points.slice(3 * quarter);
  const middleOf = (of: typeof points, pick: (point: (typeof points)[number]) => number) =>
    of.map(pick).toSorted((a, b) => a - b)[Math.floor(of.length / 2)] ?? 0;
  return {
    mib: middleOf(last, ({ mib }) => mib) - middleOf(second, ({ mib }) => mib),
    hours:
      (middleOf(last, ({ atMs }) => atMs) - middleOf(second, ({ atMs }) => atMs)) / MS_PER_HOUR,
  };
};

/** MiB of JavaScript that a thread holds once all garbage is gone. */
export const retainedMib = ({ heapUsedMib, externalMib }: ThreadMemory): number =>
  heapUsedMib + externalMib;

/** What each thread holds more after the run than before it; both after a full collection. */
export const retainedGrowth = (
  begin: readonly ThreadMemory[],
  end: readonly ThreadMemory[],
): { readonly thread: string; readonly mib: number }[] =>
  end.map((after) => {
    const before = begin.find(({ thread }) => thread === after.thread);
    const held = before === undefined ? 0 : retainedMib(before);
    return { thread: after.thread, mib: retainedMib(after) - held };
  });

/** Slowest leak outside JavaScript that a run of these samples shows, MiB per hour. */
export const detectableMibPerHour = (resident: MemorySeries, limit: number): number =>
  limit + STEP_MIB / growthOf(resident).hours;

/** What grew, one line each; empty when nothing did. */
export const memoryLeaks = (
  begin: readonly ThreadMemory[],
  end: readonly ThreadMemory[],
  resident: MemorySeries,
  limits: MemoryLimits,
): string[] => {
  const retained = retainedGrowth(begin, end).flatMap(({ thread, mib }) =>
    mib > limits.retainedMib
      ? [`${thread}: ${mib.toFixed(1)} MiB more after a full collection`]
      : [],
  );
  const { mib, hours } = growthOf(resident);
  const allowed = STEP_MIB + limits.residentMibPerHour * hours;
  return mib > allowed
    ? [...retained, `resident: ${mib.toFixed(1)} MiB more, ${allowed.toFixed(1)} allowed`]
    : retained;
};
