/**
 * `npm run bench -- sync`: whole sync actions at full speed beside a plain copy or comparison of
 * two files on the same disk, and the p99 of a busy client with and without one at the default
 * limits.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Bench, BenchContext, BenchOutcome } from "../bench.ts";
import { METADATA_BYTES } from "../bench-board.ts";
import { runJob } from "../clients/fio-job.ts";
import { startSatsuma } from "../clients/satsuma.ts";
import { makePattern, verifyTarget } from "../pattern.ts";
import { type Figure, formatTable, OURS } from "../report.ts";
import { BUSY_ROWS, type BusyRow, SYNC_ROWS, type SyncRow } from "./sync-rows.ts";
import { SyncSubject } from "./sync-subject.ts";

function makeFolder(folder: string, name: string): string {
  const made = join(folder, name);
  mkdirSync(made);
  return made;
}

async function measureSyncs(rows: readonly SyncRow[], context: BenchContext): Promise<Figure[]> {
  if (rows.length === 0) return [];
  const { settings, folder, say, onEnd } = context;
  const subject = new SyncSubject(makeFolder(folder, "sync"), settings.sizeBytes);
  onEnd(() => subject.stop());
  say("making an array and two plain files");
  await subject.start();
  const figures: Figure[] = [];
  for (let round = 0; round < settings.rounds; round++) {
    for (const row of rows) {
      const ours = async () => note(OURS, await subject.measureSync(row));
      const plain = async () => note(row.peer, await subject.measurePlain(row));
      const note = (name: string, value: number) => {
        figures.push({ row: row.name, subject: name, round, value });
        say(`round ${round + 1}/${settings.rounds} ${row.name} ${name} ${value.toFixed(0)} MiB/s`);
      };
      for (const measure of round % 2 === 0 ? [ours, plain] : [plain, ours]) await measure();
    }
  }
  await subject.verify();
  return figures;
}

async function measureBusy(rows: readonly BusyRow[], context: BenchContext): Promise<Figure[]> {
  if (rows.length === 0) return [];
  const { settings, folder, say, onEnd } = context;
  const seat = { array: "raid1x2", transport: "unix", isLab: false, isDirect: false } as const;
  const own = makeFolder(folder, "busy");
  const target = await startSatsuma(OURS, own, settings.sizeBytes, seat);
  onEnd(() => target.stop());
  const pattern = join(folder, "pattern");
  await makePattern(pattern, settings.sizeBytes);
  await verifyTarget(target, pattern);
  const figures: Figure[] = [];
  for (let round = 0; round < settings.rounds; round++) {
    for (const row of round % 2 === 0 ? rows : rows.toReversed()) {
      const { p99Us } = await runJob(target, row.workload, settings, round);
      figures.push({ row: row.name, subject: OURS, round, value: p99Us });
      say(`round ${round + 1}/${settings.rounds} ${row.name} p99 ${p99Us.toFixed(0)} us`);
    }
  }
  return figures;
}

async function runSync(context: BenchContext): Promise<BenchOutcome> {
  const { workloads } = context.settings;
  const chosen = <T extends { readonly name: string }>(rows: readonly T[]) =>
    rows.filter(({ name }) => workloads.includes(name));
  const syncRows = chosen(SYNC_ROWS);
  const busyRows = chosen(BUSY_ROWS);
  const peers = ["copy", "cmp"];
  const syncs = await measureSyncs(syncRows, context);
  const busy = await measureBusy(busyRows, context);
  const tables = [
    {
      id: "sync",
      title: "Until durable, median (min-max): `copy` is `dd` over a file in place.",
      markdown: formatTable(
        syncs,
        syncRows,
        [OURS, ...peers],
        peers.map((name) => ({ name, ours: OURS })),
      ),
    },
    {
      id: "sync-busy",
      title: "p99 of a client, alone and beside a repair at the default limits:",
      markdown: formatTable(busy, busyRows, [OURS], []),
    },
  ];
  return {
    tables: tables.filter((_, index) => [syncRows, busyRows][index]?.length !== 0),
    results: [...syncs, ...busy],
  };
}

export const SYNC_BENCH: Bench = {
  name: "sync",
  summary: "resync, recovery and check beside cp and cmp; p99 of a client beside them",
  workloads: [...SYNC_ROWS, ...BUSY_ROWS],
  targets: [],
  tables: ["sync", "sync-busy"],
  // Two members, two plain files and what differs from them; then a client's array and its data.
  space: ({ sizeBytes }) => 9 * sizeBytes + 2 * METADATA_BYTES,
  tools: ({ workloads }) => [
    "nbdcopy",
    ...(BUSY_ROWS.some(({ name }) => workloads.includes(name)) ? ["fio"] : []),
  ],
  defaults: { seconds: 5, rounds: 3, sizeMib: 1024, workloads: ["all"], targets: [] },
  run: runSync,
};
