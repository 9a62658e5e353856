/**
 * The message channel: what the product uses in place of the literal choreography, whose refinement
 * it is. One record in the store is the token, the message and its end; one key per member is its
 * acknowledgement.
 *
 *   token EX held by h      record.holder = h
 *   message's value block   record.payload
 *   ack given up by slot s  ack/s has the record's number
 *   ack EX granted          every member's ack has the record's number
 *
 * Level-triggered: each decision follows from the newest view alone and what this node wants, never
 * from having seen a change. Nobody publishes over an unfinished message: when its sender is gone,
 * whoever sees that becomes the holder of the same message and finishes it.
 */
import { assert } from "../../common/assert.ts";
import { isSameOwner } from "../dlm/lock-resource.ts";
import { receive } from "./channel-receiver.ts";
import { finish, giveBack, send } from "./channel-sender.ts";
import {
  type ChannelDraft,
  type ChannelEffect,
  type ChannelEvent,
  type ChannelState,
  loseChannel,
} from "./channel-state.ts";
import { writeFirstAck } from "./channel-txn.ts";
import { ackOf, type ChannelView, isAbandoned, isFreeToEnter, isMember } from "./channel-view.ts";
import { REQUESTS_MAX } from "./message-exchange.ts";

export interface ChannelStep {
  readonly state: ChannelState;
  /** To be carried out in this order. */
  readonly effects: readonly ChannelEffect[];
}

/** The next state. A node that is out stays as it is, whatever comes. */
export const stepChannel = (before: ChannelState, event: ChannelEvent): ChannelStep => {
  if (before.phase === "over") return { state: before, effects: [] };
  const d: ChannelDraft = { ...before, effects: [] };
  apply(d, event);
  decide(d);
  const { effects, ...state } = d;
  return { state, effects };
};

const apply = (d: ChannelDraft, event: ChannelEvent): void => {
  switch (event.type) {
    case "view":
      // One of the same revision may tell more: what a watch has lost.
      if (d.view === null || event.view.revision >= d.view.revision) d.view = event.view;
      break;
    case "txn-over":
      assert(d.isTxnPending, "no transaction was under way");
      d.isTxnPending = false;
      d.minRevision = Math.max(d.minRevision, event.revision);
      break;
    case "enter":
      assert(d.phase === "joined", `enter while ${d.phase}`);
      d.phase = "entered";
      break;
    case "request":
      assert(d.requests.length < REQUESTS_MAX, `${d.requests.length} requests wait already`);
      d.requests = [...d.requests, event.request];
      break;
    case "send":
    case "release":
      // An answer to a grant that another node's message has overtaken is void.
      if (d.grantedAt !== null) d.said = event;
      break;
    case "processed":
      assert(d.isProcessing, "nothing was being processed");
      d.isProcessing = false;
      d.isRefused = event.isRefused;
      d.lastSeq += 1;
      break;
    case "leave":
      d.isLeaving = true;
      d.keepsRight = event.keepsRight === true;
      break;
  }
};

/** What is due now; at most one transaction. Nothing while one is under way. */
const decide = (d: ChannelDraft): void => {
  const { view, me } = d;
  if (d.isTxnPending || view === null || view.revision < d.minRevision) return;
  if (!isMember(view, me)) {
    loseChannel(d, "expelled", "the member key is gone");
    return;
  }
  if (d.phase === "outside") join(d, view);
  if (d.phase === "outside" || d.isTxnPending || !isInStep(d, view)) return;
  receive(d, view);
  if (!d.isTxnPending) finish(d, view);
  if (!d.isTxnPending && d.phase === "entered") send(d, view);
  leaveWhenIdle(d, view);
};

/**
 * As the literal choreography joins with `token` held: not while a message is in flight, nor while
 * somebody may write superblocks. The right to send is this node's until it takes part.
 */
const join = (d: ChannelDraft, view: ChannelView): void => {
  const ack = ackOf(view, d.me);
  if (ack !== undefined) {
    d.phase = "joined";
    d.lastSeq = ack.seq;
    d.effects.push({ type: "joined" });
  } else if (isAbandoned(view)) finish(d, view);
  else if (isFreeToEnter(view)) writeFirstAck(d, view);
  else if (isHolder(d, view)) finish(d, view);
};

const isHolder = ({ me }: ChannelDraft, { record }: ChannelView): boolean =>
  record.holder !== null && isSameOwner(record.holder, me);

/** A message cannot have been finished without this member, as long as it is one. */
const isInStep = (d: ChannelDraft, { record }: ChannelView): boolean => {
  const missed = record.seq - d.lastSeq;
  if (missed <= 0 || (missed === 1 && !record.isDone)) return true;
  loseChannel(d, "broken", `message ${record.seq} is there, ${d.lastSeq} was the last one here`);
  return false;
};

const leaveWhenIdle = (d: ChannelDraft, view: ChannelView): void => {
  if (d.isLeaving && d.phase === "joined" && !d.isTxnPending && isHolder(d, view))
    giveBack(d, view);
  const isHolding = isHolder(d, view) && !d.keepsRight;
  const isBusy = d.isTxnPending || d.isProcessing || d.inFlight !== null || isHolding;
  if (!d.isLeaving || isBusy || d.phase === "over") return;
  d.phase = "over";
  d.requests = [];
  d.effects.push({ type: "left" });
};
