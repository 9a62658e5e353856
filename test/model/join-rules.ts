/** Who may join a running array, as md decides it from what is on the media: add and re-add. */

import type { ArrayStatus, MemberStatus } from "../../src/raid/array-status.ts";
import { memberRole, superblockIsAtStart } from "../../src/raid/superblock.ts";
import {
  MD_FEATURE_RECOVERY_BITMAP,
  MD_FEATURE_RECOVERY_OFFSET,
  type MinorVersion,
  type Superblock,
} from "../../src/raid/superblock-fields.ts";
import { bitmapOf, superblockOf } from "./media-view.ts";
import { type ModelMedium, SECTOR } from "./medium.ts";

const RECOVERY = MD_FEATURE_RECOVERY_OFFSET | MD_FEATURE_RECOVERY_BITMAP;

export const isWorking = ({ states }: MemberStatus): boolean => !states.includes("faulty");
export const isIdleSpare = ({ states }: MemberStatus): boolean => states.join() === "spare";
/** In sync and not about to be recorded faulty. */
export const isInSync = ({ states }: MemberStatus): boolean =>
  states.includes("in_sync") && !states.includes("blocked");

interface Reference {
  readonly medium: ModelMedium;
  readonly superblock: Superblock;
}

/** The array at one moment. */
export class JoinRules {
  readonly #status: ArrayStatus;
  readonly #minor: MinorVersion;
  readonly #working: readonly MemberStatus[];
  /** The members in sync: what the array is like. */
  readonly #references: readonly Reference[];

  constructor(status: ArrayStatus, media: readonly ModelMedium[], minor: MinorVersion) {
    this.#status = status;
    this.#minor = minor;
    this.#working = status.members.filter((member) => member.path !== null && isWorking(member));
    this.#references = this.#working.filter(isInSync).flatMap(({ path }) => {
      const medium = media.find((other) => other.path === path);
      const superblock = medium === undefined ? null : superblockOf(medium, minor);
      return medium === undefined || superblock === null ? [] : [{ medium, superblock }];
    });
  }

  /** A raid slot may be promised to a spare that is just being opened. */
  get hasSpare(): boolean {
    return this.#working.some(({ states }) => states.includes("spare"));
  }

  /** By which members in sync: they differ where a change of the lists was cut short. */
  tooSmallFor(medium: ModelMedium): boolean[] {
    return this.#references.map(({ superblock }) => isTooSmall(medium, superblock));
  }

  /** Why the medium cannot be re-added; null when it can. */
  reAddProblem(medium: ModelMedium): string | null {
    const [reference] = this.#references;
    const sb = superblockOf(medium, this.#minor);
    if (reference === undefined || sb === null) return "no superblock";
    const now = reference.superblock;
    if (Buffer.compare(sb.setUuid, now.setUuid) !== 0) return "another array's";
    const role = memberRole(sb, sb.devNumber);
    if (role.type !== "slot") return "no raid slot";
    if (role.raidSlot >= now.raidDisks) return "its slot is gone";
    if (this.#working.some((m) => m.raidSlot === role.raidSlot)) return "its slot is taken";
    if ((sb.featureMap & RECOVERY) === MD_FEATURE_RECOVERY_OFFSET) return "it was being rebuilt";
    if (this.#working.some((m) => m.deviceNumber === sb.devNumber)) return "its number is taken";
    if (sb.dataSize < now.size) return "too small";
    const { events, bitmap } = this.#status;
    if (bitmap.type === "none") return sb.events === events ? null : "no bitmap";
    if (sb.events > events) return "ahead";
    const own = bitmapOf(medium, sb)?.superblock;
    if (own === undefined || own.chunkBytes !== bitmap.chunkBytes) return "its bitmap";
    const cleared = bitmapOf(reference.medium, now)?.superblock.eventsCleared ?? 0;
    return sb.events >= cleared ? null : "bits were cleared";
  }

  /** The code with which it is refused; null when it is not. */
  refusal(type: "add" | "re-add", medium: ModelMedium): string | null {
    if (this.#working.some(({ path }) => path === medium.path)) return "RAID_ALREADY_A_MEMBER";
    const mayReAdd = !medium.isDead && this.reAddProblem(medium) === null;
    if (type === "re-add" && !mayReAdd) return "RAID_RE_ADD_REFUSED";
    if (medium.logicalBlockSize > this.#status.logicalBlockBytes)
      return "RAID_SECTOR_SIZE_MISMATCH";
    if (this.tooSmallFor(medium).every((is) => is)) return "RAID_DEVICE_TOO_SMALL";
    return medium.isDead ? "RAID_MEMBER_IO_ERROR" : null;
  }
}

/** The medium has less room than the array uses of the member with this superblock. */
const isTooSmall = (medium: ModelMedium, like: Superblock): boolean => {
  const sectors = Math.floor(medium.sizeBytes / SECTOR);
  if (superblockIsAtStart(like)) return sectors - like.dataOffset < like.size;
  const behind = Math.min(like.bitmapOffset, like.bblogOffset, 0);
  return ((sectors - 16) & ~7) + behind < like.size;
};
