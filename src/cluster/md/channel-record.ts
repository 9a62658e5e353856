/**
 * What the message channel keeps in the store: the record `ch`, which is the token, the message and
 * whether it is finished, and per member `ack/<slot>`. Their text forms are JSON with a version.
 */
import { CodedError } from "../../common/errors.ts";
import type { LockOwner } from "../dlm/lock-resource.ts";
import { isLvbText, LVB_BYTES } from "../dlm/lvb-text.ts";

const VERSION = 1;

export interface ChannelRecord {
  /** Of the last message; one higher with each. 0: there was none. */
  readonly seq: number;
  /** Who may send or sends: who would hold the token. Null: nobody. */
  readonly holder: LockOwner | null;
  /** Who sent the message; null: there was none. */
  readonly origin: LockOwner | null;
  /** The message as the text of a value block; null: there was none. */
  readonly payload: string | null;
  /** False while members have to process the message. */
  readonly isDone: boolean;
}

/** A channel that nobody has used. */
export const EMPTY_CHANNEL: ChannelRecord = {
  seq: 0,
  holder: null,
  origin: null,
  payload: null,
  isDone: true,
};

/** That a member is a receiver, and the last message that it has processed. */
export interface ChannelAck {
  readonly seq: number;
  /** Of the session that wrote it; another session in that slot has to write its own. */
  readonly epoch: number;
  /** The last message asked for something, and the member does not agree. */
  readonly isRefused: boolean;
}

export const encodeChannel = ({ seq, holder, origin, payload, isDone }: ChannelRecord): string =>
  JSON.stringify({ v: VERSION, seq, holder, origin, payload, done: isDone });

export const encodeAck = ({ seq, epoch, isRefused }: ChannelAck): string =>
  JSON.stringify({ v: VERSION, seq, epoch, refused: isRefused });

/** Errors: CLUSTER_BAD_CHANNEL for text that is no record of this version. */
export const decodeChannel = (text: string): ChannelRecord => {
  const { v, seq, holder, origin, payload, done } = parse(text, "ch");
  const owners = { holder: ownerOf(holder), origin: ownerOf(origin) };
  const isPayload = payload === null || (typeof payload === "string" && isBlock(payload));
  const isWhole =
    v === VERSION &&
    isCount(seq) &&
    owners.holder !== undefined &&
    owners.origin !== undefined &&
    isPayload &&
    typeof done === "boolean" &&
    // A message in flight has a sender, and somebody who waits for it.
    (seq === 0) === (payload === null) &&
    (payload === null) === (origin === null) &&
    (done || (payload !== null && holder !== null));
  if (!isWhole) throw badRecord("ch", text);
  const { holder: by, origin: from } = owners;
  return {
    seq: seq as number,
    holder: by as LockOwner | null,
    origin: from as LockOwner | null,
    payload: payload as string | null,
    isDone: done as boolean,
  };
};

/** Errors: CLUSTER_BAD_CHANNEL for text that is no acknowledgement of this version. */
export const decodeAck = (text: string): ChannelAck => {
  const { v, seq, epoch, refused } = parse(text, "ack");
  if (v !== VERSION || !isCount(seq) || !isCount(epoch) || typeof refused !== "boolean")
    throw badRecord("ack", text);
  return { seq, epoch, isRefused: refused };
};

const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Number(value) >= 0;

const isBlock = (text: string): boolean => isLvbText(text, LVB_BYTES);

/** Undefined: no owner, and not null either. */
const ownerOf = (value: unknown): LockOwner | null | undefined => {
  if (value === null) return null;
  if (typeof value !== "object") return undefined;
  const { slot, epoch } = value as Record<string, unknown>;
  return isCount(slot) && slot >= 1 && isCount(epoch) ? { slot, epoch } : undefined;
};

const parse = (text: string, key: string): Readonly<Record<string, unknown>> => {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch {
    // Told below, with the text.
  }
  throw badRecord(key, text);
};

const badRecord = (key: string, text: string): CodedError =>
  new CodedError("CLUSTER_BAD_CHANNEL", `the key ${key} of the message channel is damaged`, {
    remedy:
      "put its last value back: the boards go on by themselves; without it, end the array on all boards, then delete the key",
    details: { key, text: text.slice(0, 200) },
  });
