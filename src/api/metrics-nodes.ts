/** Metrics of boards that serve their disks to each other. */

import type { ControlPlane } from "../control/control-plane.ts";
import type { PeerLink } from "../control/peer-boards.ts";
import type { Family, Sample } from "./metrics-family.ts";

const MS_PER_SECOND = 1000;

const linkLabels = ({ board, disk }: PeerLink) => ({ node: board, disk });

/** Metrics of the peers; none of a board that serves no disks. */
export function nodeFamilies(control: ControlPlane): Family[] {
  const { peers } = control.engine;
  if (peers === null) return [];
  const links = (
    name: string,
    help: string,
    type: Family["type"],
    value: (link: PeerLink) => number | null,
  ): Family => ({
    name,
    help,
    type,
    values: () =>
      peers.links().flatMap((link): Sample[] => {
        const now = value(link);
        return now === null ? [] : [{ labels: linkLabels(link), value: now }];
      }),
  });
  return [
    {
      name: "satsuma_node_up",
      help: "1 for a board that lives at the cluster's store, 0 for one whose disks are known.",
      type: "gauge",
      values: () => nodesUp(control),
    },
    {
      name: "satsuma_member_exports_open",
      help: "1 while this board serves its disks to its peers.",
      type: "gauge",
      values: () => [{ labels: {}, value: peers.gate().isOpen ? 1 : 0 }],
    },
    links("satsuma_peer_up", "1 while a peer's disk is reached.", "gauge", ({ state }) =>
      state === "up" ? 1 : 0,
    ),
    links(
      "satsuma_peer_latency_seconds",
      "What a peer's disk takes for a request, smoothed.",
      "gauge",
      ({ latencyMs }) => (latencyMs === null ? null : latencyMs / MS_PER_SECOND),
    ),
    links(
      "satsuma_peer_reconnects",
      "Broken connections to a peer's disk since it was opened.",
      "gauge",
      ({ reconnects }) => reconnects,
    ),
    links(
      "satsuma_peer_in_flight",
      "Requests to a peer's disk that wait for an answer.",
      "gauge",
      ({ inFlight }) => inFlight,
    ),
  ];
}

const nodesUp = (control: ControlPlane): Sample[] => {
  const live = new Set(control.engine.peers?.boards().map(({ name }) => name));
  const known = control.devices.list().flatMap(({ board }) => board ?? []);
  return [...new Set([...live, ...known])].sort().map((node) => ({
    labels: { node },
    value: live.has(node) ? 1 : 0,
  }));
};
