/**
 * A stopped array as its members' metadata describes it: what a change starts from, what it ends
 * with, and every state in between. change-phases.ts turns drafts into writes.
 */

import { bitmapFits, syncSizeOf } from "./assembly-bitmap.ts";
import {
  BITMAP_STALE,
  BITMAP_SUPERBLOCK_BYTES,
  type BitmapSuperblock,
  bitmapChunks,
  bitmapSlotBytes,
  decodeBitmapSuperblock,
} from "./bitmap-superblock.ts";
import { joinBits } from "./change-bits.ts";
import type { ChangeContext, ChangeMember } from "./change-types.ts";
import { memberRole } from "./superblock.ts";
import {
  MD_DISK_ROLE_FAULTY,
  MD_DISK_ROLE_SPARE,
  MD_FEATURE_BITMAP_OFFSET,
  MD_FEATURE_RECOVERY_OFFSET,
  type Superblock,
} from "./superblock-fields.ts";

/** One slot of a bitmap. Its events are set when it is written. */
export interface SlotDraft {
  readonly superblock: BitmapSuperblock;
  /** One bit per chunk, as on disk. */
  readonly bits: Uint8Array;
}

export interface BitmapDraft {
  /** Sectors from each member's superblock. */
  readonly offset: number;
  /** At least one; all with the same chunk, sync size and number of nodes. */
  readonly slots: readonly SlotDraft[];
}

/** What belongs to one member alone. */
export interface MemberDraft {
  readonly member: ChangeMember;
  /** Null for a spare. */
  readonly raidSlot: number | null;
  /** Source of everything that is the member's own and does not change. */
  readonly superblock: Superblock;
}

export interface ArrayDraft {
  /** What all members share: name, sizes, roles …; its fields of a single member say nothing. */
  readonly template: Superblock;
  readonly bitmap: BitmapDraft | null;
  readonly members: readonly MemberDraft[];
}

/** The array as found, and whether the bitmap it promises can be believed. */
export interface FoundArray {
  readonly draft: ArrayDraft;
  /**
   * `unusable`: the superblocks promise one that is stale, damaged, or runs over something; the
   * draft then has none, and nothing is known about which chunks differ.
   */
  readonly bitmap: "none" | "usable" | "unusable";
  readonly freshest: Superblock;
  /** Somebody holds a raid slot, says the freshest superblock, and is not given. */
  readonly hasAbsent: boolean;
}

/** Reads members into a draft. Members are those that take part, see ChangeMember. */
export function findArray(
  members: readonly ChangeMember[],
  { freshest }: ChangeContext,
): FoundArray {
  const drafts = members.map((member): MemberDraft => {
    const own = memberRole(member.superblock, member.superblock.devNumber);
    const role = memberRole(freshest, member.superblock.devNumber);
    const raidSlot = own.type === "slot" && role.type === "slot" ? role.raidSlot : null;
    return { member, raidSlot, superblock: member.superblock };
  });
  const { devRoles, hasAbsent } = presentRoles(drafts, freshest);
  const template = { ...freshest, devRoles };
  const isPromised = (freshest.featureMap & MD_FEATURE_BITMAP_OFFSET) !== 0;
  const bitmap = isPromised ? findBitmap(drafts, freshest) : null;
  return {
    draft: { template, bitmap, members: drafts },
    bitmap: bitmap === null ? (isPromised ? "unusable" : "none") : "usable",
    freshest,
    hasAbsent,
  };
}

/** Members whose content counts: in sync, or being rebuilt. */
export function activeMembers(draft: ArrayDraft): readonly MemberDraft[] {
  return draft.members.filter(({ raidSlot }) => raidSlot !== null);
}

/** True for a member that holds all of the array's content that its raid slot has. */
export function isInSync({ raidSlot, superblock }: MemberDraft): boolean {
  return raidSlot !== null && (superblock.featureMap & MD_FEATURE_RECOVERY_OFFSET) === 0;
}

/** dev_roles without those who are not there; a failed one keeps its mark. */
function presentRoles(
  members: readonly MemberDraft[],
  freshest: Superblock,
): { readonly devRoles: Uint16Array; readonly hasAbsent: boolean } {
  const present = new Map(members.map((m) => [m.superblock.devNumber, m.raidSlot]));
  let hasAbsent = false;
  const devRoles = freshest.devRoles.map((role, number) => {
    if (role === MD_DISK_ROLE_FAULTY && !present.has(number)) return role;
    const raidSlot = present.get(number) ?? null;
    if (raidSlot === null && memberRole(freshest, number).type === "slot") hasAbsent = true;
    return raidSlot ?? MD_DISK_ROLE_SPARE;
  });
  return { devRoles, hasAbsent };
}

/** What all active members' bitmaps say together; null when no in-sync member has a sound one. */
function findBitmap(members: readonly MemberDraft[], freshest: Superblock): BitmapDraft | null {
  const syncSize = syncSizeOf(freshest);
  const { bitmapOffset: offset } = freshest;
  const sound = members.flatMap((draft) => {
    const { member, raidSlot } = draft;
    const area = raidSlot === null ? null : member.bitmapArea;
    if (area === null) return [];
    const decoded = decodeBitmapSuperblock(area, freshest.setUuid);
    if (!decoded.ok) return [];
    const { nodes, events, state, chunkBytes } = decoded.value;
    const lags = nodes === 0 && events < freshest.events;
    const own = { ...member.superblock, bitmapOffset: offset, size: freshest.size };
    const slots = Math.max(nodes, 1);
    const isWhole = area.length >= slots * bitmapSlotBytes(bitmapChunks(syncSize, chunkBytes));
    const fits = isWhole && bitmapFits(own, decoded.value, syncSize);
    if (lags || (state & BITMAP_STALE) !== 0) return [];
    return [{ area, superblock: decoded.value, leads: isInSync(draft), fits }];
  });
  const lead = sound.find(({ leads }) => leads);
  if (lead === undefined || !sound.every(({ fits }) => fits)) return null;
  const { chunkBytes, nodes } = lead.superblock;
  const areas = sound
    .filter(({ superblock: sb }) => sb.chunkBytes === chunkBytes && sb.nodes === nodes)
    .map(({ area }) => area);
  const chunks = bitmapChunks(syncSize, chunkBytes);
  const slots = Array.from({ length: Math.max(nodes, 1) }, (_, slot): SlotDraft => {
    const at = slot * bitmapSlotBytes(chunks);
    const own = decodeBitmapSuperblock(lead.area.subarray(at), freshest.setUuid);
    const bytes = Math.ceil(chunks / 8);
    const from = at + BITMAP_SUPERBLOCK_BYTES;
    return {
      superblock: { ...(own.ok ? own.value : lead.superblock), chunkBytes, nodes, syncSize },
      bits: joinBits(
        areas.map((area) => area.subarray(from, from + bytes)),
        bytes,
      ),
    };
  });
  return { offset, slots };
}
