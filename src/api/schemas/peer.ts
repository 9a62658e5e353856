/**
 * Boards of the cluster that serve their disks to each other: who they are, who reaches which disk,
 * and what this board's own exports do. Slots are bitmap slots, from 0.
 */

import { type Static, Type } from "typebox";
import { ByteCount, Closed, Links, Nullable, RefTo } from "./common.ts";

export const PeerObject = Closed(
  {
    id: Type.String({ description: "name of the board among the nodes" }),
    state: Type.Enum(["up", "silent", "unknown", "away"], {
      description:
        "silent: not heard of for more than 3 s; unknown: the board that answers hears of nobody; away: devices of it are known here, and it does not live at the store",
    }),
    silent_for: Nullable(Type.Number({ description: "seconds since it was heard of" })),
    here: Type.Boolean({ description: "the board that answers" }),
    epoch: Nullable(Type.Integer({ description: "of its exports: another one for each life" })),
    address: Type.String({ description: "HOST:PORT of its member exports" }),
    api: Type.String({ description: "URL of its API, or empty" }),
    version: Type.String(),
    disks: Type.Array(
      Closed({
        id: Type.String({ description: "on its board" }),
        device_id: Type.String({ description: "on the board that answers" }),
        kind: Type.Enum(["file", "block"]),
        size: ByteCount,
      }),
    ),
    reaches: Type.Array(Type.String()),
  },
  { $id: "Peer" },
);
export type PeerResource = Static<typeof PeerObject>;

const PeerPath = Closed({
  node: Type.String({ description: "who looks" }),
  device_node: Type.String({ description: "whose disk" }),
  disk: Type.String(),
  state: Type.Enum(["local", "up", "reconnecting", "down", "unknown"]),
  latency: Nullable(
    Type.Number({ description: "seconds, smoothed; of ways from this board only" }),
  ),
  in_flight: Type.Integer(),
  reconnects: Type.Integer(),
  last_error: Nullable(Type.String()),
});

const Exporter = Closed({
  open: Type.Boolean({ description: "requests of peers are served now" }),
  reason: Nullable(Type.String({ description: "why not" })),
  sessions: Type.Array(
    Closed({
      session: Type.String({ description: "node:UUID:SLOT:EPOCH or board:NAME:EPOCH" }),
      node: Type.String(),
      disks: Type.Array(Type.String()),
      connections: Type.Integer(),
      in_flight: Type.Integer({ description: "requests at the disks" }),
      waits: Nullable(Type.String({ description: "what a connection of it waits for" })),
    }),
  ),
  fences: Type.Array(
    Closed({
      array: Type.String({ description: "uuid" }),
      slot: Type.Integer({ minimum: 0 }),
      epoch: Type.Integer(),
    }),
    { description: "sessions that are over, while their requests at the disks are waited for" },
  ),
});

export const PeerReport = Closed(
  {
    cluster: Nullable(Type.String({ description: "null: the board is in none" })),
    exporter: Nullable(Exporter),
    items: Type.Array(RefTo(PeerObject)),
    paths: Type.Array(PeerPath, { description: "node by node: every disk of every live node" }),
    links: Links,
  },
  { $id: "PeerReport" },
);
export type PeerReportResource = Static<typeof PeerReport>;
