/**
 * What the threads say to each other about an array. Three conversations:
 * main ⇄ array thread, main ⇄ I/O worker, array thread ⇄ I/O worker (a MessagePort per pair).
 */

import type { MessagePort } from "node:worker_threads";
import type { PlainError } from "../common/errors.ts";
import type { ArrayHappening, ArrayStatus } from "../raid/array-status.ts";
import type { SharedArrayShape } from "../raid/shared-state.ts";
import type { MemberTicket } from "./open-member.ts";

/** workerData of an array thread. */
export interface ArrayThreadData {
  readonly members: readonly MemberTicket[];
  readonly readOnly: boolean;
  /** I/O workers that will be attached. */
  readonly workers: number;
  readonly syncSpeedMin: number;
  readonly syncSpeedMax: number;
}

export type ArrayThreadCommand =
  | { readonly type: "fail"; readonly path: string; readonly reason: string }
  | { readonly type: "remove"; readonly path: string }
  | { readonly type: "add"; readonly member: MemberTicket; readonly force: boolean }
  | { readonly type: "re-add"; readonly member: MemberTicket }
  | { readonly type: "sync-action"; readonly action: "idle" | "check" | "repair" | "frozen" }
  | { readonly type: "sync-speed"; readonly min: number; readonly max: number }
  | { readonly type: "stop" };

export type MainToArray =
  /** One port per I/O worker, in order of their numbers; the array starts when all have opened. */
  | { readonly type: "attach"; readonly ports: readonly MessagePort[] }
  | { readonly type: "command"; readonly id: number; readonly command: ArrayThreadCommand }
  | { readonly type: "member-vanished"; readonly path: string; readonly reason: string };

export type ArrayToMain =
  | {
      readonly type: "assembled";
      readonly shape: SharedArrayShape;
      readonly legs: readonly LegTicket[];
      readonly readOnly: boolean;
      readonly hasBitmap: boolean;
      readonly status: ArrayStatus;
    }
  | { readonly type: "refused"; readonly error: PlainError }
  | { readonly type: "running" }
  | { readonly type: "status"; readonly status: ArrayStatus }
  | { readonly type: "happening"; readonly happening: ArrayHappening }
  | { readonly type: "reply"; readonly id: number; readonly error: PlainError | null }
  | { readonly type: "stopped" };

/** A leg for the I/O workers to open. */
export interface LegTicket {
  readonly slot: number;
  readonly member: MemberTicket;
  /** Bytes from the start of the member to the array's content. */
  readonly dataOffset: number;
}

export type WorkerToArray =
  | {
      readonly type: "attached";
      readonly errors: readonly { readonly path: string; readonly message: string }[];
    }
  | { readonly type: "intent"; readonly ranges: readonly (readonly [number, number])[] }
  | {
      readonly type: "leg-error";
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
  | { readonly type: "leg-opened"; readonly token: number; readonly error: string | null };

export type ArrayToWorker =
  | { readonly type: "intent-ready" }
  | { readonly type: "leg-resolved"; readonly request: number }
  | { readonly type: "open-leg"; readonly token: number; readonly leg: LegTicket }
  | { readonly type: "drop-leg"; readonly slot: number };
