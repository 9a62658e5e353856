/**
 * What goes in and out of the array machine (array-machine.ts): events that happened, effects to
 * carry out. Plain values; the driver runs effects and reports completions as events. Positions on
 * members are bytes from the start of the member; positions in the array are bytes of its content.
 */

import type { ArrayHappening } from "./array-status.ts";
import type { Superblock } from "./superblock-fields.ts";

/** One step on one member; the steps of a list run in order and stop at the first failure. */
export type MemberOp =
  | { readonly type: "write"; readonly offset: number; readonly data: Uint8Array }
  | { readonly type: "flush" };

/** How a piece of the array is brought in line; all modes hold the piece's regions throughout. */
export type CopyMode =
  /** Read one source, write every target. */
  | "copy"
  /** Read one source and every target; write the targets that differ. */
  | "sync"
  /** Read all, count what differs, write nothing. */
  | "check"
  /** Read all, count what differs, write the first readable source over it. */
  | "repair"
  /** Read one source, write the targets, read them back. */
  | "rewrite";

export interface CopyPlan {
  readonly mode: CopyMode;
  /** Position and length in the array, bytes. */
  readonly offset: number;
  readonly length: number;
  /** Members to read, best first; the next one is tried when one cannot be read. */
  readonly sources: readonly number[];
  readonly targets: readonly number[];
}

export interface CopyResult {
  /** False when no source could be read: nothing was written. */
  readonly readable: boolean;
  readonly readFailed: readonly { readonly member: number; readonly message: string }[];
  readonly writeFailed: readonly { readonly member: number; readonly message: string }[];
  /** Bytes that differed, in units of the comparison. */
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
  /** Its bitmap area as read, when it has one. */
  readonly bitmapArea: Uint8Array | null;
  /** A fresh device_uuid should it need one. */
  readonly freshUuid: Uint8Array;
}

export type ArrayCommand =
  | { readonly type: "fail"; readonly path: string; readonly reason: string }
  | { readonly type: "remove"; readonly path: string }
  | { readonly type: "add"; readonly newcomer: Newcomer }
  | { readonly type: "re-add"; readonly newcomer: Newcomer }
  | { readonly type: "sync-action"; readonly action: "idle" | "check" | "repair" | "frozen" }
  | { readonly type: "sync-speed"; readonly min: number; readonly max: number }
  | { readonly type: "stop" };

export type ArrayEvent =
  | { readonly type: "tick" }
  | { readonly type: "member-io-done"; readonly token: number; readonly error: string | null }
  | { readonly type: "copy-done"; readonly token: number; readonly result: CopyResult }
  | { readonly type: "legs-opened"; readonly token: number; readonly error: string | null }
  | {
      readonly type: "intent";
      readonly worker: number;
      readonly ranges: readonly (readonly [number, number])[];
    }
  | {
      readonly type: "leg-error";
      readonly worker: number;
      readonly request: number;
      readonly slot: number;
      readonly op: "write" | "flush";
      readonly message: string;
    }
  | {
      readonly type: "read-error";
      readonly slot: number;
      readonly offset: number;
      readonly length: number;
      readonly message: string;
    }
  | { readonly type: "member-vanished"; readonly path: string; readonly reason: string }
  | { readonly type: "command"; readonly id: number; readonly command: ArrayCommand };

export type CommandOutcome =
  | { readonly ok: true }
  | { readonly ok: false; readonly code: string; readonly message: string };

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
  | { readonly type: "leg-resolved"; readonly worker: number; readonly request: number }
  /** Every worker opens the member as this leg, then `legs-opened`. */
  | {
      readonly type: "open-leg";
      readonly token: number;
      readonly slot: number;
      readonly member: number;
    }
  /** Every worker closes its handle of this leg; nothing waits for it. */
  | { readonly type: "drop-leg"; readonly slot: number }
  /** The array thread closes its own handle. AFTER all I/O of the member is done. */
  | { readonly type: "close-member"; readonly member: number }
  | { readonly type: "command-done"; readonly id: number; readonly outcome: CommandOutcome }
  | { readonly type: "happening"; readonly happening: ArrayHappening }
  | { readonly type: "status-changed" }
  | { readonly type: "stopped" };
