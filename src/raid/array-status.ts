/**
 * What an array tells the world about itself: plain values, posted by the array thread on every
 * change, read by control, API, CLI and panel. md's words. Sizes and positions are bytes, rates
 * bytes per second, times milliseconds since the epoch unless the name says otherwise.
 */

/** sysfs `array_state` values in use. Source: Documentation/admin-guide/md.rst. */
export type ArrayStateWord =
  | "clear"
  | "inactive"
  | "readonly"
  | "clean"
  | "active"
  | "write-pending"
  | "active-idle"
  | "broken";

/** sysfs `sync_action` values in use. */
export type SyncActionWord = "idle" | "resync" | "recover" | "check" | "repair" | "frozen";

/** Why a sync action runs. */
export type SyncReason =
  | "initial"
  | "unclean-shutdown"
  | "array-changed"
  | "device-added"
  | "re-add"
  | "spare-activated"
  | "user";

/**
 * Flags of a member, several at once; `missing` and `removed` name empty raid slots. Beside
 * `in_sync`, `missing` is the last in-sync member whose file is gone.
 */
export type MemberStateWord =
  | "in_sync"
  | "faulty"
  | "spare"
  | "blocked"
  | "write_error"
  | "want_replacement"
  | "replacement"
  | "writemostly"
  | "failfast"
  | "rebuilding"
  | "missing"
  | "removed";

export interface MemberStatus {
  /** Path of the member as it was given; null for an empty raid slot. */
  readonly path: string | null;
  /** device_uuid of the superblock, md's text form; null for an empty raid slot. */
  readonly deviceUuid: string | null;
  /** Position in the array; null for spares and for members without a role. */
  readonly raidSlot: number | null;
  /** Index into dev_roles; null for an empty raid slot. */
  readonly deviceNumber: number | null;
  readonly states: readonly MemberStateWord[];
  /** Bytes already rebuilt, while `rebuilding`. */
  readonly recoveryOffset: number | null;
  readonly readErrorsCorrected: number;
  /** Read errors that count against the budget: halved every hour. */
  readonly readErrors: number;
  /** Entries of its bad-block list. */
  readonly badBlocks: number;
  /** An I/O on this member has been under way for longer than a second, since this time. */
  readonly stalledSince: number | null;
  /** Why the member is faulty or missing, in words; null when it is not. */
  readonly faultReason: string | null;
}

/**
 * Why a sync action crawls: beside clients only the guaranteed speed is kept; it may use a share of
 * the link to other boards only; other nodes have to
 * hold their writes in a window first.
 */
export type SyncHold = "clients" | "link" | "speed-limit" | "nodes";

export interface SyncStatus {
  readonly action: SyncActionWord;
  readonly reason: SyncReason;
  /** `full`: every chunk; `bitmap`: only chunks whose bit is set. */
  readonly scope: "full" | "bitmap";
  /** True while nothing is copied: the speed limit, clients or other nodes hold it back. */
  readonly paused: boolean;
  /** What it waits for most of the time, paused or not; null: it copies for most of it. */
  readonly heldBy: SyncHold | null;
  readonly startedAt: number;
  /** Bytes settled (copied, compared or skipped), never above `totalBytes`, never falling. */
  readonly completedBytes: number;
  readonly totalBytes: number;
  /** Bytes actually copied or compared, and bytes the bitmap let it skip. */
  readonly copiedBytes: number;
  readonly skippedBytes: number;
  readonly speedBytesPerSecond: number;
  /** Seconds until done, a range; null while unknown. */
  readonly eta: { readonly low: number; readonly high: number } | null;
}

export type ArrayHealth =
  | "optimal"
  | "building"
  | "resyncing"
  | "degraded"
  | "recovering"
  | "failed"
  | "inactive"
  | "unknown";

/** What the array thread knows of the nodes that run the array. */
export interface ArrayPeersStatus {
  readonly phase: "joining" | "joined" | "entered" | "leaving" | "left" | "lost";
  /** Those that are members now, this one too; `slot`: number of its bitmap, from 0. */
  readonly nodes: readonly { readonly slot: number; readonly node: string }[];
  /** What is waited for, in one sentence; null: nothing. */
  readonly awaited: string | null;
  /** Keys of the cluster store that hold something else, as `lk/resync`; what needs them waits. */
  readonly damaged: readonly {
    readonly key: string;
    readonly code: string;
    readonly message: string;
  }[];
}

export interface ArrayStatus {
  /** set_uuid in the kernel's text form (8-4-4-4-12, lower case). */
  readonly uuid: string;
  /** set_name without the `homehost:` part. */
  readonly name: string;
  readonly level: "raid1" | "raid10";
  /** mdadm's words, `near=2`; null for raid1. */
  readonly layout: string | null;
  /** Bytes of a raid10 chunk; null for raid1. */
  readonly chunkBytes: number | null;
  /** Bytes that the array uses of each member (the component size). */
  readonly memberBytes: number;
  /** Smallest unit that every member writes without read-modify-write: 512 or 4096. */
  readonly logicalBlockBytes: number;
  readonly metadata: "1.0" | "1.1" | "1.2";
  readonly raidDevices: number;
  /** Array size in bytes. */
  readonly sizeBytes: number;
  readonly createdAt: number;
  readonly arrayState: ArrayStateWord;
  readonly health: ArrayHealth;
  readonly degraded: number;
  readonly inSyncCopies: number;
  readonly events: number;
  /** Sectors found different by the last check or repair. */
  readonly mismatchCount: number;
  /** Where, in bytes of the array, ascending; the first ones when there are too many. */
  readonly mismatches: {
    readonly ranges: readonly { readonly offset: number; readonly length: number }[];
    readonly truncated: boolean;
  };
  readonly consistencyPolicy: "resync" | "bitmap";
  readonly bitmap: {
    readonly type: "internal" | "clustered" | "none";
    readonly chunkBytes: number;
    readonly dirtyChunks: number;
    readonly totalChunks: number;
    readonly delaySeconds: number;
    /** Slots of a clustered bitmap; 0 otherwise. */
    readonly nodes: number;
    /** The cluster's name of a clustered bitmap; empty otherwise. */
    readonly clusterName: string;
  };
  readonly members: readonly MemberStatus[];
  readonly sync: SyncStatus | null;
  /** Null on a board that shares the array with nobody. */
  readonly cluster: ArrayClusterStatus | null;
  readonly syncSpeedMin: number;
  readonly syncSpeedMax: number;
  /** Of an array that runs in a cluster; the array thread adds it. */
  readonly peers?: ArrayPeersStatus;
}

/** What a node of a cluster can say of its part in it. */
export interface ArrayClusterStatus {
  /** Number of its bitmap, from 0. */
  readonly slot: number;
  /**
   * As /proc/mdstat has it: a sync action is due here and waits for another node (PENDING); another
   * node resyncs a range (REMOTE).
   */
  readonly resync: "PENDING" | "REMOTE" | null;
  /** What waits. */
  readonly pendingAction: SyncActionWord | null;
  /** Bytes that other nodes resync: no write begins there. */
  readonly remote: readonly {
    readonly slot: number;
    readonly from: number;
    readonly to: number;
  }[];
  /** False while all reads go to the first in-sync copy. */
  readonly balancesReads: boolean;
  /** Bitmaps of nodes that are gone, on their way into this node's. */
  readonly recovering: readonly number[];
  /** Why the others go on without this node, by their will or by its own; null: they do not. */
  readonly expelled: string | null;
}

/** Something that happened in an array; control stamps it with id and subject and stores it. */
export interface ArrayHappening {
  readonly type:
    | "array.degraded"
    | "array.broken"
    | "member.failed"
    | "member.added"
    | "member.removed"
    | "member.readded"
    | "member.stalled"
    | "member.not-direct"
    | "member.read-error-corrected"
    | "member.bad-block"
    | "member.replacing"
    | "member.replaced"
    | "array.changed"
    | "spare.active"
    | "sync.started"
    | "sync.finished"
    | "metadata.updated"
    | "cluster.bad-slot"
    | "cluster.joined"
    | "cluster.entered"
    | "cluster.left"
    | "cluster.node-lost"
    | "cluster.node-joined"
    | "cluster.node-fenced"
    | "cluster.recovering"
    | "cluster.recovered"
    | "cluster.message-ignored"
    | "cluster.taking-over"
    | "cluster.damaged"
    | "cluster.device-passed-over"
    | "cluster.expelled";
  readonly severity: "info" | "warning" | "critical";
  readonly time: number;
  /** One sentence for people. */
  readonly message: string;
  readonly details: Readonly<Record<string, string | number | boolean | null>>;
}
