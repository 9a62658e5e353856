/** A lockspace: who may call, stop and start, what members are told, its limits. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { DLM_LKF_VALBLK } from "../../../../src/cluster/dlm/lock-flags.ts";
import { EX, type LockMode, NL, PR } from "../../../../src/cluster/dlm/lock-mode.ts";
import type { LockCall } from "../../../../src/cluster/dlm/lock-operation.ts";
import {
  KEPT_CALLS_MAX,
  Lockspace,
  type LockspaceEffect,
  RESOURCES_MAX,
} from "../../../../src/cluster/dlm/lockspace.ts";
import { encodeLvb } from "../../../../src/cluster/dlm/lvb-text.ts";
import { CodedError } from "../../../../src/common/errors.ts";

const test = suite("cluster/dlm/lockspace");

const ALPHA = { node: "alpha", epoch: 11 };
const BETA = { node: "beta", epoch: 12 };

let op = 0;
const ask = (slot: number, epoch: number, mode: LockMode, id = 1): LockCall => {
  op += 1;
  return { type: "lock", slot, epoch, id, op, flags: 0, lvb: null, mode, hasBast: true };
};

const wordsOf = (effects: readonly LockspaceEffect[]): string[] =>
  effects.map((effect) => {
    switch (effect.type) {
      case "notify": {
        const { type, lock } = effect.notification;
        return `${effect.resource}: ${type} ${lock.slot}/${lock.epoch}`;
      }
      case "returned":
        return `returned ${effect.resource} ${effect.call.slot} ${effect.result.type}`;
      case "recover-slot":
        return `recover-slot ${effect.member.slot}`;
      case "recover-done": {
        const slots = effect.members.map(({ node, slot }) => `${node}=${slot}`).join(" ");
        return `recover-done ${effect.generation}: ${slots}`;
      }
      case "no-slot":
        return `no-slot ${effect.member.node}`;
      default:
        return effect.type;
    }
  });

const running = (): Lockspace => {
  const lockspace = new Lockspace({ name: "md0" });
  lockspace.start([ALPHA, BETA]);
  return lockspace;
};

test("a new lockspace is stopped; members are seated by the first start", () => {
  const lockspace = new Lockspace({ name: "md0" });
  assert.ok(lockspace.isStopped);
  assert.equal(wordsOf(lockspace.start([BETA, ALPHA])), ["recover-done 1: alpha=1 beta=2"]);
  assert.not.ok(lockspace.isStopped);
});

test("names: 1 to 64 bytes of UTF-8, of lockspaces and of resources", () => {
  const lockspace = running();
  for (const [name, isRight] of [
    ["x".repeat(64), true],
    ["ü".repeat(32), true],
    ["", false],
    ["x".repeat(65), false],
    ["ü".repeat(33), false],
    ["\ud800", false],
  ] as const) {
    const { result } = lockspace.call(name, ask(1, 11, NL));
    assert.is(result.type, isRight ? "accepted" : "refused", name);
    if (isRight) assert.is(new Lockspace({ name }).name, name);
    else assert.throws(() => new Lockspace({ name }), isCoded("DLM_BAD_LOCKSPACE"));
  }
});

const isCoded = (code: string) => (error: unknown) =>
  error instanceof CodedError && error.code === code;

test("value blocks: a multiple of 8 bytes, the same for all calls", () => {
  for (const lvbBytes of [0, 4, 12, 264, 8.5])
    assert.throws(() => new Lockspace({ name: "x", lvbBytes }), isCoded("DLM_BAD_LOCKSPACE"));
  assert.is(new Lockspace({ name: "x", lvbBytes: 256 }).lvbBytes, 256);
  const lockspace = new Lockspace({ name: "x", lvbBytes: 32 });
  lockspace.start([ALPHA]);
  const call = { ...ask(1, 11, EX), flags: DLM_LKF_VALBLK };
  const withBytes = (bytes: number) => ({ ...call, lvb: encodeLvb(new Uint8Array(bytes)) });
  assert.is(lockspace.call("r", withBytes(64)).result.type, "refused");
  assert.is(lockspace.call("r", withBytes(32)).result.type, "accepted");
});

test("resources are apart, and an empty one is forgotten", () => {
  const lockspace = running();
  assert.equal(wordsOf(lockspace.call("a", ask(1, 11, EX)).effects), ["a: ast 1/11"]);
  assert.equal(wordsOf(lockspace.call("b", ask(2, 12, EX)).effects), ["b: ast 2/12"]);
  assert.equal(wordsOf(lockspace.call("a", ask(2, 12, EX)).effects), ["a: bast 1/11"]);
  assert.equal([...lockspace.resources.keys()], ["a", "b"]);
  const unlock = {
    type: "unlock",
    slot: 2,
    epoch: 12,
    id: 1,
    op: 999,
    flags: 0,
    lvb: null,
  } as const;
  lockspace.call("b", unlock);
  assert.equal([...lockspace.resources.keys()], ["a"]);
});

test("who is no member, or was one in another life, is refused", () => {
  const lockspace = running();
  for (const call of [ask(3, 11, EX), ask(1, 12, EX), ask(2, 11, EX)])
    assert.equal(lockspace.call("a", call).result.type, "refused");
  assert.is(lockspace.resources.size, 0);
});

test("stop is told once as recover_prep", () => {
  const lockspace = running();
  assert.equal(wordsOf(lockspace.stop()), ["recover-prep"]);
  assert.equal(wordsOf(lockspace.stop()), []);
  assert.equal(wordsOf(lockspace.start([ALPHA, BETA])), ["recover-done 2: alpha=1 beta=2"]);
});

test("calls while stopped are made at the start, in order", () => {
  const lockspace = running();
  lockspace.stop();
  assert.equal(lockspace.call("a", ask(1, 11, EX)), { result: { type: "kept" }, effects: [] });
  assert.equal(lockspace.call("a", ask(2, 12, PR)), { result: { type: "kept" }, effects: [] });
  assert.is(lockspace.resources.size, 0);
  assert.equal(wordsOf(lockspace.start([ALPHA, BETA])), [
    "recover-done 2: alpha=1 beta=2",
    "returned a 1 accepted",
    "a: ast 1/11",
    "returned a 2 accepted",
    "a: bast 1/11",
  ]);
});

test("calls of who died while stopped are refused", () => {
  const lockspace = running();
  lockspace.stop();
  lockspace.call("a", ask(1, 11, EX));
  assert.equal(wordsOf(lockspace.start([BETA])), [
    "recover-slot 1",
    "recover-done 2: beta=2",
    "returned a 1 refused",
  ]);
});

test("a failed member: its slot is told, its locks go, who waited is granted, then it is done", () => {
  const lockspace = running();
  lockspace.call("a", ask(1, 11, EX));
  lockspace.call("a", ask(2, 12, EX));
  lockspace.stop();
  assert.equal(wordsOf(lockspace.start([BETA])), [
    "recover-slot 1",
    "a: ast 2/12",
    "recover-done 2: beta=2",
  ]);
  assert.equal(
    [...lockspace.resource("a").granted].map(({ slot }) => slot),
    [2],
  );
  assert.equal(wordsOf(lockspace.start([BETA, { node: "gamma", epoch: 13 }])), [
    "recover-prep",
    "recover-done 3: beta=2 gamma=3",
  ]);
  lockspace.slotRecovered(1);
  assert.equal(wordsOf(lockspace.start([BETA, { node: "delta", epoch: 14 }])), [
    "recover-prep",
    "recover-slot 3",
    "recover-done 4: delta=1 beta=2",
  ]);
});

test("a member that left cleanly: no recover_slot, its locks go, its slot is free", () => {
  const lockspace = running();
  lockspace.call("a", ask(1, 11, EX));
  lockspace.call("a", ask(2, 12, EX));
  assert.equal(wordsOf(lockspace.start([BETA, { node: "gamma", epoch: 13 }], [ALPHA])), [
    "recover-prep",
    "a: ast 2/12",
    "recover-done 2: gamma=1 beta=2",
  ]);
});

test("a newcomer for whom there is no slot is told", () => {
  const lockspace = new Lockspace({ name: "md0" });
  const many = Array.from({ length: 65 }, (_, index) => ({
    node: `n${100 + index}`,
    epoch: index,
  }));
  assert.equal(wordsOf(lockspace.start(many)).slice(0, 1), ["no-slot n164"]);
});

test("limits: resources, and calls kept", () => {
  const lockspace = running();
  for (let index = 0; index < RESOURCES_MAX; index++)
    assert.is(lockspace.call(`r${index}`, ask(1, 11, NL)).result.type, "accepted");
  assert.is(lockspace.call("one more", ask(1, 11, NL)).result.type, "refused");
  assert.is(lockspace.call("r0", ask(2, 12, NL)).result.type, "accepted");
  lockspace.stop();
  for (let index = 0; index < KEPT_CALLS_MAX; index++)
    assert.is(lockspace.call("r0", ask(2, 12, NL, 2 + index)).result.type, "kept");
  assert.is(lockspace.call("r0", ask(1, 11, NL, 5000)).result.type, "refused");
});

test.run();
