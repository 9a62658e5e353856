/**
 * What this engine does not run though md could: asked AFTER assembly has decided that the members
 * make an array. Pure.
 */

import type { AssemblyStart } from "./assembly-types.ts";
import { bitmapClusterName } from "./bitmap-superblock.ts";
import { RAID_SLOTS_MAX } from "./shared-state.ts";

/** Why an array that could be assembled is not run here. */
export interface RunRefusal {
  readonly code:
    | "RAID_BAD_MEMBER_COUNT"
    | "RAID_BITMAP_UNUSABLE"
    | "RAID_CLUSTERED_ARRAY"
    | "CLUSTER_NO_SLOT";
  readonly message: string;
  readonly remedy: string;
}

/**
 * The first reason that holds, or null. `cluster`: the name of the board's, null in none; `slot`:
 * number of the bitmap that the node was given there, from 0.
 */
export function refusalToRun(
  { shape, bitmap }: AssemblyStart,
  options: { readonly readOnly: boolean; readonly cluster: string | null; readonly slot?: number },
): RunRefusal | null {
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
  if (options.cluster === home) return slotRefusal(bitmap.superblock.nodes, options.slot ?? 0);
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
