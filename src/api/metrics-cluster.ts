/** Metrics of arrays that run in a cluster. */

import type { ControlPlane } from "../control/control-plane.ts";
import type { ArrayStatus } from "../raid/array-status.ts";
import type { WriteHoldFigures } from "../raid/hold-status.ts";
import type { Family, Sample } from "./metrics-family.ts";

const MS_PER_SECOND = 1000;

interface ClusteredArray {
  readonly name: string;
  readonly cluster: NonNullable<ArrayStatus["cluster"]>;
  readonly nodes: number;
  readonly holds: WriteHoldFigures;
}

const clustered = (control: ControlPlane): ClusteredArray[] =>
  control.arrays.list().flatMap(({ record, isRunning, status }) => {
    const cluster = isRunning ? (status?.cluster ?? null) : null;
    if (cluster === null) return [];
    const { running } = control.arrays.findRunning(record.uuid);
    const nodes = status?.peers?.nodes.length ?? 0;
    return [{ name: record.name, cluster, nodes, holds: running.writeHolds }];
  });

/** Metrics of clustered arrays; none of a board without. */
export function clusterFamilies(control: ControlPlane): Family[] {
  const family = (
    name: string,
    help: string,
    type: Family["type"],
    samples: (array: ClusteredArray) => readonly Sample[],
  ): Family => ({ name, help, type, values: () => clustered(control).flatMap(samples) });
  const one = (
    name: string,
    help: string,
    type: Family["type"],
    value: (array: ClusteredArray) => number,
  ): Family =>
    family(name, help, type, (array) => [{ labels: { array: array.name }, value: value(array) }]);
  return [
    one("satsuma_cluster_nodes", "Nodes that run the array.", "gauge", ({ nodes }) => nodes),
    one(
      "satsuma_cluster_slot",
      "Bitmap slot of this node, from 0.",
      "gauge",
      ({ cluster }) => cluster.slot,
    ),
    one(
      "satsuma_cluster_remote_sync",
      "1 while another node resyncs a range.",
      "gauge",
      ({ cluster }) => (cluster.resync === "REMOTE" ? 1 : 0),
    ),
    family(
      "satsuma_cluster_held_writes_total",
      "Client writes that waited where another node resyncs, or for the permission to do I/O.",
      "counter",
      ({ name, holds }) => [
        { labels: { array: name, reason: "range" }, value: holds.byRange },
        { labels: { array: name, reason: "gate" }, value: holds.byGate },
      ],
    ),
    one(
      "satsuma_cluster_held_writes",
      "Client writes that wait now.",
      "gauge",
      ({ holds }) => holds.held,
    ),
    family(
      "satsuma_cluster_held_write_seconds",
      "How long client writes waited, since the array was started.",
      "gauge",
      ({ name, holds }) => [
        { labels: { array: name, quantile: "0.5" }, value: holds.p50Ms / MS_PER_SECOND },
        { labels: { array: name, quantile: "0.99" }, value: holds.p99Ms / MS_PER_SECOND },
        { labels: { array: name, quantile: "1" }, value: holds.maxMs / MS_PER_SECOND },
      ],
    ),
  ];
}
