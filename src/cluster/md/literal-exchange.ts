/**
 * The literal choreography of md-cluster: messages over the locks `token`, `message` and `ack`,
 * step by step as the document has it, as a machine over an abstract DLM. It is the executable
 * specification of the message channel, which the product uses.
 *
 *   sender     token EX, message EX, (still needed?), message CW, ack EX, ack CR, message NL,
 *              token NL
 *   receiver   (BAST of ack), message CR, (process), ack NL, message PR, ack CR, message NL
 *
 * Lock calls go out as effects, ASTs and BASTs come in as events, in the order in which the DLM
 * makes them for one lock.
 */
import { assert } from "../../common/assert.ts";
import { EX } from "../dlm/lock-mode.ts";
import {
  onNoNewDevAst,
  onProcessed,
  onReceiverAst,
  receiverHandled,
  startReceiver,
} from "./literal-receiver.ts";
import {
  addRequest,
  giveTokenBack,
  obey,
  onSenderAst,
  onTokenAst,
  senderHandled,
  startSender,
  takeMutex,
} from "./literal-sender.ts";
import {
  joinCalls,
  type LiteralDraft,
  type LiteralEffect,
  type LiteralEvent,
  type LiteralState,
  lock,
  lose,
  readDone,
} from "./literal-state.ts";
import { ACK, MESSAGE, NO_NEW_DEV, TOKEN } from "./lock-names.ts";

export interface LiteralStep {
  readonly state: LiteralState;
  /** To be carried out in this order. */
  readonly effects: readonly LiteralEffect[];
}

/** The next state. A node that is out stays as it is, whatever comes. */
export const stepLiteral = (before: LiteralState, event: LiteralEvent): LiteralStep => {
  if (before.phase === "over") return { state: before, effects: [] };
  const { effects, ...draft } = { ...before, effects: [] as LiteralEffect[] };
  const d: LiteralDraft = Object.assign(draft, { effects });
  apply(d, event);
  settle(d);
  const { effects: out, ...state } = d;
  return { state, effects: out };
};

const apply = (d: LiteralDraft, event: LiteralEvent): void => {
  switch (event.type) {
    case "join":
      assert(d.phase === "outside", "a node joins once");
      d.phase = "joining";
      callNext(d);
      break;
    case "enter":
      assert(d.phase === "joined", `enter while ${d.phase}`);
      d.phase = "entered";
      if (d.dialect === "satsuma") giveTokenBack(d);
      break;
    case "request":
      addRequest(d, event.request);
      break;
    case "send":
    case "release":
      d.said = event;
      if (d.sender === "held" || d.sender === "token-held") obey(d);
      break;
    case "processed":
      assert(d.handling === "processing", "nothing was being processed");
      onProcessed(d, event.isRefused);
      break;
    case "leave":
      d.isLeaving = true;
      d.keepsRight = event.keepsRight === true;
      break;
    case "ast":
      onAst(d, event);
      break;
    case "bast":
      // Of other modes too, as of the sender's own return to CR: only EX announces a message.
      if (event.resource === ACK && event.mode === EX) d.isWoken = true;
      break;
    case "expelled":
      lose(d, "expelled", "the lockspace has gone on without this node");
      break;
  }
};

const onAst = (d: LiteralDraft, event: Extract<LiteralEvent, { type: "ast" }>): void => {
  const { resource, status, lvb } = event;
  const isAnswer = resource === NO_NEW_DEV && d.sender === "no-new-dev-ex";
  if (status !== "granted" && !(isAnswer && status === "EAGAIN")) {
    lose(d, "broken", `a lock call for ${resource} ended with ${status}`);
    return;
  }
  if (resource === MESSAGE && lvb !== null) d.buffer = lvb;
  if (d.phase === "joining") onJoinAst(d, resource === TOKEN ? lvb : null);
  else if (resource === TOKEN) onTokenAst(d, lvb);
  else if (d.handling === "rearm" || d.handling === "drop") onNoNewDevAst(d);
  else if (d.mutex === "receiver") onReceiverAst(d);
  else onSenderAst(d, status);
};

const onJoinAst = (d: LiteralDraft, tokenLvb: string | null): void => {
  // What was finished before this node counted is none of its business.
  if (d.dialect === "satsuma" && tokenLvb !== null && readDone(d, tokenLvb)) d.lastSeq = d.doneSeq;
  if (d.phase === "over") return;
  if (d.joinAt < joinCalls(d.dialect).length) callNext(d);
  else {
    d.phase = "joined";
    d.effects.push({ type: "joined" });
  }
};

const callNext = (d: LiteralDraft): void => {
  const calls = joinCalls(d.dialect);
  const call = calls[d.joinAt];
  assert(call !== undefined, "all calls of the join are made");
  const [resource, mode] = call;
  const isNew = calls.slice(0, d.joinAt).every(([other]) => other !== resource);
  d.joinAt += 1;
  lock(d, resource, mode, isNew);
};

/** What is due after any event: whoever of this node can go on does. */
const settle = (d: LiteralDraft): void => {
  if (d.handling === "done" && d.phase !== "over") {
    d.handling = "idle";
    if (d.mutex === "receiver") receiverHandled(d);
    else senderHandled(d);
  }
  if (d.phase === "joined" && d.isLeaving) leave(d);
  if (d.phase !== "entered") return;
  if (d.mutex === "free") {
    if (d.sender === "wait-receiver") takeMutex(d);
    else if (d.isWoken) startReceiver(d);
  }
  // The token is the lock manager's to pass on: here it goes with the other locks.
  if (d.keepsRight && (d.sender === "held" || d.sender === "token-held")) leave(d);
  if (d.sender !== "idle") return;
  if (!d.isLeaving && d.requests.length > 0) startSender(d);
  else if (d.isLeaving && d.mutex === "free") leave(d);
};

/** Nothing of this node is in flight: the locks go. Source: md-cluster.c leave. */
const leave = (d: LiteralDraft): void => {
  d.phase = "over";
  d.requests = [];
  for (const resource of [MESSAGE, TOKEN, ACK, NO_NEW_DEV] as const)
    d.effects.push({ type: "unlock", resource });
  d.effects.push({ type: "left" });
};
