/**
 * `npm run soak -- --minutes 10`: full load on a real daemon, then what it keeps. Exit code 1 when
 * its memory grows faster than the limit, or when it holds more descriptors, threads, timers or
 * sockets afterwards than before.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Holdings, soak } from "../test/helpers/soak-run.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    /** MiB per hour; the noise of ten minutes is some tens. */
    limit: { type: "string", default: "60" },
    seed: { type: "string", default: "1" },
  },
});
const runMs = Number(values.minutes) * 60_000;
const limit = Number(values.limit);

const print = (line: string): void => void process.stdout.write(`${line}\n`);

const tell = (when: string, { files, threads, resources, rssMib, heapMib }: Holdings): void => {
  const held = Object.entries(resources).map(([type, count]) => `${type} ${count}`);
  print(
    `${when}: ${files} files, ${threads} threads, ${held.join(", ")}; RSS ${rssMib.toFixed(1)} MiB, heap ${heapMib.toFixed(1)} MiB`,
  );
};

const folder = mkdtempSync(join(tmpdir(), "soak-"));
try {
  const { counts, begin, end, slope, rssMaxMib, leaks } = await soak({
    folder,
    warmUpMs: Math.min(60_000, runMs / 5),
    runMs,
    sampleMs: Math.max(1000, runMs / 200),
    seed: Number(values.seed),
    onSample: (at, rss, { requests }) =>
      print(`${(at / 1000).toFixed(0).padStart(5)} s ${rss.toFixed(1)} MiB ${requests} requests`),
  });
  print(
    Object.entries(counts)
      .map(([what, count]) => `${what} ${count}`)
      .join(", "),
  );
  tell("begin", begin);
  tell("end", end);
  print(
    `RSS slope ${slope.toFixed(1)} MiB per hour (limit ${limit}), at most ${rssMaxMib.toFixed(1)} MiB`,
  );
  for (const leak of leaks) print(`kept: ${leak}`);
  if (leaks.length > 0 || slope > limit) process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
