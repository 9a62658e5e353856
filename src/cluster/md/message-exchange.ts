/**
 * What the literal choreography and the message channel have in common: how a node broadcasts a
 * message, processes those of others, and learns that all have processed its own. Both are machines
 * of the form (state, event) → (state, effects); these are the events from above and the effects
 * upwards. Below they differ: lock calls there, transactions of the store here.
 *
 *   request ─► granted ─► send ─► acknowledged        granted ─► release: not needed any more
 *                           ▲          │
 *                           └── hold ──┘
 *
 * One message is in flight at a time. A node has processed everything that was sent before it is
 * granted the right to send, so `granted` is the moment to check that the message is still needed.
 */
import type { ClusterMessage, Envelope } from "./md-message.ts";

/** Most requests of a node that wait. Choice: one per kind of message and range, and then some. */
export const REQUESTS_MAX = 64;

export interface SendRequest {
  /** Chosen by the caller, never used again. */
  readonly id: number;
  /**
   * Exclusive from `granted` on, for any number of messages, until `release` or the last message:
   * what metadata_update_start and add_new_disk_start need. Without it, for one message.
   */
  readonly isHold: boolean;
}

export type ExchangeCall =
  /**
   * The node's bitmaps are loaded: it processes messages from now on, and may send. Nobody else had
   * the right to send since `joined`.
   */
  | { readonly type: "enter" }
  | { readonly type: "request"; readonly request: SendRequest }
  /** Answers `granted`. `isLast`: the right to send goes with the acknowledgement. */
  | { readonly type: "send"; readonly message: ClusterMessage; readonly isLast: boolean }
  /** Answers `granted`, or ends a hold. */
  | { readonly type: "release" }
  /**
   * Answers `process`: done, with all that the message asks for. `isRefused`: a NEWDISK whose
   * device this node does not see, or a BITMAP_RESIZE for which it has no rest.
   */
  | { readonly type: "processed"; readonly isRefused: boolean }
  /**
   * Leave as soon as nothing of this node's is in flight; requests that wait are dropped.
   * `keepsRight`: a hold does not end, for superblocks may be half written; others go on as after
   * the death of a holder.
   */
  | { readonly type: "leave"; readonly keepsRight?: boolean };

/** Why a node is out: it may write no more, and joins anew with another epoch if at all. */
export type LostReason =
  /** The others have removed it. */
  | "expelled"
  /** A message went by that it had not acknowledged, or a lock call failed that cannot. */
  | "broken"
  /** What is stored is no message. */
  | "malformed";

export type ExchangeEffect =
  /**
   * This node counts: senders wait for it, and nobody may write superblocks. Now read them, load
   * the bitmaps, then `enter`.
   */
  | { readonly type: "joined" }
  /**
   * Check that the message is still needed, then answer `send` or `release`. Comes again for the
   * same request when another node was faster: check again.
   */
  | { readonly type: "granted"; readonly id: number }
  /** Process this, answer `processed`. No other comes before. */
  | { readonly type: "process"; readonly envelope: Envelope }
  /** Every member has processed the message. `isRefused`: not every one agrees. */
  | {
      readonly type: "acknowledged";
      readonly id: number;
      readonly seq: number;
      readonly isRefused: boolean;
      /** DLM slots; empty where the protocol does not tell who. */
      readonly refusedBy: readonly number[];
    }
  /** A message of a later version: acknowledged, otherwise ignored. */
  | { readonly type: "ignored"; readonly envelope: Envelope }
  /** This node finishes the message of a dead sender. */
  | { readonly type: "taking-over"; readonly envelope: Envelope }
  | { readonly type: "left" }
  | { readonly type: "lost"; readonly reason: LostReason; readonly why: string };
