/**
 * What the nodes of clustered arrays know of each other: locks and who waits for them, messages,
 * nodes, and the writes that were held. The words are the DLM's and md-cluster's. Slots are bitmap
 * slots, from 0; ranges are sectors of the array, `hi` is beyond the last one.
 */

import { type Static, Type } from "typebox";
import { Closed, Links, Nullable, RefTo, Time } from "./common.ts";

const Slot = Type.Integer({ minimum: 0, description: "bitmap slot, from 0" });

export const ClusterPhase = Type.Enum(["joining", "joined", "entered", "leaving", "left", "lost"]);

const LockMode = Nullable(Type.String({ description: "NL, CR, CW, PR, PW or EX" }));

export const LockHolder = Closed({
  slot: Slot,
  node: Type.String(),
  granted: LockMode,
  requested: LockMode,
});

const SectorRange = Closed({ lo: Type.Integer(), hi: Type.Integer() });

export const Lock = Closed({
  resource: Type.String({ description: "token, message, ack, no-new-dev, resync, bitmapNNNN" }),
  granted: Type.Array(LockHolder),
  converting: Type.Array(LockHolder),
  waiting: Type.Array(LockHolder),
  lvb_invalid: Type.Boolean(),
  range: Nullable(SectorRange),
});
export type LockResource = Static<typeof Lock>;

export const ClusterMessage = Closed({
  seq: Type.Integer(),
  name: Type.String({ description: "METADATA_UPDATED, RESYNCING …" }),
  origin: Slot,
  done: Type.Boolean(),
  awaited: Type.Array(Closed({ slot: Slot, what: Type.Enum(["process", "fence"]) })),
});

export const HeldWrites = Closed({
  by_range: Type.Integer({ description: "writes that waited where another node resyncs" }),
  by_gate: Type.Integer({ description: "writes that waited for the permission to do I/O" }),
  held: Type.Integer({ description: "writes that wait now" }),
  p50: Type.Number({ description: "seconds that the others had waited" }),
  p99: Type.Number(),
  max: Type.Number(),
});

const ClusterNode = Closed({
  slot: Slot,
  node: Type.String(),
  address: Type.String(),
  epoch: Type.Integer(),
  me: Type.Boolean(),
});

const ClusterSlot = Closed({
  slot: Slot,
  condition: Type.Enum(["free", "live", "gone", "dead", "recovering", "damaged"]),
  recovered_by: Nullable(Slot),
});

export const DamagedKey = Closed({
  key: Type.String({ description: "without the array's prefix: ch, lk/resync" }),
  code: Type.String({ description: "CLUSTER_BAD_CHANNEL, CLUSTER_BAD_RECORD, DLM_BAD_RESOURCE" }),
  message: Type.String(),
});

const TraceEntry = Closed({
  at: Time,
  what: Type.Enum(["lock", "ast", "bast", "message", "call", "answer", "notice", "member"]),
  text: Type.String(),
});

export const ArrayDlm = Closed(
  {
    array: Type.String({ description: "uuid" }),
    name: Type.String(),
    cluster: Type.String(),
    protocol: Type.Enum(["channel", "literal"]),
    phase: ClusterPhase,
    slot: Slot,
    epoch: Type.Integer({ description: "of this node's session: another one for each join" }),
    nodes: Type.Integer({ description: "bitmaps of the array: most nodes that may run it" }),
    members: Type.Array(ClusterNode),
    slots: Type.Array(ClusterSlot),
    locks: Type.Array(Lock),
    damaged: Type.Array(DamagedKey, {
      description: "keys of the store that hold something else: what needs them waits",
    }),
    message: Nullable(ClusterMessage),
    ranges: Type.Array(Closed({ slot: Slot, lo: Type.Integer(), hi: Type.Integer() })),
    balancing_suspended: Type.Boolean(),
    awaited: Nullable(Type.String({ description: "what is waited for, in one sentence" })),
    waits: Type.Array(Type.String()),
    calls: Type.Array(
      Closed({ call: Type.String(), seconds: Type.Number({ description: "unanswered for" }) }),
    ),
    held_writes: HeldWrites,
    trace: Type.Array(TraceEntry),
    links: Links,
  },
  { $id: "ArrayDlm" },
);
export type ArrayDlmResource = Static<typeof ArrayDlm>;

export const ArrayAbsence = Closed(
  {
    array: Type.String({ description: "uuid" }),
    name: Type.String(),
    cluster: Type.String(),
    desired_state: Type.Enum(["started", "stopped"]),
    code: Nullable(Type.String({ description: "null: stopped by request, or being started" })),
    message: Type.String({ description: "why it has no locks now" }),
    remedy: Type.String(),
    tries_again: Type.Boolean({ description: "the board joins by itself once it can" }),
    links: Links,
  },
  { $id: "ArrayAbsence" },
);
export type ArrayAbsenceResource = Static<typeof ArrayAbsence>;

export const Dlm = Closed(
  {
    cluster: Nullable(Type.String({ description: "null: the board is in none" })),
    items: Type.Array(RefTo(ArrayDlm)),
    absent: Type.Array(RefTo(ArrayAbsence), {
      description: "clustered arrays that this board does not run in their cluster now",
    }),
  },
  { $id: "Dlm" },
);
export type DlmResource = Static<typeof Dlm>;
