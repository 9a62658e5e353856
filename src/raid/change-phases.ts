/**
 * From one state of a stopped array to another, in steps that may each be cut short anywhere:
 *
 *   same place, chunk and slots:  bits -> bitmap headers -> superblocks
 *   another bitmap:               superblocks without a bitmap -> the new area -> superblocks
 *   more data room first:         superblocks with the larger data_size, then the rest
 *
 * Every superblock step has one event more than the one before, on every member, those in sync
 * before the others: whoever is freshest has the whole truth, and a member one step behind follows
 * it. A bitmap has the events of the superblocks that claim it BEFORE they do. Until a bitmap is
 * claimed nothing depends on it, and what it knew is kept in resync_offset.
 */

import { equalBytes } from "../common/bytes.ts";
import type { MemberOp } from "./array-messages.ts";
import {
  BITMAP_SUPERBLOCK_BYTES,
  type BitmapSuperblock,
  bitmapChunks,
  bitmapSlotBytes,
  encodeBitmapSuperblock,
} from "./bitmap-superblock.ts";
import { firstSetSector, joinBits } from "./change-bits.ts";
import {
  type ArrayDraft,
  type BitmapDraft,
  type FoundArray,
  isInSync,
  type MemberDraft,
} from "./change-draft.ts";
import type { ChangePhase, ChangePlan } from "./change-types.ts";
import { encodeSuperblock } from "./superblock.ts";
import {
  MD_FEATURE_BAD_BLOCKS,
  MD_FEATURE_BITMAP_OFFSET,
  MD_FEATURE_CLUSTERED,
  MD_FEATURE_RECOVERY_BITMAP,
  MD_FEATURE_RECOVERY_OFFSET,
  MD_FEATURE_REPLACEMENT,
  SECTOR_BYTES,
  type Superblock,
} from "./superblock-fields.ts";

/** Features that tell of the member itself. */
const OWN_FEATURES =
  MD_FEATURE_RECOVERY_OFFSET |
  MD_FEATURE_RECOVERY_BITMAP |
  MD_FEATURE_BAD_BLOCKS |
  MD_FEATURE_REPLACEMENT;

/** The steps that turn the array as found into `next`. `now` in milliseconds since the epoch. */
export function planPhases(found: FoundArray, next: ArrayDraft, now: number): ChangePlan {
  const writer = new PhaseWriter(found.freshest.events, now);
  writer.level(found);
  const asFound = found.bitmap === "unusable" ? withoutBitmap(found.draft, found) : found.draft;
  // One more than an update that an absent member may hold and these members do not.
  if (found.hasAbsent) writer.claim(asFound);
  const ground = withRoom(found.draft, next);
  const hasMoreRoom = ground !== found.draft;
  if (next.bitmap === null) {
    if (hasMoreRoom) writer.claim(withoutBitmap(ground, found));
    return writer.finish(withoutBitmap({ ...next, bitmap: ground.bitmap }, found));
  }
  if (ground.bitmap !== null && isSamePlace(ground.bitmap, next.bitmap)) {
    if (hasMoreRoom) writer.claim(ground);
    if (!haveSameBits(ground.bitmap, next.bitmap)) writer.bits(ground.bitmap, next);
  } else if (found.bitmap !== "none" || hasMoreRoom) {
    writer.claim(withoutBitmap(ground, found));
  }
  return writer.finish(next);
}

/** Sectors behind which everything is in sync, or "none" for all, when the bitmap is gone. */
function resyncWithoutBitmap(draft: ArrayDraft, found: FoundArray): number | "none" {
  const { resyncOffset } = draft.template;
  if (found.bitmap === "unusable") return 0;
  if (draft.bitmap === null || resyncOffset === "none") return resyncOffset;
  const [first] = draft.bitmap.slots;
  if (first === undefined) return 0;
  const bits = unionOf(draft.bitmap);
  const needed = firstSetSector(bits, first.superblock);
  // A dirty array with a bitmap differs under its set bits and nowhere else.
  if (needed === null) return resyncOffset === 0 ? "none" : resyncOffset;
  return resyncOffset === 0 ? 0 : Math.min(resyncOffset, needed);
}

/** The bits of all slots together. */
export function unionOf(bitmap: BitmapDraft): Uint8Array {
  const bytes = bitmap.slots[0]?.bits.length ?? 0;
  return joinBits(
    bitmap.slots.map(({ bits }) => bits),
    bytes,
  );
}

function withoutBitmap(draft: ArrayDraft, found: FoundArray): ArrayDraft {
  const resyncOffset = resyncWithoutBitmap(draft, found);
  return { ...draft, bitmap: null, template: { ...draft.template, resyncOffset } };
}

/** `now`, with as much room for data as `next` has where its size needs that. */
function withRoom(now: ArrayDraft, next: ArrayDraft): ArrayDraft {
  const { size } = next.template;
  if (now.members.every(({ superblock }) => superblock.dataSize >= size)) return now;
  const members = now.members.map((draft): MemberDraft => {
    const later = next.members.find(({ member }) => member.id === draft.member.id);
    const dataSize = later?.superblock.dataSize ?? draft.superblock.dataSize;
    return { ...draft, superblock: { ...draft.superblock, dataSize } };
  });
  return { ...now, members };
}

function isSamePlace(a: BitmapDraft, b: BitmapDraft): boolean {
  const [x, y] = [a.slots[0]?.superblock, b.slots[0]?.superblock];
  if (x === undefined || y === undefined || a.offset !== b.offset) return false;
  return (
    x.chunkBytes === y.chunkBytes &&
    slotBytesOf(x) === slotBytesOf(y) &&
    x.version === y.version &&
    equalBytes(x.uuid, y.uuid)
  );
}

function haveSameBits(a: BitmapDraft, b: BitmapDraft): boolean {
  return (
    a.slots.length === b.slots.length &&
    a.slots.every(({ bits }, slot) => {
      const other = b.slots[slot]?.bits;
      return other !== undefined && equalBytes(bits, other);
    })
  );
}

function slotBytesOf({ syncSize, chunkBytes }: BitmapSuperblock): number {
  return bitmapSlotBytes(bitmapChunks(syncSize, chunkBytes));
}

/** Collects steps and counts events. */
class PhaseWriter {
  readonly #phases: ChangePhase[] = [];
  readonly #now: number;
  #events: number;

  constructor(events: number, now: number) {
    this.#events = events;
    this.#now = now;
  }

  /**
   * Members one update behind become equal to the freshest: the next update must not leave them two
   * behind.
   */
  level({ draft, bitmap, freshest }: FoundArray): void {
    const behind = draft.members.filter(
      ({ raidSlot, superblock }) => raidSlot !== null && superblock.events < freshest.events,
    );
    if (behind.length === 0) return;
    if (draft.bitmap !== null) {
      this.#write(behind, draft.bitmap.offset, areaBytes(draft.bitmap, freshest.events));
    }
    const { featureMap, bitmapOffset, devRoles } = freshest;
    const features = featureMap & (MD_FEATURE_BITMAP_OFFSET | MD_FEATURE_CLUSTERED);
    const template = { ...draft.template, devRoles };
    const claim = { features, offset: bitmapOffset, isUsable: bitmap === "usable" };
    this.#superblocks(template, claim, behind);
  }

  /**
   * The bits of `next`, still under the headers of `now`, which knows the same slots by another
   * number or fewer bits; slots that are new get their own headers.
   */
  bits(now: BitmapDraft, next: ArrayDraft): void {
    if (next.bitmap === null) return;
    const slots = next.bitmap.slots.map(({ bits, superblock }, slot) => ({
      bits,
      superblock: now.slots[slot]?.superblock ?? superblock,
    }));
    // Not fewer events than the superblocks have by now: the bitmap must not look stale.
    const bytes = areaBytes({ ...next.bitmap, slots }, this.#events);
    this.#write(next.members, next.bitmap.offset, bytes);
  }

  /** All members say `draft` from here on. */
  claim(draft: ArrayDraft): void {
    this.#events += 1;
    const { bitmap, members, template } = draft;
    if (bitmap !== null) this.#write(members, bitmap.offset, areaBytes(bitmap, this.#events));
    const claim = claimOf(bitmap);
    this.#superblocks(template, claim, members.filter(isInSync));
    const others = members.filter((member) => !isInSync(member));
    this.#superblocks(template, claim, others);
  }

  /**
   * The last claim, and the same twice more for the case that a member failed: it may have stored
   * the last one all the same.
   */
  finish(draft: ArrayDraft): ChangePlan {
    this.claim(draft);
    const phases = this.#phases.splice(0);
    this.claim(draft);
    this.claim(draft);
    return { phases, seal: this.#phases.splice(0) };
  }

  #write(members: readonly MemberDraft[], offset: number, data: Uint8Array): void {
    const ops = new Map<number, readonly MemberOp[]>();
    for (const { member, superblock } of members) {
      const at = (superblock.superOffset + offset) * SECTOR_BYTES;
      ops.set(member.id, [{ type: "write", offset: at, data }, { type: "flush" }]);
    }
    this.#phases.push({ ops });
  }

  #superblocks(template: Superblock, claim: BitmapClaim, members: readonly MemberDraft[]): void {
    if (members.length === 0) return;
    const ops = new Map<number, readonly MemberOp[]>();
    for (const { member, superblock: own } of members) {
      const superblock = this.#superblock(template, claim, own);
      const data = encodeSuperblock(superblock);
      const offset = superblock.superOffset * SECTOR_BYTES;
      ops.set(member.id, [{ type: "write", offset, data }, { type: "flush" }]);
    }
    this.#phases.push({ ops });
  }

  #superblock(template: Superblock, claim: BitmapClaim, own: Superblock): Superblock {
    const features = (own.featureMap & OWN_FEATURES) | claim.features;
    const isRebuilding = (features & MD_FEATURE_RECOVERY_OFFSET) !== 0;
    // While the array was not clean a write may have missed the part already rebuilt, and without
    // a bitmap nothing tells where.
    const isRebuiltKnown = claim.isUsable || template.resyncOffset === "none";
    return {
      ...template,
      featureMap: claim.isUsable ? features : features & ~MD_FEATURE_RECOVERY_BITMAP,
      bitmapOffset: claim.offset,
      reshapeArea: own.reshapeArea,
      newOffset: own.newOffset,
      dataOffset: own.dataOffset,
      dataSize: own.dataSize,
      superOffset: own.superOffset,
      recoveryOffset: isRebuilding && !isRebuiltKnown ? 0 : own.recoveryOffset,
      devNumber: own.devNumber,
      cntCorrectedRead: own.cntCorrectedRead,
      deviceUuid: own.deviceUuid,
      devFlags: own.devFlags,
      bblogShift: own.bblogShift,
      bblogSize: own.bblogSize,
      bblogOffset: own.bblogOffset,
      utime: { seconds: Math.floor(this.#now / 1000), microseconds: (this.#now % 1000) * 1000 },
      events: this.#events,
      logicalBlockSize: own.logicalBlockSize,
    };
  }
}

/** What superblocks say of a bitmap. */
interface BitmapClaim {
  readonly features: number;
  readonly offset: number;
  /** Its bits can be believed. */
  readonly isUsable: boolean;
}

function claimOf(bitmap: BitmapDraft | null): BitmapClaim {
  if (bitmap === null) return { features: 0, offset: 0, isUsable: false };
  const isClustered = (bitmap.slots[0]?.superblock.nodes ?? 0) > 0;
  const features = MD_FEATURE_BITMAP_OFFSET | (isClustered ? MD_FEATURE_CLUSTERED : 0);
  return { features, offset: bitmap.offset, isUsable: true };
}

/** All slots as they lie on a member; `events`: at least so many in every header. */
function areaBytes(bitmap: BitmapDraft, events: number): Uint8Array {
  const [first] = bitmap.slots;
  if (first === undefined) return new Uint8Array(0);
  const slotBytes = slotBytesOf(first.superblock);
  const area = new Uint8Array(slotBytes * bitmap.slots.length);
  bitmap.slots.forEach(({ superblock, bits }, slot) => {
    const at = slot * slotBytes;
    const newest = Math.max(superblock.events, events);
    area.set(encodeBitmapSuperblock({ ...superblock, events: newest }), at);
    area.set(bits, at + BITMAP_SUPERBLOCK_BYTES);
  });
  return area;
}
