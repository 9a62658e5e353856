/**
 * Changes of a running array: name, size, raid devices, bitmap, cluster, speed limits. What a user
 * wants becomes the changes that lead there; they run in order, as one job. The array keeps serving
 * its clients.
 */

import { CodedError, fromPlainError } from "../common/errors.ts";
import type { ArrayChange } from "../raid/array-change.ts";
import type { ArrayStatus } from "../raid/array-status.ts";
import type { ArrayService } from "./array-service.ts";
import { refusePeersDisks, refuseWithoutCluster } from "./cluster-check.ts";
import type { RunningArray, StorageEngine } from "./engine.ts";
import type { Job } from "./job.ts";
import type { JobOutcome, JobService } from "./job-service.ts";
import { subjectOf } from "./subject.ts";

/** What to change; absent fields stay. Sizes in bytes, speeds in bytes per second. */
export interface ArrayPatch {
  readonly name?: string;
  /** Bytes used of each member; `max`: as much as the smallest has. */
  readonly sizeBytes?: number | "max";
  readonly raidDevices?: number;
  readonly bitmap?: {
    readonly type?: "none" | "internal" | "clustered";
    readonly chunkBytes?: number;
    readonly nodes?: number;
  };
  readonly clusterName?: string;
  /** `force`: also where lists have entries; such a member is recovered whole. */
  readonly badBlockList?: { readonly enabled: boolean; readonly force: boolean };
  readonly speedMin?: number;
  readonly speedMax?: number;
}

/** What the commands need. */
export interface ArrayChangeCommandsOptions {
  readonly engine: StorageEngine;
  readonly arrays: ArrayService;
  readonly jobs: JobService;
}

const NODES_DEFAULT = 4;
const CLUSTER_NAME_DEFAULT = "satsuma";

/**
 * The bitmap change that a wish comes to; null when the bitmap is like that already. `cluster`: the
 * board's, whose name a clustered bitmap gets when nobody gives one.
 */
const bitmapChange = (
  status: ArrayStatus,
  patch: ArrayPatch,
  cluster: string | null,
): ArrayChange | null => {
  const wish = patch.bitmap ?? {};
  const now = status.bitmap;
  const type = wish.type ?? now.type;
  if (wish.nodes !== undefined && type !== "clustered") {
    throw new CodedError("RAID_BAD_CLUSTER", `a bitmap of type ${type} has no nodes`, {
      remedy: "ask for a clustered bitmap, or leave nodes out",
    });
  }
  if (wish.chunkBytes !== undefined && type === "none") {
    throw new CodedError("RAID_BAD_BITMAP_CHUNK", "an array without a bitmap has no bitmap chunk", {
      remedy: "ask for an internal or clustered bitmap, or leave the chunk out",
    });
  }
  const isOtherChunk = wish.chunkBytes !== undefined && wish.chunkBytes !== now.chunkBytes;
  if (type !== now.type || isOtherChunk) {
    const isClustered = type === "clustered";
    const known = now.clusterName === "" ? (cluster ?? CLUSTER_NAME_DEFAULT) : now.clusterName;
    return {
      type: "bitmap",
      bitmap: type,
      chunkBytes: wish.chunkBytes ?? null,
      nodes: isClustered ? (wish.nodes ?? (now.nodes || NODES_DEFAULT)) : 0,
      clusterName: isClustered ? (patch.clusterName ?? known) : "",
    };
  }
  return wish.nodes !== undefined && wish.nodes !== now.nodes
    ? { type: "nodes", nodes: wish.nodes }
    : null;
};

const clusterChange = (status: ArrayStatus, patch: ArrayPatch): ArrayChange | null => {
  const { clusterName } = patch;
  if (clusterName === undefined || clusterName === status.bitmap.clusterName) {
    return null;
  }
  if (status.bitmap.type === "clustered") {
    return { type: "home-cluster", clusterName };
  }
  if (patch.bitmap?.type === "clustered") {
    return null;
  }
  const message = `the bitmap of ${status.name} is ${status.bitmap.type}: it names no cluster`;
  throw new CodedError("RAID_BAD_CLUSTER", message, {
    remedy: "ask for a clustered bitmap too, or leave the cluster out",
  });
};

/** The changes from `status` to what `patch` wants, in the order in which they are made. */
export function changesOf(
  status: ArrayStatus,
  patch: ArrayPatch,
  cluster: string | null,
): ArrayChange[] {
  const { name, sizeBytes, raidDevices, badBlockList } = patch;
  const changes: (ArrayChange | null)[] = [
    name === undefined || name === status.name ? null : { type: "name", name },
    clusterChange(status, patch),
    // A clustered array has no such lists: they go before its bitmap comes.
    badBlockList === undefined ? null : { type: "bad-block-list", ...badBlockList },
    patch.bitmap === undefined ? null : bitmapChange(status, patch, cluster),
    sizeBytes === undefined || sizeBytes === status.memberBytes
      ? null
      : { type: "size", sizeBytes },
    raidDevices === undefined || raidDevices === status.raidDevices
      ? null
      : { type: "raid-devices", count: raidDevices },
  ];
  return changes.filter((change) => change !== null);
}

/** What is done, for the job's log and its result. */
const changeWord = (change: ArrayChange): string => {
  switch (change.type) {
    case "size":
      return `size ${change.sizeBytes}`;
    case "raid-devices":
      return `raid devices ${change.count}`;
    case "bitmap":
      return `bitmap ${change.bitmap}`;
    case "name":
      return `name ${change.name}`;
    case "home-cluster":
      return `home cluster ${change.clusterName}`;
    case "nodes":
      return `nodes ${change.nodes}`;
    case "bad-block-list":
      return `bad-block list ${change.enabled ? "on" : "off"}`;
    default:
      return change.type;
  }
};

/** Grow and change. */
export class ArrayChangeCommands {
  readonly #options: ArrayChangeCommandsOptions;

  constructor(options: ArrayChangeCommandsOptions) {
    this.#options = options;
  }

  /**
   * Sets the speed limits at once, and makes the other changes as a job; null when there are none.
   * Errors: CONTROL_NAME_TAKEN, CONTROL_SPEED_ORDER, CONTROL_NO_CLUSTER, CONTROL_PEERS_DISK,
   * RAID_BAD_CLUSTER, RAID_BAD_BITMAP_CHUNK; the job's: the engine's, with `details.done`: the
   * changes made before the one that failed.
   */
  async change(arrayKey: string, patch: ArrayPatch, actor: string): Promise<Job | null> {
    const { arrays, jobs, engine } = this.#options;
    const { view, running } = arrays.findRunning(arrayKey);
    const { uuid } = view.record;
    const isTaken = arrays
      .list()
      .some(({ record }) => record.name === patch.name && record.uuid !== uuid);
    if (isTaken) {
      throw new CodedError("CONTROL_NAME_TAKEN", `there is an array ${patch.name} already`, {
        remedy: "choose another name",
      });
    }
    const changes = changesOf(running.status, patch, engine.cluster);
    if (changes.some((change) => change.type === "bitmap" && change.bitmap === "clustered")) {
      refuseWithoutCluster(engine.cluster, view.record.name);
    } else if (changes.some(({ type }) => type === "bitmap")) {
      refusePeersDisks(running.status.members.flatMap(({ path }) => path ?? []));
    }
    const { speedMin, speedMax } = patch;
    if (speedMin !== undefined || speedMax !== undefined) {
      await arrays.setSyncSpeed(uuid, {
        ...(speedMin === undefined ? {} : { min: speedMin }),
        ...(speedMax === undefined ? {} : { max: speedMax }),
      });
    }
    if (changes.length === 0) {
      return null;
    }
    const fresh = {
      kind: "array.grow" as const,
      subject: subjectOf("array", uuid),
      createdBy: actor,
    };
    return jobs.run(fresh, () =>
      arrays.exclusively(uuid, "a change", () => carryOut(running, changes)),
    );
  }
}

const carryOut = async (
  running: RunningArray,
  changes: readonly ArrayChange[],
): Promise<JobOutcome> => {
  const done: string[] = [];
  for (const change of changes) {
    try {
      await running.change(change);
    } catch (error) {
      if (!(error instanceof CodedError) || done.length === 0) {
        throw error;
      }
      const { code, message, remedy, details } = error;
      throw fromPlainError({ code, message, remedy, details: { ...details, done } });
    }
    done.push(changeWord(change));
  }
  return { result: { array_id: running.uuid, done } };
};
