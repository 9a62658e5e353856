/**
 * Arrays: `config` is what a user may set, `status` what is observed. The words are md's
 * (array_state, sync action, member states); `health` and the reasons are ours.
 */

import { type Static, Type } from "typebox";
import { ByteCount, Closed, Links, Nullable, PageOf, RefTo, Time } from "./common.ts";
import { DamagedKey } from "./dlm.ts";
import { Member } from "./member.ts";

/** sysfs `array_state`. Source: Documentation/admin-guide/md.rst. */
export const ArrayState = Type.Enum([
  "clear",
  "inactive",
  "readonly",
  "clean",
  "active",
  "write-pending",
  "active-idle",
  "broken",
]);

/** The eight words of health; the worst reason wins, a running check never changes it. */
export const Health = Type.Enum([
  "optimal",
  "building",
  "resyncing",
  "degraded",
  "recovering",
  "failed",
  "inactive",
  "unknown",
]);
export type HealthWord = Static<typeof Health>;

export const HealthReason = Closed({
  code: Type.Enum([
    "member-failed",
    "member-missing",
    "member-rebuilding",
    "member-stalled",
    "cluster-store-damaged",
    "last-member-gone",
    "no-spare",
    "initial-resync",
    "resync-running",
    "array-failed",
    "stopped",
    "not-started",
  ]),
  message: Type.String(),
  slot: Nullable(Type.Integer()),
  device_id: Nullable(Type.String()),
  since: Nullable(Time),
});
export type HealthReasonResource = Static<typeof HealthReason>;

/** sysfs `sync_action`. */
export const SyncActionWord = Type.Enum(["idle", "resync", "recover", "check", "repair", "frozen"]);

/** Seconds until done, as a range. */
export const Eta = Closed({ low: Type.Number(), high: Type.Number() });

export const Sync = Closed(
  {
    action: SyncActionWord,
    sub_state: Type.Enum(
      ["running", "paused", "yielding", "sharing-link", "limited", "awaiting-nodes"],
      {
        description:
          "what it does for most of the time: beside clients it is `yielding` beyond the guaranteed speed, `sharing-link` where it keeps to its share of the network, `limited` by the speed limit, or `awaiting-nodes`: other nodes have to hold their writes first",
      },
    ),
    reason: Type.Enum([
      "initial",
      "unclean-shutdown",
      "array-changed",
      "device-added",
      "re-add",
      "spare-activated",
      "user",
    ]),
    scope: Type.Enum(["full", "bitmap"]),
    node: Type.String(),
    started_at: Time,
    completed: ByteCount,
    total: ByteCount,
    percent: Type.Number({ minimum: 0, maximum: 100 }),
    copied: ByteCount,
    skipped_by_bitmap: ByteCount,
    speed: Type.Number({ description: "bytes per second" }),
    eta: Nullable(Eta),
    job_id: Nullable(Type.String()),
  },
  { $id: "Sync" },
);
export type SyncResource = Static<typeof Sync>;

export const ArrayConfig = Closed({
  level: Type.Enum(["raid1", "raid10"]),
  raid_devices: Type.Integer(),
  layout: Nullable(Type.String({ description: "raid10: n2, f2, o3 …" })),
  chunk_size: Nullable(ByteCount),
  size: Type.Integer({ minimum: 0, description: "bytes of the array" }),
  member_size: Type.Integer({ minimum: 0, description: "bytes used of each member" }),
  logical_block_size: Type.Integer({ description: "settled when the array is created" }),
  metadata: Type.Enum(["1.0", "1.1", "1.2"]),
  bitmap: Closed({
    type: Type.Enum(["internal", "clustered", "none"]),
    chunk_size: ByteCount,
    delay: Type.Number({ description: "seconds until a clean chunk's bit is cleared" }),
    nodes: Type.Integer({ description: "slots of a clustered bitmap, else 0" }),
  }),
  home_cluster: Nullable(Type.String({ description: "cluster that a clustered array belongs to" })),
  desired_state: Type.Enum(["started", "stopped"]),
  sync_speed_min: ByteCount,
  sync_speed_max: ByteCount,
});

export const ArrayCluster = Closed({
  slot: Type.Integer({ description: "bitmap slot of this node, from 0" }),
  phase: Type.Enum(["joining", "joined", "entered", "leaving", "left", "lost"]),
  nodes: Type.Array(Closed({ slot: Type.Integer(), node: Type.String() })),
  resync: Nullable(
    Type.Enum(["PENDING", "REMOTE"], {
      description: "as /proc/mdstat: waits for another node; another node resyncs",
    }),
  ),
  pending_action: Nullable(SyncActionWord),
  remote: Type.Array(Closed({ slot: Type.Integer(), from: ByteCount, to: ByteCount }), {
    description: "bytes that other nodes resync just now",
  }),
  balances_reads: Type.Boolean({ description: "else all reads go to the first copy" }),
  recovering: Type.Array(Type.Integer(), {
    description: "bitmap slots of nodes that are gone, on their way into this node's",
  }),
  awaited: Nullable(Type.String({ description: "what is waited for, in one sentence" })),
  damaged: Type.Array(DamagedKey),
});

export const ArrayObserved = Closed({
  array_state: ArrayState,
  health: Health,
  health_reasons: Type.Array(HealthReason),
  degraded: Type.Integer(),
  in_sync_copies: Type.Integer(),
  survives: Closed({ devices: Type.Integer({ description: "members that may fail now" }) }),
  events: Type.Integer(),
  mismatch_count: Type.Integer({ description: "sectors found different by the last check" }),
  mismatch_ranges: Type.Integer({ description: "ranges that `mismatches` lists" }),
  consistency_policy: Type.Enum(["none", "resync", "bitmap"]),
  members: Type.Array(RefTo(Member)),
  sync: Nullable(RefTo(Sync)),
  bitmap: Nullable(Closed({ dirty: Type.Integer(), total: Type.Integer() })),
  cluster: Nullable(ArrayCluster),
  exports: Type.Array(Type.String({ description: "ids of its exports" })),
});

export const ArrayObject = Closed(
  {
    id: Type.String({ description: "set_uuid, 8-4-4-4-12" }),
    name: Type.String(),
    config: ArrayConfig,
    status: ArrayObserved,
    links: Links,
    created_at: Time,
    updated_at: Time,
  },
  { $id: "Array" },
);
export type ArrayResource = Static<typeof ArrayObject>;

export const ArrayList = PageOf(RefTo(ArrayObject), "ArrayList");

/** DELETE /arrays/{array}: mdadm --stop; `confirm` is the array's name. */
export const ArrayStop = Closed(
  {
    confirm: Type.Optional(Type.String({ maxLength: 64 })),
    force: Type.Optional(
      Type.Boolean({ default: false, description: "stop it under attached clients" }),
    ),
    forget: Type.Optional(
      Type.Boolean({ default: false, description: "drop it and its exports from the list" }),
    ),
  },
  { $id: "ArrayStop" },
);

export const ArrayParams = Closed({
  array: Type.String({ minLength: 1, maxLength: 64, description: "uuid, or name if unique" }),
});
