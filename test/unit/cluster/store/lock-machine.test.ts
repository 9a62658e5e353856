/** What a member writes and tells, event by event. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { EX, NL, PR } from "../../../../src/cluster/dlm/lock-mode.ts";
import type { KeyValue, Txn, TxnOutcome } from "../../../../src/cluster/store/cluster-store.ts";
import type { LockEffect } from "../../../../src/cluster/store/lock-events.ts";
import { LockMachine, WAITING_CALLS_MAX } from "../../../../src/cluster/store/lock-machine.ts";
import { MemoryStore } from "../../../../src/cluster/store/memory-store.ts";
import { storeUnreachable } from "../../../../src/cluster/store/store-errors.ts";
import { StoreKeys } from "../../../../src/cluster/store/store-keys.ts";
import { lockCall } from "../../../helpers/lock-member.ts";

const test = suite("lock machine");

const KEYS = new StoreKeys("p/");

/** A machine for each slot, over a store that answers when the test says so. */
const setUp = (slot: number, memory = new MemoryStore("1")) => {
  const member = { type: "put", key: KEYS.member(slot), value: "", lease: null } as const;
  const { revision } = memory.txn({ compares: [], success: [member], failure: [] });
  const session = { slot, epoch: revision };
  const random = (): number => 0.5;
  const peek = (): KeyValue | null => null;
  const machine = new LockMachine({ keys: KEYS, session, random, peek });
  return { machine, memory, session };
};

const txnOf = (effects: readonly LockEffect[]): Txn => {
  const [effect] = effects.filter(({ type }) => type === "txn");
  if (effect?.type !== "txn") throw new Error(`no txn in ${JSON.stringify(effects)}`);
  return effect.txn;
};

const applied = (memory: MemoryStore, txn: Txn): TxnOutcome => {
  const { type, revision, results } = memory.txn(txn);
  return { type, revision, results };
};

/** Short words for effects. */
const words = (effects: readonly LockEffect[]): string[] =>
  effects.map((effect) => {
    switch (effect.type) {
      case "returned":
        return `${effect.tag} ${effect.result.type}`;
      case "notify": {
        const { notification } = effect;
        return notification.type === "ast" ? `AST ${notification.status}` : "BAST";
      }
      case "retry-after":
        return `retry after ${effect.ms}`;
      default:
        return effect.type;
    }
  });

const call = (machine: LockMachine, tag: number, more = lockCall(NL)): readonly LockEffect[] =>
  machine.step({ type: "call", resource: "r", call: more, tag });

const answer = (machine: LockMachine, outcome: TxnOutcome): readonly LockEffect[] =>
  machine.step({ type: "answered", resource: "r", outcome });

const UNKNOWN: TxnOutcome = { type: "unknown", error: storeUnreachable("lost") };

test("guards each write with its epoch and the state that it read", () => {
  const { machine, session } = setUp(3);
  const { compares, success } = txnOf(call(machine, 1));
  assert.equal(compares, [
    { type: "create-revision", key: "p/m/3", relation: "=", number: session.epoch },
    { type: "mod-revision", key: "p/lk/r", relation: "=", number: 0 },
  ]);
  assert.equal(
    success.map((op) => op.type === "put" && op.key),
    ["p/lk/r"],
  );
});

test("returns before it completes, and takes one call at a time", () => {
  const { machine, memory } = setUp(1);
  const txn = txnOf(call(machine, 1, lockCall(EX)));
  assert.equal(call(machine, 2, lockCall(PR, { id: 2 })), []);
  const effects = answer(machine, applied(memory, txn));
  assert.equal(words(effects), ["1 accepted", "AST granted", "txn"]);
  const second = answer(machine, applied(memory, txnOf(effects)));
  assert.equal(words(second), ["2 accepted", "BAST"], "its own lock 1 blocks its lock 2");
});

test("tries again from the state that the lost race told, after a random time", () => {
  const memory = new MemoryStore("1");
  const [a, b] = [setUp(1, memory), setUp(2, memory)];
  const [first, second] = [txnOf(call(a.machine, 1)), txnOf(call(b.machine, 1))];
  applied(memory, first);
  assert.equal(words(answer(b.machine, applied(memory, second))), ["retry after 2"]);
  const again = txnOf(b.machine.step({ type: "retry", resource: "r" }));
  assert.is(applied(memory, again).type, "committed", "without reading anew");
});

test("waits longer each time, 64 ms after races at most", () => {
  const { machine, memory } = setUp(1);
  const rival = (value: string): void => {
    const put = { type: "put", key: KEYS.lock("r"), value, lease: null } as const;
    memory.txn({ compares: [], success: [put], failure: [] });
  };
  const value = `{"v":1,"g":[],"c":[],"w":[],"b":null,"s":0,"i":0}`;
  let txn = txnOf(call(machine, 1));
  const waits: string[] = [];
  for (let attempt = 0; attempt < 8; attempt += 1) {
    rival(value);
    waits.push(...words(answer(machine, applied(memory, txn))));
    txn = txnOf(machine.step({ type: "retry", resource: "r" }));
  }
  const expected = [2, 4, 8, 16, 32, 32, 32, 32].map((ms) => `retry after ${ms}`);
  assert.equal(waits, expected, "half of 4, 8 … 64, for the random number is 0.5");
});

test("makes a call whose answer was lost once, done or not", () => {
  for (const isDone of [true, false]) {
    const { machine, memory } = setUp(1);
    const txn = txnOf(call(machine, 1, lockCall(EX)));
    if (isDone) applied(memory, txn);
    assert.equal(words(answer(machine, UNKNOWN)).length, 1);
    let effects = machine.step({ type: "retry", resource: "r" });
    effects = answer(machine, applied(memory, txnOf(effects)));
    if (isDone) effects = machine.step({ type: "retry", resource: "r" });
    assert.equal(words(effects), ["1 accepted", "AST granted"], `done: ${isDone}`);
    const unlock = { type: "unlock", id: 1, flags: 0, lvb: null } as const;
    const gone = txnOf(call(machine, 2, unlock));
    if (isDone) applied(memory, gone);
    answer(machine, UNKNOWN);
    effects = answer(
      machine,
      applied(memory, txnOf(machine.step({ type: "retry", resource: "r" }))),
    );
    if (isDone) effects = machine.step({ type: "retry", resource: "r" });
    assert.equal(words(effects), ["2 accepted", "AST EUNLOCK"], `done: ${isDone}`);
  }
});

test("is over once its key is gone: calls end, nothing is written any more", () => {
  const { machine, memory } = setUp(1);
  const txn = txnOf(call(machine, 1));
  call(machine, 2);
  const gone = { type: "delete", key: KEYS.member(1) } as const;
  memory.txn({ compares: [], success: [gone], failure: [] });
  const effects = answer(machine, applied(memory, txn));
  assert.equal(words(effects), ["1 refused", "2 refused", "expelled"]);
  assert.equal(words(call(machine, 3)), ["3 refused"]);
  assert.equal(machine.step({ type: "expelled" }), []);
});

test("takes a lock that vanished for the end of its session", () => {
  const { machine, memory, session } = setUp(1);
  answer(machine, applied(memory, txnOf(call(machine, 1, lockCall(EX)))));
  const other = setUp(2, memory);
  const purge = { type: "purge", resource: "r", owners: [session], tag: 1 } as const;
  let effects = other.machine.step(purge);
  effects = answer(other.machine, applied(memory, txnOf(effects)));
  effects = other.machine.step({ type: "retry", resource: "r" });
  applied(memory, txnOf(effects));
  const found = memory.map.get(KEYS.lock("r"));
  const seen = { type: "seen", resource: "r", found, revision: found?.modRevision ?? 0 } as const;
  assert.equal(words(machine.step(seen)), ["expelled"]);
});

test("tells what newer states say once, however many it missed", () => {
  const memory = new MemoryStore("1");
  const [a, b] = [setUp(1, memory), setUp(2, memory)];
  answer(a.machine, applied(memory, txnOf(call(a.machine, 1, lockCall(EX)))));
  const old = memory.map.get(KEYS.lock("r"));
  answer(b.machine, applied(memory, txnOf(call(b.machine, 1, lockCall(PR)))));
  const waiting = txnOf(b.machine.step({ type: "retry", resource: "r" }));
  answer(b.machine, applied(memory, waiting));
  const found = memory.map.get(KEYS.lock("r"));
  const see = (state: KeyValue | null) =>
    a.machine.step({
      type: "seen",
      resource: "r",
      found: state,
      revision: state?.modRevision ?? 0,
    });
  assert.equal(words(see(found)), ["BAST"]);
  assert.equal(words(see(found)), []);
  assert.equal(words(see(old)), [], "an old state is no news");
});

test("refuses more calls than it keeps", () => {
  const { machine } = setUp(1);
  call(machine, 0);
  for (let tag = 1; tag <= WAITING_CALLS_MAX; tag += 1) assert.equal(call(machine, tag), []);
  assert.equal(words(call(machine, 99)), ["99 refused"]);
});

test.run();
