/**
 * What the threads say to each other about an array. Three conversations:
 * main ⇄ array thread, main ⇄ I/O worker, array thread ⇄ I/O worker (a MessagePort per pair).
 */

import type { MessagePort } from "node:worker_threads";
import type { ClusterView } from "../cluster/node/cluster-view.ts";
import type { PlainError } from "../common/errors.ts";
import type { EngineCluster, SeenStore } from "../control/engine.ts";
import type { PeerLink } from "../control/peer-boards.ts";
import type { ArrayChange } from "../raid/array-change.ts";
import type { ArrayCommand } from "../raid/array-messages.ts";
import type { ArrayHappening, ArrayStatus } from "../raid/array-status.ts";
import type { BadRange } from "../raid/bad-block-table.ts";
import type { LegReportKind } from "../raid/leg-reports.ts";
import type { SharedArrayShape } from "../raid/shared-state.ts";
import type { MemberTicket } from "./open-member.ts";
import type { OwnSession } from "./own-sessions.ts";
import type { PeerUse } from "./peer-links.ts";

/** workerData of an array thread. */
export interface ArrayThreadData {
  readonly members: readonly MemberTicket[];
  readonly readOnly: boolean;
  /** I/O workers that will be attached. */
  readonly workers: number;
  readonly syncSpeedMin: number;
  readonly syncSpeedMax: number;
  /** Milliseconds that a member may owe an answer before it is failed; null: no limit. */
  readonly answerLimitMs: number | null;
  /** Part of the link to other boards that sync actions may use. */
  readonly linkShare: number;
  /** Start it though newer copies may be elsewhere. */
  readonly run: boolean;
  /** Why it must not be started where nothing is known of its copies; null: it may. */
  readonly doubt: PlainError | null;
  /** The board's cluster, and where its peers find the board; null: it is in none. */
  readonly cluster: ThreadCluster | null;
  /** As whom peers' disks are read before the array has a session of its own; null: not at all. */
  readonly peers: PeerUse | null;
}

export interface ThreadCluster extends EngineCluster {
  readonly address: string;
  /** Another one for each start of the board. */
  readonly boot: string;
}

export type ArrayThreadCommand =
  | { readonly type: "fail"; readonly path: string; readonly reason: string }
  | { readonly type: "remove"; readonly path: string }
  | {
      readonly type: "add";
      readonly member: MemberTicket;
      readonly force: boolean;
      readonly distrust: boolean;
      readonly writeMostly: boolean;
      readonly failfast: boolean;
    }
  | { readonly type: "re-add"; readonly member: MemberTicket }
  | { readonly type: "change"; readonly change: ArrayChange }
  /** Answered when nothing changes the array; refused when that takes long. */
  | { readonly type: "await-change" }
  | Extract<
      ArrayCommand,
      { readonly type: "replace" | "member-flags" | "sync-action" | "sync-speed" | "stop" }
    >;

export interface NotedSession {
  /** Others are past it: nothing may be touched in it. */
  readonly isOver: boolean;
  /**
   * Paths of this board's own disks that the nodes which run the array have not met since the board
   * began anew: what is on them may be old.
   */
  readonly distrusted: readonly string[];
}

export type MainToArray =
  /** One port per I/O worker, in order of their numbers; the array starts when all have opened. */
  | { readonly type: "attach"; readonly ports: readonly MessagePort[] }
  | { readonly type: "command"; readonly id: number; readonly command: ArrayThreadCommand }
  | { readonly type: "member-vanished"; readonly path: string; readonly reason: string }
  /** The answer to `find-device`; null: the board has no such device. */
  | { readonly type: "device-found"; readonly id: number; readonly member: MemberTicket | null }
  /** Where members are now: peers may have moved. */
  | { readonly type: "tickets"; readonly members: readonly MemberTicket[] }
  /** Answered by `cluster-view`. */
  | { readonly type: "view-cluster"; readonly id: number }
  /** The answer to `session`. */
  | ({ readonly type: "session-noted" } & NotedSession);

export type ArrayToMain =
  | {
      readonly type: "assembled";
      readonly shape: SharedArrayShape;
      readonly legs: readonly LegTicket[];
      readonly readOnly: boolean;
      readonly hasBitmap: boolean;
      /** Its node is in a cluster: I/O begins only while it may do any. */
      readonly isGated: boolean;
      /** As whom the I/O workers open peers' disks. */
      readonly peers: PeerUse | null;
      readonly status: ArrayStatus;
    }
  | { readonly type: "refused"; readonly error: PlainError }
  /** The node has joined: answered by `session-noted` before it touches a member in it. */
  | {
      readonly type: "session";
      readonly session: OwnSession;
      /** Of the members, as far as they are known. */
      readonly paths: readonly string[];
    }
  /** Nothing is done in the session any more, though the thread goes on. */
  | { readonly type: "session-over"; readonly session: OwnSession }
  | { readonly type: "peer-links"; readonly links: readonly PeerLink[] }
  | { readonly type: "running" }
  | { readonly type: "status"; readonly status: ArrayStatus }
  | { readonly type: "happening"; readonly happening: ArrayHappening }
  | { readonly type: "reply"; readonly id: number; readonly error: PlainError | null }
  | { readonly type: "stopped" }
  /** Which device of the board has this uuid (32 hexadecimal digits)? */
  | { readonly type: "find-device"; readonly id: number; readonly uuid: string }
  /** Null of an array that is in no cluster. */
  | { readonly type: "cluster-view"; readonly id: number; readonly view: ClusterView | null }
  /** How the cluster's store was seen last. */
  | { readonly type: "store-seen"; readonly seen: SeenStore }
  /**
   * The others go on without this node: nothing is read or written any more, the thread ends.
   * `isBroken`: the array is broken here, so the node has left.
   */
  | { readonly type: "expelled"; readonly reason: string; readonly isBroken: boolean };

/** A leg for the I/O workers to open. */
export interface LegTicket {
  /** Number of the leg in the shared state. */
  readonly leg: number;
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
      readonly type: "leg-report";
      readonly request: number;
      readonly leg: number;
      readonly kind: LegReportKind;
      readonly message: string;
      readonly ranges: readonly BadRange[] | null;
      readonly span: BadRange | null;
    }
  | { readonly type: "leg-gone"; readonly leg: number; readonly message: string }
  | {
      readonly type: "read-error";
      readonly leg: number;
      readonly offset: number;
      readonly length: number;
      readonly message: string;
    }
  | { readonly type: "leg-opened"; readonly token: number; readonly error: string | null }
  | { readonly type: "drained"; readonly token: number }
  /** Null: nothing is owed; else what may still reach a member. */
  | { readonly type: "settled"; readonly token: number; readonly error: string | null }
  /** No request is under way, and none begins before `go`. */
  | { readonly type: "held" };

export type ArrayToWorker =
  | { readonly type: "intent-ready" }
  | { readonly type: "leg-resolved"; readonly request: number; readonly isRecorded: boolean }
  | { readonly type: "open-leg"; readonly token: number; readonly leg: LegTicket }
  | { readonly type: "drop-leg"; readonly leg: number; readonly reason: string | null }
  /** Answered by `drained` once no write to members is under way in bytes `[from, to)`. */
  | {
      readonly type: "drain";
      readonly token: number;
      readonly from: number;
      readonly to: number;
    }
  /** Answered by `settled` once calls that were given up, here or at any path, are answered. */
  | { readonly type: "settle"; readonly token: number; readonly path: string | null }
  /** Look again at what is parked: a range or the gate has changed. */
  | { readonly type: "poke" }
  /** Let what is under way end, hold what comes, close every leg; then `held`. */
  | { readonly type: "hold" }
  /** The array as it is now: open its legs, then `attached`; requests go on at `go`. */
  | {
      readonly type: "renew";
      readonly shape: SharedArrayShape;
      readonly legs: readonly LegTicket[];
      readonly hasBitmap: boolean;
      readonly isGated: boolean;
      readonly peers: PeerUse | null;
    }
  | { readonly type: "go" };
