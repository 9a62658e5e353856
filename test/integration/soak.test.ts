// wall-limit: 600 s
/** A short soak: what the daemon holds after a busy time is what it held before. */
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { ThreadMemory } from "../helpers/memory-reports.ts";
import {
  detectableMibPerHour,
  growthOf,
  type MemorySeries,
  memoryLeaks,
  slopeOf,
} from "../helpers/soak-memory.ts";
import { soak } from "../helpers/soak-run.ts";
import { inFolder } from "../helpers/temporary-folder.ts";
import { withTimeout } from "../helpers/timeout.ts";

const test = suite("soak");

const LIMIT = 60;
const LIMITS = { retainedMib: 2, residentMibPerHour: LIMIT };
/** Of some seconds: code that is compiled late counts for more, steps of the C library for all. */
const SHORT_LIMITS = { retainedMib: 16, residentMibPerHour: Number.POSITIVE_INFINITY };

/** CPU time of an I/O worker that clients use; one that has none takes a few milliseconds. */
const BUSY_MS = 100;

/** Keeps up to 10 MiB a second in each array's thread. */
const LEAK = `data:text/javascript,${encodeURIComponent(`
  import { threadName } from "node:worker_threads";
  const kept = [];
  const keep = () => kept.push(Float64Array.from({ length: 65536 }, Math.random));
  if (threadName === "array") setInterval(keep, 50).unref();
`)}`;

test(
  "no memory, descriptor, thread, timer or socket is kept, and a planted leak is told",
  withTimeout(
    540_000,
    inFolder(async (folder) => {
      const plan = { sampleMs: 1000, limits: SHORT_LIMITS, seed: 1 };
      const long = { ...plan, folder: join(folder, "clean"), warmUpMs: 4000, runMs: 8000 };
      const short = { ...plan, folder: join(folder, "leaking"), warmUpMs: 4000, runMs: 4000 };
      const soaks = [soak(long), soak({ ...short, preload: [LEAK] })] as const;
      // One that fails leaves the other one to its end, with what it has started.
      await Promise.allSettled(soaks);
      const [clean, leaking] = await Promise.all(soaks);
      assert.ok(
        Object.values(clean.counts).every((count) => count > 0),
        JSON.stringify(clean.counts),
      );
      assert.equal(clean.leaks, []);
      const workers = clean.end.memory.filter(({ thread }) => thread.startsWith("io "));
      assert.is(workers.length, Math.min(4, availableParallelism()));
      for (const { thread, cpuMs } of workers) {
        const before = clean.begin.memory.find((memory) => memory.thread === thread)?.cpuMs ?? 0;
        assert.ok(cpuMs - before > BUSY_MS, `${thread} was busy for ${cpuMs - before} ms`);
      }
      const told = /^array \d+: \d+\.\d MiB more after a full collection$/;
      assert.ok(
        leaking.leaks.some((leak) => told.test(leak)),
        JSON.stringify(leaking.leaks),
      );
    }),
  ),
);

/** A look every 3 s for so many minutes. */
const seriesOf = (minutes: number, mib: (hours: number) => number): MemorySeries => ({
  name: "resident",
  points: Array.from({ length: minutes * 20 }, (_, index) => ({
    atMs: index * 3000,
    mib: mib(index / 1200),
  })),
});
const threadOf = (thread: string, heapUsedMib: number): ThreadMemory => ({
  thread,
  heapUsedMib,
  heapTotalMib: 60,
  externalMib: 5,
  arrayBuffersMib: 1,
  cpuMs: 0,
});
const told = (series: MemorySeries): string[] => memoryLeaks([], [], series, LIMITS);

test("the slope is that of a line through what follows the first quarter", () => {
  const rising = seriesOf(10, (hours) => (hours < 2.4 / 60 ? 1000 : 100 + 60 * hours));
  assert.is(Math.round(slopeOf(rising)), 60);
});

test("resident memory that steps up once is no leak, in short runs and long ones", () => {
  for (const minutes of [10, 20, 120]) {
    const total = minutes / 60;
    for (const at of [0.1, 0.3, 0.5, 0.7, 0.9]) {
      const step = seriesOf(minutes, (hours) => (hours < at * total ? 200 : 207));
      assert.equal(told(step), [], `${minutes} minutes, a step at ${at}`);
    }
  }
});

test("resident memory that rises on and on is one from the rate that the report names", () => {
  for (const minutes of [10, 60]) {
    const least = detectableMibPerHour(
      seriesOf(minutes, () => 200),
      LIMIT,
    );
    const rising = (rate: number) => seriesOf(minutes, (hours) => 200 + rate * hours);
    assert.equal(told(rising(least * 0.95)), []);
    const [line = ""] = told(rising(least * 1.05));
    assert.match(line, /^resident: \d+\.\d MiB more, \d+\.\d allowed$/);
    assert.ok(Math.abs(growthOf(rising(100)).mib - 50 * (minutes / 60)) < 1);
  }
});

test("a thread that holds more after a full collection is named, whatever is resident", () => {
  const flat = seriesOf(10, () => 200);
  const begin = [threadOf("control", 40), threadOf("io 1", 20)];
  const grown = (control: number, io: number) =>
    memoryLeaks(begin, [threadOf("control", control), threadOf("io 1", io)], flat, LIMITS);
  assert.equal(grown(41.9, 15), []);
  assert.equal(grown(40, 22.5), ["io 1: 2.5 MiB more after a full collection"]);
});

test.run();
