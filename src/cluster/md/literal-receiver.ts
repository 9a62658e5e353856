/**
 * The receiver of the literal choreography: "triggered by bast of ack". Source: md-cluster.c
 * recv_daemon, process_recvd_msg.
 */
import { CR, NL, PR } from "../dlm/lock-mode.ts";
import { decodeLvb } from "../dlm/lvb-text.ts";
import { isQuestion, type LiteralDraft, lock, lose } from "./literal-state.ts";
import { ACK, MESSAGE, NO_NEW_DEV } from "./lock-names.ts";
import type { Envelope } from "./md-message.ts";
import { decodeMessage } from "./message-codec.ts";

/** The message in the buffer, or null: then the node is out. */
export const readBuffer = (d: LiteralDraft): Envelope | null => {
  const envelope = decodeMessage(decodeLvb(d.buffer));
  if (!("type" in envelope)) return envelope;
  lose(d, "malformed", `the message lock's value block: ${envelope.why}`);
  return null;
};

/** Whether this life of this node sent it. The kernel knows slots only. */
export const isOwn = ({ me, dialect }: LiteralDraft, { origin }: Envelope): boolean =>
  origin.slot === me.slot && (dialect === "kernel" || origin.epoch === me.epoch);

/** Hands the message over, whoever of this node read it. */
export const beginHandling = (d: LiteralDraft, envelope: Envelope): void => {
  if (envelope.message.type === "unknown") {
    d.effects.push({ type: "ignored", envelope });
    d.handling = "done";
  } else if (envelope.message.type === "metadata-updated") {
    // Ends what a NEWDISK began, whichever way.
    d.handling = "rearm";
    lock(d, NO_NEW_DEV, CR);
  } else {
    d.handling = "processing";
    d.effects.push({ type: "process", envelope });
  }
};

/** The answer to a call of `beginHandling` or `processed`. */
export const onNoNewDevAst = (d: LiteralDraft): void => {
  if (d.handling === "drop") {
    d.handling = "done";
    return;
  }
  const envelope = readBuffer(d);
  if (envelope === null) return;
  d.handling = "processing";
  d.effects.push({ type: "process", envelope });
};

/** The caller has processed the message. Who agrees to what it asks gives `no-new-dev` up. */
export const onProcessed = (d: LiteralDraft, isRefused: boolean): void => {
  const envelope = readBuffer(d);
  const isAsked = envelope !== null && isQuestion(d.dialect, envelope.message.type);
  if (isAsked && !isRefused) {
    d.handling = "drop";
    lock(d, NO_NEW_DEV, NL);
  } else d.handling = "done";
};

export const startReceiver = (d: LiteralDraft): void => {
  d.isWoken = false;
  d.mutex = "receiver";
  d.receiver = "message-cr";
  lock(d, MESSAGE, CR);
};

/** `message` or `ack` was granted to the receiver. */
export const onReceiverAst = (d: LiteralDraft): void => {
  switch (d.receiver) {
    case "message-cr":
      onMessageRead(d);
      break;
    case "ack-nl":
      d.receiver = "message-pr";
      lock(d, MESSAGE, PR);
      break;
    case "message-pr":
      d.receiver = "ack-cr";
      lock(d, ACK, CR);
      break;
    case "ack-cr":
      d.receiver = "message-nl";
      lock(d, MESSAGE, NL);
      break;
    case "message-nl":
      d.receiver = "idle";
      d.mutex = "free";
      break;
    default:
      lose(d, "broken", `an answer to the receiver, which is ${d.receiver}`);
  }
};

const onMessageRead = (d: LiteralDraft): void => {
  const envelope = readBuffer(d);
  if (envelope === null) return;
  const { dialect, lastSeq } = d;
  if (dialect === "kernel" && isOwn(d, envelope)) {
    d.receiver = "message-nl";
    lock(d, MESSAGE, NL);
  } else if (dialect === "satsuma" && (isOwn(d, envelope) || envelope.seq <= lastSeq)) {
    acknowledge(d);
  } else {
    d.receiver = "handling";
    beginHandling(d, envelope);
  }
};

/** The message at hand is processed. */
export const receiverHandled = (d: LiteralDraft): void => {
  const envelope = readBuffer(d);
  if (envelope === null) return;
  d.lastSeq = envelope.seq;
  acknowledge(d);
};

const acknowledge = (d: LiteralDraft): void => {
  d.receiver = "ack-nl";
  lock(d, ACK, NL);
};
