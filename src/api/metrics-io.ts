/** Metrics of the I/O path: requests, bytes, latency, clients. Summed over the I/O workers. */

import type { ControlPlane } from "../control/control-plane.ts";
import type { IoCounters } from "../control/engine.ts";
import type { Family, Sample } from "./metrics-family.ts";

const OPERATIONS = ["read", "write", "flush"] as const;

type Operation = (typeof OPERATIONS)[number];

/** Samples of one operation's histogram: buckets summed up, then sum and count. */
const histogramSamples = (op: Operation, latency: IoCounters["latency"][Operation]): Sample[] => {
  let seen = 0;
  const buckets = latency.bounds.map((bound, index) => {
    seen += latency.counts[index] ?? 0;
    return {
      metricName: "satsuma_io_seconds_bucket",
      labels: { op, le: String(bound) },
      value: seen,
    };
  });
  const total = latency.counts.reduce((sum, count) => sum + count, 0);
  return [
    ...buckets,
    { metricName: "satsuma_io_seconds_bucket", labels: { op, le: "+Inf" }, value: total },
    { metricName: "satsuma_io_seconds_sum", labels: { op }, value: latency.sum },
    { metricName: "satsuma_io_seconds_count", labels: { op }, value: total },
  ];
};

/** Metrics of the I/O path. */
export function ioFamilies(control: ControlPlane): Family[] {
  const { engine } = control;
  return [
    {
      name: "satsuma_io_seconds",
      help: "Time from request to reply of NBD requests.",
      type: "histogram",
      values: () => {
        const { latency } = engine.counters();
        return OPERATIONS.flatMap((op) => histogramSamples(op, latency[op]));
      },
    },
    {
      name: "satsuma_io_bytes_total",
      help: "Bytes read and written by clients.",
      type: "counter",
      values: () => {
        const { readBytes, writtenBytes } = engine.counters();
        return [
          { labels: { op: "read" }, value: readBytes },
          { labels: { op: "write" }, value: writtenBytes },
        ];
      },
    },
    {
      name: "satsuma_io_requests_total",
      help: "Requests of clients that reached the arrays.",
      type: "counter",
      values: () => {
        const { readOps, writeOps, flushOps } = engine.counters();
        return [
          { labels: { op: "read" }, value: readOps },
          { labels: { op: "write" }, value: writeOps },
          { labels: { op: "flush" }, value: flushOps },
        ];
      },
    },
    {
      name: "satsuma_nbd_requests_total",
      help: "NBD requests by command and error number (0: success).",
      type: "counter",
      values: () =>
        Object.entries(engine.counters().nbdRequests).map(([key, value]) => {
          const [command = "", error = ""] = key.split(":", 2);
          return { labels: { cmd: command, err: error }, value };
        }),
    },
    {
      name: "satsuma_export_clients",
      help: "Connections to the export.",
      type: "gauge",
      values: () =>
        control.exports.list().map((view) => ({
          labels: { export: view.record.name },
          value: view.clients.length,
        })),
    },
  ];
}
