/**
 * The storage engine as control sees it: arrays that run in their own threads, exports served by
 * the I/O workers. The real one is src/workers/engine-host.ts. Calls reject with `CodedError`.
 */

import type { ClusterView } from "../cluster/node/cluster-view.ts";
import type { PlainError } from "../common/errors.ts";
import type { Logger } from "../common/log.ts";
import type { ExportNotice } from "../nbd/export-backend.ts";
import type { ArrayChange } from "../raid/array-change.ts";
import type { ArrayHappening, ArrayStatus } from "../raid/array-status.ts";
import type { AssemblyReport } from "../raid/assembly-status.ts";
import type { WriteHoldFigures } from "../raid/hold-status.ts";
import type { PeerBoards } from "./peer-boards.ts";

/** A certificate for NBD over TLS (STARTTLS), PEM texts. */
export interface EngineTls {
  readonly certificate: string;
  readonly key: string;
  /** Clients must show a certificate of this authority; null: any client may attach. */
  readonly clientAuthority: string | null;
}

/** How a cluster's store was seen last: one that is another, or behind, is not used. */
export interface SeenStore {
  readonly clusterId: string;
  readonly revision: number;
}

/** The cluster that a board is in. */
export interface EngineCluster {
  /** As clustered arrays name it in their bitmaps. */
  readonly name: string;
  /** The board's name among its nodes; one of them each. */
  readonly node: string;
  /** Client URLs of etcd's members. */
  readonly endpoints: readonly string[];
  /** PEM texts; null: plain HTTP, or HTTPS by the machine's authorities. */
  readonly tls: { readonly ca: string; readonly cert: string; readonly key: string } | null;
  /** etcd's members change by themselves and are asked for now and then. */
  readonly learnsMembers?: boolean;
  /** What is remembered of the store; null: nothing. */
  readonly seen: SeenStore | null;
  /** Null: the board serves no disks to its peers, and uses none of theirs. */
  readonly exporter: EngineExporter | null;
}

/** How a board serves its disks to its peers. */
export interface EngineExporter {
  readonly listen: { readonly host: string; readonly port: number };
  /** The host that peers are told to connect to; null: as `listen` says. */
  readonly advertise: string | null;
  /** PEM texts by which the boards know each other. */
  readonly tls: { readonly ca: string; readonly cert: string; readonly key: string };
}

/** What `openEngine(options)` of src/workers/engine-host.ts takes. */
export interface EngineOptions {
  /** Where NBD listens; port 0 takes a free one, `StorageEngine.nbd` tells which. */
  readonly nbdTcp: { readonly host: string; readonly port: number } | null;
  readonly nbdSocketPath: string | null;
  readonly tls: EngineTls | null;
  /**
   * Exports of arrays that are about to start: clients who ask for one wait until it is opened, or
   * closed because its array did not start.
   */
  readonly comingExports: readonly ExportNotice[];
  /** I/O worker threads, at least 1. */
  readonly ioWorkers: number;
  /** Milliseconds that a member may owe an answer before it is failed; null: no limit. */
  readonly answerLimitMs: number | null;
  /** Of arrays for which `setSyncSpeed` has set no other. */
  readonly syncSpeed: SyncSpeed;
  /** Part of the link to other boards that sync actions may use, above 0 and at most 1. */
  readonly linkShare: number;
  /** Members are used past the page cache (O_DIRECT) where they can be. */
  readonly isDirect: boolean;
  /** Null: the board is in no cluster. */
  readonly cluster: EngineCluster | null;
  /** Told now and then while an array runs in the cluster, to be remembered over restarts. */
  readonly onStoreSeen: (seen: SeenStore) => void;
  /** Allows `setFault`. */
  readonly labMode: boolean;
  /** Goes into set_name and messages. */
  readonly nodeName: string;
  /** Of this program. */
  readonly version: string;
  readonly logger: Logger;
}

/** Errors: NBD_ADDRESS_IN_USE, NBD_ADDRESS_DENIED and NBD_ADDRESS_INVALID name the address. */
export type OpenEngine = (options: EngineOptions) => Promise<StorageEngine>;

/** Speed limits of sync actions in bytes per second. */
export interface SyncSpeed {
  readonly min: number;
  readonly max: number;
}

/** How an array is started; `syncSpeed`: its own limits, from its first sync action on. */
export interface AssembleOrder {
  readonly readOnly: boolean;
  readonly syncSpeed?: SyncSpeed | null;
  /** Although the devices that are there may not hold the newest copy. */
  readonly run?: boolean;
  /**
   * Why it must not be started from them without `run`, as far as this board knows: asked where its
   * cluster knows nothing of the copies. Null, or left out: nothing speaks against it.
   */
  readonly doubt?: PlainError | null;
}

/** One running array. */
export interface RunningArray {
  readonly uuid: string;
  /** The newest snapshot; replaced, never changed in place. */
  readonly status: ArrayStatus;
  /** mdadm --fail: refuses the last in-sync member with RAID_LAST_IN_SYNC_MEMBER. */
  fail(path: string): Promise<void>;
  /** mdadm --remove: only a faulty or spare member, else RAID_MEMBER_NOT_FAULTY. */
  remove(path: string): Promise<void>;
  /** mdadm --add: the member becomes a spare, or is rebuilt at once when a raid slot is empty. */
  add(path: string, options: AddOptions): Promise<void>;
  /** mdadm --re-add: by bitmap, else RAID_RE_ADD_REFUSED with the reason. */
  reAdd(path: string): Promise<void>;
  /**
   * mdadm --replace [--with]: a spare (`withPath`, or any) is written beside the member and takes
   * its raid slot once it holds everything; redundancy never falls. Without a spare the wish stays
   * until there is one (`want_replacement`). RAID_NOT_A_SPARE when `withPath` is none.
   */
  replace(path: string, withPath: string | null): Promise<void>;
  /** sysfs state words `writemostly` and `failfast` of a member. */
  setMemberFlags(
    path: string,
    flags: { readonly writeMostly?: boolean; readonly failfast?: boolean },
  ): Promise<void>;
  /**
   * sysfs sync_action: `check`, `repair`, `idle` (stop the running one), `frozen`. `range`, bytes
   * of the array: where a check or repair begins and ends (sysfs sync_min, sync_max).
   */
  setSyncAction(
    action: "idle" | "check" | "repair" | "frozen",
    range?: { readonly from: number; readonly to: number | null },
  ): Promise<void>;
  /**
   * mdadm --grow and the updates of mdadm --assemble: client I/O waits for a moment, then goes on
   * with the changed array. Refusals change nothing.
   */
  change(change: ArrayChange): Promise<void>;
  setSyncSpeed(speed: SyncSpeed): Promise<void>;
  /** Tells the array that a member's path vanished or changed under it. */
  memberVanished(path: string, reason: string): Promise<void>;
  /** What it knows of its cluster; null of an array that is in none. */
  clusterView(): Promise<ClusterView | null>;
  /** Client writes that waited for the cluster's sake, as of now. */
  readonly writeHolds: WriteHoldFigures;
  /**
   * mdadm --stop: drains, marks clean, closes. Exports of the array must be closed BEFORE. A
   * clustered one that cannot tell its cluster within `limitMs` is given up, as by a crash: the
   * other boards recover what it had under way.
   */
  stop(limitMs?: number): Promise<void>;
}

export interface AddOptions {
  readonly force: boolean;
  /** What an old member holds is not trusted: it is rebuilt whole, whatever its bitmap says. */
  readonly distrust?: boolean;
  readonly writeMostly?: boolean;
  readonly failfast?: boolean;
}

export interface CreateArrayRequest {
  readonly name: string;
  readonly level: "raid1" | "raid10";
  /** `n2`, `f2`, `o3` …; null = mdadm's default for the level. */
  readonly layout: string | null;
  /** Bytes of a raid10 chunk; null = mdadm's default. */
  readonly chunkBytes: number | null;
  /** In raid slot order, then spares; the word `missing` leaves a raid slot empty. */
  readonly members: readonly string[];
  readonly raidDevices: number;
  readonly bitmap: "internal" | "clustered" | "none";
  /** Slots and cluster name of a clustered bitmap. */
  readonly nodes: number;
  readonly clusterName: string;
  /** Members that are written, and read only when no other one can be. */
  readonly writeMostly: readonly string[];
  readonly failfast: readonly string[];
  readonly bitmapChunkBytes: number | null;
  readonly metadata: "1.0" | "1.1" | "1.2";
  readonly assumeClean: boolean;
  readonly force: boolean;
  /** Bytes to use of each member; null = as much as fits. */
  readonly sizeBytes: number | null;
}

/** What a device holds, read from its superblocks. */
export interface DeviceProbe {
  readonly path: string;
  readonly sizeBytes: number;
  readonly logicalBlockSize: number;
  readonly readOnly: boolean;
  /** md superblock found, if any. */
  readonly md: {
    readonly arrayUuid: string;
    readonly deviceUuid: string;
    readonly name: string;
    readonly level: string;
    readonly raidDevices: number;
    readonly events: number;
    readonly metadata: string;
    readonly role: string;
    /** Boards of a cluster may run it; absent: not known. */
    readonly isClustered?: boolean;
  } | null;
  /** Other signatures found: "ext4", "gpt", "xfs" … */
  readonly signatures: readonly string[];
  /** Why it cannot be used, if so. */
  readonly problem: { readonly code: string; readonly message: string } | null;
}

export interface ExportSpec {
  readonly name: string;
  readonly arrayUuid: string;
  readonly description: string;
  readonly readOnly: boolean;
  readonly tlsRequired: boolean;
}

/** One NBD connection as the workers report it. */
export interface ExportClient {
  readonly id: string;
  readonly exportName: string;
  readonly peer: string;
  readonly tls: boolean;
  readonly connectedAt: number;
  readonly readBytes: number;
  readonly writtenBytes: number;
}

/** Counters since start, summed over workers. */
export interface IoCounters {
  /** Per NBD command and error: `{ "read:0": 12, "write:5": 1 }`. */
  readonly nbdRequests: Readonly<Record<string, number>>;
  readonly readBytes: number;
  readonly writtenBytes: number;
  readonly readOps: number;
  readonly writeOps: number;
  readonly flushOps: number;
  /**
   * Histogram of request latency in seconds per op: ascending upper bounds, and counts per bucket
   * (not summed up), one more than bounds: the last counts what is above the last bound.
   */
  readonly latency: Readonly<
    Record<
      "read" | "write" | "flush",
      {
        readonly bounds: readonly number[];
        readonly counts: readonly number[];
        readonly sum: number;
      }
    >
  >;
}

/** A fault laid over one member, in lab mode. Source: words of nbdkit's error and delay filters. */
export interface MemberFault {
  readonly path: string;
  readonly kind: "read-error" | "write-error" | "flush-error" | "stall";
  /** Let this many calls of the kind pass first. */
  readonly after: number;
  /** Fail (or stall) this many calls; null = until cleared. */
  readonly count: number | null;
  /** Only calls touching [offset, offset + length) of the member; null = all. */
  readonly range: { readonly offset: number; readonly length: number } | null;
  /** Milliseconds, for `stall`. */
  readonly stallMs: number;
}

export interface StorageEngine {
  /** Boards that serve their disks to each other; null: this one does not. */
  readonly peers: PeerBoards | null;
  /**
   * The board's disks are served from now on, and those of its peers seen. `api`: URL of its API.
   * Errors: NBD_ADDRESS_*.
   */
  share(api: string): Promise<void>;
  /** Cluster that this board is in; null: clustered arrays are read here, never written. */
  readonly cluster: string | null;
  /** Never rejects for what it finds: a path that is gone or unfit has a `problem`. */
  probe(path: string): Promise<DeviceProbe>;
  /**
   * What `assemble` would say to these paths, and what their superblocks tell. Reads only, and
   * never rejects for what it finds; members of running arrays may be among the paths.
   */
  examine(paths: readonly string[]): Promise<AssemblyReport>;
  /**
   * Bytes that the bitmap on the device marks: where it may be unlike other members. Null when
   * there is none that can be read. Reads only.
   */
  markedBytes(path: string): Promise<number | null>;
  /**
   * Writes fresh metadata, then assembles. Nothing is written when it refuses. `uuid` becomes the
   * array's, in the kernel's text form; a fresh one without it.
   */
  create(request: CreateArrayRequest, uuid?: string): Promise<RunningArray>;
  /**
   * Starts the array from these members; freshest wins. A refusal is a CodedError with
   * `details.members: { path, reason }[]`, one per path given.
   */
  assemble(paths: readonly string[], options: AssembleOrder): Promise<RunningArray>;
  onStatus(listener: (uuid: string, status: ArrayStatus) => void): void;
  /**
   * `sync.finished` carries `details.action` and `details.outcome` (`done`, `cancelled`, `failed`
   * or `interrupted`) and comes BEFORE the status whose `sync` is null.
   */
  onHappening(listener: (uuid: string, happening: ArrayHappening) => void): void;
  /**
   * The array runs no more, though nobody stopped it: its cluster goes on without this board, or
   * (`isBroken`) it is broken here, so the board has left. What its clients had under way has
   * failed; its exports are still to be closed.
   */
  onExpelled(listener: (uuid: string, reason: string, isBroken: boolean) => void): void;
  /**
   * Sets who looks for a device that another board adds: its path here by its device_uuid (32
   * hexadecimal digits), or null.
   */
  setDeviceFinder(find: (deviceUuid: string) => Promise<string | null>): void;
  openExport(spec: ExportSpec): Promise<void>;
  /**
   * Closes the export and its connections after draining requests under way, or gives up one that
   * was to come. `coming`: it is to be opened again, and clients who ask meanwhile wait for it;
   * `reason`: what those are told who ask for it until it is opened.
   */
  closeExport(name: string, coming?: ExportNotice | null, reason?: string): Promise<void>;
  clients(): readonly ExportClient[];
  counters(): IoCounters;
  /** Where NBD listens, as URIs to build attach commands from. */
  readonly nbd: {
    readonly tcp: { readonly host: string; readonly port: number } | null;
    readonly socketPath: string | null;
  };
  /** Lab mode only, else HAL_LAB_MODE_OFF. */
  setFault(fault: MemberFault): Promise<void>;
  clearFaults(path: string): Promise<void>;
  faults(): readonly MemberFault[];
  /** Stops every array, then the workers. */
  close(): Promise<void>;
}
