/** Boards as an operator sees them: in service or not, and what goes when one stops. */

import { type Static, Type } from "typebox";
import { ByteCount, Closed, Links, Nullable, RefTo, Time } from "./common.ts";

/** A board's name, in the path. */
export const NodeParams = Closed({ node: Type.String({ minLength: 1, maxLength: 63 }) });

export const Voter = Closed({
  name: Type.String(),
  board: Nullable(Type.String({ description: "null: a machine that is no board" })),
  healthy: Type.Boolean(),
});

export const NodeArray = Closed({
  array_id: Type.String(),
  name: Type.String(),
  running: Type.Boolean(),
  health: Type.String(),
  copies: Type.Integer({ description: "in-sync copies of the data that has the fewest" }),
  degraded: Type.Integer(),
  syncing: Type.Boolean(),
  nodes: Type.Array(Type.String(), { description: "boards that run it" }),
});

export const NodeObject = Closed(
  {
    id: Type.String(),
    name: Type.String(),
    here: Type.Boolean({ description: "the board that answers; others tell of themselves" }),
    life: Type.Enum(["up", "silent", "unknown"], {
      description: "silent: not heard of for more than 3 s, or gone",
    }),
    silent_for: Nullable(Type.Number({ description: "seconds since it was heard of" })),
    status: Nullable(
      Closed({
        state: Type.Enum(["in-service", "draining", "drained", "maintenance"]),
        since: Nullable(Time),
        started_at: Time,
        arrays: Type.Array(NodeArray),
        elsewhere: Type.Array(
          Closed({ array_id: Type.String(), addresses: Type.Array(Type.String()) }),
          { description: "where clients of what was drained go on" },
        ),
        quorum: Nullable(Closed({ voters: Type.Array(Voter), problem: Nullable(Type.String()) })),
      }),
    ),
    links: Links,
  },
  { $id: "Node" },
);
export type NodeResource = Static<typeof NodeObject>;

export const NodeList = Closed(
  { items: Type.Array(RefTo(NodeObject)), next_cursor: Nullable(Type.String()) },
  { $id: "NodeList" },
);

export const ArrayImpact = Closed({
  array_id: Type.String(),
  name: Type.String(),
  loss: Type.Enum(["nothing", "redundancy", "data", "outage"]),
  copies_before: Type.Integer(),
  copies_after: Type.Integer(),
  members: Type.Array(Type.String()),
  nodes_after: Type.Array(Type.String()),
  clients: Type.Integer({ description: "clients of this board that attach elsewhere" }),
  dirty_chunks: Type.Integer(),
  dirty_bytes: ByteCount,
  recovery: Nullable(Closed({ low: Type.Integer(), high: Type.Integer() })),
});

export const ImpactObject = Closed(
  {
    subject: Closed({ kind: Type.Enum(["board", "device"]), name: Type.String() }),
    safe: Type.Boolean({ description: "no data, array or quorum is lost" }),
    verdict: Type.Enum(["safe", "degrades", "loses", "unknown"]),
    sentence: Type.String(),
    reasons: Type.Array(Type.String()),
    arrays: Type.Array(ArrayImpact),
    quorum: Nullable(
      Closed({
        voters: Type.Integer(),
        needed: Type.Integer(),
        healthy_before: Type.Integer(),
        healthy_after: Type.Integer(),
        kept: Type.Boolean(),
      }),
    ),
    unjudged: Type.Array(Type.String(), { description: "arrays that this board cannot judge" }),
  },
  { $id: "Impact" },
);
export type ImpactResource = Static<typeof ImpactObject>;

export const ImpactList = Closed(
  { items: Type.Array(RefTo(ImpactObject)), next_cursor: Nullable(Type.String()) },
  { $id: "ImpactList" },
);

export const NodeDrain = Closed(
  {
    mode: Type.Optional(Type.Enum(["drain", "maintenance"])),
    force: Type.Optional(Type.Boolean()),
  },
  { $id: "NodeDrain" },
);

export const NodeRestart = Closed({ force: Type.Optional(Type.Boolean()) }, { $id: "NodeRestart" });
