/**
 * What a node can tell about its array's cluster: plain values for the API, for `satsuma locks`,
 * and for people who ask why something waits.
 */

/** Something that happened, told once. */
export type ClusterHappening =
  | { readonly type: "joined"; readonly slot: number }
  | { readonly type: "entered" }
  | { readonly type: "left" }
  /** A member key is gone that was there; `slot`s are bitmap slots throughout. */
  | { readonly type: "node-lost"; readonly slot: number; readonly node: string }
  | { readonly type: "node-joined"; readonly slot: number; readonly node: string }
  /** It can write no more, and its locks are free. */
  | { readonly type: "node-fenced"; readonly slot: number }
  | { readonly type: "recovering"; readonly slot: number }
  | { readonly type: "recovered"; readonly slot: number }
  /** A message of a later version: acknowledged, otherwise ignored. */
  | { readonly type: "ignored"; readonly slot: number; readonly code: number }
  /** A message of a slot that the array does not have. */
  | { readonly type: "bad-slot"; readonly slot: number; readonly message: string }
  /** This node finishes a dead sender's message. */
  | { readonly type: "taking-over"; readonly slot: number; readonly message: string }
  /** A key of the store holds something else. */
  | { readonly type: "damaged"; readonly key: string; readonly message: string }
  | { readonly type: "expelled"; readonly reason: string };

export interface MemberView {
  /** Bitmap slot. */
  readonly slot: number;
  readonly node: string;
  readonly address: string;
  readonly epoch: number;
  readonly isMe: boolean;
}

/** `gone`: its member key is gone, and it is not proven that it can write no more. */
export type SlotCondition = "free" | "live" | "gone" | "dead" | "recovering" | "damaged";

export interface SlotView {
  readonly slot: number;
  readonly condition: SlotCondition;
  /** Who recovers it: a bitmap slot, or null. */
  readonly recoveredBy: number | null;
}

export interface LockHolderView {
  /** Bitmap slot of the owner. */
  readonly slot: number;
  readonly node: string;
  /** The DLM's name of the mode; null while a new request waits. */
  readonly granted: string | null;
  /** What it waits for, or null. */
  readonly requested: string | null;
}

export interface LockView {
  readonly resource: string;
  readonly granted: readonly LockHolderView[];
  readonly converting: readonly LockHolderView[];
  readonly waiting: readonly LockHolderView[];
  /** The value block is not what its last writer would have left. */
  readonly isLvbInvalid: boolean;
  /** Of bitmap locks: the sectors that the owner resyncs, or null. */
  readonly range: { readonly lo: number; readonly hi: number } | null;
}

export interface MessageView {
  readonly seq: number;
  /** md-cluster's name: RESYNCING. */
  readonly name: string;
  /** Bitmap slot of the sender. */
  readonly origin: number;
  readonly isDone: boolean;
  readonly awaited: readonly { readonly slot: number; readonly what: "process" | "fence" }[];
}

/** A key of the store that holds something else: what needs it waits until it is right again. */
export interface DamagedKeyView {
  /** Without the array's prefix: `ch`, `lk/resync`. */
  readonly key: string;
  /** CLUSTER_BAD_CHANNEL, CLUSTER_BAD_RECORD or DLM_BAD_RESOURCE. */
  readonly code: string;
  readonly message: string;
}

/** A call of the array that is not answered yet. */
export interface CallView {
  readonly id: number;
  readonly call: string;
  /** How long it has waited, milliseconds. */
  readonly waitedMs: number;
}

export interface TraceEntry {
  /** Milliseconds of the node's clock. */
  readonly at: number;
  readonly what: "lock" | "ast" | "bast" | "message" | "call" | "answer" | "notice" | "member";
  readonly text: string;
}

/** A start from old copies by request. */
export interface ForcedView {
  readonly from: number;
  /** UNTOLD: nobody knew how far others had gone. */
  readonly to: number;
}

/** `to` of a forced start where nobody knew how far others had gone. */
export const UNTOLD = Number.MAX_SAFE_INTEGER;

/** Superblocks with so many events were written apart from the array that runs, by force. */
export const ranApartByForce = (
  events: number,
  { forced }: { readonly forced: ForcedView | null },
): boolean => forced !== null && forced.to !== UNTOLD && events > forced.from && events < forced.to;

export interface ClusterView {
  readonly protocol: "channel" | "literal";
  readonly phase: "joining" | "joined" | "entered" | "leaving" | "left" | "lost";
  /** Bitmap slot of this node, and its session epoch. */
  readonly slot: number;
  readonly epoch: number;
  readonly nodes: number;
  readonly members: readonly MemberView[];
  readonly slots: readonly SlotView[];
  /** Those that can be read. */
  readonly locks: readonly LockView[];
  readonly damaged: readonly DamagedKeyView[];
  /** Members that an administrator put aside, by device_uuid (32 hexadecimal digits), sorted. */
  readonly aside: readonly string[];
  /**
   * Events of the array when the cluster began to remember how new its copies are: of what was
   * written before, superblocks alone tell. Null: it remembers nothing.
   */
  readonly knownSince: number | null;
  /**
   * The array was started from old copies by request: superblocks with more than `from` and less
   * than `to` events were written apart from what runs now. Null: it was not.
   */
  readonly forced: ForcedView | null;
  /** The last message; null: none, or the literal protocol. */
  readonly message: MessageView | null;
  /** What other nodes resync, by bitmap slot. */
  readonly ranges: readonly { readonly slot: number; readonly lo: number; readonly hi: number }[];
  readonly isBalancingSuspended: boolean;
  /** "waiting for node 3, which last confirmed 0.8 s ago, to process RESYNCING, 0.4 s". */
  readonly waits: readonly string[];
  readonly calls: readonly CallView[];
  /** The newest last; of the last few hundred events. */
  readonly trace: readonly TraceEntry[];
  /** Milliseconds of the node's clock at which this was taken. */
  readonly at: number;
}
