/** What the sync bench measures, and how good is good enough. */
import { WORKLOADS, type Workload } from "../clients/workloads.ts";
import type { CacheState } from "../page-cache.ts";
import type { Row } from "../report.ts";

export type SyncWork = "resync" | "resync-equal" | "recover" | "check";

/** A whole sync action beside the plain command that does as much with two files. */
export interface SyncRow extends Row {
  readonly group: "sync";
  readonly work: SyncWork;
  readonly cache: CacheState;
  readonly peer: "copy" | "cmp";
}

/** A sync runs as fast as a plain command, less a fifth. */
const SYNC_BAR = 0.8;
/** A busy client's p99 grows by a fifth at most. */
const BUSY_BAR = 1.2;

const WORKS = [
  ["resync", "copy", "resync, copies differ", SYNC_BAR],
  ["resync-equal", "cmp", "resync, copies are equal", undefined],
  ["recover", "copy", "recovery of a new member", SYNC_BAR],
  ["check", "cmp", "check", SYNC_BAR],
] as const;

export const SYNC_ROWS: readonly SyncRow[] = WORKS.flatMap(([work, peer, text, bar]) =>
  (["hot", "evicted"] as const).map(
    (cache): SyncRow => ({
      group: "sync",
      name: `${work}.${cache}`,
      description: `${text}, ${cache === "hot" ? "hot" : "cold"} cache`,
      unit: "MiB/s",
      work,
      cache,
      peer,
      bar: bar === undefined ? {} : { [peer]: bar },
    }),
  ),
);

/** The p99 of a client, alone and beside a sync action. */
export interface BusyRow extends Row {
  readonly group: "busy";
  readonly workload: Workload;
}

const BUSY_JOBS = ["rr1", "rr32", "rw1", "rw32", "mix32"];

function busyRow(name: string, than: Row["than"]): BusyRow {
  const workload = WORKLOADS.find((each) => each.name === name);
  if (workload === undefined) throw new Error(`the client table has no ${name}`);
  return {
    group: "busy",
    name,
    description: workload.description,
    unit: "us",
    better: "lower",
    workload,
    ...(than === undefined ? {} : { than }),
  };
}

export const BUSY_ROWS: readonly BusyRow[] = BUSY_JOBS.flatMap((job) => [
  busyRow(job, undefined),
  busyRow(`${job}.sync`, { row: job, bar: BUSY_BAR }),
]);
