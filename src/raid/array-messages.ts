/**
 * What goes in and out of the array machine (array-machine.ts): events that happened, effects to
 * carry out. Plain values; the driver runs effects and reports completions as events. Positions on
 * members are bytes from the start of the member; positions in the array are bytes of its content.
 */

import type { ArrayHappening } from "./array-status.ts";
import type { BadRange } from "./bad-block-table.ts";
import type { ClusterAnswer, ClusterCall, ClusterNotice, ClusterState } from "./cluster-port.ts";
import type { LegReportKind } from "./leg-reports.ts";
import type { Superblock } from "./superblock-fields.ts";

/** One step on one member; the steps of a list run in order and stop at the first failure. */
export type MemberOp =
  /** The steps that follow are left out, without a failure, unless these bytes are there. */
  | { readonly type: "if"; readonly offset: number; readonly data: Uint8Array }
  | { readonly type: "write"; readonly offset: number; readonly data: Uint8Array }
  | {
      readonly type: "flush";
      /** What the steps before have written is all that has to be durable. */
      readonly isOwn?: true;
    };

/** How a piece of the array is brought in line; all modes hold the piece's regions throughout. */
export type CopyMode =
  /** Read one source, write every target. */
  | "copy"
  /** Read one source and every target; write the targets that differ. */
  | "sync"
  /** Read all, count what differs, write nothing. */
  | "check"
  /** Read all, count what differs, write over it what most copies hold, or the first one. */
  | "repair"
  /** Read one source, write the targets, read them back. */
  | "rewrite";

/** A member and a position on it, bytes behind its data offset. */
export interface CopyPlace {
  readonly member: number;
  readonly position: number;
}

/** A run of array bytes that lies in one piece on each member named. */
export interface CopyExtent {
  /** Position and length in the array, bytes. */
  readonly offset: number;
  readonly length: number;
  /** Copies to read, best first; the next one is tried when one cannot be read. */
  readonly sources: readonly CopyPlace[];
  readonly targets: readonly CopyPlace[];
}

export interface CopyPlan {
  readonly mode: CopyMode;
  /** Where the sync action's cursor stood before and stands after; 0, 0 for a read repair. */
  readonly from: number;
  readonly end: number;
  readonly extents: readonly CopyExtent[];
}

/** Bytes of the array. */
export interface ArrayRange {
  readonly offset: number;
  readonly length: number;
}

export interface CopyResult {
  /** What no source could give: nothing was written there. */
  readonly unreadable: readonly ArrayRange[];
  readonly readFailed: readonly (ArrayRange & {
    readonly member: number;
    readonly message: string;
  })[];
  readonly writeFailed: readonly {
    readonly member: number;
    readonly message: string;
    /** What could not be written, bytes behind the data offset; null: the member is gone. */
    readonly ranges: readonly BadRange[] | null;
  }[];
  /** Where copies differed. */
  readonly mismatches: readonly ArrayRange[];
  /** Bytes that differed, in units of the comparison, for each copy that did. */
  readonly mismatchedBytes: number;
  readonly writtenBytes: number;
}

/** A member that was opened for `add` or `re-add`, and what was found on it. */
export interface Newcomer {
  readonly member: number;
  readonly path: string;
  readonly sizeBytes: number;
  /** Superblock found on it, if any. */
  readonly superblock: Superblock | null;
  /**
   * Its bitmap areas as they were read, by slot, BEFORE anything is written on it: null where one
   * cannot be read; none when it has no sound bitmap.
   */
  readonly bitmapAreas: readonly (Uint8Array | null)[];
  /**
   * It has gone on apart from the array, which was started without it by force: events of the
   * copies that both began with. Left out, or null: nothing says so.
   */
  readonly apartSince?: number | null;
  /** Its bad-block list, bytes behind its data offset. */
  readonly badBlocks: readonly BadRange[];
  /** A fresh device_uuid should it need one. */
  readonly freshUuid: Uint8Array;
  readonly logicalBlockBytes: number;
  /** Flags for a member that is new. */
  readonly writeMostly: boolean;
  readonly failfast: boolean;
}

export type ArrayCommand =
  | { readonly type: "fail"; readonly path: string; readonly reason: string }
  | { readonly type: "remove"; readonly path: string }
  | { readonly type: "add"; readonly newcomer: Newcomer }
  | { readonly type: "re-add"; readonly newcomer: Newcomer }
  /** `withPath`: the spare to use; null = any, now or when there is one. */
  | { readonly type: "replace"; readonly path: string; readonly withPath: string | null }
  | {
      readonly type: "member-flags";
      readonly path: string;
      readonly writeMostly: boolean | null;
      readonly failfast: boolean | null;
    }
  /** `from` and `to`, bytes of the array: where a check or repair begins and ends. */
  | {
      readonly type: "sync-action";
      readonly action: "idle" | "check" | "repair" | "frozen";
      readonly from?: number;
      readonly to?: number | null;
    }
  | { readonly type: "sync-speed"; readonly min: number; readonly max: number }
  /**
   * The array is to be changed as a whole by this node; its sync size is to be `sectors`. Done when
   * this node has the right to write superblocks, and keeps it, and the others are at rest.
   * `isLeaving`: it is to leave its cluster: done when no other node runs it, and none can join.
   */
  | { readonly type: "begin-change"; readonly sectors: number; readonly isLeaving?: boolean }
  /** `keepOpen`: the members stay open, for a change of the array and another start. */
  | { readonly type: "stop"; readonly keepOpen?: boolean };

export type ArrayEvent =
  /** `owed`: members that owe the array thread an answer, and since when (ms). */
  | { readonly type: "tick"; readonly owed?: ReadonlyMap<number, number> }
  | { readonly type: "member-io-done"; readonly token: number; readonly error: string | null }
  | { readonly type: "copy-done"; readonly token: number; readonly result: CopyResult }
  | { readonly type: "legs-opened"; readonly token: number; readonly error: string | null }
  | {
      readonly type: "intent";
      readonly worker: number;
      readonly ranges: readonly (readonly [number, number])[];
    }
  | {
      readonly type: "leg-report";
      readonly worker: number;
      readonly request: number;
      readonly leg: number;
      readonly kind: LegReportKind;
      readonly message: string;
      /** Bytes behind the leg's data offset; null: the leg as a whole. */
      readonly ranges: readonly BadRange[] | null;
      /** All that was to be written there; null for a flush. */
      readonly span?: BadRange | null;
    }
  /** A worker's handle of the leg answers nothing any more, for good. */
  | { readonly type: "leg-gone"; readonly leg: number; readonly message: string }
  | {
      readonly type: "read-error";
      readonly leg: number;
      readonly offset: number;
      readonly length: number;
      readonly message: string;
    }
  | { readonly type: "member-vanished"; readonly path: string; readonly reason: string }
  | { readonly type: "command"; readonly id: number; readonly command: ArrayCommand }
  | ClusterEvent;

/** A slot's bitmap area as one member has it; null when it could not be read. */
export interface SlotArea {
  readonly slot: number;
  readonly member: number;
  readonly area: Uint8Array | null;
}

/** What comes from the cluster, and the answers to what a clustered array asks of its driver. */
export type ClusterEvent =
  | { readonly type: "cluster-answer"; readonly id: number; readonly answer: ClusterAnswer }
  | { readonly type: "cluster-notice"; readonly id: number; readonly notice: ClusterNotice }
  | { readonly type: "cluster-state"; readonly state: ClusterState }
  | DriverAnswer;

/** `superblock`: null when it could not be read or is none. */
export interface ReadSuperblock {
  readonly member: number;
  readonly superblock: Superblock | null;
}

/** The answers to what a clustered array asks of its driver (`ClusterAsk`). */
export type DriverAnswer =
  | {
      readonly type: "superblocks-read";
      readonly token: number;
      readonly found: readonly ReadSuperblock[];
    }
  | {
      readonly type: "slot-bitmaps-read";
      readonly token: number;
      readonly areas: readonly SlotArea[];
    }
  | { readonly type: "drained"; readonly token: number }
  /** `isOver`: false when a call that was given up may still reach its member. */
  | { readonly type: "settled"; readonly token: number; readonly isOver: boolean }
  | { readonly type: "device-found"; readonly token: number; readonly newcomer: Newcomer | null };

export type CommandOutcome =
  | { readonly ok: true }
  | {
      readonly ok: false;
      readonly code: string;
      readonly message: string;
      /** Bitmap slots of the nodes that it waits for; who knows their names adds them. */
      readonly nodes?: readonly number[];
    };

export type ArrayEffect =
  /** Run `ops` on `member`, then report `member-io-done`. */
  | {
      readonly type: "member-io";
      readonly token: number;
      readonly member: number;
      readonly ops: readonly MemberOp[];
    }
  | { readonly type: "copy"; readonly token: number; readonly plan: CopyPlan }
  | { readonly type: "intent-ready"; readonly worker: number }
  | {
      readonly type: "leg-resolved";
      readonly worker: number;
      readonly request: number;
      readonly isRecorded: boolean;
    }
  /** Every worker opens the member as this leg, then `legs-opened`. */
  | {
      readonly type: "open-leg";
      readonly token: number;
      readonly leg: number;
      readonly member: number;
    }
  /**
   * Every worker closes its handle of this leg; nothing waits for it. `reason`: the member failed,
   * calls under way end without it; null: they are waited for.
   */
  | { readonly type: "drop-leg"; readonly leg: number; readonly reason: string | null }
  /** The array thread waits no longer for what this member owes: its calls end with an error. */
  | { readonly type: "give-up-member"; readonly member: number; readonly reason: string }
  /**
   * A member that was given up stays: its failure is not recorded after all. It is used again if it
   * owes nothing.
   */
  | { readonly type: "take-back-member"; readonly member: number }
  /** The array thread closes its own handle. AFTER all I/O of the member is done. */
  | { readonly type: "close-member"; readonly member: number }
  | { readonly type: "command-done"; readonly id: number; readonly outcome: CommandOutcome }
  | { readonly type: "happening"; readonly happening: ArrayHappening }
  | { readonly type: "status-changed" }
  | { readonly type: "stopped" }
  | ClusterEffect;

/** What only a clustered array has done. */
export type ClusterEffect =
  | { readonly type: "cluster-call"; readonly id: number; readonly call: ClusterCall }
  /** The notice with this number is carried out; `isRefused`: it cannot be, just now. */
  | { readonly type: "cluster-processed"; readonly id: number; readonly isRefused?: boolean }
  /**
   * Another node changes the array as a whole: hold client requests, stop (`keepOpen`), answer this
   * notice. After the next `metadata-updated` the array is started anew, and that is answered.
   */
  | { readonly type: "rest"; readonly notice: number; readonly slot: number }
  /** Workers look again at what is parked. */
  | { readonly type: "poke" }
  /** The array is broken: no I/O any more, whatever the node's cluster says; then as `poke`. */
  | { readonly type: "close-gate" }
  /** It is out of its cluster, or ends without a word: nothing of the array is left to do. */
  | { readonly type: "broken-away"; readonly reason: string }
  | (ClusterAsk & { readonly token: number });

/** What it asks of its driver, answered by an event with the same token. */
export type ClusterAsk =
  /** Read the superblocks of all open members, then `superblocks-read`. */
  | { readonly type: "read-superblocks" }
  /** Read these slots' bitmap areas from all legs, then `slot-bitmaps-read`. */
  | { readonly type: "read-slot-bitmaps"; readonly slots: readonly number[] }
  /**
   * `drained` once no worker has a write to members under way in bytes `[from, to)` of the array.
   * One that waits only for a failure to be recorded counts as done. AFTER the range is suspended.
   */
  | { readonly type: "drain"; readonly from: number; readonly to: number }
  /** All members were given up: wait for their late answers in every thread, then `settled`. */
  | { readonly type: "settle" }
  /** Look for the device among those the board knows, open it, then `device-found`. */
  | { readonly type: "find-device"; readonly uuid: string; readonly deviceNumber: number };
