/**
 * The transactions of the message channel. All are guarded by the member key of who makes them, so
 * nothing that a removed member still sends gets in, and by the record that they are about.
 */
import { type ChannelRecord, encodeAck, encodeChannel } from "./channel-record.ts";
import type { ChannelCompare, ChannelDraft, ChannelPut } from "./channel-state.ts";
import { ackKey, type ChannelView, channelKey, memberKey } from "./channel-view.ts";

const make = (d: ChannelDraft, guard: ChannelCompare, ...puts: readonly ChannelPut[]): void => {
  const { prefix, me } = d;
  const key = memberKey(prefix, me.slot);
  const isMe: ChannelCompare = { type: "create-revision", key, relation: "=", number: me.epoch };
  d.isTxnPending = true;
  d.effects.push({ type: "txn", compares: [isMe, guard], puts });
};

const isUnchanged = (key: string, number: number): ChannelCompare => ({
  type: "mod-revision",
  key,
  relation: "=",
  number,
});

const putOf = (key: string, value: string): ChannelPut => ({
  type: "put",
  key,
  value,
  lease: null,
});

/** Writes the record over the one of the view. */
export const writeRecord = (d: ChannelDraft, view: ChannelView, record: ChannelRecord): void => {
  const key = channelKey(d.prefix);
  make(d, isUnchanged(key, view.modRevision), putOf(key, encodeChannel(record)));
};

/** Writes this node's acknowledgement over the one of the view. */
export const writeAck = (d: ChannelDraft, view: ChannelView): void => {
  const { me, lastSeq: seq, isRefused } = d;
  const key = ackKey(d.prefix, me.slot);
  const known = view.acks.find(({ slot }) => slot === me.slot)?.modRevision ?? 0;
  make(d, isUnchanged(key, known), putOf(key, encodeAck({ seq, epoch: me.epoch, isRefused })));
};

/**
 * This node counts as a receiver from here on, if the record is still that of the view: no message
 * can have been sent in between without it. It has the right to send, too: nobody writes
 * superblocks between its reading them and its taking part.
 */
export const writeFirstAck = (d: ChannelDraft, view: ChannelView): void => {
  const { me, prefix } = d;
  const { seq } = view.record;
  const value = encodeAck({ seq, epoch: me.epoch, isRefused: false });
  const guard = isUnchanged(channelKey(prefix), view.modRevision);
  const record = encodeChannel({ ...view.record, holder: me });
  make(d, guard, putOf(channelKey(prefix), record), putOf(ackKey(prefix, me.slot), value));
};
