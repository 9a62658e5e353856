/**
 * What a node keeps of its cluster's sync actions, its own among them: the right to run one, the
 * window that it has announced, what others resync, and what of absent nodes it has to take over.
 * A single board has all of it at rest.
 */

import type { SyncRun } from "./sync-run.ts";

/** Bytes of the array. */
export interface ByteRange {
  readonly from: number;
  readonly to: number;
}

/** A place that one in-sync copy could not give: rewritten there from another. */
export interface QueuedRepair {
  readonly member: number;
  readonly offset: number;
  readonly length: number;
}

/** The bitmap of a node that is gone, on its way into this node's. */
export interface SlotRecovery {
  /** Number of the notice, to be answered. */
  readonly notice: number;
  readonly slot: number;
  /** No node has had it: no update of superblocks is due to its end. */
  readonly isUnused: boolean;
  /** `merged`: in the image, not yet durable; `clearing`: durable, and being cleared there. */
  step: "reading" | "merged" | "clearing";
  /** The area with no bit set; known from `merged` on. */
  blank: Uint8Array | null;
  /** Members whose copy is being cleared, by token. */
  readonly waiting: Map<number, number>;
}

/**
 * A node whose array is broken, on its way out of the cluster: what it has under way ends, every
 * member has answered, it leaves.
 */
export interface BrokenNode {
  readonly reason: string;
  step: "ending" | "settling" | "leaving" | "out";
}

export interface ClusterSync {
  /** Only one node of an array may run a sync action. */
  right: "none" | "asked" | "held" | "ending";
  /** After a refusal: when to ask again. */
  askAgainAt: number;
  /** A recovery began since the right was asked for: the pass that follows it needs a new one. */
  isRightOld: boolean;
  /** Position of the run up to which every other node holds its writes; no piece goes beyond. */
  windowEnd: number;
  /** Where the run asks for the next window. */
  windowMiddle: number;
  /** The window that is announced and not acknowledged. */
  announced: { readonly run: SyncRun | null; readonly upTo: number; readonly at: number } | null;
  /** Milliseconds that the last announcement took. */
  messageMs: number;
  /** Others hold writes for this node. */
  holdsRange: boolean;
  /** Copies may differ where no bit of this node says so: a pass has to end first. */
  isPassDue: boolean;
  /** It took over a slot since its last pass: nobody balances reads before that has ended. */
  owesPass: boolean;
  /** The cluster says that a node is being recovered. */
  isBalancingSuspended: boolean;
  /** What other nodes resync, by bitmap slot. */
  readonly remote: Map<number, ByteRange>;
  readonly recoveries: SlotRecovery[];
  /** The members whose rebuild may go by the bits, for all slots' are here; by their ids. */
  gathered: readonly number[] | null;
  isGathering: boolean;
  /** Read repairs that wait for the right, or for the range to be held. */
  readonly repairs: QueuedRepair[];
  /** Why the others go on without this node; null: they do not. */
  expelled: string | null;
  /** The array is broken here; null: it is not. */
  broken: BrokenNode | null;
  leaving: "no" | "asked" | "done";
}

/** What the cluster has told, and tells no second time: an array started anew goes on with it. */
export type ToldByCluster = Pick<ClusterSync, "remote" | "isBalancingSuspended">;

export const restingClusterSync = (
  isJoined: boolean,
  told: ToldByCluster = { remote: new Map(), isBalancingSuspended: false },
): ClusterSync => ({
  right: "none",
  askAgainAt: 0,
  isRightOld: false,
  windowEnd: 0,
  windowMiddle: 0,
  announced: null,
  messageMs: 0,
  holdsRange: false,
  isPassDue: isJoined,
  owesPass: false,
  isBalancingSuspended: told.isBalancingSuspended,
  remote: new Map(told.remote),
  recoveries: [],
  gathered: null,
  isGathering: false,
  repairs: [],
  expelled: null,
  broken: null,
  leaving: "no",
});
