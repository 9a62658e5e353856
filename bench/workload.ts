/** What is measured, and how good is good enough. */

/** State of the legs' page cache when a job begins. */
export type CacheState = "hot" | "evicted";

export interface Workload {
  readonly name: string;
  readonly description: string;
  /** fio's options beyond those every job has. */
  readonly fio: readonly string[];
  readonly cache: CacheState;
  /** What is compared: requests per second, or MiB per second. */
  readonly unit: "IOPS" | "MiB/s";
  /** Ratio to reach, by label of the peer. */
  readonly bar: Readonly<Record<string, number>>;
}

function random(rw: "randread" | "randwrite", depth: number, ...more: string[]): readonly string[] {
  return [`--rw=${rw}`, "--bs=4k", `--iodepth=${depth}`, ...more];
}

function sequential(rw: "read" | "write", size: string): readonly string[] {
  return [`--rw=${rw}`, `--bs=${size}`, "--iodepth=8"];
}

/**
 * Random writes begin with an evicted page cache: on ext4 since Linux 6.16 a 4 KiB write into a
 * large cached folio, as readahead leaves them, costs several times more and hides the servers.
 */
export const WORKLOADS: readonly Workload[] = [
  {
    name: "rr1",
    description: "4k random read, depth 1",
    fio: random("randread", 1),
    cache: "hot",
    unit: "IOPS",
    bar: { "qemu-quorum": 2, nbdkit: 1.2 },
  },
  {
    name: "rr32",
    description: "4k random read, depth 32",
    fio: random("randread", 32),
    cache: "hot",
    unit: "IOPS",
    bar: { "qemu-quorum": 2.5, nbdkit: 1.2 },
  },
  {
    name: "rr32cold",
    description: "4k random read, depth 32, cold cache",
    fio: random("randread", 32),
    cache: "evicted",
    unit: "IOPS",
    bar: { "qemu-quorum": 1.2 },
  },
  {
    name: "rw1",
    description: "4k random write, depth 1",
    fio: random("randwrite", 1),
    cache: "evicted",
    unit: "IOPS",
    bar: { "qemu-quorum": 1.5, nbdkit: 1 },
  },
  {
    name: "rw32",
    description: "4k random write, depth 32",
    fio: random("randwrite", 32),
    cache: "evicted",
    unit: "IOPS",
    bar: { "qemu-quorum": 3, nbdkit: 1 },
  },
  {
    name: "rw32x4",
    description: "4k random write, depth 32, 4 connections",
    fio: random("randwrite", 32, "--numjobs=4"),
    cache: "evicted",
    unit: "IOPS",
    bar: { "qemu-quorum": 2.3, nbdkit: 1 },
  },
  {
    name: "sr64k",
    description: "64k read, depth 8",
    fio: sequential("read", "64k"),
    cache: "hot",
    unit: "MiB/s",
    bar: { "qemu-quorum": 1.6, nbdkit: 1.2 },
  },
  {
    name: "sr1m",
    description: "1M read, depth 8",
    fio: sequential("read", "1m"),
    cache: "hot",
    unit: "MiB/s",
    bar: { "qemu-quorum": 1.6, nbdkit: 1.2 },
  },
  {
    name: "sw64k",
    description: "64k write, depth 8",
    fio: sequential("write", "64k"),
    cache: "hot",
    unit: "MiB/s",
    bar: { "qemu-quorum": 1.4 },
  },
  {
    name: "sw1m",
    description: "1M write, depth 8",
    fio: sequential("write", "1m"),
    cache: "hot",
    unit: "MiB/s",
    bar: { "qemu-quorum": 1.4 },
  },
  {
    name: "rwfsync",
    description: "4k random write, depth 1, fsync each",
    fio: random("randwrite", 1, "--fsync=1"),
    cache: "evicted",
    unit: "IOPS",
    bar: { "qemu-quorum": 1.4 },
  },
];
