/**
 * What assembly is given and what it answers: candidates in, a verdict with a reason per member
 * out. The decision itself is in assembly.ts.
 */

import type { BitmapDecoded, BitmapReason, BitmapSuperblock } from "./bitmap-superblock.ts";
import type { ProbedMember } from "./probe.ts";
import type { Raid10Geometry } from "./raid10-layout.ts";
import type { Superblock } from "./superblock-fields.ts";

/** One would-be member. */
export interface AssemblyCandidate {
  readonly path: string;
  readonly probe: ProbedMember;
  /**
   * The superblock of its first bitmap slot, decoded against its own set_uuid; `unreadable` when
   * the range could not be read; null when its superblock names no bitmap.
   */
  readonly bitmap: BitmapDecoded | "unreadable" | null;
  /** What was read may not be on its medium: nothing is to be told by it. */
  readonly isUnsettled?: boolean;
}

/** Where a candidate ends up. `kicked`, `faulty` and `unusable` ones take no part. */
export type AssemblyPlacement =
  | { readonly type: "in-sync"; readonly raidSlot: number }
  | {
      readonly type: "rebuilding";
      readonly raidSlot: number;
      /** Sectors behind the data offset that are already rebuilt. */
      readonly recoveryOffset: number;
      /** By bitmap (a re-add), not by full copy. */
      readonly guided: boolean;
      /** Written beside the raid slot's member, to take its place. */
      readonly isReplacement: boolean;
    }
  | { readonly type: "spare" }
  | { readonly type: "faulty" }
  | { readonly type: "kicked" }
  | { readonly type: "unusable" };

/** Why a candidate got its placement. */
export type AssemblyReason =
  | "in-sync"
  | "rebuilding"
  | "spare"
  | "replacement-idle"
  | "faulty"
  | "journal"
  | "non-fresh"
  | "split-brain"
  | "duplicate-device"
  | "duplicate-number"
  | "duplicate-slot"
  | "other-array"
  | "other-shape"
  | "unsupported"
  | "too-small"
  | "data-overlap"
  | "damaged"
  | "unreadable"
  | "no-superblock"
  | "undecided"
  | "metadata-0.90"
  | "metadata-ddf"
  | "metadata-imsm";

/** One candidate's part of the verdict. */
export interface AssemblyMember {
  readonly path: string;
  readonly placement: AssemblyPlacement;
  readonly reason: AssemblyReason;
  /** One sentence for people, without a full stop; names what to do where something can be done. */
  readonly text: string;
  /** Null when it has no usable superblock. */
  readonly superblock: Superblock | null;
}

/** The write-intent bitmap the array goes on with. */
export type AssemblyBitmap =
  | { readonly state: "none" }
  /** `stale`: it missed updates; every bit counts as set. */
  | {
      readonly state: "usable" | "stale";
      readonly superblock: BitmapSuperblock;
      /** Index of the member it was read from. */
      readonly source: number;
    }
  /** The superblock promises a bitmap, no in-sync member has a sound one. */
  | { readonly state: "absent"; readonly reason: BitmapReason | "unreadable" | "misplaced" };

/** The array as its freshest member describes it. Sizes in sectors. */
export interface AssembledShape {
  /** Superblock of the freshest member: the template for every update. */
  readonly freshest: Superblock;
  /** Index of that member. */
  readonly freshestIndex: number;
  /** Null for raid1. */
  readonly raid10: Raid10Geometry | null;
  readonly arraySectors: number;
}

/** The array can start. */
export interface AssemblyStart {
  readonly verdict: "start";
  readonly shape: AssembledShape;
  readonly members: readonly AssemblyMember[];
  /** Raid slots with neither an in-sync nor a rebuilding member. */
  readonly missingSlots: readonly number[];
  /** Raid slots without an in-sync member. */
  readonly degraded: number;
  /** The copies may differ: a resync is due once the array is writable. */
  readonly dirty: boolean;
  /**
   * Every raid slot that the freshest superblock believes working is present. When false somebody
   * may have forgotten a member; mdadm then wants `--run`.
   */
  readonly complete: boolean;
  readonly bitmap: AssemblyBitmap;
}

/** Codes of refusals. */
export type AssemblyRefusalCode =
  | "RAID_NO_MEMBERS"
  | "RAID_MIXED_ARRAYS"
  | "RAID_DUPLICATE_MEMBER"
  | "RAID_UNSUPPORTED_METADATA"
  | "RAID_UNSUPPORTED_LEVEL"
  | "RAID_UNSUPPORTED_FEATURE"
  | "RAID_RESHAPE_ACTIVE"
  | "RAID_BAD_GEOMETRY"
  | "RAID_NOT_ENOUGH_MEMBERS";

/** The array cannot start; nothing is to be written. */
export interface AssemblyRefuse {
  readonly verdict: "refuse";
  readonly code: AssemblyRefusalCode;
  readonly message: string;
  readonly remedy: string;
  readonly members: readonly AssemblyMember[];
}

export type AssemblyVerdict = AssemblyStart | AssemblyRefuse;
