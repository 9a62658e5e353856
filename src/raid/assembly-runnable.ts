/**
 * What this engine does not run though md could: asked AFTER assembly has decided that the members
 * make an array. Pure.
 */

import type { AssemblyStart } from "./assembly-types.ts";
import { bitmapClusterName } from "./bitmap-superblock.ts";
import { type CopiesRule, olderCopies } from "./copies-rule.ts";
import { RAID_SLOTS_MAX } from "./shared-state.ts";

/** Why an array that could be assembled is not run here. */
export interface RunRefusal {
  readonly code:
    | "RAID_BAD_MEMBER_COUNT"
    | "RAID_BITMAP_UNUSABLE"
    | "RAID_CLUSTERED_ARRAY"
    | "CLUSTER_MEMBER_MISSING"
    | "CLUSTER_NEWER_COPY_ELSEWHERE"
    | "CLUSTER_NO_SLOT";
  readonly message: string;
  readonly remedy: string;
}

export interface RunOptions {
  readonly readOnly: boolean;
  /** The name of the board's cluster; null in none. */
  readonly cluster: string | null;
  /** Number of the bitmap that the node was given there, from 0. */
  readonly slot?: number;
  /** Other nodes of the cluster run the array. */
  readonly isRunElsewhere?: boolean;
  /** Which copies count in the cluster; left out: those of an array that ran a moment ago. */
  readonly copies?: CopiesRule;
}

/** The first reason that holds, or null. */
export function refusalToRun(start: AssemblyStart, options: RunOptions): RunRefusal | null {
  const { shape, bitmap } = start;
  const { raidDisks } = shape.freshest;
  if (raidDisks > RAID_SLOTS_MAX) {
    const message = `the array has ${raidDisks} raid devices, at most ${RAID_SLOTS_MAX} can be run`;
    return { code: "RAID_BAD_MEMBER_COUNT", message, remedy: "assemble it with Linux md" };
  }
  if (bitmap.state === "none") return options.slot === undefined ? null : noMoreClustered();
  if (bitmap.state === "absent") {
    const message = `no in-sync member has a readable bitmap (${bitmap.reason})`;
    const remedy = "assemble it with mdadm --update=no-bitmap, then here";
    return { code: "RAID_BITMAP_UNUSABLE", message, remedy };
  }
  if (bitmap.superblock.nodes === 0 && options.slot !== undefined) return noMoreClustered();
  if (bitmap.superblock.nodes === 0 || options.readOnly) return null;
  const home = bitmapClusterName(bitmap.superblock);
  if (options.cluster === home)
    return (
      slotRefusal(bitmap.superblock.nodes, options.slot ?? 0) ??
      (options.isRunElsewhere === true && !start.complete ? memberMissing(start) : null) ??
      (options.copies === undefined ? null : olderCopies(start, options.copies, options))
    );
  const where = options.cluster === null ? "no cluster" : `the cluster ${options.cluster}`;
  return {
    code: "RAID_CLUSTERED_ARRAY",
    message: `the array belongs to the cluster ${home} and this board is in ${where}`,
    remedy:
      "assemble it read-only, or in its cluster, or make it plain first: satsuma update --bitmap internal",
  };
}

/** While the node joined, the last one that ran the array took it out of the cluster. */
const noMoreClustered = (): RunRefusal => ({
  code: "RAID_CLUSTERED_ARRAY",
  message: "the array was clustered when this board joined its cluster, and is not any more",
  remedy: "give it a clustered bitmap again on the board that runs it, then start it here",
});

/** Only the first `nodes` nodes of a cluster can use the array. Source: md-cluster.c join. */
const slotRefusal = (nodes: number, slot: number): RunRefusal | null =>
  slot < nodes
    ? null
    : {
        code: "CLUSTER_NO_SLOT",
        message: `the array has bitmaps for ${nodes} nodes, and this one has number ${slot + 1}`,
        remedy: "stop it on another board, or raise its nodes",
      };

/**
 * The others may have recorded those that are here as faulty, on what is not: they would be told by
 * an old copy that the newer one has failed.
 */
const memberMissing = ({ shape, missingSlots }: AssemblyStart): RunRefusal => {
  const { devRoles } = shape.freshest;
  const slots = missingSlots.filter((slot) => devRoles.includes(slot)).join(", ");
  return {
    code: "CLUSTER_MEMBER_MISSING",
    message: `other nodes run the array, and its member of raid slot ${slots} is not here or cannot be read: what it holds may be newer`,
    remedy: "connect the member to this board, or fail it on a board that runs the array",
  };
};
