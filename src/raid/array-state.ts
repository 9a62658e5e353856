/**
 * The state of the array machine: what the array thread knows of one running array. Mutable in
 * place, owned by array-machine.ts and the files it is split into; nobody else sees it.
 */

import type { ArrayEffect, CopyPlan } from "./array-messages.ts";
import type { ArrayHappening, SyncReason } from "./array-status.ts";
import { LEG_BLOCKED, LEG_IN_SYNC, LEG_REBUILDING, type SharedArrayState } from "./shared-state.ts";
import type { Superblock } from "./superblock-fields.ts";
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
  correctedSectors: number;
  stalledSince: number | null;
  reason: SyncReason;
}

/** Work that waits for the next metadata update, and what to tell whom once it is durable. */
export interface Pending {
  intents: { worker: number; ranges: readonly (readonly [number, number])[] }[];
  /** Members to record faulty, with the reason. */
  failing: Map<number, string>;
  legErrors: { worker: number; request: number; member: number }[];
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

/** A metadata transaction under way; one at a time. */
export interface Transaction {
  readonly kind: "update" | "bits" | "sweep";
  readonly work: Pending;
  /** Built when the one before is complete. */
  readonly phases: ((state: ArrayState) => Phase)[];
  readonly waiting: Map<number, number>;
  /** What had been copied when it began: true once its first phase has flushed the members. */
  readonly claims: Claims;
  writes: BitmapWrite[];
  failed: boolean;
}

export interface SyncRun {
  readonly action: "resync" | "recover" | "check" | "repair";
  readonly reason: SyncReason;
  readonly scope: "full" | "bitmap";
  /** Members this recovery rebuilds; one that joins meanwhile waits for the next. */
  readonly targets: readonly number[];
  /** A recovery skips chunks that end at or below this unless their bit is set. */
  readonly skipsBelow: number;
  readonly startedAt: number;
  /** Next byte of the array to look at, and the first not yet settled. */
  cursor: number;
  settled: number;
  readonly inFlight: Map<number, CopyPlan>;
  copiedBytes: number;
  skippedBytes: number;
  mismatchedBytes: number;
  unreadable: boolean;
  /** Chunks with a piece that failed: they keep their need. */
  readonly failedChunks: Set<number>;
  /** Stop issuing, finish what is under way, then end without claiming anything. */
  aborted: boolean;
  /** The user asked for the end. */
  cancelled: boolean;
  lastCheckpoint: number;
  lastCheckpointAt: number;
  /** Token bucket of the speed limit, and the speed estimate. */
  budget: number;
  budgetAt: number;
  speed: number;
  speedAt: number;
  speedBytes: number;
}

export interface ArrayState {
  readonly shared: SharedArrayState;
  readonly bitmap: WriteIntentBitmap | null;
  readonly members: Map<number, Member>;
  /** Array-wide superblock fields: the template every write is filled from. */
  template: Superblock;
  /** Bytes of array content. */
  readonly sizeBytes: number;
  events: number;
  /** Bytes known in sync, or "none" when there is nothing to resync. */
  resyncFrom: number | "none";
  /** Why a pending resync is needed. */
  readonly syncReason: SyncReason;
  /** Some chunks could be read on no leg: their resync waits for the next start. */
  resyncStuck: boolean;
  claims: Claims;
  devRoles: Uint16Array;
  clean: boolean;
  /** The last update was only clean -> dirty: the next dirty -> clean may step events back. */
  canStepBack: boolean;
  readOnly: boolean;
  /** Commands that asked for the stop; null while nobody has. */
  stopping: number[] | null;
  stopped: boolean;
  /** The stop has cleared what bits it could. */
  finalSweepDone: boolean;
  pending: Pending;
  transaction: Transaction | null;
  sync: SyncRun | null;
  userAction: "check" | "repair" | null;
  frozen: boolean;
  /** Newcomers and legs being opened by the workers: token -> what to do then. */
  readonly opening: Map<number, { readonly member: number; readonly slot: number }>;
  /** Metadata written to a newcomer before it joins: token -> what to do then. */
  readonly joining: Map<
    number,
    { readonly member: number; readonly command: number; readonly slot: number | null }
  >;
  readonly repairs: Map<number, { readonly member: number; readonly length: number }>;
  /** Raid slots of members just marked faulty, to take out of use once that is durable. */
  readonly lostSlots: number[];
  readonly options: ArrayOptions;
  syncSpeedMin: number;
  syncSpeedMax: number;
  mismatchCount: number;
  nextToken: number;
  now: number;
  lastSweepAt: number;
  quietSince: number;
  lastStarted: number;
  lastOperations: number;
  busyUntil: number;
  effects: ArrayEffect[];
}

export interface ArrayOptions {
  /** Milliseconds without a write until the array is marked clean. Source: md safe_mode_delay. */
  readonly safeModeMs: number;
}

export const emptyPending = (): Pending => ({
  intents: [],
  failing: new Map(),
  legErrors: [],
  commands: [],
  happenings: [],
  promoted: [],
  rolesChanged: false,
  goClean: false,
  activate: false,
  flushFirst: false,
  steppedBack: false,
});

export const emit = (state: ArrayState, effect: ArrayEffect): void => {
  state.effects.push(effect);
};

export const nextToken = (state: ArrayState): number => state.nextToken++;

export const happen = (
  state: ArrayState,
  type: ArrayHappening["type"],
  severity: ArrayHappening["severity"],
  message: string,
  details: ArrayHappening["details"] = {},
): ArrayHappening => ({ type, severity, time: state.now, message, details });

export const memberAt = (state: ArrayState, raidSlot: number): Member | null => {
  for (const member of state.members.values()) if (member.raidSlot === raidSlot) return member;
  return null;
};

export const memberByPath = (state: ArrayState, path: string): Member | null => {
  for (const member of state.members.values()) if (member.path === path) return member;
  return null;
};

/** Members in sync and not about to be recorded faulty, lowest raid slot first. */
export const inSyncMembers = (state: ArrayState): Member[] =>
  [...state.members.values()]
    .filter((member) => member.state === "in_sync" && !state.pending.failing.has(member.id))
    .sort((a, b) => (a.raidSlot ?? 0) - (b.raidSlot ?? 0));

export const rebuildingMembers = (state: ArrayState): Member[] =>
  [...state.members.values()].filter(
    (member) =>
      member.state === "rebuilding" &&
      member.raidSlot !== null &&
      !state.pending.failing.has(member.id),
  );

/** Raid slots without an in-sync member. */
export const degradedCount = (state: ArrayState): number =>
  state.template.raidDisks -
  [...state.members.values()].filter((member) => member.state === "in_sync").length;

/** What the shared state says of a member's leg when nothing is wrong with it. */
export const legWord = (member: Member): number =>
  member.state === "in_sync" ? LEG_IN_SYNC : LEG_REBUILDING;

/** Nobody writes until the member's failure is recorded. */
export const blockLeg = (state: ArrayState, member: Member): void => {
  if (member.raidSlot !== null) state.shared.setLeg(member.raidSlot, LEG_BLOCKED);
};
