/** What a node's machine (cluster-node.ts) is told, and what it wants done. */
import type {
  ClusterAnswer,
  ClusterCall,
  ClusterNotice,
  ClusterState,
} from "../../raid/cluster-port.ts";
import type { LockMode } from "../dlm/lock-mode.ts";
import type { AstStatus } from "../dlm/lock-resource.ts";
import type { ExchangeCall, ExchangeEffect } from "../md/message-exchange.ts";
import type { ClusterHappening } from "./cluster-view.ts";
import type { Membership } from "./membership.ts";

/** Slots are DLM slots, from 1. */
export type NodeEvent =
  /** The array machine runs. */
  | { readonly type: "start" }
  | { readonly type: "call"; readonly id: number; readonly call: ClusterCall }
  /** `isRefused`: a new device that is not seen, or a change that this node has no rest for. */
  | { readonly type: "processed"; readonly id: number; readonly isRefused?: boolean }
  | { readonly type: "exchange"; readonly effect: ExchangeEffect }
  /** A lock call is complete. `lvb`: what the caller's buffer receives, or null. */
  | {
      readonly type: "ast";
      readonly resource: string;
      readonly status: AstStatus;
      readonly lvb: string | null;
    }
  /** `fencedAt`: by DLM slot, when a gone node can do no I/O any more. */
  | {
      readonly type: "membership";
      readonly membership: Membership;
      readonly fencedAt: (slot: number) => number;
    }
  /** The session is dead in the store, and all its locks are purged. */
  | { readonly type: "declared"; readonly slot: number; readonly epoch: number }
  | { readonly type: "recovery-begun"; readonly slot: number; readonly isMine: boolean }
  | { readonly type: "slot-freed"; readonly slot: number }
  /** The cluster knows how new the superblocks are. */
  | { readonly type: "newest-put" }
  /** The update that the call `id` is for ends at so many events. */
  | { readonly type: "events-given"; readonly id: number; readonly events: number }
  /** The attempt is over; whether it was made, the membership tells. */
  | { readonly type: "pass-ended" }
  | { readonly type: "session-left" }
  | { readonly type: "lost"; readonly reason: string }
  | { readonly type: "tick" };

export type NodeEffect =
  | { readonly type: "exchange"; readonly call: ExchangeCall }
  /** Of this node's one lock on the resource; answered by `ast`. Calls of one never overlap. */
  | {
      readonly type: "lock";
      readonly resource: string;
      readonly mode: LockMode;
      /** DLM_LKF_ flags. */
      readonly flags: number;
      /** The value block as text; null: no buffer. */
      readonly lvb: string | null;
    }
  /** With CANCEL it may be answered by nothing. */
  | { readonly type: "unlock"; readonly resource: string; readonly flags: number }
  /** The session can write no more: say so, and purge its locks. */
  | { readonly type: "declare-dead"; readonly slot: number; readonly epoch: number }
  /** If nobody else has: for the array to take the bits of this session over. */
  | { readonly type: "begin-recovery"; readonly slot: number; readonly epoch: number }
  | { readonly type: "free-slot"; readonly slot: number; readonly epoch: number }
  /** The superblocks that this node has written have so many events. */
  | { readonly type: "put-newest"; readonly events: number }
  /** The update that the call `id` is for needs events that no other one was given. */
  | { readonly type: "give-events"; readonly id: number; readonly events: number }
  | { readonly type: "end-pass"; readonly revision: number }
  | { readonly type: "leave-session"; readonly isClean: boolean }
  /** The node counts and has its locks: the array machine may start. */
  | { readonly type: "joined" }
  /** It takes part. */
  | { readonly type: "entered" }
  | { readonly type: "answer"; readonly id: number; readonly answer: ClusterAnswer }
  | { readonly type: "notice"; readonly id: number; readonly notice: ClusterNotice }
  | { readonly type: "state"; readonly state: ClusterState }
  | { readonly type: "happened"; readonly happening: ClusterHappening };
