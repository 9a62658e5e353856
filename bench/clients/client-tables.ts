/** The tables of the client bench: one for each group of workloads, with what its rows cost. */
import {
  type Figure,
  formatMarkdown,
  formatNumber,
  formatTable,
  medianOf,
  OURS,
  OURS_DIRECT,
  type ReportTable,
} from "../report.ts";
import type { Contender } from "./contenders.ts";
import type { JobResult } from "./fio-job.ts";
import { WORKLOADS, type Workload } from "./workloads.ts";

const GROUP_TITLES: Readonly<Record<string, string>> = {
  core: "Two legs behind a unix socket, bitmap on.",
  more: "Further jobs on the same array.",
  tcp: "Over TCP on loopback.",
  raid1x3: "A raid1 of three.",
  raid10: "A raid10 n2 of four. qemu has nothing alike; nbdkit has one file.",
  bitmap: "Every write another chunk of a fine bitmap, its bit clear (cold) or set (steady).",
  resync: "Beside a repair at the default speed limits.",
  slow: "With one slow member: `vs own` is the same job without.",
};

/** Contenders that are compared with each other, in a table of their own over all groups. */
const FAMILIES = [
  {
    id: "clients-direct",
    title: "Past the page cache (`devices.direct`, and O_DIRECT with io_uring in qemu).",
    subjects: [OURS_DIRECT, "qemu-direct"],
  },
  {
    id: "clients-raw",
    title: "Beside one file without any server (fio with io_uring, page cache): the machine's own.",
    subjects: [OURS, "raw"],
  },
] as const;

/** The places of all tables. */
export const CLIENT_TABLES: readonly string[] = [
  ...new Set(WORKLOADS.map(({ group }) => `clients-${group}`)),
  ...FAMILIES.map(({ id }) => id),
];

/** What a row's number is of the job's results. */
export function measuredBy(workload: Workload, result: JobResult): number {
  return workload.unit === "IOPS" ? result.iops : result.mibPerSecond;
}

/** The tables of some results. `chosen`: the rows, those that they are compared with left out. */
export function reportClients(
  results: readonly JobResult[],
  chosen: readonly Workload[],
  contenders: readonly Contender[],
  notes: readonly string[] = [],
): ReportTable[] {
  const has = (name: string) => results.some(({ target }) => target === name);
  const apartOf = ({ subjects }: (typeof FAMILIES)[number]) =>
    subjects.filter((name) => name !== OURS);
  const others = FAMILIES.filter((family) => apartOf(family).some(has));
  const apart: readonly string[] = FAMILIES.flatMap(apartOf);
  const main = contenders.map(({ name }) => name).filter((name) => !apart.includes(name));
  const hasMain = main.some((name) => name !== OURS && has(name)) || others.length === 0;
  const groups = hasMain ? [...Map.groupBy(chosen, ({ group }) => group)] : [];
  const table = (id: string, title: string, rows: readonly Workload[], names: readonly string[]) =>
    tableOf(results, rows, contenders, { id, title: [title, ...notes].join(" "), names });
  return [
    ...groups.map(([group, rows]) =>
      table(`clients-${group}`, GROUP_TITLES[group] ?? group, rows, main),
    ),
    ...others.map((family) => {
      const { id, title, subjects } = family;
      const ran = results.filter(({ target }) => apartOf(family).some((name) => name === target));
      const rows = chosen.filter(({ name }) => ran.some(({ workload }) => workload === name));
      return table(id, title, rows, subjects);
    }),
  ];
}

function tableOf(
  results: readonly JobResult[],
  rows: readonly Workload[],
  contenders: readonly Contender[],
  of: { readonly id: string; readonly title: string; readonly names: readonly string[] },
): ReportTable {
  const byName = new Map(WORKLOADS.map((workload) => [workload.name, workload]));
  const figures = results.flatMap((result): Figure[] => {
    const workload = byName.get(result.workload);
    if (workload === undefined) return [];
    const { target: subject, round, run } = result;
    return [{ row: workload.name, subject, round, run, value: measuredBy(workload, result) }];
  });
  const peers = contenders.flatMap(({ name, rival }) =>
    rival === null || !of.names.includes(name) ? [] : [{ name, ours: rival }],
  );
  const runs = new Set(results.map(({ run }) => run)).size;
  const ratios = runs > 1 ? ` of ${runs} runs; the ratios are of one run each` : "";
  return {
    id: of.id,
    title: `${of.title} Median (min-max) of the rounds${ratios}:`,
    markdown: [
      formatTable(figures, rows, of.names, peers),
      "What it costs, medians: the server's CPU time per request and the client's latency (of the" +
        " fsync where each write has one), microseconds:",
      formatCosts(results, rows, of.names),
    ].join("\n\n"),
  };
}

/** The servers' CPU time and the clients' latency, a row per workload. */
function formatCosts(
  results: readonly JobResult[],
  workloads: readonly Workload[],
  names: readonly string[],
): string {
  const subjects = names.filter((name) => results.some(({ target }) => target === name));
  const header = ["workload", ...subjects.map((subject) => `${subject}: CPU / p50 / p99`)];
  const lines = workloads.map((workload) => [
    workload.description,
    ...subjects.map((subject) => {
      const own = results.filter((r) => r.workload === workload.name && r.target === subject);
      if (own.length === 0) return "-";
      const cpu = own.flatMap(({ cpuUsPerRequest }) => cpuUsPerRequest ?? []);
      const parts = [cpu, own.map(({ p50Us }) => p50Us), own.map(({ p99Us }) => p99Us)];
      return parts.map((of) => (of.length === 0 ? "-" : formatNumber(medianOf(of)))).join(" / ");
    }),
  ]);
  return formatMarkdown(header, lines);
}
