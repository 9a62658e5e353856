/**
 * The message channel, the refinement of the literal choreography that the product uses. What
 * happens in every order of steps, and when nodes die, is in test/explore.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { encodeLvb } from "../../../../src/cluster/dlm/lvb-text.ts";
import { encodeChannel } from "../../../../src/cluster/md/channel-record.ts";
import { newChannelState } from "../../../../src/cluster/md/channel-state.ts";
import { awaited, readChannelView } from "../../../../src/cluster/md/channel-view.ts";
import type { ClusterMessage } from "../../../../src/cluster/md/md-message.ts";
import { encodeMessage } from "../../../../src/cluster/md/message-codec.ts";
import { ChannelBench } from "../../../helpers/channel-bench.ts";
import { ALL_MESSAGES, DEVICE_UUID } from "../../../helpers/md-messages.ts";

const test = suite("cluster/md/channel-exchange");

const REMOVE: ClusterMessage = { type: "remove", deviceNumber: 3 };
const NEW_DISK: ClusterMessage = { type: "newdisk", uuid: DEVICE_UUID, deviceNumber: 2 };

const request = (bench: ChannelBench, index: number, isHold = false): void =>
  bench.give(index, { type: "request", request: { id: 7, isHold } });

const send = (bench: ChannelBench, index: number, message: ClusterMessage, isLast = true): void =>
  bench.give(index, { type: "send", message, isLast });

const processed = (bench: ChannelBench, index: number, isRefused = false): void =>
  bench.give(index, { type: "processed", isRefused });

const awaitedNow = (bench: ChannelBench): string[] => {
  const unfenced = [...bench.unfenced].map((slot) => ({ slot, epoch: slot }));
  const view = readChannelView("a/", bench.revision, [...bench.keys.values()], unfenced);
  return awaited(view).map(({ owner, what }) => `${owner.slot} ${what}`);
};

test("a message to two receivers takes four transactions", () => {
  const bench = ChannelBench.entered(3);
  request(bench, 0);
  assert.equal(bench.take(0), [{ type: "granted", id: 7 }]);
  send(bench, 0, REMOVE);
  for (const index of [1, 2]) assert.is(bench.take(index)[0]?.type, "process");
  assert.equal(awaitedNow(bench), ["2 process", "3 process"]);
  processed(bench, 1);
  assert.equal(awaitedNow(bench), ["3 process"]);
  assert.equal(bench.take(0), []);
  processed(bench, 2);
  const done = { type: "acknowledged", id: 7, seq: 1, isRefused: false, refusedBy: [] };
  assert.equal(bench.take(0), [done]);
  assert.equal(bench.txns, { committed: 4, refused: 0 });
  assert.ok(bench.record.isDone && bench.record.holder === null);
});

test("3.1 each type of message arrives with its number and its sender", () => {
  const bench = ChannelBench.entered(2);
  for (const [index, message] of ALL_MESSAGES.entries()) {
    request(bench, 0);
    send(bench, 0, message);
    const envelope = { seq: index + 1, origin: { slot: 1, epoch: 1 }, message };
    assert.equal(bench.take(1), [{ type: "process", envelope }]);
    processed(bench, 1);
  }
});

test("3.2 'Sender checks that it still needs to send': again when another one was faster", () => {
  const bench = ChannelBench.entered(2);
  request(bench, 0);
  request(bench, 1);
  assert.is(bench.take(0)[0]?.type, "granted");
  assert.is(bench.take(1)[0]?.type, "granted");
  send(bench, 0, REMOVE);
  // Void: it was about the state before node 1's message.
  send(bench, 1, { type: "re-add", deviceNumber: 3 });
  assert.is(bench.take(1)[0]?.type, "process");
  processed(bench, 1);
  assert.equal(bench.take(1), [{ type: "granted", id: 7 }]);
  bench.give(1, { type: "release" });
  assert.is(bench.record.seq, 1);
});

test("6.5 'metadata_update_start is used to get exclusive access to the metadata'", () => {
  const bench = ChannelBench.entered(2);
  request(bench, 0, true);
  assert.is(bench.take(0)[0]?.type, "granted");
  request(bench, 1, true);
  assert.equal(bench.take(1), []);
  send(bench, 0, { type: "metadata-updated", deviceNumber: 0, events: 0 });
  assert.is(bench.take(1)[0]?.type, "process");
  processed(bench, 1);
  assert.is(bench.take(1)[0]?.type, "granted");
});

test("6.5 'otherwise metadata_update_cancel() can be used to release the lock'", () => {
  const bench = ChannelBench.entered(2);
  request(bench, 0, true);
  request(bench, 1, true);
  bench.give(0, { type: "release" });
  assert.is(bench.take(1)[0]?.type, "granted");
  assert.is(bench.record.seq, 0);
});

test("5 step 9: who does not see the new device is named, and the right to send is kept", () => {
  const bench = ChannelBench.entered(3);
  request(bench, 0, true);
  send(bench, 0, NEW_DISK, false);
  processed(bench, 1, true);
  processed(bench, 2);
  const told = bench.take(0).at(-1);
  assert.equal(told, { type: "acknowledged", id: 7, seq: 1, isRefused: true, refusedBy: [2] });
  send(bench, 0, { type: "metadata-updated", deviceNumber: 0, events: 0 });
  processed(bench, 1);
  processed(bench, 2);
  assert.equal(bench.take(0).at(-1), { ...told, seq: 2, isRefused: false, refusedBy: [] });
  assert.is(bench.record.holder, null);
});

test("a dead sender's message is finished by another member, once it is fenced", () => {
  const bench = ChannelBench.entered(3);
  request(bench, 0);
  send(bench, 0, REMOVE);
  bench.remove(0);
  assert.ok([1, 2].some((index) => bench.take(index).some(({ type }) => type === "taking-over")));
  processed(bench, 1);
  processed(bench, 2);
  assert.equal(awaitedNow(bench), ["1 fence"]);
  assert.not(bench.record.isDone);
  bench.fence(0);
  assert.ok(bench.record.isDone);
  assert.is(bench.record.origin?.slot, 1);
});

test("a removed receiver is waited for until it is fenced", () => {
  const bench = ChannelBench.entered(3);
  request(bench, 0);
  send(bench, 0, REMOVE);
  processed(bench, 1);
  bench.remove(2);
  assert.equal(awaitedNow(bench), ["3 fence"]);
  assert.ok(bench.take(2).some((each) => each.type === "lost" && each.reason === "expelled"));
  bench.fence(2);
  assert.is(bench.take(0).at(-1)?.type, "acknowledged");
});

test("a removed receiver that had acknowledged is not waited for", () => {
  const bench = ChannelBench.entered(3);
  request(bench, 0);
  send(bench, 0, REMOVE);
  processed(bench, 2);
  bench.remove(2);
  processed(bench, 1);
  assert.is(bench.take(0).at(-1)?.type, "acknowledged");
});

test("a member that joins has the right to send until its bitmaps are loaded, then counts", () => {
  const bench = new ChannelBench(3);
  for (const index of [0, 1]) {
    bench.look(index);
    bench.give(index, { type: "enter" });
  }
  // All three looked at the first views; the third one joined behind the others.
  assert.is(bench.take(2).at(-1)?.type, "joined");
  assert.is(bench.record.holder?.slot, 3);
  bench.take(0);
  request(bench, 0);
  assert.equal(bench.take(0), [], "it may be reading superblocks");
  bench.give(2, { type: "enter" });
  assert.is(bench.take(0)[0]?.type, "granted");
  send(bench, 0, REMOVE);
  assert.equal(awaitedNow(bench), ["2 process", "3 process"]);
  assert.is(bench.take(2)[0]?.type, "process");
});

test("a member that joins and leaves before it takes part gives the right to send back", () => {
  const bench = new ChannelBench(2);
  bench.look(0);
  bench.give(0, { type: "enter" });
  assert.is(bench.record.holder?.slot, 2);
  bench.give(1, { type: "leave" });
  assert.is(bench.record.holder, null);
  assert.is(bench.take(1).at(-1)?.type, "left");
});

test("nobody joins after the death of who had the right to send, before another one had it", () => {
  const bench = new ChannelBench(3);
  for (const index of [0, 1]) {
    bench.look(index);
    bench.give(index, { type: "enter" });
  }
  // The third one joins, and dies with the right to send.
  assert.is(bench.record.holder?.slot, 3);
  bench.remove(2);
  bench.fence(2);
  bench.states.push(newChannelState({ slot: 4, epoch: 4 }, "a/"));
  bench.told.push([]);
  bench.put("a/m/4", "{}", 4);
  bench.lookAll();
  assert.equal(bench.take(3), []);
  request(bench, 0, true);
  send(bench, 0, { type: "metadata-updated", deviceNumber: 0, events: 0 });
  processed(bench, 1);
  assert.is(bench.take(3).at(-1)?.type, "joined");
});

const writeRecord = (bench: ChannelBench, payload: string): void => {
  const owner = { slot: 1, epoch: 1 };
  const record = { seq: 1, holder: owner, origin: owner, payload, isDone: false };
  bench.revision += 1;
  bench.put("a/ch", encodeChannel(record), bench.revision);
  bench.look(1);
};

test("an unknown message is acknowledged and told, not processed", () => {
  const bench = ChannelBench.entered(2);
  const bytes = encodeMessage({ seq: 1, origin: { slot: 1, epoch: 1 }, message: REMOVE });
  bytes[0] = 9;
  writeRecord(bench, encodeLvb(bytes));
  assert.is(bench.take(1)[0]?.type, "ignored");
  assert.equal(awaitedNow(bench), []);
});

for (const [name, bytes] of [
  ["bytes of no message", new Uint8Array(64).fill(0xff)],
  [
    "a message of another number",
    encodeMessage({ seq: 2, origin: { slot: 1, epoch: 1 }, message: REMOVE }),
  ],
] as const) {
  test(`${name}: not acknowledged, the node is out`, () => {
    const bench = ChannelBench.entered(2);
    writeRecord(bench, encodeLvb(bytes));
    const [lost] = bench.take(1);
    assert.ok(lost?.type === "lost" && lost.reason === "malformed");
    assert.equal(awaitedNow(bench), ["2 process"]);
  });
}

test("a member without whom a message ended is out", () => {
  const bench = ChannelBench.entered(2);
  const owner = { slot: 1, epoch: 1 };
  const payload = encodeLvb(encodeMessage({ seq: 1, origin: owner, message: REMOVE }));
  bench.revision += 1;
  const record = { seq: 1, holder: null, origin: owner, payload, isDone: true };
  bench.put("a/ch", encodeChannel(record), bench.revision);
  bench.look(1);
  const [lost] = bench.take(1);
  assert.ok(lost?.type === "lost" && lost.reason === "broken");
});

test("6.1 'leave': when nothing of it is in flight", () => {
  const bench = ChannelBench.entered(2);
  request(bench, 0);
  send(bench, 0, { type: "bitmap-needs-sync" });
  bench.give(0, { type: "leave" });
  assert.not(bench.take(0).some(({ type }) => type === "left"));
  processed(bench, 1);
  assert.is(bench.take(0).at(-1)?.type, "left");
});

test.run();
