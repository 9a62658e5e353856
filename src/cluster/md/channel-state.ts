/** State of the message channel's machine (channel-exchange.ts), its events and its effects. */
import type { LockOwner } from "../dlm/lock-resource.ts";
import type { ChannelView } from "./channel-view.ts";
import type { ExchangeCall, ExchangeEffect, LostReason, SendRequest } from "./message-exchange.ts";

/** A key has this revision; 0: it does not exist. As a cluster store's compares have it. */
export interface ChannelCompare {
  readonly type: "create-revision" | "mod-revision";
  readonly key: string;
  readonly relation: "=";
  readonly number: number;
}

/**
 * No lease: an acknowledgement outlives its writer's membership, for a removed member is waited for
 * until it is fenced.
 */
export interface ChannelPut {
  readonly type: "put";
  readonly key: string;
  readonly value: string;
  readonly lease: null;
}

/**
 * If all compares hold, put. At most one is under way. The guards make a second or a late arrival
 * harmless: what it compares with is gone then.
 */
export interface TxnEffect {
  readonly type: "txn";
  readonly compares: readonly ChannelCompare[];
  readonly puts: readonly ChannelPut[];
}

export type ChannelEffect = ExchangeEffect | TxnEffect;

export type ChannelEvent =
  | ExchangeCall
  /** The store as it is or was. Older than one before: passed over. */
  | { readonly type: "view"; readonly view: ChannelView }
  /**
   * The transaction is over. `revision`: no view before it is acted on; that of the answer, and
   * where nobody answered that of any committed transaction since.
   */
  | { readonly type: "txn-over"; readonly revision: number };

export interface OwnMessage {
  readonly seq: number;
  /** The right to send goes with its end. */
  readonly isLast: boolean;
  /** `acknowledged` was told. */
  readonly isTold: boolean;
}

export interface ChannelState {
  readonly me: LockOwner;
  /** Of all keys of the array. */
  readonly prefix: string;
  readonly phase: "outside" | "joined" | "entered" | "over";
  readonly isLeaving: boolean;
  /** The right to send is not given back: who joins has to wait for somebody else's update. */
  readonly keepsRight: boolean;
  readonly view: ChannelView | null;
  readonly isTxnPending: boolean;
  /** Views before this are not acted on. */
  readonly minRevision: number;
  /** Of the last message that this node has processed or sent. */
  readonly lastSeq: number;
  /** What it answered to it. */
  readonly isRefused: boolean;
  /** The message with the number `lastSeq` + 1 was handed over. */
  readonly isProcessing: boolean;
  /** The first one is being served. */
  readonly requests: readonly SendRequest[];
  /** `granted` was told for the first request, at this revision of the record; or null. */
  readonly grantedAt: number | null;
  /** What the caller answered to `granted`. */
  readonly said: Extract<ExchangeCall, { type: "send" | "release" }> | null;
  /**
   * The dead node from which this one has the right to send, until it has told of an update. Null:
   * it has not, or had it from nobody. What that node left half done is still to be ended: the
   * right goes back to it.
   */
  readonly orphan: LockOwner | null;
  /** This node's message in flight, or null. */
  readonly inFlight: OwnMessage | null;
  /** The right to send was given back; whether it has gone, a view will tell. */
  readonly isReleasing: boolean;
  /** The record's number that `taking-over` was told for. */
  readonly takenOver: number;
}

export type ChannelDraft = { -readonly [K in keyof ChannelState]: ChannelState[K] } & {
  readonly effects: ChannelEffect[];
};

/** A node whose member key was made in the revision `me.epoch`. */
export const newChannelState = (me: LockOwner, prefix: string): ChannelState => ({
  me,
  prefix,
  phase: "outside",
  isLeaving: false,
  keepsRight: false,
  view: null,
  isTxnPending: false,
  minRevision: me.epoch,
  lastSeq: 0,
  isRefused: false,
  isProcessing: false,
  requests: [],
  grantedAt: null,
  said: null,
  orphan: null,
  inFlight: null,
  isReleasing: false,
  takenOver: 0,
});

/** Out: what may still come is of no use. */
export const loseChannel = (d: ChannelDraft, reason: LostReason, why: string): void => {
  d.phase = "over";
  d.effects.push({ type: "lost", reason, why });
};
