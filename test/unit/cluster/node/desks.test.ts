/** A node's own locks, messages and notices: one after the other, each answered once. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CR, EX, MODE_NAMES, NL, PW } from "../../../../src/cluster/dlm/lock-mode.ts";
import type { ExchangeCall } from "../../../../src/cluster/md/message-exchange.ts";
import { LockDesk } from "../../../../src/cluster/node/lock-desk.ts";
import { MessageDesk } from "../../../../src/cluster/node/message-desk.ts";
import type { NodeEffect } from "../../../../src/cluster/node/node-events.ts";
import { NEW_DISK_MS, NoticeDesk } from "../../../../src/cluster/node/notice-desk.ts";

const test = suite("cluster node: desks");

// --- locks ---------------------------------------------------------------------------------------

const lockDesk = () => {
  const calls: string[] = [];
  const log: string[] = [];
  const desk = new LockDesk(
    (effect: NodeEffect) => {
      if (effect.type === "lock")
        calls.push(`${effect.resource} ${MODE_NAMES[effect.mode]} ${effect.flags}`);
      if (effect.type === "unlock") calls.push(`${effect.resource} unlock ${effect.flags}`);
    },
    () => 0,
  );
  const convert = (resource: string, mode: 0 | 1 | 4 | 5, more = {}): void =>
    desk.convert(resource, mode, more, ({ status }) =>
      log.push(`${resource} ${MODE_NAMES[mode]} ${status}`),
    );
  const grant = (resource: string, status = "granted" as const): void =>
    desk.onAst(resource, { status, lvb: null });
  return { desk, calls, log, convert, grant };
};

test("a lock is made in NL with EXPEDITE, then converted; VALBLK only with a block", () => {
  const { calls, log, convert, grant } = lockDesk();
  convert("a", PW, { lvb: "block" });
  assert.equal(calls, ["a NL 1032"]);
  grant("a");
  assert.equal(calls.slice(1), ["a PW 12"]);
  assert.equal(log, []);
  grant("a");
  assert.equal(log, ["a PW granted"]);
});

test("calls for one resource wait for each other, those for others do not", () => {
  const { desk, calls, log, convert, grant } = lockDesk();
  convert("a", CR);
  convert("a", EX, { isNoQueue: true });
  convert("b", CR);
  assert.equal(calls, ["a NL 1024", "b NL 1024"]);
  grant("a");
  grant("a");
  assert.equal(calls.slice(2), ["a CR 4", "a EX 5"]);
  desk.onAst("a", { status: "EAGAIN", lvb: null });
  assert.equal(log, ["a CR granted", "a EX EAGAIN"]);
  assert.is(desk.mode("a"), CR, "it keeps what it had");
});

test("NL to NL asks nobody", () => {
  const { calls, log, convert, grant } = lockDesk();
  convert("a", NL);
  grant("a");
  convert("a", NL);
  assert.equal(calls, ["a NL 1024"]);
  assert.equal(log, ["a NL granted", "a NL granted"]);
});

test("what waits can be taken back, and everything can be given up", () => {
  const { desk, calls, log, convert, grant } = lockDesk();
  convert("a", EX);
  grant("a");
  desk.cancel("a");
  desk.onAst("a", { status: "ECANCEL", lvb: null });
  assert.equal([calls.at(-1), log], ["a unlock 2", ["a EX ECANCEL"]]);
  convert("a", EX);
  convert("a", CR);
  let isEmpty = false;
  desk.unlockAll(() => {
    isEmpty = true;
  });
  assert.is(calls.at(-1), `a unlock ${0x20000}`);
  grant("a");
  assert.is(isEmpty, false, "a grant that crossed it");
  desk.onAst("a", { status: "EUNLOCK", lvb: null });
  assert.is(isEmpty, true);
  assert.equal(log, ["a EX ECANCEL"], "what waited is not answered");
});

// --- messages ------------------------------------------------------------------------------------

const messageDesk = () => {
  const calls: ExchangeCall[] = [];
  const log: string[] = [];
  const desk = new MessageDesk(
    (call) => void calls.push(call),
    () => 0,
  );
  const send = (deviceNumber: number): void =>
    desk.send({ type: "remove", deviceNumber }, () => log.push(`sent ${deviceNumber}`));
  const acknowledge = (id: number): void =>
    desk.onAcknowledged({ type: "acknowledged", id, seq: 1, isRefused: false, refusedBy: [] });
  const said = (): readonly string[] =>
    calls.splice(0).map((call) => {
      if (call.type === "request")
        return `request ${call.request.id}${call.request.isHold ? " hold" : ""}`;
      if (call.type !== "send") return call.type;
      const what = "deviceNumber" in call.message ? call.message.deviceNumber : call.message.type;
      return `send ${what}${call.isLast ? " last" : ""}`;
    });
  return { desk, log, send, acknowledge, said };
};

test("messages are asked for one after the other", () => {
  const { desk, log, send, acknowledge, said } = messageDesk();
  send(1);
  send(2);
  assert.equal(said(), ["request 1"]);
  desk.onGranted(1);
  assert.equal(said(), ["send 1 last"]);
  desk.onGranted(1);
  assert.equal(said(), ["send 1 last"], "again, when somebody else was faster");
  acknowledge(1);
  assert.equal([log, said()], [["sent 1"], ["request 2"]]);
});

test("within a hold every message goes out at once, those that waited first", () => {
  const { desk, log, send, acknowledge, said } = messageDesk();
  desk.hold(() => log.push("held"));
  send(1);
  desk.onGranted(1);
  assert.equal([log, said()], [["held"], ["request 1 hold", "send 1"]]);
  send(2);
  desk.sendLast({ type: "remove", deviceNumber: 3 }, () => log.push("last"));
  send(4);
  acknowledge(1);
  acknowledge(1);
  assert.equal(said(), ["send 2", "send 3 last"]);
  acknowledge(1);
  assert.equal(log, ["held", "sent 1", "sent 2", "last"]);
  assert.equal(said(), ["request 2"], "what came after the last one");
});

test("a hold that is released ends when its messages have ended", () => {
  const { desk, send, acknowledge, said } = messageDesk();
  desk.hold(() => {});
  desk.onGranted(1);
  send(1);
  desk.release();
  assert.equal(said(), ["request 1 hold", "send 1"]);
  acknowledge(1);
  assert.equal(said(), ["release"]);
  assert.is(desk.isIdle, true);
});

test("a barrier sends nothing", () => {
  const { desk, log, said } = messageDesk();
  desk.barrier(() => log.push("passed"));
  desk.onGranted(1);
  assert.equal([log, said()], [["passed"], ["request 1", "release"]]);
});

test("a hold that nobody wants any more is given back as soon as it comes", () => {
  const { desk, log, send, acknowledge, said } = messageDesk();
  desk.hold(() => log.push("held"));
  desk.giveUp(false);
  send(1);
  desk.onGranted(1);
  assert.equal(said(), ["request 1 hold", "send 1"]);
  acknowledge(1);
  assert.equal([log, said()], [["sent 1"], ["release"]]);
});

test("while others rest, what they cannot do then waits for an update, of whoever sends it", () => {
  const { desk, log, send, acknowledge, said } = messageDesk();
  send(1);
  send(2);
  desk.onGranted(1);
  assert.equal(said(), ["request 1", "send 1 last"]);
  desk.othersRest();
  desk.onGranted(1);
  assert.equal(said(), ["release"], "who was faster asked them to rest");
  desk.send({ type: "bitmap-needs-sync" }, () => log.push("needs sync"));
  desk.hold(() => log.push("held"));
  send(3);
  desk.onGranted(2);
  acknowledge(2);
  assert.equal(said(), ["request 2", "send bitmap-needs-sync last", "request 3 hold"]);
  desk.onGranted(3);
  send(4);
  desk.sendLast({ type: "metadata-updated", deviceNumber: 0, events: 0 }, () => desk.restIsOver());
  assert.equal(said(), ["send 0 last"]);
  acknowledge(3);
  assert.equal(said(), ["request 4"]);
  for (const id of [4, 5, 6, 7]) {
    desk.onGranted(id);
    acknowledge(id);
  }
  assert.equal(log, ["needs sync", "held", "sent 1", "sent 2", "sent 3", "sent 4"]);
});

test("what waits for the end of a rest is forgotten by who leaves", () => {
  const { desk, log, send, said } = messageDesk();
  desk.othersRest();
  send(1);
  desk.giveUp(false);
  desk.restIsOver();
  assert.equal([log, said()], [[], []]);
});

// --- notices -------------------------------------------------------------------------------------

const noticeDesk = () => {
  const told: string[] = [];
  const log: string[] = [];
  let now = 0;
  const desk = new NoticeDesk(
    (effect) => {
      if (effect.type === "notice") told.push(`${effect.id} ${effect.notice.type}`);
    },
    () => now,
  );
  const pass = (ms: number): void => {
    now += ms;
    desk.onTick();
  };
  return { desk, told, log, pass };
};

test("notices are carried out one after the other", () => {
  const { desk, told, log } = noticeDesk();
  desk.tell({ type: "change-capacity" }, () => log.push("first"));
  desk.tell({ type: "re-add", deviceNumber: 1 }, () => log.push("second"));
  assert.equal(told, ["1 change-capacity"]);
  assert.is(desk.processed(2), false, "it was not told yet");
  assert.is(desk.processed(1), true);
  assert.equal([log, told.at(-1)], [["first"], "2 re-add"]);
});

test("a new device is answered by its own call, within 5 s", () => {
  const { desk, log, pass } = noticeDesk();
  const tell = (): void =>
    desk.tell({ type: "new-disk", uuid: "", deviceNumber: 1 }, (isFound) => log.push(`${isFound}`));
  tell();
  assert.is(desk.processed(1), false);
  assert.is(desk.dueAt, NEW_DISK_MS);
  assert.is(desk.acknowledged(true), true);
  tell();
  pass(NEW_DISK_MS - 1);
  assert.equal(log, ["true"]);
  pass(1);
  assert.equal(log, ["true", "false"]);
  assert.is(desk.acknowledged(true), false, "too late");
});

test("an array at rest has carried out everything, and sees no new device", () => {
  const { desk, told, log } = noticeDesk();
  desk.tell({ type: "change-capacity" }, () => log.push("first"));
  desk.tell({ type: "new-disk", uuid: "", deviceNumber: 1 }, (isFound) => log.push(`${isFound}`));
  desk.mute();
  desk.tell({ type: "change-capacity" }, () => log.push("third"));
  assert.equal([log, told], [["first", "false", "third"], ["1 change-capacity"]]);
});

test.run();
