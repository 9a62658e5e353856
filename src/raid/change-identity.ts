/** Changes of names, identifiers and claims: everything that moves nothing on a member. */

import { equalBytes } from "../common/bytes.ts";
import { bitmapClusterName } from "./bitmap-superblock.ts";
import { checkCluster, nodesFit, withNodes } from "./change-bitmap.ts";
import { allBits } from "./change-bits.ts";
import type { ArrayDraft, MemberDraft } from "./change-draft.ts";
import { type ChangeRefusal, refuseChange } from "./change-types.ts";
import { clusterNameBytes, setNameBytes } from "./create-plan.ts";
import { superblockName } from "./superblock.ts";

type Changed = ArrayDraft | ChangeRefusal | null;

/** Another name behind the same host. Source: mdadm super1.c update_super1, "name". */
export function rename(draft: ArrayDraft, name: string): Changed {
  const { template } = draft;
  const now = superblockName(template);
  const homehost = now.includes(":") ? now.slice(0, now.indexOf(":")) : "";
  const setName = setNameBytes(name, homehost);
  if (setName === null) {
    return refuseChange(
      "RAID_BAD_NAME",
      `${JSON.stringify(name)} is not possible as a name`,
      "use 1 to 31 bytes",
    );
  }
  if (equalBytes(setName, template.setName)) return null;
  return { ...draft, template: { ...template, setName } };
}

/** Another UUID, in the bitmap too. Source: mdadm super1.c update_super1, "uuid". */
export function changeUuid(draft: ArrayDraft, setUuid: Uint8Array): Changed {
  // A change that was cut short: the freshest have the new one, the others follow.
  const have = ({ superblock }: MemberDraft): boolean => equalBytes(superblock.setUuid, setUuid);
  if (draft.members.every(have)) return null;
  const { bitmap } = draft;
  const slots = bitmap?.slots.map(({ superblock, bits }) => ({
    superblock: { ...superblock, uuid: setUuid },
    bits,
  }));
  return {
    ...draft,
    template: { ...draft.template, setUuid },
    bitmap: bitmap === null || slots === undefined ? null : { ...bitmap, slots },
  };
}

/** Another cluster name in every slot. Source: mdadm super1.c write_bitmap1, NameUpdate. */
export function changeHomeCluster(draft: ArrayDraft, clusterName: string): Changed {
  const { bitmap } = draft;
  const first = bitmap?.slots[0]?.superblock;
  if (bitmap === null || first === undefined || first.nodes === 0) return notClustered();
  const bytes = clusterNameBytes(clusterName);
  if (bytes === null) {
    return refuseChange(
      "RAID_BAD_CLUSTER",
      "a cluster name has 1 to 63 bytes",
      "choose another name",
    );
  }
  if (bitmapClusterName(first) === clusterName) return null;
  const slots = bitmap.slots.map(({ superblock, bits }) => ({
    superblock: { ...superblock, clusterName: bytes },
    bits,
  }));
  return { ...draft, bitmap: { ...bitmap, slots } };
}

/** Another number of slots. Source: mdadm super1.c write_bitmap1, NodeNumUpdate. */
export function changeNodes(draft: ArrayDraft, nodes: number): Changed {
  const { bitmap } = draft;
  const now = bitmap?.slots[0]?.superblock.nodes ?? 0;
  if (bitmap === null || now === 0) return notClustered();
  if (now === nodes) return null;
  const refusal = checkCluster(draft, nodes);
  if (refusal !== null) return refusal;
  if (nodes > now && !nodesFit(draft, bitmap, nodes)) {
    return refuseChange(
      "RAID_NO_METADATA_ROOM",
      `there is no room for the bitmaps of ${nodes} nodes before the data`,
      "use fewer nodes",
    );
  }
  return { ...draft, bitmap: withNodes(bitmap, nodes) };
}

/**
 * Every copy counts as different. With a bitmap its bits say so: md resyncs what they cover and
 * nothing else. Source: mdadm super1.c update_super1, "resync".
 */
export function forceResync(draft: ArrayDraft): Changed {
  const { bitmap, template } = draft;
  const slots = bitmap?.slots.map(({ superblock, bits }, slot) => ({
    superblock,
    bits: slot === 0 ? allBits(superblock) : bits,
  }));
  return {
    ...draft,
    template: { ...template, resyncOffset: 0 },
    bitmap: bitmap === null || slots === undefined ? null : { ...bitmap, slots },
  };
}

function notClustered(): ChangeRefusal {
  return refuseChange(
    "RAID_BAD_CLUSTER",
    "the array has no clustered bitmap",
    "give it one first (--bitmap clustered)",
  );
}
