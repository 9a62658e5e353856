/**
 * From an assembly verdict to a running array: the first state of the array machine and of the
 * shared state. Pure; the members are open and their superblocks and bitmap areas read BEFORE.
 * Source: drivers/md/md.c md_run, md-bitmap.c bitmap_init_from_disk.
 */

import { assert } from "../common/assert.ts";
import { ArrayMachine } from "./array-machine.ts";
import { ArrayMap } from "./array-map.ts";
import type { ArrayOptions } from "./array-options.ts";
import {
  type ArrayState,
  type ClusterMetadata,
  emit,
  emptyPending,
  type Member,
  publishLeg,
  restingClusterMetadata,
  SECTOR,
} from "./array-state.ts";
import type { SyncReason } from "./array-status.ts";
import type { BadRange } from "./bad-block-table.ts";
import {
  type BitmapSuperblock,
  bitmapChunks,
  decodeBitmapSuperblock,
} from "./bitmap-superblock.ts";
import { joinedCluster } from "./cluster-calls.ts";
import { restingClusterSync, type ToldByCluster } from "./cluster-sync-state.ts";
import { OUTRUN } from "./copies-rule.ts";
import { NO_CLUSTER } from "./no-cluster.ts";
import {
  BIT_DURABLE,
  createSharedArray,
  LEG_IN_SYNC,
  LEG_REBUILDING,
  RAID_SLOTS_MAX,
  type SharedArrayShape,
  SharedArrayState,
  SYNCED_ALL,
} from "./shared-state.ts";
import { MD_DISK_ROLE_FAULTY, MD_DISK_ROLE_SPARE, type Superblock } from "./superblock-fields.ts";
import { newSweep } from "./sweep-state.ts";
import { WriteIntentBitmap } from "./write-intent-bitmap.ts";

const MIB = 1024 * 1024;

export type Placement =
  | { readonly type: "in_sync"; readonly raidSlot: number }
  | {
      readonly type: "rebuilding";
      readonly raidSlot: number;
      readonly recoveredBytes: number;
      /** By bitmap (MD_FEATURE_RECOVERY_BITMAP). */
      readonly guided: boolean;
      /** It is written beside the raid slot's member (MD_FEATURE_REPLACEMENT). */
      readonly isReplacement: boolean;
    }
  | { readonly type: "spare" };

export interface StartMember {
  readonly id: number;
  readonly path: string;
  readonly superblock: Superblock;
  readonly placement: Placement;
  /** The bitmap area as read from this member; null when it could not be read or has none. */
  readonly bitmapArea: Uint8Array | null;
  /** Its bad-block list, bytes behind its data offset. */
  readonly badBlocks: readonly BadRange[];
}

/**
 * The array of a cluster was changed as a whole. `held`: by this node, which still has the right to
 * write superblocks; `interrupted`: by one that is gone, and the others rest until an update comes.
 */
export type AfterChange = "held" | "interrupted";

export interface StartInput {
  readonly members: readonly StartMember[];
  /** The superblock with the most events among the active members. */
  readonly freshest: Superblock;
  /** The bitmap superblock to go on with, any slot's; null = the array has no bitmap. */
  readonly bitmap: BitmapSuperblock | null;
  /** The bitmap missed updates or could not be read: every bit counts as set. */
  readonly bitmapStale: boolean;
  /** It was running a moment ago and goes on changed: what is to be resynced is due to that. */
  readonly isChanged?: boolean;
  readonly readOnly: boolean;
  /** Of an array that was running: what its cluster has told it. */
  readonly told?: ToldByCluster;
  /** Number of this node's bitmap, from 0, of a node that has joined the array's cluster. */
  readonly slot?: number;
  /** The array was changed as a whole. */
  readonly afterChange?: AfterChange;
  /** Events of the first update, which comes before any write: newer copies are left behind. */
  readonly firstUpdate?: number | null;
  /** Largest logical block of the members, bytes. */
  readonly logicalBlockBytes: number;
  readonly workers: number;
  readonly now: number;
  readonly syncSpeedMin: number;
  readonly syncSpeedMax: number;
  readonly options: ArrayOptions;
}

export interface StartedArray {
  readonly machine: ArrayMachine;
  readonly shared: SharedArrayState;
}

/** The shared state's shape for an array. One chunk stands for the whole array without a bitmap. */
const shapeOf = (input: StartInput): SharedArrayShape => {
  const { raidDisks, size, level, layout, chunkSize } = input.freshest;
  assert(raidDisks <= RAID_SLOTS_MAX, "the shared state has words for each leg");
  const raid10 = level === 10 ? { layout, chunkSectors: chunkSize } : null;
  const map = { raidSlots: raidDisks, componentSectors: size, raid10 };
  const arraySectors = new ArrayMap(map).sizeBytes / SECTOR;
  const chunkBytes = input.bitmap?.chunkBytes ?? 2 ** 52;
  const chunks = input.bitmap === null ? 1 : bitmapChunks(arraySectors, chunkBytes);
  return createSharedArray({ workers: input.workers, chunks, chunkBytes, map });
};

/**
 * How far a member under rebuild is known to be equal. While the array was not clean a write may
 * have reached the other legs and not this one, anywhere below its checkpoint: only the bits say
 * where. Without a bitmap nothing is known.
 */
const rebuiltBytes = ({ placement }: StartMember, input: StartInput) => {
  const claimed = placement.type === "rebuilding" ? placement.recoveredBytes : 0;
  return {
    recoveredBytes: input.freshest.resyncOffset === "none" ? claimed : 0,
    rebuiltBefore: input.bitmap === null ? 0 : claimed,
  };
};

/** The leg that a placed member starts on. */
export const legOf = (
  placement: Exclude<Placement, { type: "spare" }>,
  raidDisks: number,
): number => {
  const isBeside = placement.type === "rebuilding" && placement.isReplacement;
  return placement.raidSlot + (isBeside ? raidDisks : 0);
};

const makeMember = (from: StartMember, input: StartInput): Member => {
  const { placement } = from;
  return {
    id: from.id,
    path: from.path,
    superblock: from.superblock,
    raidSlot: placement.type === "spare" ? null : placement.raidSlot,
    leg: placement.type === "spare" ? null : legOf(placement, input.freshest.raidDisks),
    isReplacement: placement.type === "rebuilding" && placement.isReplacement,
    wantReplacement: false,
    replaceWith: null,
    hasWriteError: false,
    badBlocks: from.badBlocks,
    storedBadBlocks: from.badBlocks,
    readErrors: 0,
    readErrorsAt: input.now,
    state: placement.type,
    ...rebuiltBytes(from, input),
    guided: placement.type === "rebuilding" && placement.guided,
    stuck: false,
    faultReason: null,
    goneHere: null,
    correctedSectors: 0,
    stalledSince: null,
    reason: placement.type === "rebuilding" && placement.guided ? "re-add" : "device-added",
  };
};

/**
 * dev_roles as the present members make them: whoever is absent is no longer named. In a cluster
 * who has failed stays so: other nodes know it as faulty, and it is no spare for the next one that
 * joins.
 */
const presentRoles = (input: StartInput): Uint16Array => {
  const stored = input.freshest.devRoles;
  const roles = stored.map((role) =>
    input.slot !== undefined && role === MD_DISK_ROLE_FAULTY ? role : MD_DISK_ROLE_SPARE,
  );
  for (const { superblock, placement } of input.members) {
    if (placement.type !== "spare" && superblock.devNumber < roles.length) {
      roles[superblock.devNumber] = placement.raidSlot;
    }
  }
  return roles;
};

/**
 * The header of this node's own slot: each has events of its own. A slot that nobody can tell
 * anything of starts like a stale bitmap. Source: md-bitmap.c md_bitmap_read_sb.
 */
const ownHeader = (input: StartInput, any: BitmapSuperblock): BitmapSuperblock => {
  if (input.slot === undefined) return any;
  for (const { bitmapArea, placement } of input.members) {
    if (bitmapArea === null || placement.type !== "in_sync") continue;
    const decoded = decodeBitmapSuperblock(bitmapArea, any.uuid);
    if (!decoded.ok || decoded.value.chunkBytes !== any.chunkBytes) continue;
    const { events, eventsCleared } = decoded.value;
    return { ...any, events, eventsCleared };
  }
  return { ...any, eventsCleared: input.freshest.events };
};

const loadBitmap = (input: StartInput, shared: SharedArrayState): WriteIntentBitmap | null => {
  if (input.bitmap === null) {
    shared.setBit(0, BIT_DURABLE);
    return null;
  }
  const bitmap = new WriteIntentBitmap(ownHeader(input, input.bitmap), shared);
  const areas = input.members.flatMap(({ placement, bitmapArea: area }) =>
    placement.type !== "spare" && area !== null && bitmap.fits(area) ? [area] : [],
  );
  bitmap.load(areas);
  if (input.bitmapStale || areas.length === 0) bitmap.fill();
  return bitmap;
};

/**
 * `initial` while the copies have never been equal: no bit was ever cleared. A node's own bitmap
 * tells that of a clustered array only when it has every bit.
 */
const reasonOf = (input: StartInput, bitmap: WriteIntentBitmap | null): SyncReason => {
  const neverEqual =
    bitmap === null ? input.freshest.events === 0 : bitmap.superblock.eventsCleared === 0;
  const isPartOnly = input.slot !== undefined && bitmap?.setChunks !== bitmap?.chunks;
  if (neverEqual && !isPartOnly) return "initial";
  return input.isChanged === true ? "array-changed" : "unclean-shutdown";
};

/** What remains to be resynced, from what the superblock and the bitmap say. */
const pendingResync = (
  input: StartInput,
  copies: number,
  bitmap: WriteIntentBitmap | null,
): number | "none" => {
  const stored = input.freshest.resyncOffset;
  if (input.slot !== undefined) return clusterResync(stored, bitmap);
  // One copy alone has nothing to be brought in line with. Source: raid1.c raid1_run.
  const isAlone = copies <= 1 && input.freshest.level === 1;
  if (isAlone || (stored === "none" && !input.bitmapStale)) return "none";
  if (bitmap === null) return stored === "none" ? 0 : stored * SECTOR;
  bitmap.needSetChunks();
  return 0;
};

/**
 * Every set bit counts, also with one copy: another node may be rebuilding a second one. Bits of a
 * clean array, made clustered while it was stopped, mean nothing.
 */
const clusterResync = (
  stored: number | "none",
  bitmap: WriteIntentBitmap | null,
): number | "none" => {
  if (stored !== "none") bitmap?.needSetChunks();
  return (bitmap?.neededChunks ?? 0) > 0 ? 0 : "none";
};

/** Words that start at the same value for every array. */
const idleState = (input: StartInput) => ({
  canStepBack: false,
  resyncStuck: false,
  stopping: null,
  stopped: false,
  keepsOpen: false,
  finalSweepDone: false,
  transaction: null,
  sync: null,
  userAction: null,
  frozen: false,
  opening: new Map(),
  opened: [],
  joining: new Map(),
  clusterCalls: new Map(),
  clusterSync: restingClusterSync(input.slot !== undefined, input.told),
  driverAsks: new Map(),
  clusterMetadata: changedMetadata(input),
  repairs: new Map(),
  lostLegs: [],
  silences: new Map(),
  lastTickAt: input.now,
  mismatchCount: 0,
  mismatches: [],
  mismatchesTruncated: false,
  nextToken: 1,
  now: input.now,
  sweep: newSweep(input.now),
  quietSince: input.now,
  lastStarted: 0,
  lastOperations: 0,
  busyUntil: 0,
  effects: [],
});

/** After a change of the array the right to write superblocks is kept, and the update is due. */
const changedMetadata = ({ afterChange }: StartInput): ClusterMetadata => {
  const resting = restingClusterMetadata();
  if (afterChange !== "held") return resting;
  return { ...resting, stage: "granted", tellsCapacity: true, afterRest: [] };
};

/** Starts the machine; the caller opens the legs in the workers, then sets `shared.run`. */
export const startArray = (input: StartInput): StartedArray => {
  const shared = new SharedArrayState(shapeOf(input));
  const bitmap = loadBitmap(input, shared);
  const members = new Map(input.members.map((member) => [member.id, makeMember(member, input)]));
  const copies = [...members.values()].filter((member) => member.state === "in_sync").length;
  const resyncFrom = pendingResync(input, copies, bitmap);
  const devRoles = presentRoles(input);
  const rolesChanged = devRoles.some((role, number) => role !== input.freshest.devRoles[number]);
  // 0 is what a dirty array stores; a checkpoint is written only while the array is clean.
  const clean = input.freshest.resyncOffset !== 0 && !input.bitmapStale;
  const firstUpdate = input.firstUpdate ?? 0;
  const dropsMembers = (rolesChanged && !input.readOnly) || firstUpdate > 0;
  const isChanged = input.afterChange !== undefined;
  // An array that several nodes run is never clean. Source: md.c md_run, set_in_sync.
  const activate = input.slot !== undefined && clean;
  // BEFORE the first write the superblocks say who is not there any more.
  shared.clean = clean || dropsMembers;
  shared.balances = input.slot === undefined;
  for (const [slot, { from, to }] of input.told?.remote ?? []) shared.suspend(slot, from, to);
  shared.syncedMib = resyncFrom === "none" ? SYNCED_ALL : Math.floor(resyncFrom / MIB);
  const recovered = new Map([...members.values()].map((m) => [m.id, m.recoveredBytes]));
  const state: ArrayState = {
    ...idleState(input),
    shared,
    cluster:
      input.slot === undefined ? NO_CLUSTER : joinedCluster(input.slot, (e) => emit(state, e)),
    bitmap,
    members,
    template: input.freshest,
    map: shared.map,
    logicalBlockBytes: input.logicalBlockBytes,
    events: input.freshest.events,
    // A member now missing, or a node that is gone, may hold or have written one more update.
    mustOutrun: dropsMembers || input.told?.isBalancingSuspended === true,
    seenEvents: Math.max(0, firstUpdate - OUTRUN),
    isUneven: input.members.some(
      ({ placement, superblock }) =>
        placement.type === "in_sync" && superblock.events < input.freshest.events,
    ),
    resyncFrom,
    syncReason: reasonOf(input, bitmap),
    claims: { resyncFrom, recovered },
    devRoles,
    durableRoles: input.freshest.devRoles,
    heldRoles: null,
    clean,
    readOnly: input.readOnly,
    pending: { ...emptyPending(), rolesChanged: dropsMembers || isChanged, activate },
    options: input.options,
    syncSpeedMin: input.syncSpeedMin,
    syncSpeedMax: input.syncSpeedMax,
  };
  for (const member of members.values()) {
    if (member.leg === null) continue;
    publishLeg(state, member);
    shared.setLeg(member.leg, member.state === "in_sync" ? LEG_IN_SYNC : LEG_REBUILDING);
  }
  return { machine: new ArrayMachine(state), shared };
};
