/**
 * State of the literal choreography (literal-exchange.ts) and the lock calls it makes.
 *
 * `kernel` is the protocol as Linux has it, call for call; it loses or repeats messages when a
 * sender dies. `satsuma` adds the cures: a sequence number and an epoch in each message, the number
 * of the last finished message in the value block of `token`, and the next sender finishes what a
 * dead one left unfinished.
 */
import { ByteReader, ByteWriter, toSafeNumber } from "../../common/bytes.ts";
import {
  DLM_LKF_CONVERT,
  DLM_LKF_EXPEDITE,
  DLM_LKF_NOQUEUE,
  DLM_LKF_VALBLK,
} from "../dlm/lock-flags.ts";
import { CR, EX, type LockMode, NL } from "../dlm/lock-mode.ts";
import type { AstStatus, LockOwner } from "../dlm/lock-resource.ts";
import { decodeLvb, encodeLvb, LVB_BYTES } from "../dlm/lvb-text.ts";
import { ACK, MESSAGE, NO_NEW_DEV, TOKEN } from "./lock-names.ts";
import type { ClusterMessage } from "./md-message.ts";
import type { ExchangeCall, ExchangeEffect, LostReason, SendRequest } from "./message-exchange.ts";

export type Dialect = "kernel" | "satsuma";
export type ExchangeLock = typeof TOKEN | typeof MESSAGE | typeof ACK | typeof NO_NEW_DEV;

/**
 * A call for this node's one lock on the resource. With CONVERT the lock exists. Calls for one
 * resource never overlap. The answer is an `ast` event, always.
 */
export interface LockEffect {
  readonly type: "lock";
  readonly resource: ExchangeLock;
  readonly mode: LockMode;
  /** DLM_LKF_ flags. */
  readonly flags: number;
  /** The value block as text; null: no buffer. */
  readonly lvb: string | null;
  readonly hasBast: boolean;
}

export type LiteralEffect =
  | ExchangeEffect
  | LockEffect
  /** Give the lock up from whatever state; needs no answer. */
  | { readonly type: "unlock"; readonly resource: ExchangeLock };

export type LiteralEvent =
  | ExchangeCall
  /** Take the locks; the lockspace is joined. */
  | { readonly type: "join" }
  | {
      readonly type: "ast";
      readonly resource: ExchangeLock;
      readonly status: AstStatus;
      /** What the caller's buffer receives, or null. */
      readonly lvb: string | null;
    }
  | { readonly type: "bast"; readonly resource: ExchangeLock; readonly mode: LockMode }
  /** The lockspace has gone on without this node. */
  | { readonly type: "expelled" };

/** The call whose answer the receiver waits for. */
export type ReceiverStep =
  | "idle"
  | "message-cr"
  | "handling"
  | "ack-nl"
  | "message-pr"
  | "ack-cr"
  | "message-nl";

/** The call whose answer the sender waits for, or what else it waits for. */
export type SenderStep =
  | "idle"
  | "token-ex"
  /** Has the token; the receiver is at work. */
  | "wait-receiver"
  | "message-ex"
  /** A dead sender's message, which this node has not processed itself. */
  | "handling"
  /** Has `token` and `message`; the caller decides. */
  | "held"
  | "message-cw"
  | "ack-ex"
  | "ack-cr"
  | "message-nl"
  | "no-new-dev-ex"
  | "no-new-dev-cr"
  /** Has `token` only; the caller sends one more, or releases. */
  | "token-held"
  /** Nothing was sent: `message` goes. */
  | "cancel"
  | "token-nl"
  /** The node takes part: it gives `token` back, with which it has joined. */
  | "token-joined";

/**
 * Messages that others may refuse: a device that they do not see, or a change that they have no
 * rest for. The kernel asks by NEWDISK only.
 */
export const isQuestion = (dialect: Dialect, type: ClusterMessage["type"] | "unknown"): boolean =>
  type === "newdisk" || (type === "bitmap-resize" && dialect === "satsuma");

/** Where the message at hand is: `rearm` and `drop` change `no-new-dev`. */
export type HandlingStep = "idle" | "rearm" | "processing" | "drop" | "done";

/** The message that this node sends now. */
export interface Outgoing {
  readonly seq: number;
  readonly isLast: boolean;
  /** Others may refuse what it asks for, by keeping `no-new-dev`. */
  readonly isQuestion: boolean;
  readonly isTakeOver: boolean;
}

export interface LiteralState {
  readonly me: LockOwner;
  readonly dialect: Dialect;
  readonly phase: "outside" | "joining" | "joined" | "entered" | "over";
  /** Calls of `joinCalls` that were made. */
  readonly joinAt: number;
  readonly isLeaving: boolean;
  /** It leaves in the midst of a hold. */
  readonly keepsRight: boolean;
  /** Who of this node may use `message` and `ack`: the kernel's recv_mutex. */
  readonly mutex: "free" | "receiver" | "sender";
  /** A BAST on `ack` came: there is a message. One bit, as the kernel's. */
  readonly isWoken: boolean;
  readonly receiver: ReceiverStep;
  readonly sender: SenderStep;
  readonly handling: HandlingStep;
  /** The buffer of the `message` lock: what was read or is to be written. */
  readonly buffer: string;
  /** What the caller answered to `granted`, until the sender gets to it. */
  readonly said: Extract<ExchangeCall, { type: "send" | "release" }> | null;
  readonly outgoing: Outgoing | null;
  /** The first one is being served. */
  readonly requests: readonly SendRequest[];
  /** Of the last message that this node has processed or sent. */
  readonly lastSeq: number;
  /** Of the last message known to be finished, from the value block of `token`. */
  readonly doneSeq: number;
}

export type LiteralDraft = { -readonly [K in keyof LiteralState]: LiteralState[K] } & {
  readonly effects: LiteralEffect[];
};

const EMPTY_BUFFER = encodeLvb(new Uint8Array(LVB_BYTES));

/** A node that has joined the lockspace and holds no locks yet. */
export const newLiteralState = (me: LockOwner, dialect: Dialect): LiteralState => ({
  me,
  dialect,
  phase: "outside",
  joinAt: 0,
  isLeaving: false,
  keepsRight: false,
  mutex: "free",
  isWoken: false,
  receiver: "idle",
  sender: "idle",
  handling: "idle",
  buffer: EMPTY_BUFFER,
  said: null,
  outgoing: null,
  requests: [],
  lastSeq: 0,
  doneSeq: 0,
});

type JoinCall = readonly [ExchangeLock, LockMode];

const TOKEN_BACK: JoinCall = [TOKEN, NL];

/** The calls of a node that joins, in order. Source: md-cluster.c join. */
const KERNEL_JOIN: readonly JoinCall[] = [
  [MESSAGE, NL],
  [TOKEN, NL],
  [NO_NEW_DEV, NL],
  // No message can be in flight while this node begins to count as a receiver.
  [TOKEN, EX],
  [ACK, NL],
  [ACK, CR],
  TOKEN_BACK,
  [NO_NEW_DEV, CR],
];

/** `token` stays until the node takes part: nobody writes superblocks while it reads them. */
const SATSUMA_JOIN = KERNEL_JOIN.filter((call) => call !== TOKEN_BACK);

export const joinCalls = (dialect: Dialect): readonly JoinCall[] =>
  dialect === "kernel" ? KERNEL_JOIN : SATSUMA_JOIN;

/** Asks for the mode; the first call for a resource makes the lock, in NL. */
export const lock = (
  d: LiteralDraft,
  resource: ExchangeLock,
  mode: LockMode,
  isNew = false,
): void => {
  const isCarrier = resource === MESSAGE || (resource === TOKEN && d.dialect === "satsuma");
  let flags = isNew ? DLM_LKF_EXPEDITE : DLM_LKF_CONVERT;
  if (isCarrier) flags |= DLM_LKF_VALBLK;
  if (resource === NO_NEW_DEV && mode === EX) flags |= DLM_LKF_NOQUEUE;
  const block = resource === TOKEN ? encodeDone(d.doneSeq) : d.buffer;
  const lvb = isCarrier ? block : null;
  d.effects.push({ type: "lock", resource, mode, flags, lvb, hasBast: resource === ACK });
};

const encodeDone = (seq: number): string => {
  const bytes = new Uint8Array(LVB_BYTES);
  new ByteWriter(bytes, "le").u64(seq);
  return encodeLvb(bytes);
};

/** Out: what may still come is of no use. */
export const lose = (d: LiteralDraft, reason: LostReason, why: string): void => {
  d.phase = "over";
  d.effects.push({ type: "lost", reason, why });
};

/** Takes the last finished message's number from the value block of `token`; false: out. */
export const readDone = (d: LiteralDraft, lvb: string | null): boolean => {
  // A block that was never written.
  if (lvb === null) return true;
  const seq = toSafeNumber(new ByteReader(decodeLvb(lvb), "le").u64());
  if (seq === undefined) {
    lose(d, "malformed", "the token lock's value block counts beyond 2^53");
    return false;
  }
  d.doneSeq = seq;
  return true;
};
