/**
 * The metrics page: every value is read from the control plane at the time of the request.
 *
 * `node_md_*` have the names, labels and meanings of node_exporter's mdadm collector, so that its
 * rules and dashboards work; a removed member is counted, which the kernel's file does not show.
 * Source: prometheus/node_exporter collector/mdadm_linux.go.
 */

import { readdirSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { type Metric, Registry } from "prom-client";
import type { ControlPlane } from "../control/control-plane.ts";
import type { EventStream } from "./event-stream.ts";
import { arrayFamilies } from "./metrics-arrays.ts";
import { clusterFamilies } from "./metrics-cluster.ts";
import { type Family, single } from "./metrics-family.ts";
import { ioFamilies } from "./metrics-io.ts";
import { nodeFamilies } from "./metrics-nodes.ts";

type EventLoopDelay = ReturnType<typeof monitorEventLoopDelay>;

const NANOSECONDS = 1e9;
const LAG_QUANTILES = [50, 99] as const;

const openFiles = (): number => readdirSync("/proc/self/fd").length;

/** One value for each type: timers, sockets, ports to other threads. */
const activeResources = () => {
  const counts = new Map<string, number>();
  for (const type of process.getActiveResourcesInfo())
    counts.set(type, (counts.get(type) ?? 0) + 1);
  return [...counts].map(([type, value]) => ({ labels: { type }, value }));
};

const daemonFamilies = (
  control: ControlPlane,
  stream: EventStream,
  lag: EventLoopDelay,
): Family[] => [
  {
    name: "satsuma_build_info",
    help: "Version and name of the board, always 1.",
    type: "gauge",
    values: () => [
      { labels: { version: control.options.version, node: control.nodes.here }, value: 1 },
    ],
  },
  {
    name: "satsuma_eventloop_lag_seconds",
    help: "Delay of the control thread's event loop since the last scrape.",
    type: "gauge",
    values: () => {
      const values = LAG_QUANTILES.map((percentile) => ({
        labels: { quantile: String(percentile / 100) },
        value: lag.percentile(percentile) / NANOSECONDS,
      }));
      lag.reset();
      return values;
    },
  },
  single(
    "satsuma_event_streams",
    "Clients of the live event stream.",
    "gauge",
    () => stream.clientCount,
  ),
  single(
    "satsuma_event_write_failures_total",
    "Times the event history could not be written.",
    "counter",
    () => control.store.events.failures.writes,
  ),
  single("process_resident_memory_bytes", "Resident memory of the daemon.", "gauge", () =>
    process.memoryUsage.rss(),
  ),
  single("process_open_fds", "Open file descriptors of the daemon.", "gauge", openFiles),
  single(
    "nodejs_heap_size_used_bytes",
    "Heap in use of the control thread.",
    "gauge",
    () => process.memoryUsage().heapUsed,
  ),
  {
    name: "nodejs_active_resources",
    help: "What keeps the control thread's event loop alive, by type.",
    type: "gauge",
    values: () => activeResources(),
  },
  single(
    "process_start_time_seconds",
    "Start of the daemon, seconds since the epoch.",
    "gauge",
    () => control.startedAt / 1000,
  ),
];

/** The page. */
export class MetricsPage {
  readonly #registry = new Registry();
  readonly #lag: EventLoopDelay;

  constructor(control: ControlPlane, stream: EventStream) {
    this.#lag = monitorEventLoopDelay({ resolution: 20 });
    this.#lag.enable();
    const families = [
      ...daemonFamilies(control, stream, this.#lag),
      ...arrayFamilies(control),
      ...clusterFamilies(control),
      ...nodeFamilies(control),
      ...ioFamilies(control),
    ];
    for (const family of families) {
      const { name, help, type, values } = family;
      // The registry asks a metric for its values only by `get`; ours are read, never kept.
      const metric = { name, help, get: async () => ({ name, help, type, values: values() }) };
      this.#registry.registerMetric(metric as unknown as Metric);
    }
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** The page's text. */
  async render(): Promise<string> {
    return await this.#registry.metrics();
  }

  /** Ends the measurement of the event loop. */
  close(): void {
    this.#lag.disable();
  }
}
