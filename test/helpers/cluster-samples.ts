/** What boards tell of their cluster over the API, for tests of the panel's pure parts. */
import type { ClusterResource } from "../../src/api/schemas/cluster.ts";
import type { NodeResource } from "../../src/api/schemas/node.ts";
import type { PeerReportResource, PeerResource } from "../../src/api/schemas/peer.ts";
import type { ClusterAnswers } from "../../web/src/board/cluster-view.ts";

const TIME = "2026-01-02T00:00:00.000Z";

type Member = ClusterResource["members"][number];
type Path = PeerReportResource["paths"][number];
type Status = NonNullable<NodeResource["status"]>;

export const memberOf = (name: string, more: Partial<Member> = {}): Member => ({
  id: `id-${name}`,
  name,
  role: "board",
  here: name === "a",
  state: "online",
  silent_for: 0.5,
  address: `${name}:8444`,
  vote: "none",
  answers: null,
  elected: false,
  database_bytes: null,
  version: "0.0.0",
  etcd_version: "3.5.16",
  remark: "",
  ...more,
});

/** A board that serves one disk, `disk1`. */
export const peerOf = (name: string, more: Partial<PeerResource> = {}): PeerResource => ({
  id: name,
  state: "up",
  silent_for: 0.5,
  here: name === "a",
  epoch: 1,
  address: `${name}:10810`,
  api: `http://${name}:8090`,
  version: "0.0.0",
  disks: [
    { id: "disk1", device_id: name === "a" ? "disk1" : `${name}.disk1`, kind: "file", size: 1 },
  ],
  reaches: [],
  ...more,
});

export const pathOf = (node: string, owner: string, more: Partial<Path> = {}): Path => ({
  node,
  device_node: owner,
  disk: "disk1",
  state: "up",
  latency: null,
  in_flight: 0,
  reconnects: 0,
  last_error: null,
  ...more,
});

/** What board `a` answers: it is in no cluster, unless `more` says otherwise. */
export const answersOf = (more: {
  readonly cluster?: Partial<ClusterResource>;
  readonly status?: Partial<Status>;
  readonly others?: readonly string[];
  readonly peers?: Partial<PeerReportResource>;
}): ClusterAnswers => ({
  cluster: {
    name: null,
    board: "a",
    managed: true,
    quorum: "none",
    voters: 0,
    spare_votes: 0,
    sentences: [],
    warnings: [],
    next_step: null,
    fingerprint: null,
    certificate: null,
    members: [],
    refused: [],
    links: {},
    ...more.cluster,
  },
  nodes: [
    {
      id: "a",
      name: "a",
      here: true,
      life: "up",
      silent_for: 0,
      status: {
        state: "in-service",
        since: null,
        started_at: TIME,
        arrays: [],
        elsewhere: [],
        quorum: null,
        ...more.status,
      },
      links: {},
    },
    ...(more.others ?? []).map((name) => ({
      id: name,
      name,
      here: false,
      life: "up" as const,
      silent_for: 0.5,
      status: null,
      links: {},
    })),
  ],
  peers: { cluster: null, exporter: null, items: [], paths: [], links: {}, ...more.peers },
  impacts: [],
});
