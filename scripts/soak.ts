/**
 * `npm run soak -- [--minutes 10] [--limit MIB_PER_HOUR] [--seed N] [--json FILE]
 * [--document FILE]`: full load on a real daemon, then what it keeps. Exit code 1 when
 * a thread holds more after a full collection than before, when resident memory grows faster than
 * the limit in five minutes or more, or when more descriptors, threads, timers or sockets are held
 * afterwards.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { parseArgs } from "node:util";
import { fillDocument } from "../bench/document.ts";
import { inOwnFolder } from "../bench/own-folder.ts";
import { formatMarkdown } from "../bench/report.ts";
import {
  detectableMibPerHour,
  growthOf,
  type MemorySeries,
  retainedMib,
  slopeOf,
} from "../test/helpers/soak-memory.ts";
import { type Holdings, type SoakResult, soak } from "../test/helpers/soak-run.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    /** MiB per hour. */
    limit: { type: "string", default: "60" },
    seed: { type: "string", default: "1" },
    /** Where to write every sample. */
    json: { type: "string" },
    /** Whose place `soak` gets the tables. */
    document: { type: "string" },
  },
});
/** The number that an option is given, or the end. */
const positive = (name: "minutes" | "limit" | "seed"): number => {
  const number = Number(values[name]);
  if (Number.isFinite(number) && number > 0) return number;
  process.stderr.write(`soak: --${name} ${values[name]} is no number above 0\n`);
  process.exit(2);
};
const minutes = positive("minutes");
const limit = positive("limit");
const seed = positive("seed");
/**
 * Shorter runs are not judged by resident memory: it swings by as much with the collector's turns.
 * Choice: half of what the published run takes.
 */
const JUDGED_FROM_MINUTES = 5;
/** MiB that a thread may hold more. Choice. */
const RETAINED_LIMIT_MIB = 2;
const isJudged = minutes >= JUDGED_FROM_MINUTES;
const runMs = minutes * 60_000;

const print = (line: string): void => void process.stdout.write(`${line}\n`);

const heldLine = (when: string, { files, threads, resources, rssMib }: Holdings): string => {
  const held = Object.entries(resources).map(([type, count]) => `${type} ${count}`);
  return `${when} ${files} files, ${threads} threads, ${held.join(", ")}, ${rssMib.toFixed(1)} MiB resident`;
};

const retainedTable = ({ begin, end }: SoakResult): string =>
  formatMarkdown(
    ["thread, after a full collection", "before", "after", "of it buffers", "MiB more"],
    end.memory.map((after) => {
      const before = begin.memory.find(({ thread }) => thread === after.thread);
      const held = before === undefined ? 0 : retainedMib(before);
      const now = retainedMib(after);
      const figures = [held, now, after.arrayBuffersMib, now - held];
      return [after.thread, ...figures.map((figure) => figure.toFixed(2))];
    }),
  );

const busyTable = (series: readonly MemorySeries[]): string =>
  formatMarkdown(
    ["while busy, MiB", "least", "most", "last quarter over the second", "slope per hour"],
    series.map((each) => {
      const all = each.points.map(({ mib }) => mib);
      const figures = [Math.min(...all), Math.max(...all), growthOf(each).mib, slopeOf(each)];
      return [each.name, ...figures.map((figure) => figure.toFixed(1))];
    }),
  );

const report = (result: SoakResult): string => {
  const [resident = { name: "resident", points: [] }] = result.series;
  const counts = Object.entries(result.counts).map(([what, count]) => `${what} ${count}`);
  const least = detectableMibPerHour(resident, limit).toFixed(0);
  const kept = result.leaks.length === 0 ? ["Nothing is kept."] : result.leaks;
  return [
    `${minutes} minutes: ${counts.join(", ")}.`,
    [heldLine("Before", result.begin), heldLine("after", result.end)].join("; "),
    retainedTable(result),
    busyTable(result.series),
    isJudged
      ? `A run of this length shows what leaks outside JavaScript from ${least} MiB per hour on.`
      : `Too short to judge resident memory by: that takes ${JUDGED_FROM_MINUTES} minutes.`,
    kept.map((line) => (result.leaks.length === 0 ? line : `- KEPT: ${line}`)).join("\n"),
  ].join("\n\n");
};

await inOwnFolder("soak-", tmpdir(), async ({ path: folder }) => {
  const result = await soak({
    folder,
    warmUpMs: Math.min(60_000, runMs / 5),
    runMs,
    sampleMs: Math.max(1000, runMs / 200),
    seed,
    limits: {
      retainedMib: RETAINED_LIMIT_MIB,
      residentMibPerHour: isJudged ? limit : Number.POSITIVE_INFINITY,
    },
    onSample: ({ atMs, rssMib }, { requests }) =>
      print(
        `${(atMs / 1000).toFixed(0).padStart(5)} s ${rssMib.toFixed(1)} MiB ${requests} requests`,
      ),
  });
  const text = report(result);
  print(`\n${text}`);
  if (values.json !== undefined) writeFileSync(values.json, JSON.stringify(result, null, 2));
  if (values.document !== undefined) {
    const page = readFileSync(values.document, "utf8");
    const command = `\`npm run soak -- --minutes ${minutes}\``;
    const blocks = [{ id: "soak", content: `${text}\n\n${command}` }];
    writeFileSync(values.document, fillDocument(page, blocks).document);
  }
  if (result.leaks.length > 0) process.exitCode = 1;
});
