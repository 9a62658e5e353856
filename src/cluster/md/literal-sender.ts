/**
 * The sender of the literal choreography: token, message, ack, and back. Source: md-cluster.c
 * lock_comm, __sendmsg, unlock_comm, add_new_disk.
 */
import { assert } from "../../common/assert.ts";
import { CR, CW, EX, NL } from "../dlm/lock-mode.ts";
import type { AstStatus } from "../dlm/lock-resource.ts";
import { encodeLvb } from "../dlm/lvb-text.ts";
import { beginHandling, isOwn, readBuffer } from "./literal-receiver.ts";
import { isQuestion, type LiteralDraft, lock, lose, readDone } from "./literal-state.ts";
import { ACK, MESSAGE, NO_NEW_DEV, TOKEN } from "./lock-names.ts";
import type { Envelope } from "./md-message.ts";
import { encodeMessage } from "./message-codec.ts";
import { REQUESTS_MAX, type SendRequest } from "./message-exchange.ts";

export const addRequest = (d: LiteralDraft, request: SendRequest): void => {
  assert(d.requests.length < REQUESTS_MAX, `${d.requests.length} requests wait already`);
  d.requests = [...d.requests, request];
};

export const startSender = (d: LiteralDraft): void => {
  d.sender = "token-ex";
  lock(d, TOKEN, EX);
};

/** "sender get EX on message", which also tells the last message. */
export const takeMutex = (d: LiteralDraft): void => {
  d.mutex = "sender";
  getMessage(d);
};

const getMessage = (d: LiteralDraft): void => {
  d.sender = "message-ex";
  lock(d, MESSAGE, EX);
};

/** The node takes part: others may send. */
export const giveTokenBack = (d: LiteralDraft): void => {
  d.sender = "token-joined";
  lock(d, TOKEN, NL);
};

export const onTokenAst = (d: LiteralDraft, lvb: string | null): void => {
  if (d.sender === "token-nl" || d.sender === "token-joined") {
    // What was asked for meanwhile is still to be served.
    if (d.sender === "token-nl") d.requests = d.requests.slice(1);
    d.sender = "idle";
    return;
  }
  if (d.dialect === "kernel" || readDone(d, lvb)) d.sender = "wait-receiver";
};

/** A lock other than `token` was granted to the sender, or `no-new-dev` was not. */
export const onSenderAst = (d: LiteralDraft, status: AstStatus): void => {
  switch (d.sender) {
    case "message-ex":
      onMessageHeld(d);
      break;
    case "message-cw":
      d.sender = "ack-ex";
      lock(d, ACK, EX);
      break;
    case "ack-ex":
      onAllProcessed(d);
      break;
    case "ack-cr":
      d.sender = "message-nl";
      lock(d, MESSAGE, NL);
      break;
    case "message-nl":
      onMessageReleased(d);
      break;
    case "no-new-dev-ex":
      onNewDevAnswer(d, status === "granted");
      break;
    case "no-new-dev-cr":
      endMessage(d);
      break;
    case "cancel":
      releaseToken(d);
      break;
    default:
      lose(d, "broken", `an answer to the sender, which is ${d.sender}`);
  }
};

/** What the block holds was finished, or its sender died and this node finishes it. */
const onMessageHeld = (d: LiteralDraft): void => {
  const envelope = readBuffer(d);
  if (envelope === null) return;
  if (d.dialect === "satsuma" && envelope.seq > d.doneSeq) takeOver(d, envelope);
  else if (d.said === null) {
    d.sender = "held";
    tellGranted(d);
  } else obey(d);
};

const takeOver = (d: LiteralDraft, envelope: Envelope): void => {
  const { seq } = envelope;
  d.outgoing = { seq, isLast: false, isQuestion: false, isTakeOver: true };
  d.effects.push({ type: "taking-over", envelope });
  if (seq <= d.lastSeq || isOwn(d, envelope)) publish(d);
  else {
    d.sender = "handling";
    beginHandling(d, envelope);
  }
};

/** The dead sender's message is processed here too; now by the others. */
export const senderHandled = (d: LiteralDraft): void => {
  d.lastSeq = d.outgoing?.seq ?? d.lastSeq;
  publish(d);
};

/** "sender down-convert message from EX to CW", which writes the value block. */
const publish = (d: LiteralDraft): void => {
  d.sender = "message-cw";
  lock(d, MESSAGE, CW);
};

const tellGranted = (d: LiteralDraft): void => {
  const [request] = d.requests;
  if (request !== undefined) d.effects.push({ type: "granted", id: request.id });
};

/** Does what the caller answered to `granted`. Only with `message` or `token` held. */
export const obey = (d: LiteralDraft): void => {
  const { said, sender } = d;
  if (said === null) return;
  if (said.type === "send" && sender === "token-held") {
    getMessage(d);
    return;
  }
  d.said = null;
  if (said.type === "release") {
    if (sender === "token-held") releaseToken(d);
    else {
      d.sender = "cancel";
      lock(d, MESSAGE, NL);
    }
    return;
  }
  const { message } = said;
  const isCounted = d.dialect === "satsuma";
  const seq = isCounted ? d.doneSeq + 1 : 0;
  const origin = { slot: d.me.slot, epoch: isCounted ? d.me.epoch : 0 };
  const isLast = said.isLast || d.requests[0]?.isHold !== true;
  const isAsking = isQuestion(d.dialect, message.type);
  d.outgoing = { seq, isLast, isQuestion: isAsking, isTakeOver: false };
  d.buffer = encodeLvb(encodeMessage({ seq, origin, message }));
  d.lastSeq = seq;
  publish(d);
};

/** "triggered by grant of EX on ack (indicating all receivers have processed message)" */
const onAllProcessed = (d: LiteralDraft): void => {
  const { outgoing } = d;
  if (outgoing !== null) {
    d.doneSeq = outgoing.seq;
    if (!outgoing.isTakeOver && !outgoing.isQuestion) tellAcknowledged(d, outgoing.seq, false);
  }
  d.sender = "ack-cr";
  lock(d, ACK, CR);
};

const tellAcknowledged = (d: LiteralDraft, seq: number, isRefused: boolean): void => {
  const id = d.requests[0]?.id ?? 0;
  d.effects.push({ type: "acknowledged", id, seq, isRefused, refusedBy: [] });
};

const onMessageReleased = (d: LiteralDraft): void => {
  if (d.outgoing?.isTakeOver === true) {
    d.outgoing = null;
    getMessage(d);
  } else if (d.outgoing?.isQuestion === true) {
    d.sender = "no-new-dev-ex";
    lock(d, NO_NEW_DEV, EX);
  } else endMessage(d);
};

/** Whoever does not see the new device, or has no rest, has kept its lock. */
const onNewDevAnswer = (d: LiteralDraft, isSeen: boolean): void => {
  tellAcknowledged(d, d.outgoing?.seq ?? 0, !isSeen);
  if (!isSeen) {
    endMessage(d);
    return;
  }
  d.sender = "no-new-dev-cr";
  lock(d, NO_NEW_DEV, CR);
};

const endMessage = (d: LiteralDraft): void => {
  const isLast = d.outgoing?.isLast === true;
  d.outgoing = null;
  if (isLast) releaseToken(d);
  else {
    d.sender = "token-held";
    obey(d);
  }
};

const releaseToken = (d: LiteralDraft): void => {
  d.mutex = "free";
  d.sender = "token-nl";
  lock(d, TOKEN, NL);
};
