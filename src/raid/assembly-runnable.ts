/**
 * What this engine does not run though md could: asked AFTER assembly has decided that the members
 * make an array. Pure.
 */

import type { AssemblyStart } from "./assembly-types.ts";
import { RAID_SLOTS_MAX } from "./shared-state.ts";

/** Why an array that could be assembled is not run here. */
export interface RunRefusal {
  readonly code: "RAID_BAD_MEMBER_COUNT" | "RAID_BITMAP_UNUSABLE" | "RAID_CLUSTERED_ARRAY";
  readonly message: string;
  readonly remedy: string;
}

/** The first reason that holds, or null. */
export function refusalToRun(
  { shape, bitmap }: AssemblyStart,
  options: { readonly readOnly: boolean },
): RunRefusal | null {
  const { raidDisks } = shape.freshest;
  if (raidDisks > RAID_SLOTS_MAX) {
    const message = `the array has ${raidDisks} raid devices, at most ${RAID_SLOTS_MAX} can be run`;
    return { code: "RAID_BAD_MEMBER_COUNT", message, remedy: "assemble it with Linux md" };
  }
  if (bitmap.state === "none") return null;
  if (bitmap.state === "absent") {
    const message = `no in-sync member has a readable bitmap (${bitmap.reason})`;
    const remedy = "assemble it with mdadm --update=no-bitmap, then here";
    return { code: "RAID_BITMAP_UNUSABLE", message, remedy };
  }
  if (bitmap.superblock.nodes === 0 || options.readOnly) return null;
  return {
    code: "RAID_CLUSTERED_ARRAY",
    message: "the array is clustered and this board is in no cluster",
    remedy:
      "assemble it read-only, or in its cluster, or make it plain first: satsuma update --bitmap internal",
  };
}
