/** The cluster that the board looks after: boards, witnesses, votes, tokens to join. */

import { type Static, Type } from "typebox";
import { ByteCount, Closed, Links, Nullable, RefTo, Time } from "./common.ts";

const BoardName = Type.String({ pattern: "^[A-Za-z0-9][A-Za-z0-9.-]{0,62}$" });
const ClusterName = Type.String({ pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$" });
const Force = Type.Optional(Type.Boolean());

/** One board or witness. */
export const ClusterMember = Closed(
  {
    id: Type.String({ description: "stays when it is renamed" }),
    name: Type.String(),
    role: Type.Enum(["board", "witness"]),
    here: Type.Boolean({ description: "the board that answers" }),
    state: Type.Enum(["online", "silent", "unknown", "offline", "leaving"], {
      description:
        "silent: not heard of for more than 5 s; unknown: etcd does not answer, so nobody is heard of",
    }),
    silent_for: Nullable(Type.Number({ description: "seconds since it was heard of" })),
    address: Type.String({ description: "HOST:PORT of its cluster port; empty for a witness" }),
    vote: Type.Enum(["none", "learner", "voter"]),
    answers: Nullable(Type.Boolean({ description: "its member of etcd; null: it has none" })),
    elected: Type.Boolean({ description: "its member of etcd orders the writes now" }),
    database_bytes: Nullable(ByteCount),
    version: Type.String(),
    etcd_version: Type.String(),
    remark: Type.String(),
  },
  { $id: "ClusterMember" },
);

/** The cluster. */
export const ClusterObject = Closed(
  {
    name: Nullable(Type.String({ description: "null: the board is in none" })),
    board: Type.String(),
    managed: Type.Boolean({ description: "false: the configuration file names it" }),
    quorum: Type.Enum(["none", "unknown", "quorate", "at-risk", "lost"], {
      description: "none: one board alone, or no cluster",
    }),
    voters: Type.Integer(),
    spare_votes: Type.Integer({ description: "voters that may still be lost" }),
    sentences: Type.Array(Type.String(), { description: "what it survives and what not" }),
    warnings: Type.Array(Type.String()),
    next_step: Nullable(Type.String({ description: "what is being changed about votes" })),
    fingerprint: Nullable(Type.String({ description: "SHA-256 of the CA's certificate" })),
    certificate: Nullable(Type.String({ description: "the CA's certificate, PEM" })),
    members: Type.Array(RefTo(ClusterMember)),
    refused: Type.Array(Closed({ name: Type.String(), serial: Type.String() }), {
      description: "certificates that nobody accepts any more",
    }),
    links: Links,
  },
  { $id: "Cluster" },
);
export type ClusterResource = Static<typeof ClusterObject>;

export const ClusterCreate = Closed({ name: ClusterName }, { $id: "ClusterCreate" });

export const ClusterJoin = Closed(
  {
    token: Type.String({ minLength: 1, maxLength: 1024 }),
    name: Type.Optional(BoardName),
  },
  { $id: "ClusterJoin" },
);

export const ClusterLeave = Closed({ force: Force }, { $id: "ClusterLeave" });

export const NodeEvict = Closed(
  {
    force: Type.Optional(
      Type.Boolean({
        description: "although arrays lose a copy; or it is off, and will not come back as it was",
      }),
    ),
  },
  { $id: "NodeEvict" },
);

export const NodePatch = Closed({ name: BoardName, force: Force }, { $id: "NodePatch" });

/** A token, without its secret. */
export const JoinTokenObject = Closed(
  {
    id: Type.String(),
    role: Type.Enum(["board", "witness"]),
    replaces: Nullable(Type.String()),
    created_at: Time,
    expires_at: Time,
    used_at: Nullable(Time),
  },
  { $id: "JoinToken" },
);

export const JoinTokenList = Closed(
  { items: Type.Array(RefTo(JoinTokenObject)), next_cursor: Nullable(Type.String()) },
  { $id: "JoinTokenList" },
);

export const JoinTokenCreate = Closed(
  {
    role: Type.Optional(Type.Enum(["board", "witness"])),
    replaces: Type.Optional(BoardName),
  },
  { $id: "JoinTokenCreate" },
);

/** Shown once. */
export const NewJoinToken = Closed(
  {
    id: Type.String(),
    token: Type.String(),
    expires_at: Time,
    command: Type.String({ description: "what to type on the newcomer" }),
  },
  { $id: "NewJoinToken" },
);
export type JoinTokenResource = Static<typeof JoinTokenObject>;
export type NewJoinTokenResource = Static<typeof NewJoinToken>;

export const JoinTokenParams = Closed({ token_id: Type.String({ minLength: 1, maxLength: 64 }) });

export const WitnessParams = Closed({ witness: BoardName });

export const WitnessQuery = Closed({ force: Force });

export const WitnessList = Closed(
  { items: Type.Array(RefTo(ClusterMember)), next_cursor: Nullable(Type.String()) },
  { $id: "WitnessList" },
);

/** A board of the network that told of itself. */
export const DiscoveredNode = Closed(
  {
    name: Type.String(),
    cluster: Nullable(Type.String()),
    api: Type.String({ description: "URL of its API; empty when only itself can reach it" }),
    version: Type.String(),
    addresses: Type.Array(Type.String()),
  },
  { $id: "DiscoveredNode" },
);

export const DiscoveredNodeList = Closed(
  { items: Type.Array(RefTo(DiscoveredNode)), next_cursor: Nullable(Type.String()) },
  { $id: "DiscoveredNodeList" },
);
export type DiscoveredNodeResource = Static<typeof DiscoveredNode>;
