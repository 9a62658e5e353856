/** The receiving half of the message channel: process what is in flight, then acknowledge it. */
import { isSameOwner } from "../dlm/lock-resource.ts";
import { decodeLvb } from "../dlm/lvb-text.ts";
import type { ChannelRecord } from "./channel-record.ts";
import { type ChannelDraft, loseChannel } from "./channel-state.ts";
import { writeAck } from "./channel-txn.ts";
import { ackOf, type ChannelView } from "./channel-view.ts";
import type { Envelope } from "./md-message.ts";
import { decodeMessage } from "./message-codec.ts";

/** The message of the record, or null: then the node is out. */
export const readPayload = (d: ChannelDraft, record: ChannelRecord): Envelope | null => {
  if (record.payload === null) return null;
  const envelope = decodeMessage(decodeLvb(record.payload));
  if (!("type" in envelope)) {
    if (envelope.seq === record.seq) return envelope;
    loseChannel(d, "malformed", `message ${envelope.seq} in the record of ${record.seq}`);
    return null;
  }
  loseChannel(d, "malformed", `the channel's message: ${envelope.why}`);
  return null;
};

/** Processes the message in flight once, and acknowledges what was processed. */
export const receive = (d: ChannelDraft, view: ChannelView): void => {
  const { record } = view;
  const isMine = record.origin !== null && isSameOwner(record.origin, d.me);
  if (record.isDone || isMine) return;
  if (record.seq === d.lastSeq + 1) take(d, record);
  if (record.seq === d.lastSeq && (ackOf(view, d.me)?.seq ?? 0) < d.lastSeq) writeAck(d, view);
};

const take = (d: ChannelDraft, record: ChannelRecord): void => {
  if (d.phase !== "entered" || d.isProcessing) return;
  const envelope = readPayload(d, record);
  if (envelope === null) return;
  if (envelope.message.type === "unknown") {
    d.effects.push({ type: "ignored", envelope });
    d.lastSeq = record.seq;
    d.isRefused = false;
    return;
  }
  d.isProcessing = true;
  d.effects.push({ type: "process", envelope });
};
