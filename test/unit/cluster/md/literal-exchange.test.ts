/**
 * The literal choreography: the document's sentences, each cited by its section in the title, and
 * the calls of real nodes. What happens when nodes die is in test/explore.
 */
import { readFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { decodeLvb, encodeLvb } from "../../../../src/cluster/dlm/lvb-text.ts";
import type { ExchangeLock, LiteralState } from "../../../../src/cluster/md/literal-state.ts";
import type { ClusterMessage } from "../../../../src/cluster/md/md-message.ts";
import { decodeMessage, encodeMessage } from "../../../../src/cluster/md/message-codec.ts";
import { goldenPath } from "../../../helpers/golden-bytes.ts";
import { LiteralBench } from "../../../helpers/literal-bench.ts";
import { ALL_MESSAGES, DEVICE_UUID } from "../../../helpers/md-messages.ts";

const test = suite("cluster/md/literal-exchange");

const REMOVE: ClusterMessage = { type: "remove", deviceNumber: 3 };

const callsOf = (lines: readonly string[], node: string): string[] =>
  lines.filter((line) => line.startsWith(`${node} `));

const golden = (name: string): string[] =>
  readFileSync(goldenPath("md-cluster", name), "utf8").trim().split("\n");

const request = (bench: LiteralBench, index: number, isHold = false): void =>
  bench.give(index, { type: "request", request: { id: 7, isHold } });

const send = (bench: LiteralBench, index: number, message: ClusterMessage, isLast = true): void =>
  bench.give(index, { type: "send", message, isLast });

const processed = (bench: LiteralBench, index: number, isRefused = false): void =>
  bench.give(index, { type: "processed", isRefused });

test("a node that joins makes the calls that a real one makes", () => {
  const bench = new LiteralBench(1, "kernel");
  bench.give(0, { type: "join" });
  assert.equal(bench.calls, callsOf(golden("join.txt"), "n1"));
  assert.equal(bench.take(0), [{ type: "joined" }]);
});

test("5: a device is added with the calls that real nodes make", () => {
  const bench = LiteralBench.entered(2, "kernel");
  request(bench, 0, true);
  send(bench, 0, { type: "newdisk", uuid: DEVICE_UUID, deviceNumber: 2 }, false);
  processed(bench, 1);
  send(bench, 0, { type: "metadata-updated", deviceNumber: 1, events: 0 });
  processed(bench, 1);
  for (const node of ["n1", "n2"])
    assert.equal(callsOf(bench.calls, node), callsOf(golden("newdisk.txt"), node));
});

test("3.2 step 1 'receive status - all nodes have concurrent-reader lock on ack'", () => {
  const bench = LiteralBench.entered(3, "satsuma");
  for (const index of [0, 1, 2]) assert.is(bench.modes(index), "ack:CR");
});

test("3.2 step 2 'sender get EX on token, sender get EX on message'", () => {
  const bench = LiteralBench.entered(3, "satsuma");
  request(bench, 0);
  assert.is(bench.modes(0), "message:EX token:EX ack:CR");
  assert.is(bench.modes(1), "ack:CR");
});

test("2.2 'together with the Lock Value Block (LVB) of … the \"message\" lock': it carries the data", () => {
  for (const dialect of ["satsuma", "kernel"] as const) {
    const bench = LiteralBench.entered(2, dialect);
    request(bench, 0);
    const blockOf = (lock: ExchangeLock): string | null => bench.locks.get(lock)?.lvb ?? null;
    const before = blockOf("message");
    send(bench, 0, REMOVE);
    const block = blockOf("message");
    assert.is.not(block, before);
    const read = decodeMessage(decodeLvb(block ?? ""));
    assert.ok("origin" in read);
    assert.equal(read.message, REMOVE);
    for (const other of ["ack", "no-new-dev"] as const) assert.is(blockOf(other), null, other);
  }
});

test("3.2.1 'The node having the token resource is allowed to communicate', and no other", () => {
  const bench = LiteralBench.entered(3, "satsuma");
  request(bench, 0);
  bench.calls.length = 0;
  request(bench, 1);
  assert.equal(bench.take(1), []);
  assert.equal(
    callsOf(bench.calls, "n2").map((call) => call.split(" ")[2]),
    ["token"],
    "it asks for the token, and for nothing else",
  );
  assert.is(bench.modes(1), "ack:CR");
  bench.give(0, { type: "release" });
  assert.is(bench.modes(1), "message:EX token:EX ack:CR");
  assert.equal(bench.take(1), [{ type: "granted", id: 7 }]);
});

test("3.2 'Sender checks that it still needs to send a message'", () => {
  const bench = LiteralBench.entered(2, "satsuma");
  request(bench, 0);
  assert.equal(bench.take(0), [{ type: "granted", id: 7 }]);
  bench.give(0, { type: "release" });
  assert.is(bench.modes(0), "ack:CR");
  assert.equal(bench.take(1), []);
});

test("3.2 'Messages received ... while waiting for the token' come before the check", () => {
  const bench = LiteralBench.entered(2, "satsuma");
  request(bench, 0);
  request(bench, 1);
  bench.take(1);
  send(bench, 0, REMOVE);
  assert.is(bench.take(1)[0]?.type, "process");
  processed(bench, 1);
  assert.equal(bench.take(1), [{ type: "granted", id: 7 }]);
});

test("3.2 step 3 'wait until all receivers have *processed* the message'", () => {
  const bench = LiteralBench.entered(3, "satsuma");
  request(bench, 0);
  send(bench, 0, REMOVE);
  assert.is(bench.modes(0), "message:CW token:EX ack:CR");
  assert.is(bench.modes(1), "message:CR ack:CR");
  processed(bench, 1);
  assert.is(bench.modes(1), "message:CR", "released ack, waits for PR on message");
  assert.equal(bench.take(0), [{ type: "granted", id: 7 }]);
  processed(bench, 2);
  const done = { type: "acknowledged", id: 7, seq: 1, isRefused: false, refusedBy: [] };
  assert.equal(bench.take(0), [done]);
});

test("3.2 step 4: 'ack: CR' of all at the end, and nothing else", () => {
  const bench = LiteralBench.entered(3, "satsuma");
  request(bench, 0);
  send(bench, 0, REMOVE);
  processed(bench, 1);
  processed(bench, 2);
  for (const index of [0, 1, 2]) assert.is(bench.modes(index), "ack:CR");
});

test("3 'Only one message can be processed at a time'", () => {
  const bench = LiteralBench.entered(3, "satsuma");
  for (const index of [0, 1]) request(bench, index);
  send(bench, 0, REMOVE);
  processed(bench, 1);
  assert.not(
    bench.take(1).some(({ type }) => type === "granted"),
    "node 3 is not done",
  );
  processed(bench, 2);
  assert.is(bench.take(1)[0]?.type, "granted");
});

test("3.1 each type of message arrives with its number and its sender", () => {
  const bench = LiteralBench.entered(2, "satsuma");
  for (const [index, message] of ALL_MESSAGES.entries()) {
    request(bench, 0);
    send(bench, 0, message);
    const envelope = { seq: index + 1, origin: { slot: 1, epoch: 1 }, message };
    assert.equal(bench.take(1), [{ type: "process", envelope }]);
    processed(bench, 1);
  }
});

test("5 step 6 'Other nodes drop lock on no-new-devs (CR) if device is found': all see it", () => {
  const bench = LiteralBench.entered(3, "satsuma");
  request(bench, 0, true);
  send(bench, 0, { type: "newdisk", uuid: DEVICE_UUID, deviceNumber: 2 }, false);
  processed(bench, 1);
  processed(bench, 2);
  assert.is(bench.take(0).at(-1)?.type, "acknowledged");
  assert.is(bench.states[0]?.sender, "token-held", "the token is kept until the metadata is out");
});

test("5 step 9 'If not (get no-new-dev lock), it fails the operation and sends METADATA_UPDATED'", () => {
  const bench = LiteralBench.entered(3, "satsuma");
  request(bench, 0, true);
  send(bench, 0, { type: "newdisk", uuid: DEVICE_UUID, deviceNumber: 2 }, false);
  processed(bench, 1, true);
  processed(bench, 2);
  const told = bench.take(0).at(-1);
  assert.ok(told?.type === "acknowledged" && told.isRefused);
  send(bench, 0, { type: "metadata-updated", deviceNumber: 0, events: 0 });
  processed(bench, 1);
  processed(bench, 2);
  assert.equal(bench.take(0).at(-1), { ...told, seq: 2, isRefused: false });
  // The next device finds all locks in place.
  const { granted = [] } = bench.locks.get("no-new-dev") ?? {};
  assert.equal(
    granted.map((lock) => lock.granted),
    [1, 1, 1],
  );
});

test("a message that comes before the bitmaps are loaded waits, and is processed then", () => {
  const late = new LiteralBench(2, "satsuma");
  late.give(0, { type: "join" });
  late.give(0, { type: "enter" });
  late.give(1, { type: "join" });
  late.take(1);
  request(late, 0);
  send(late, 0, REMOVE);
  assert.equal(late.take(1), [], "not in the cluster yet");
  late.give(1, { type: "enter" });
  assert.is(late.take(1)[0]?.type, "process");
});

test("a dead sender's message is finished by the next sender before its own", () => {
  const bench = LiteralBench.entered(3, "satsuma");
  request(bench, 0);
  send(bench, 0, REMOVE);
  bench.take(1);
  bench.take(2);
  bench.kill(0);
  request(bench, 1);
  processed(bench, 1);
  processed(bench, 2);
  const types = bench.take(1).map(({ type }) => type);
  assert.equal(types, ["taking-over", "granted"]);
  assert.equal(bench.take(2), []);
});

/** The node reads these bytes as the message. */
const read = (bench: LiteralBench, index: number, bytes: Uint8Array): void => {
  const before = bench.states[index];
  assert.ok(before);
  bench.states[index] = { ...(before as LiteralState), mutex: "receiver", receiver: "message-cr" };
  const lvb = encodeLvb(bytes);
  bench.give(index, { type: "ast", resource: "message", status: "granted", lvb });
};

test("an unknown message is acknowledged and told, not processed", () => {
  const bench = LiteralBench.entered(2, "satsuma");
  const bytes = encodeMessage({ seq: 1, origin: { slot: 1, epoch: 1 }, message: REMOVE });
  bytes[0] = 9;
  read(bench, 1, bytes);
  const message = { type: "unknown", code: 9 };
  const envelope = { seq: 1, origin: { slot: 1, epoch: 1 }, message };
  assert.equal(bench.take(1), [{ type: "ignored", envelope }]);
  assert.ok(bench.calls.includes("n2 LOCK ack NL CONVERT"));
});

test("what no sender can have written is not acknowledged: the node is out", () => {
  const bench = LiteralBench.entered(2, "satsuma");
  read(bench, 1, new Uint8Array(64).fill(0xff));
  const [lost] = bench.take(1);
  assert.ok(lost?.type === "lost" && lost.reason === "malformed");
  bench.give(1, { type: "bast", resource: "ack", mode: 5 });
  assert.not(
    bench.calls.some((call) => call.includes("LOCK")),
    "nothing comes from who is out",
  );
});

test("6.1 'leave': its locks go when nothing of it is in flight", () => {
  const bench = LiteralBench.entered(2, "satsuma");
  request(bench, 0);
  send(bench, 0, { type: "bitmap-needs-sync" });
  bench.give(0, { type: "leave" });
  assert.not(bench.take(0).some(({ type }) => type === "left"));
  processed(bench, 1);
  assert.is(bench.take(0).at(-1)?.type, "left");
  assert.is(bench.modes(0), "");
});

test.run();
