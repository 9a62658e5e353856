/**
 * Adding, removing and converting the write-intent bitmap, and giving it another chunk. What the
 * old one knew goes over; a bitmap that starts from nothing has every bit set, as mdadm's has.
 * Source: mdadm Grow.c Grow_addbitmap, super1.c add_internal_bitmap1, write_bitmap1.
 */

import type { ArrayChange } from "./array-change.ts";
import { syncSizeOf } from "./assembly-bitmap.ts";
import {
  BITMAP_DELAY_DEFAULT_SECONDS,
  BITMAP_MAJOR_CLUSTERED,
  BITMAP_MAJOR_HI,
  BITMAP_NODES_MAX,
  type BitmapSuperblock,
  bitmapClusterName,
  bitmapSlotBytes,
} from "./bitmap-superblock.ts";
import { allBits, carryBits, noBits } from "./change-bits.ts";
import type {
  ArrayDraft,
  BitmapDraft,
  FoundArray,
  MemberDraft,
  SlotDraft,
} from "./change-draft.ts";
import { unionOf } from "./change-phases.ts";
import { type ChangeRefusal, isRefusal, refuseChange } from "./change-types.ts";
import { clusterNameBytes } from "./create-plan.ts";
import { raid10Geometry } from "./raid10-layout.ts";
import { BITMAP_OFFSET_SECTORS, sizeBitmapFor } from "./sizing.ts";
import { superblockIsAtStart, superblockMinor } from "./superblock.ts";
import { MD_FEATURE_REPLACEMENT, SECTOR_BYTES } from "./superblock-fields.ts";

type BitmapChange = Extract<ArrayChange, { type: "bitmap" }>;

/** Room that mdadm uses for a bitmap when nobody asks for a chunk. Source: add_internal_bitmap1. */
const ROOM_BY_DEFAULT_SECTORS = 256;
/** Largest slot: 2^25 bits. Choice: what assembly reads at most of a member. */
const SLOT_SECTORS_MAX = 8192;
const CHUNK_BYTES_MIN = 4096;
const CHUNK_BYTES_MAX = 2 ** 31;
const SLOT_ALIGNMENT_SECTORS = 8;
const PAD_BYTES = 120;

/** The array with that bitmap; null when it has it. */
export function changeBitmap(
  found: FoundArray,
  change: BitmapChange,
): ArrayDraft | ChangeRefusal | null {
  const { draft } = found;
  if (change.bitmap === "none") {
    return found.bitmap === "none" ? null : { ...draft, bitmap: null };
  }
  const clusterName = clusterNameBytes(change.clusterName);
  if (change.bitmap === "clustered") {
    const refusal = checkCluster(draft, change.nodes) ?? (clusterName === null ? badName() : null);
    if (refusal !== null) return refusal;
  }
  const nodes = change.bitmap === "clustered" ? change.nodes : 0;
  const old = draft.bitmap?.slots[0]?.superblock ?? null;
  const isSameKind = old !== null && old.nodes > 0 === nodes > 0;
  const slots = Math.max(nodes, 1);
  const asked = placeBitmap(draft, {
    chunkBytes: change.chunkBytes ?? old?.chunkBytes ?? null,
    slots,
  });
  // The old chunk is kept where it fits; nobody asked for it.
  const isFree = isRefusal(asked) && change.chunkBytes === null;
  const place = isFree ? placeBitmap(draft, { chunkBytes: null, slots }) : asked;
  if (isRefusal(place)) return place;
  const isSame =
    isSameKind &&
    old.chunkBytes === place.chunkBytes &&
    old.nodes === nodes &&
    (nodes === 0 || bitmapClusterName(old) === change.clusterName);
  if (isSame) return null;
  const header: BitmapSuperblock = {
    version: nodes > 0 ? BITMAP_MAJOR_CLUSTERED : BITMAP_MAJOR_HI,
    uuid: draft.template.setUuid,
    events: 0,
    eventsCleared: Math.max(0, ...eventsCleared(found)),
    syncSize: syncSizeOf(draft.template),
    state: 0,
    chunkBytes: place.chunkBytes,
    daemonSleepSeconds: old?.daemonSleepSeconds ?? BITMAP_DELAY_DEFAULT_SECONDS,
    writeBehind: nodes > 0 ? 0 : (old?.writeBehind ?? 0),
    sectorsReserved: 0,
    nodes,
    clusterName: nodes > 0 && clusterName !== null ? clusterName : new Uint8Array(64),
    pad: new Uint8Array(PAD_BYTES),
  };
  const { resyncOffset } = draft.template;
  return {
    ...draft,
    // Which copies a stale bitmap would have called different nobody knows: all of them.
    template: {
      ...draft.template,
      resyncOffset: found.bitmap === "unusable" ? 0 : resyncOffset,
    },
    bitmap: { offset: place.offset, slots: fillSlots(draft.bitmap, header) },
  };
}

/**
 * Why the array cannot have a clustered bitmap with so many nodes, or null. Source: mdadm Create.c,
 * super1.c; drivers/md/md-cluster.c (near copies, one machine word of slots).
 */
export function checkCluster(draft: ArrayDraft, nodes: number): ChangeRefusal | null {
  const { template, members } = draft;
  if (nodes < 2 || nodes > BITMAP_NODES_MAX) {
    return refuseChange(
      "RAID_BAD_CLUSTER",
      `${nodes} nodes is outside 2 to ${BITMAP_NODES_MAX}`,
      "choose another number of nodes",
    );
  }
  if (members.some(({ superblock }) => superblockMinor(superblock) !== 2)) {
    return refuseChange(
      "RAID_BAD_CLUSTER",
      "a clustered array has metadata 1.2",
      "create the array anew with that",
    );
  }
  const { level, layout, raidDisks, chunkSize } = template;
  const geometry = level === 10 ? raid10Geometry(layout, raidDisks, chunkSize) : null;
  if (geometry !== null && geometry.farCopies !== 1) {
    return refuseChange(
      "RAID_BAD_CLUSTER",
      "a clustered raid10 array has near copies only",
      "create the array anew with a layout like n2",
    );
  }
  const replacement = members.find(
    ({ superblock }) => (superblock.featureMap & MD_FEATURE_REPLACEMENT) !== 0,
  );
  if (replacement !== undefined) {
    return refuseChange(
      "RAID_BAD_CLUSTER",
      `${replacement.member.path} is being written to take another member's place`,
      "wait until it has, or remove it first",
    );
  }
  const logged = members.find(({ superblock }) => superblock.bblogSize !== 0);
  if (logged === undefined) return null;
  return refuseChange(
    "RAID_BAD_CLUSTER",
    `a clustered array keeps no bad-block lists, ${logged.member.path} has one`,
    "remove the lists first (--no-bbl)",
  );
}

function badName(): ChangeRefusal {
  return refuseChange(
    "RAID_BAD_CLUSTER",
    "a cluster name has 1 to 63 bytes",
    "choose another name",
  );
}

/** From which event on a member that was away is brought back by the bitmap alone. */
function eventsCleared({ draft, freshest }: FoundArray): readonly number[] {
  const { slots } = draft.bitmap ?? { slots: [] };
  if (slots.length === 0) return [freshest.events];
  return slots.map(({ superblock }) => superblock.eventsCleared);
}

/** The old slots' bits under a new header; slot 0 takes those of slots that are given up. */
function fillSlots(old: BitmapDraft | null, header: BitmapSuperblock): readonly SlotDraft[] {
  const from = old?.slots[0]?.superblock ?? null;
  const count = Math.max(header.nodes, 1);
  return Array.from({ length: count }, (_, slot): SlotDraft => {
    if (old === null || from === null) {
      return { superblock: header, bits: slot === 0 ? allBits(header) : noBits(header) };
    }
    const isHeir = slot === 0 && count < old.slots.length;
    const bits = isHeir ? unionOf(old) : (old.slots[slot]?.bits ?? noBits(from));
    return { superblock: header, bits: carryBits(bits, from, header, "set") };
  });
}

interface BitmapPlace {
  readonly offset: number;
  readonly chunkBytes: number;
}

/** Where the slots go on every member, and what a bit covers. */
export function placeBitmap(
  draft: ArrayDraft,
  request: { readonly chunkBytes: number | null; readonly slots: number },
): BitmapPlace | ChangeRefusal {
  const { chunkBytes, slots } = request;
  const isPower = chunkBytes === null || Number.isInteger(Math.log2(chunkBytes));
  if (!isPower || (chunkBytes !== null && chunkBytes > CHUNK_BYTES_MAX))
    return badChunk(chunkBytes);
  if (chunkBytes !== null && chunkBytes < CHUNK_BYTES_MIN) return badChunk(chunkBytes);
  const rooms = draft.members.map((member) => bitmapRoom(member));
  const smallest = Math.min(...rooms) / slots;
  const room = Math.min(
    smallest - (smallest % SLOT_ALIGNMENT_SECTORS),
    chunkBytes === null ? ROOM_BY_DEFAULT_SECTORS : SLOT_SECTORS_MAX,
  );
  if (room < SLOT_ALIGNMENT_SECTORS) {
    const short = draft.members[rooms.indexOf(Math.min(...rooms))]?.member.path ?? "";
    return refuseChange(
      "RAID_NO_METADATA_ROOM",
      `${short} has no room for ${slots === 1 ? "a bitmap" : `${slots} bitmaps`} beside its data`,
      slots === 1
        ? "remove its bad-block list (--no-bbl), or do without a bitmap"
        : "use fewer nodes",
    );
  }
  const syncSize = syncSizeOf(draft.template);
  const sizing = sizeBitmapFor(room, { syncSize, chunkBytes });
  if (!sizing.ok) {
    const least = sizing.minimumChunkBytes / 1024;
    return refuseChange(
      "RAID_BAD_BITMAP_CHUNK",
      `a bitmap with chunks of ${(chunkBytes ?? 0) / 1024} KiB needs more room than there is`,
      `use a chunk of ${least} KiB or more`,
    );
  }
  const sectors = slots * (sizing.slotBytes / SECTOR_BYTES);
  return { offset: offsetFor(draft.members, sectors), chunkBytes: sizing.chunkBytes };
}

function badChunk(chunkBytes: number | null): ChangeRefusal {
  return refuseChange(
    "RAID_BAD_BITMAP_CHUNK",
    `a bitmap chunk of ${chunkBytes} bytes is not possible`,
    "use a power of two from 4 KiB to 2 GiB",
  );
}

/** Sectors between superblock and data, or between data and superblock, free for bitmaps. */
function bitmapRoom({ superblock: sb }: MemberDraft): number {
  const log = sb.bblogSize === 0 ? 0 : sb.bblogOffset;
  if (!superblockIsAtStart(sb)) return sb.superOffset + Math.min(log, 0) - sb.dataSize;
  const end = log > 0 ? sb.superOffset + log : sb.dataOffset;
  return end - (sb.superOffset + BITMAP_OFFSET_SECTORS);
}

/** Behind the superblock; in 1.0 right before the bad-block list, or the superblock. */
function offsetFor(members: readonly MemberDraft[], sectors: number): number {
  const atEnd = members.filter(({ superblock }) => !superblockIsAtStart(superblock));
  if (atEnd.length === 0) return BITMAP_OFFSET_SECTORS;
  const logs = atEnd.map(({ superblock: sb }) => (sb.bblogSize === 0 ? 0 : sb.bblogOffset));
  return Math.min(0, ...logs) - sectors;
}

/** The bitmap with another number of slots. */
export function withNodes(bitmap: BitmapDraft, nodes: number): BitmapDraft {
  const [first] = bitmap.slots;
  if (first === undefined) return bitmap;
  const filled = fillSlots(bitmap, { ...first.superblock, nodes });
  const slots = filled.map(({ bits }, slot): SlotDraft => {
    const own = bitmap.slots[slot]?.superblock ?? { ...first.superblock, events: 0 };
    return { superblock: { ...own, nodes }, bits };
  });
  return { ...bitmap, slots };
}

/** True when so many slots lie clear of data and bad-block list on every member. */
export function nodesFit(draft: ArrayDraft, bitmap: BitmapDraft, nodes: number): boolean {
  const chunks = (bitmap.slots[0]?.bits.length ?? 0) * 8;
  const sectors = (nodes * bitmapSlotBytes(chunks)) / SECTOR_BYTES;
  return draft.members.every((member) => bitmapRoom(member) >= sectors);
}
