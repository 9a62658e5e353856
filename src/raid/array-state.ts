/**
 * The state of the array machine: what the array thread knows of one running array. Mutable in
 * place, owned by array-machine.ts and the files it is split into; nobody else sees it.
 */

import type { ArrayMap } from "./array-map.ts";
import type {
  ArrayEffect,
  ArrayRange,
  CommandOutcome,
  DriverAnswer,
  Newcomer,
  ReadSuperblock,
} from "./array-messages.ts";
import type { ArrayOptions } from "./array-options.ts";
import type { ArrayHappening, SyncReason } from "./array-status.ts";
import { hasBadBlockLog } from "./bad-block-list.ts";
import type { BadRange } from "./bad-block-table.ts";
import type { ClusterAnswer, ClusterCall, ClusterNotice, ClusterPort } from "./cluster-port.ts";
import type { ClusterSync } from "./cluster-sync-state.ts";
import { NO_CLUSTER } from "./no-cluster.ts";
import {
  LEG_BLOCKED,
  LEG_FAILFAST,
  LEG_IN_SYNC,
  LEG_NOTES_BAD_BLOCKS,
  LEG_REBUILDING,
  LEG_WRITE_ERROR,
  LEG_WRITE_MOSTLY,
  type SharedArrayState,
} from "./shared-state.ts";
import { FAIL_FAST, type Superblock, WRITE_MOSTLY } from "./superblock-fields.ts";
import type { SweepState } from "./sweep-state.ts";
import type { SyncRun } from "./sync-run.ts";
import type { BitmapWrite, WriteIntentBitmap } from "./write-intent-bitmap.ts";

export const SECTOR = 512;

/** A member device (the kernel's rdev). */
export interface Member {
  /** Number of the handle in the driver, unique for the life of the array thread. */
  readonly id: number;
  readonly path: string;
  /** Its own fields (device_uuid, data_offset …); array-wide fields are filled in when written. */
  superblock: Superblock;
  /** Position in the array while it has one; a faulty member has none. */
  raidSlot: number | null;
  /** Which of the two legs of its raid slot is its own, while it has one. */
  leg: number | null;
  /** It is written beside the member of its raid slot, to take its place. */
  isReplacement: boolean;
  /** A spare is to take its place; `replaceWith`: which one, null = any. */
  wantReplacement: boolean;
  replaceWith: number | null;
  /** It failed a write since the start. */
  hasWriteError: boolean;
  /** Its bad-block list, bytes behind its data offset. */
  badBlocks: readonly BadRange[];
  /** The list as it was last written: another object than `badBlocks` while that is newer. */
  storedBadBlocks: readonly BadRange[];
  /** Read errors that count, halved every hour since `readErrorsAt`. */
  readErrors: number;
  readErrorsAt: number;
  state: "in_sync" | "rebuilding" | "spare" | "faulty";
  /** Bytes of the member already rebuilt, while rebuilding: equal to the other legs up to here. */
  recoveredBytes: number;
  /** Bytes rebuilt before the array was started: equal up to here but where a bit is set. */
  readonly rebuiltBefore: number;
  /** Rebuild only chunks whose bit is set (re-add). */
  guided: boolean;
  /** Its rebuild met data nobody could read: not tried again until the user acts. */
  stuck: boolean;
  faultReason: string | null;
  /** Why an I/O worker's handle of it fails every call from now on; null: none does. */
  goneHere: string | null;
  correctedSectors: number;
  stalledSince: number | null;
  reason: SyncReason;
}

/** Work that waits for the next metadata update, and what to tell whom once it is durable. */
export interface Pending {
  intents: { worker: number; ranges: readonly (readonly [number, number])[] }[];
  /** Members to record faulty, with the reason. */
  failing: Map<number, string>;
  /** `isNoted`: dealt with by this update; null: whether its member is faulty by then decides. */
  legReports: { worker: number; request: number; member: number; isNoted: boolean | null }[];
  /** Members whose bad-block list changed. */
  badBlocks: Set<number>;
  /** Commands to answer with success. */
  commands: number[];
  happenings: ArrayHappening[];
  /** Members that become in sync with this update (their rebuild is complete). */
  promoted: number[];
  /** Roles, sizes or names changed: the superblocks must be written. */
  rolesChanged: boolean;
  /** Write the clean state; permission to write has been withdrawn. */
  goClean: boolean;
  /** The array is to be marked dirty before writes. */
  activate: boolean;
  /** Flush the members first: the update claims that copied data is safe. */
  flushFirst: boolean;
  /** Notices of the cluster to answer; no update of our own is needed for them. */
  notices: number[];
  /** Every node must have carried out what was sent before: who waits is answered only then. */
  confirm: boolean;
  /** This update lowered the events, which holds only once every member has it. */
  steppedBack: boolean;
}

export interface Phase {
  readonly ios: readonly {
    readonly member: number;
    readonly ops: Extract<ArrayEffect, { type: "member-io" }>["ops"];
  }[];
}

/** What the superblocks may say is safely copied: true on the members since their last flush. */
export interface Claims {
  readonly resyncFrom: number | "none";
  /** Bytes rebuilt, by member. */
  readonly recovered: ReadonlyMap<number, number>;
}

/** What has been copied up to now; may be claimed AFTER a flush that begins now. */
export const currentClaims = (state: ArrayState): Claims => ({
  resyncFrom: state.resyncFrom,
  recovered: new Map([...state.members.values()].map((m) => [m.id, m.recoveredBytes])),
});

/**
 * Where this node's update stands with its cluster: nothing asked; asked for the right to write
 * superblocks; has it; the superblocks are durable, and the others have been told.
 */
export type UpdateStage = "idle" | "asked" | "granted" | "told";

/** Superblocks that another node wrote, to be taken over once no transaction is under way. */
export interface ToldUpdate {
  /** Number of the notice. */
  readonly notice: number;
  /** Whose superblock is to be believed first. */
  readonly deviceNumber: number;
  /** That it ended at; 0: its sender did not tell. */
  readonly events: number;
  readonly found: readonly ReadSuperblock[];
}

/** A device that another node adds, open here until the next update tells what became of it. */
export interface Candidate {
  readonly newcomer: Newcomer;
  readonly deviceNumber: number;
}

/** A call to the cluster that is not made yet. */
export interface DeferredCall {
  readonly call: ClusterCall;
  readonly then: (state: ArrayState, answer: ClusterAnswer) => void;
}

/** A change of the array as a whole, begun by the command with this number. */
export interface OwnChange {
  readonly command: number;
  readonly sectors: number;
  /** It takes the array out of its cluster: no other node may run it. */
  readonly isLeaving: boolean;
  /** This node keeps the right to write superblocks. */
  isHeld: boolean;
  /** False while the others are asked: they may still write. */
  isAnswered: boolean;
}

/** What only an array that several nodes run keeps of its metadata. */
export interface ClusterMetadata {
  stage: UpdateStage;
  /** Durable here, and not yet known to all nodes: who waits is answered AFTER they know. */
  told: Pending | null;
  /** One notice at a time is carried out; null: none. */
  update: ToldUpdate | null;
  /** The notice that waits for legs being opened, and for this node's bits on them. */
  joiningLegs: { readonly notice: number; readonly tokens: Set<number> } | null;
  /** By handle number. */
  readonly candidates: Map<number, Candidate>;
  /** Of the look for another node's device; raised by the next one, and by what ends its add. */
  look: number;
  /** Another node's device, to be looked at once this node has written what it began there. */
  lookAgain: Extract<ClusterNotice, { readonly type: "new-disk" }> | null;
  /** This node changes the array as a whole. */
  change: OwnChange | null;
  /** Another node does, and this one comes to rest, or has refused. */
  rest: { readonly notice: number; isRefused: boolean } | null;
  /** The array was changed: the update that follows tells its capacity first. */
  tellsCapacity: boolean;
  /** Others rest for this node until that update: what is asked then. Null: nobody does. */
  afterRest: DeferredCall[] | null;
  /** Commands that ask for a member's failure: a member that must be kept is refused. */
  readonly failCommands: Map<number, number>;
  /** What commands are answered whose refusal goes with an update. */
  readonly refusals: Map<number, CommandOutcome>;
}

export const restingClusterMetadata = (): ClusterMetadata => ({
  stage: "idle",
  told: null,
  update: null,
  joiningLegs: null,
  candidates: new Map(),
  look: 0,
  lookAgain: null,
  change: null,
  rest: null,
  tellsCapacity: false,
  afterRest: null,
  failCommands: new Map(),
  refusals: new Map(),
});

/** A metadata transaction under way; one at a time. */
export interface Transaction {
  readonly kind: "update" | "bits" | "sweep" | "slot";
  readonly work: Pending;
  /** Built when the one before is complete. */
  readonly phases: ((state: ArrayState) => Phase)[];
  readonly waiting: Map<number, number>;
  /** What had been copied when it began: true once its first phase has flushed the members. */
  readonly claims: Claims;
  writes: BitmapWrite[];
  /** dev_roles as its superblocks have them; null while it has written none. */
  roles: Uint16Array | null;
  failed: boolean;
  /** What it was for, once it is complete. */
  readonly then: ((state: ArrayState) => void) | null;
}

/** A leg being opened by the workers. */
export interface Opening {
  readonly member: number;
  readonly slot: number;
  readonly leg: number;
  readonly isReplacement: boolean;
  /** Another node's update gave it the raid slot: nothing of it is left to record. */
  readonly isTold?: boolean;
  /** The command that brings it back: answered with the update that names it. */
  readonly command?: number;
}

/** What the user asked for, with the bytes of the array it is to cover. */
export interface UserAction {
  readonly action: "check" | "repair";
  readonly from: number;
  readonly to: number;
}

export interface ArrayState {
  readonly shared: SharedArrayState;
  readonly cluster: ClusterPort;
  /** Calls to the cluster that are not answered: what to do then. */
  readonly clusterCalls: Map<number, (state: ArrayState, answer: ClusterAnswer) => void>;
  /** Asks of the driver that are not answered, by token: what to do then. */
  readonly driverAsks: Map<number, (state: ArrayState, answer: DriverAnswer) => void>;
  readonly clusterMetadata: ClusterMetadata;
  readonly bitmap: WriteIntentBitmap | null;
  readonly members: Map<number, Member>;
  /** Array-wide superblock fields: the template every write is filled from. */
  template: Superblock;
  readonly map: ArrayMap;
  /** Largest logical block of the members, bytes: what clients may count on. */
  readonly logicalBlockBytes: number;
  events: number;
  /** The next update must end two above these and `seenEvents`: somebody may be one ahead. */
  mustOutrun: boolean;
  /** The most that a member was found to hold by this node's turn; 0: none was looked at. */
  seenEvents: number;
  /** An in-sync member may have one update less: the next one brings all level, then goes up. */
  isUneven: boolean;
  /** Bytes known in sync, or "none" when there is nothing to resync. */
  resyncFrom: number | "none";
  /** Why a pending resync is needed. */
  syncReason: SyncReason;
  /** Some chunks could be read on no leg: their resync waits for the next start. */
  resyncStuck: boolean;
  claims: Claims;
  devRoles: Uint16Array;
  /** dev_roles as every member has them, and what an update writes while they are held back. */
  durableRoles: Uint16Array;
  heldRoles: Uint16Array | null;
  clean: boolean;
  /** The last update was only clean -> dirty: the next dirty -> clean may step events back. */
  canStepBack: boolean;
  readOnly: boolean;
  /** Commands that asked for the stop; null while nobody has. */
  stopping: number[] | null;
  stopped: boolean;
  /** The stop leaves working members open. */
  keepsOpen: boolean;
  /** The stop has cleared what bits it could. */
  finalSweepDone: boolean;
  pending: Pending;
  transaction: Transaction | null;
  sync: SyncRun | null;
  /** The part of sync actions that concerns other nodes. */
  readonly clusterSync: ClusterSync;
  userAction: UserAction | null;
  frozen: boolean;
  /** Newcomers and legs being opened by the workers: token -> what to do then. */
  readonly opening: Map<number, Opening>;
  /** Legs opened during a transaction: they count from its end on. */
  opened: { readonly token: number; readonly error: string | null }[];
  /** Metadata written to a newcomer before it joins: token -> what to do then. */
  readonly joining: Map<number, Joining>;
  readonly repairs: Map<number, { readonly member: number; readonly length: number }>;
  /** Legs of members just marked faulty, to take out of use once that is durable. */
  readonly lostLegs: LostLeg[];
  /** How long members have owed an answer, by their ids; those that owe none are missing. */
  readonly silences: Map<number, Silence>;
  lastTickAt: number;
  readonly options: ArrayOptions;
  syncSpeedMin: number;
  syncSpeedMax: number;
  mismatchCount: number;
  /** Where the last check or repair found copies different; the first ones when many. */
  mismatches: ArrayRange[];
  mismatchesTruncated: boolean;
  nextToken: number;
  now: number;
  readonly sweep: SweepState;
  quietSince: number;
  lastStarted: number;
  lastOperations: number;
  busyUntil: number;
  effects: ArrayEffect[];
}

/** A member on its way in; `slot`: the raid slot that a re-add takes. */
export interface Joining {
  readonly member: number;
  readonly command: number;
  readonly slot: number | null;
  /** Of a re-add: bytes that any bitmap marks, so about as much is copied. */
  readonly markedBytes?: number;
  /** Its first metadata is written, and other nodes look for it, or will. */
  readonly isOffered?: true;
}

/** A leg to take out of use; `reason`: its member failed, so nobody waits for what it owes. */
export interface LostLeg {
  readonly leg: number;
  readonly reason: string | null;
}

/** A member's oldest call that is not answered: when it began, and for how long that was seen. */
export interface Silence {
  readonly since: number;
  readonly silentMs: number;
}

export const emptyPending = (): Pending => ({
  intents: [],
  failing: new Map(),
  legReports: [],
  badBlocks: new Set(),
  commands: [],
  happenings: [],
  promoted: [],
  rolesChanged: false,
  goClean: false,
  activate: false,
  flushFirst: false,
  notices: [],
  confirm: false,
  steppedBack: false,
});

export const emit = (state: ArrayState, effect: ArrayEffect): void => {
  state.effects.push(effect);
};

/** The resync under way may be past what is to be resynced now: it ends, and begins again. */
export const outdateResync = (state: ArrayState): void => {
  if (state.sync?.action !== "resync") return;
  state.sync.aborted = true;
  state.sync.isOutdated = true;
};

export const nextToken = (state: ArrayState): number => state.nextToken++;

export const happen = (
  state: ArrayState,
  type: ArrayHappening["type"],
  severity: ArrayHappening["severity"],
  message: string,
  details: ArrayHappening["details"] = {},
): ArrayHappening => ({ type, severity, time: state.now, message, details });

/** Whether other nodes may run the array, too. */
export const isInCluster = (state: ArrayState): boolean => state.cluster !== NO_CLUSTER;

/** This node changes the array, or rests while another one does: it begins nothing of its own. */
export const isResting = ({ clusterMetadata: own }: ArrayState): boolean =>
  own.change !== null || own.rest !== null;

/** The array has a bitmap per node, whoever runs it. */
export const isClustered = (state: ArrayState): boolean =>
  (state.bitmap?.superblock.nodes ?? 0) > 0;

/** The member of a raid slot; not the one that is written beside it. */
export const memberAt = (state: ArrayState, raidSlot: number): Member | null => {
  for (const member of state.members.values())
    if (member.raidSlot === raidSlot && !member.isReplacement) return member;
  return null;
};

export const replacementAt = (state: ArrayState, raidSlot: number): Member | null => {
  for (const member of state.members.values())
    if (member.raidSlot === raidSlot && member.isReplacement) return member;
  return null;
};

export const memberOfLeg = (state: ArrayState, leg: number): Member | null => {
  for (const member of state.members.values()) if (member.leg === leg) return member;
  return null;
};

export const memberByPath = (state: ArrayState, path: string): Member | null => {
  for (const member of state.members.values()) if (member.path === path) return member;
  return null;
};

const isFailing = (state: ArrayState, member: Member): boolean =>
  state.pending.failing.has(member.id);

/** Members in sync and not about to be recorded faulty, lowest raid slot first. */
export const inSyncMembers = (state: ArrayState): Member[] =>
  [...state.members.values()]
    .filter((member) => member.state === "in_sync" && !isFailing(state, member))
    .sort((a, b) => (a.raidSlot ?? 0) - (b.raidSlot ?? 0));

export const rebuildingMembers = (state: ArrayState): Member[] =>
  [...state.members.values()].filter(
    (member) =>
      member.state === "rebuilding" && member.raidSlot !== null && !isFailing(state, member),
  );

/** The fewest in-sync copies that any byte of the array has, a member left out. */
export const copiesLeft = (state: ArrayState, without: Member | null = null): number => {
  const slots = new Set(
    inSyncMembers(state).flatMap((member) => (member === without ? [] : [member.raidSlot])),
  );
  return state.map.copiesLeft((slot) => slots.has(slot));
};

/** True for an in-sync member without which some bytes would have no in-sync copy. */
export const isLastInSync = (state: ArrayState, member: Member): boolean =>
  member.state === "in_sync" && copiesLeft(state, member) === 0;

/** Raid slots without an in-sync member. */
export const degradedCount = (state: ArrayState): number => {
  const members = [...state.members.values()];
  const slots = new Set(members.filter((m) => m.state === "in_sync").map((m) => m.raidSlot));
  return state.template.raidDisks - slots.size;
};

/** A leg of the raid slot that nobody has; null while both are in use. */
export const freeLeg = (state: ArrayState, slot: number): number | null => {
  const legs = [slot, slot + state.map.raidSlots];
  const isTaken = (leg: number): boolean =>
    memberOfLeg(state, leg) !== null ||
    state.lostLegs.some((lost) => lost.leg === leg) ||
    [...state.opening.values()].some((opening) => opening.leg === leg);
  return legs.find((leg) => !isTaken(leg)) ?? null;
};

/** What the shared state says of a member's leg when nothing is wrong with it. */
export const legWord = (member: Member): number =>
  member.state === "in_sync" ? LEG_IN_SYNC : LEG_REBUILDING;

/** Nobody writes until the member's failure is recorded. */
export const blockLeg = (state: ArrayState, member: Member): void => {
  if (member.leg !== null) state.shared.setLeg(member.leg, LEG_BLOCKED);
};

/** Tells the workers a leg's flags and bad blocks. BEFORE what counts on them is answered. */
export const publishLeg = (state: ArrayState, member: Member): void => {
  const { leg, superblock } = member;
  if (leg === null) return;
  const { devFlags } = superblock;
  const flags =
    ((devFlags & WRITE_MOSTLY) === 0 ? 0 : LEG_WRITE_MOSTLY) |
    ((devFlags & FAIL_FAST) === 0 ? 0 : LEG_FAILFAST) |
    (member.hasWriteError ? LEG_WRITE_ERROR : 0) |
    (notesBadBlocks(state, member) ? LEG_NOTES_BAD_BLOCKS : 0);
  state.shared.badBlocks(leg).set(member.badBlocks);
  if (state.shared.flags(leg) !== flags) state.shared.setFlags(leg, flags);
};

/** Whether the member's bad-block list may be used: not in a cluster. Source: mdadm super1.c. */
export const notesBadBlocks = (state: ArrayState, member: Member): boolean =>
  hasBadBlockLog(member.superblock) && !isClustered(state);
