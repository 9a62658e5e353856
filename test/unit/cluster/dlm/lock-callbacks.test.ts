/** Callbacks from counters, for owners that do not see every state; calls whose answer was lost. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { callbacksSince, NOTHING_DELIVERED } from "../../../../src/cluster/dlm/lock-callbacks.ts";
import { DLM_LKF_CANCEL, DLM_LKF_CONVERT } from "../../../../src/cluster/dlm/lock-flags.ts";
import { EX, PR } from "../../../../src/cluster/dlm/lock-mode.ts";
import type { LockCall } from "../../../../src/cluster/dlm/lock-operation.ts";
import { EMPTY_RESOURCE } from "../../../../src/cluster/dlm/lock-resource.ts";
import { operate, recall } from "../../../../src/cluster/dlm/lock-transition.ts";
import { type LockBench, lvbOf, tellLockStory } from "../../../helpers/lock-bench.ts";

const test = suite("cluster/dlm/lock-callbacks");

const callbacksOf = (bench: LockBench, id: string, delivered = NOTHING_DELIVERED) =>
  callbacksSince(bench.resource, bench.lock(id).key, delivered);

const wordsOf = (found: ReturnType<typeof callbacksOf>): string[] =>
  found.callbacks.map((note) => (note.type === "ast" ? `AST ${note.status}` : `BAST ${note.mode}`));

test("what came is delivered once, completion first", () => {
  const bench = tellLockStory(`
    req a PR -> AST a ok PR
    req b EX -> BAST a(EX)
  `);
  const first = callbacksOf(bench, "a");
  assert.equal(wordsOf(first), ["AST granted", "BAST 5"]);
  assert.equal(wordsOf(callbacksOf(bench, "a", first.delivered)), []);
  assert.equal(wordsOf(callbacksOf(bench, "b")), []);
});

test("a grant made by another's operation is delivered, however much was missed", () => {
  const bench = tellLockStory(`
    req a EX VALBLK -> AST a ok EX
    req b CR VALBLK -> BAST a(CR)
    req c EX -> BAST a(EX)
    cvt a PW VALBLK m1 -> AST a ok PW lvb=m1, AST b ok CR lvb=m1, BAST b(EX), BAST a(EX)
    cvt a PW VALBLK m2 -> AST a ok PW lvb=m2, BAST a(EX)
  `);
  const { callbacks } = callbacksOf(bench, "b");
  assert.equal(wordsOf(callbacksOf(bench, "b")), ["AST granted", "BAST 5"]);
  const [ast] = callbacks;
  assert.is(ast?.type === "ast" && ast.lvb, lvbOf("m2"));
});

test("several BASTs are one, with the last mode, or the highest above PR", () => {
  const rising = tellLockStory(`
    req a PR -> AST a ok PR
    req b CW -> BAST a(CW)
    req c EX -> BAST a(EX)
  `);
  assert.equal(wordsOf(callbacksOf(rising, "a")), ["AST granted", "BAST 5"]);
  const falling = tellLockStory(`
    req a PR -> AST a ok PR
    req b PW -> BAST a(PW)
    req c CW -> BAST a(CW)
  `);
  assert.equal(wordsOf(callbacksOf(falling, "a")), ["AST granted", "BAST 4"]);
});

test("a BAST of before a grant is dropped, one of before a failed conversion is not", () => {
  const bench = tellLockStory(`
    req a CR -> AST a ok CR
    req b EX -> BAST a(EX)
  `);
  const { delivered } = callbacksOf(tellLockStory("req a CR -> AST a ok CR"), "a");
  bench.run("cvt a PW NOQUEUE");
  bench.run("can b");
  bench.run("cvt a CR");
  assert.equal(wordsOf(callbacksOf(bench, "a", delivered)), ["AST granted"]);
  const failed = tellLockStory(`
    req z CR -> AST z ok CR
    req a CR -> AST a ok CR
    req b EX -> BAST a(EX), BAST z(EX)
    cvt a EX NOQUEUE -> AST a EAGAIN
  `);
  assert.equal(wordsOf(callbacksOf(failed, "a", delivered)), ["AST EAGAIN", "BAST 5"]);
});

test("a BAST for a mode that the lock does not block is dropped", () => {
  const bench = tellLockStory("req a PR -> AST a ok PR");
  const { delivered } = callbacksOf(bench, "a");
  for (const [mode, words] of [
    [PR, []],
    [EX, ["BAST 5"]],
  ] as const) {
    const granted = bench.resource.granted.map((lock) => ({
      ...lock,
      bastCount: 1,
      bastMode: mode,
    }));
    const told = { ...bench.resource, granted };
    assert.equal(wordsOf(callbacksSince(told, bench.lock("a").key, delivered)), words);
  }
});

test("nothing comes for a lock that is gone", () => {
  const bench = tellLockStory(`
    req a CR -> AST a ok CR
    unl a -> AST a EUNLOCK
  `);
  assert.equal(callbacksOf(bench, "a"), { callbacks: [], delivered: NOTHING_DELIVERED });
});

const KEY = { slot: 1, epoch: 5, id: 1 };
const REQUEST: LockCall = {
  ...{ type: "lock", ...KEY, op: 1, flags: 0, lvb: null },
  ...{ mode: PR, hasBast: true },
};
const CONVERT: LockCall = { ...REQUEST, op: 2, flags: DLM_LKF_CONVERT, mode: EX };
const UNLOCK = { type: "unlock", ...KEY, op: 3, flags: 0, lvb: null } as const;

test("a call made again is accepted, changes nothing, and tells its completion again", () => {
  const asked = operate(EMPTY_RESOURCE, REQUEST);
  const again = operate(asked.resource, REQUEST);
  assert.is(again.resource, asked.resource);
  assert.equal([again.result, again.notifications], [asked.result, asked.notifications]);
  const converted = operate(asked.resource, CONVERT);
  assert.equal(operate(converted.resource, CONVERT).notifications, converted.notifications);
  assert.is(operate(converted.resource, CONVERT).resource, converted.resource);
  // The older call is over, and its completion was the convert's to replace.
  assert.equal(operate(converted.resource, REQUEST).notifications, []);
});

test("a call made again while it waits tells nothing yet", () => {
  let { resource } = operate(EMPTY_RESOURCE, { ...REQUEST, slot: 2, mode: EX });
  ({ resource } = operate(resource, REQUEST));
  const again = operate(resource, REQUEST);
  assert.is(again.resource, resource);
  assert.equal([again.result.type, again.notifications], ["accepted", []]);
});

test("a cancel made again tells ECANCEL again", () => {
  let { resource } = operate(EMPTY_RESOURCE, { ...REQUEST, slot: 2 });
  ({ resource } = operate(resource, REQUEST));
  ({ resource } = operate(resource, CONVERT));
  const cancel = { ...UNLOCK, flags: DLM_LKF_CANCEL };
  const once = operate(resource, cancel);
  const again = operate(once.resource, cancel);
  assert.is(again.resource, once.resource);
  assert.is(again.notifications[0]?.type === "ast" && again.notifications[0].status, "ECANCEL");
});

test("what became of a call whose answer was lost", () => {
  assert.is(recall(EMPTY_RESOURCE, REQUEST), null);
  const { resource } = operate(EMPTY_RESOURCE, REQUEST);
  assert.is(recall(resource, REQUEST)?.notifications.length, 1);
  assert.is(recall(resource, CONVERT), null);
  assert.is(recall(resource, UNLOCK), null);
  const gone = operate(resource, UNLOCK);
  assert.equal(recall(gone.resource, UNLOCK)?.notifications, gone.notifications);
  const queued = operate(
    operate(EMPTY_RESOURCE, { ...REQUEST, slot: 2, mode: EX }).resource,
    REQUEST,
  );
  const cancel = { ...UNLOCK, flags: DLM_LKF_CANCEL };
  const cancelled = operate(queued.resource, cancel);
  assert.equal(recall(cancelled.resource, cancel)?.notifications, cancelled.notifications);
});

test.run();
