/** The client table: jobs, where and beside what they run, and how good is good enough. */
import type { CacheState } from "../page-cache.ts";
import type { Row } from "../report.ts";

export type Transport = "unix" | "tcp";
export type ArrayName = "raid1x2" | "raid1x3" | "raid10x4" | "fine-bitmap";

/**
 * What goes on beside the job. `bits-clear`, `bits-set`: every bit of the bitmap is so before the
 * job, which writes no chunk twice. `repair`: a sync action at the default limits. `slow-member`,
 * `hung-member`: each call of one member waits (`conditions.ts`).
 */
export type Condition =
  | "quiet"
  | "bits-clear"
  | "bits-set"
  | "repair"
  | "slow-member"
  | "hung-member";

export interface Workload extends Row {
  readonly group: string;
  readonly unit: "IOPS" | "MiB/s";
  /** fio's options beyond those every job has. */
  readonly fio: readonly string[];
  readonly cache: CacheState;
  readonly transport: Transport;
  readonly array: ArrayName;
  readonly condition: Condition;
}

type Job = Pick<Workload, "description" | "fio" | "cache" | "unit" | "bar">;

function random(rw: string, depth: number, ...more: string[]): readonly string[] {
  return [`--rw=${rw}`, "--bs=4k", `--iodepth=${depth}`, ...more];
}

function sequential(rw: "read" | "write", size: string): readonly string[] {
  return [`--rw=${rw}`, `--bs=${size}`, "--iodepth=8"];
}

const FOUR = "--numjobs=4";
const MIXED = ["--rwmixread=70", "--unified_rw_reporting=1"] as const;

/**
 * The jobs. Random writes begin with an evicted page cache: on ext4 since Linux 6.16 a 4 KiB write
 * into a large cached folio, as readahead leaves them, costs several times more and hides the
 * servers. The bars are for two legs behind a unix socket, `qemu-quorum` through the page cache,
 * `qemu-direct` past it.
 */
const JOBS = {
  rr1: {
    description: "4k random read, depth 1",
    fio: random("randread", 1),
    cache: "hot",
    unit: "IOPS",
    bar: { "qemu-quorum": 2, nbdkit: 1.2, "qemu-direct": 1.2 },
  },
  rr32: {
    description: "4k random read, depth 32",
    fio: random("randread", 32),
    cache: "hot",
    unit: "IOPS",
    bar: { "qemu-quorum": 2.5, nbdkit: 1.2, "qemu-direct": 1.2 },
  },
  rr32x4: {
    description: "4k random read, depth 32, 4 connections",
    fio: random("randread", 32, FOUR),
    cache: "hot",
    unit: "IOPS",
    bar: { nbdkit: 1.2 },
  },
  rr1cold: {
    description: "4k random read, depth 1, cold cache",
    fio: random("randread", 1),
    cache: "evicted",
    unit: "IOPS",
    bar: { "qemu-quorum": 1.2 },
  },
  rr32cold: {
    description: "4k random read, depth 32, cold cache",
    fio: random("randread", 32),
    cache: "evicted",
    unit: "IOPS",
    bar: { "qemu-quorum": 1.2 },
  },
  rr32x4cold: {
    description: "4k random read, depth 32, 4 connections, cold cache",
    fio: random("randread", 32, FOUR),
    cache: "evicted",
    unit: "IOPS",
    bar: { "qemu-quorum": 1.2 },
  },
  rw1: {
    description: "4k random write, depth 1",
    fio: random("randwrite", 1),
    cache: "evicted",
    unit: "IOPS",
    bar: { "qemu-quorum": 1.5, nbdkit: 1, "qemu-direct": 1.2 },
  },
  rw32: {
    description: "4k random write, depth 32",
    fio: random("randwrite", 32),
    cache: "evicted",
    unit: "IOPS",
    bar: { "qemu-quorum": 3, nbdkit: 1, "qemu-direct": 1.2 },
  },
  rw32x4: {
    description: "4k random write, depth 32, 4 connections",
    fio: random("randwrite", 32, FOUR),
    cache: "evicted",
    unit: "IOPS",
    bar: { "qemu-quorum": 2.3, nbdkit: 1 },
  },
  mix32: {
    description: "4k random, 70 % reads, depth 32",
    fio: random("randrw", 32, ...MIXED),
    cache: "evicted",
    unit: "IOPS",
    bar: {},
  },
  mix32x4: {
    description: "4k random, 70 % reads, depth 32, 4 connections",
    fio: random("randrw", 32, FOUR, ...MIXED),
    cache: "evicted",
    unit: "IOPS",
    bar: {},
  },
  sr64k: {
    description: "64k read, depth 8",
    fio: sequential("read", "64k"),
    cache: "hot",
    unit: "MiB/s",
    bar: { "qemu-quorum": 1.6, nbdkit: 1.2 },
  },
  sr1m: {
    description: "1M read, depth 8",
    fio: sequential("read", "1m"),
    cache: "hot",
    unit: "MiB/s",
    bar: { "qemu-quorum": 1.6, nbdkit: 1.2 },
  },
  sw64k: {
    description: "64k write, depth 8",
    fio: sequential("write", "64k"),
    cache: "hot",
    unit: "MiB/s",
    bar: { "qemu-quorum": 1.4 },
  },
  sw1m: {
    description: "1M write, depth 8",
    fio: sequential("write", "1m"),
    cache: "hot",
    unit: "MiB/s",
    bar: { "qemu-quorum": 1.4 },
  },
  rwfsync: {
    description: "4k random write, depth 1, fsync each",
    fio: random("randwrite", 1, "--fsync=1"),
    cache: "evicted",
    unit: "IOPS",
    bar: { "qemu-quorum": 1.4 },
  },
} as const satisfies Readonly<Record<string, Job>>;

type JobName = keyof typeof JOBS;
/** Jobs that a run leaves out unless asked. */
const MORE: readonly string[] = ["rr1cold", "mix32x4"];

/** What a group changes of its jobs. */
type Change = Partial<Pick<Workload, "transport" | "array" | "condition" | "bar">>;

const AS_PLAIN = {
  transport: "unix",
  array: "raid1x2",
  condition: "quiet",
} as const;

/** Jobs of a group; each is compared with the plain one, or with what `than` names. */
function groupOf(
  group: string,
  suffix: string,
  text: string,
  jobs: readonly JobName[],
  change: Change,
  than: (job: JobName) => string = (job) => job,
): Workload[] {
  return jobs.map((job) => ({
    ...AS_PLAIN,
    ...JOBS[job],
    bar: {},
    ...change,
    group,
    name: `${job}.${suffix}`,
    description: `${JOBS[job].description}; ${text}`,
    than: { row: than(job) },
  }));
}

/** Bits that the room between superblock and data holds on any member. */
const FINE_BITS_MAX = 28_000;

/**
 * Bytes per bit of the array `fine-bitmap`: as few as fit, so that jobs have many bits to set. Jobs
 * on it write one block of each chunk.
 */
export function fineChunkBytes(memberBytes: number): number {
  return Math.max(4096, 2 ** Math.ceil(Math.log2(memberBytes / FINE_BITS_MAX)));
}

export const WORKLOADS: readonly Workload[] = [
  ...(Object.keys(JOBS) as JobName[]).map(
    (name): Workload => ({
      ...AS_PLAIN,
      ...JOBS[name],
      name,
      group: MORE.includes(name) ? "more" : "core",
    }),
  ),
  ...groupOf(
    "tcp",
    "tcp",
    "TCP",
    ["rr1", "rr32", "rr32x4", "rw1", "rw32", "rw32x4", "sr1m", "sw1m", "rwfsync"],
    { transport: "tcp" },
  ),
  ...groupOf(
    "raid1x3",
    "x3",
    "raid1 of 3",
    ["rr32", "rr32x4", "rw1", "rw32", "rw32x4", "sr1m", "sw1m", "rwfsync"],
    { array: "raid1x3" },
  ),
  ...groupOf(
    "raid10",
    "r10",
    "raid10 n2 of 4",
    ["rr32", "rr32x4", "rw1", "rw32", "rw32x4", "sr1m", "sw1m", "rwfsync"],
    { array: "raid10x4" },
  ),
  ...groupOf("bitmap", "set", "no chunk twice, bits set", ["rw1", "rw32"], {
    array: "fine-bitmap",
    condition: "bits-set",
  }),
  ...groupOf(
    "bitmap",
    "clear",
    "no chunk twice, bits clear",
    ["rw1", "rw32"],
    { array: "fine-bitmap", condition: "bits-clear" },
    (job) => `${job}.set`,
  ),
  ...groupOf(
    "resync",
    "sync",
    "a repair runs, default limits",
    ["rr1", "rr32", "rw1", "rw32", "mix32", "sr1m", "sw1m"],
    { condition: "repair" },
  ),
  ...groupOf(
    "slow",
    "slow",
    "one member 10 ms slower",
    ["rr1", "rr32", "rr32cold", "rw1", "rw32", "sr1m"],
    { condition: "slow-member" },
  ),
  ...groupOf("slow", "hung", "one member takes 2 s a call", ["rr1", "rr32", "sr1m"], {
    condition: "hung-member",
  }),
];
