/** The sending half of the message channel, and the end of dead senders' messages. */
import { isSameOwner } from "../dlm/lock-resource.ts";
import { encodeLvb } from "../dlm/lvb-text.ts";
import { readPayload } from "./channel-receiver.ts";
import type { ChannelRecord } from "./channel-record.ts";
import type { ChannelDraft } from "./channel-state.ts";
import { writeRecord } from "./channel-txn.ts";
import { awaited, type ChannelView, isAbandoned, isFree, refusers } from "./channel-view.ts";
import { encodeMessage } from "./message-codec.ts";

const holds = ({ me }: ChannelDraft, { holder }: ChannelRecord): boolean =>
  holder !== null && isSameOwner(holder, me);

const isFrom = ({ me }: ChannelDraft, { origin }: ChannelRecord): boolean =>
  origin !== null && isSameOwner(origin, me);

/** Ends the message in flight when all have processed it: one's own, or that of a dead sender. */
export const finish = (d: ChannelDraft, view: ChannelView): void => {
  const { record } = view;
  settleOwn(d, record);
  if (isAbandoned(view)) {
    takeOver(d, view);
    return;
  }
  if (record.isDone || !holds(d, record)) return;
  if (isFrom(d, record)) noteOwn(d, record);
  if (awaited(view).length > 0) return;
  const isOwn = d.inFlight?.seq === record.seq;
  if (isOwn) tellAcknowledged(d, view);
  if (isOwn && readPayload(d, record)?.message.type === "metadata-updated") d.orphan = null;
  const keeps = isOwn && d.inFlight?.isLast === false;
  // A dead sender may have been in the midst of an update or a change: the end of its message is
  // not the end of that.
  const next = isOwn ? d.orphan : record.origin;
  writeRecord(d, view, { ...record, isDone: true, holder: keeps ? d.me : next });
};

/** The message is published, whatever became of the transaction's answer. */
const noteOwn = (d: ChannelDraft, record: ChannelRecord): void => {
  if (record.seq !== d.lastSeq + 1) return;
  const isLast = d.said?.type !== "send" || d.said.isLast || d.requests[0]?.isHold !== true;
  d.lastSeq = record.seq;
  d.inFlight = { seq: record.seq, isLast, isTold: false };
  d.said = null;
};

const tellAcknowledged = (d: ChannelDraft, view: ChannelView): void => {
  const { inFlight } = d;
  if (inFlight === null || inFlight.isTold) return;
  d.inFlight = { ...inFlight, isTold: true };
  const refusedBy = refusers(view);
  const isRefused = refusedBy.length > 0;
  const id = d.requests[0]?.id ?? 0;
  d.effects.push({ type: "acknowledged", id, seq: inFlight.seq, isRefused, refusedBy });
};

/** The record shows the end of this node's message. */
const settleOwn = (d: ChannelDraft, record: ChannelRecord): void => {
  const { inFlight } = d;
  if (inFlight === null || (record.seq === inFlight.seq && !record.isDone)) return;
  d.inFlight = null;
  if (inFlight.isLast) endRequest(d);
};

const endRequest = (d: ChannelDraft): void => {
  d.requests = d.requests.slice(1);
  d.grantedAt = null;
  d.said = null;
};

const takeOver = (d: ChannelDraft, view: ChannelView): void => {
  const { record } = view;
  const envelope = readPayload(d, record);
  if (envelope === null) return;
  if (d.takenOver !== record.seq) {
    d.takenOver = record.seq;
    d.effects.push({ type: "taking-over", envelope });
  }
  writeRecord(d, view, { ...record, holder: d.me });
};

/** Serves the first request, as far as this view allows. */
export const send = (d: ChannelDraft, view: ChannelView): void => {
  const { record } = view;
  if (!record.isDone || d.inFlight !== null || d.isProcessing) return;
  const isHolder = holds(d, record);
  if (!isHolder) d.isReleasing = false;
  if (!isHolder && d.grantedAt !== view.modRevision) {
    // Somebody else was faster: what was granted or said was about another state.
    d.grantedAt = null;
    d.said = null;
  }
  const [request] = d.requests;
  if (request === undefined || d.isReleasing) {
    if (isHolder) giveBack(d, view);
    return;
  }
  const isTooLate = d.isLeaving && d.grantedAt === null;
  if (!isHolder && (isTooLate || !isFree(view))) return;
  if (!isHolder) d.orphan = record.holder;
  if (request.isHold && !isHolder) writeRecord(d, view, { ...record, holder: d.me });
  else if (d.grantedAt === null) {
    d.grantedAt = view.modRevision;
    d.effects.push({ type: "granted", id: request.id });
  } else obey(d, view);
};

/** Does what the caller answered to `granted`. */
const obey = (d: ChannelDraft, view: ChannelView): void => {
  const { said, me } = d;
  if (said === null) return;
  if (said.type === "release") {
    endRequest(d);
    if (holds(d, view.record)) giveBack(d, view);
    else send(d, view);
    return;
  }
  const seq = view.record.seq + 1;
  const payload = encodeLvb(encodeMessage({ seq, origin: me, message: said.message }));
  writeRecord(d, view, { seq, holder: me, origin: me, payload, isDone: false });
};

/**
 * Once this was tried, the right to send is not used again: the transaction may arrive late, and
 * somebody else would have it at the same time.
 */
export const giveBack = (d: ChannelDraft, view: ChannelView): void => {
  d.isReleasing = true;
  writeRecord(d, view, { ...view.record, holder: d.orphan });
};
