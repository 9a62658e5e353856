/** Which calls are refused, and how an accepted call is completed. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as FLAGS from "../../../../src/cluster/dlm/lock-flags.ts";
import type { LockOperation } from "../../../../src/cluster/dlm/lock-operation.ts";
import { EMPTY_RESOURCE, LOCKS_MAX } from "../../../../src/cluster/dlm/lock-resource.ts";
import { operate } from "../../../../src/cluster/dlm/lock-transition.ts";
import { lvbOf, tellLockStory } from "../../../helpers/lock-bench.ts";

const test = suite("cluster/dlm calls");

const CALL = { type: "lock", slot: 1, epoch: 7, id: 1, op: 1, flags: 0, lvb: null } as const;

const resultOf = (operation: unknown) => {
  const step = operate(EMPTY_RESOURCE, operation as LockOperation);
  assert.is(step.notifications.length, step.result.type === "accepted" ? 1 : 0);
  return step.result.type === "refused" ? step.result.errno : step.result.type;
};

const REFUSED_LOCKS: readonly (readonly [string, object])[] = [
  ["a mode below NL", { mode: -1 }],
  ["a mode above EX", { mode: 6 }],
  ["CANCEL", { mode: 0, flags: FLAGS.DLM_LKF_CANCEL }],
  ["FORCEUNLOCK", { mode: 0, flags: FLAGS.DLM_LKF_FORCEUNLOCK }],
  ["user space's PERSISTENT", { mode: 0, flags: 0x80 }],
  ["user space's ORPHAN", { mode: 0, flags: 0x4000 }],
  ["TIMEOUT, which the kernel has no more", { mode: 0, flags: 0x40000 }],
  ["QUECVT without CONVERT", { mode: 3, flags: FLAGS.DLM_LKF_QUECVT }],
  ["CONVDEADLK without CONVERT", { mode: 3, flags: FLAGS.DLM_LKF_CONVDEADLK }],
  ["EXPEDITE with NOQUEUE", { mode: 0, flags: FLAGS.DLM_LKF_EXPEDITE | FLAGS.DLM_LKF_NOQUEUE }],
  ["EXPEDITE of CR", { mode: 1, flags: FLAGS.DLM_LKF_EXPEDITE }],
  ["VALBLK without a buffer", { mode: 0, flags: FLAGS.DLM_LKF_VALBLK }],
  ["a value block of another length", { mode: 0, lvb: "AAAA" }],
  ["a value block that is no base64", { mode: 0, lvb: `${lvbOf("x").slice(0, -1)}!` }],
  ["lock id 0", { mode: 0, id: 0 }],
  ["slot 0", { mode: 0, slot: 0 }],
  ["an epoch that is no number", { mode: 0, epoch: Number.NaN }],
  ["operation 0", { mode: 0, op: 0 }],
];

for (const [name, fields] of REFUSED_LOCKS) {
  test(`a lock call is refused with EINVAL: ${name}`, () => {
    assert.is(resultOf({ ...CALL, hasBast: true, ...fields }), "EINVAL");
    assert.is(resultOf({ ...CALL, hasBast: true, mode: 0 }), "accepted");
  });
}

test("a conversion is refused with EINVAL: CONVDEADLK with NOQUEUE, EXPEDITE", () => {
  tellLockStory(`
    req a NL -> AST a ok NL
    cvt a PR CONVDEADLK+NOQUEUE -> EINVAL
    cvt a NL EXPEDITE -> EINVAL
    cvt a NL EXPEDITE+QUECVT -> EINVAL
    cvt a PR CONVDEADLK -> AST a ok PR
  `);
});

test("a conversion is refused with EBUSY: already converting, waiting", () => {
  tellLockStory(`
    req a PR -> AST a ok PR
    req b PR -> AST b ok PR
    cvt a EX -> BAST b(EX)
    cvt a CR -> EBUSY
    req c EX -> -
    cvt c NL -> EBUSY
    show -> G b PR | C a PR>EX | W c EX
  `);
});

test("a conversion of a lock that is not there is refused with ENOENT", () => {
  tellLockStory(`
    cvt a EX -> ENOENT
    req a EX -> AST a ok EX
    unl a -> AST a EUNLOCK
    cvt a EX -> ENOENT
  `);
});

test("a new lock under the key of another is refused with EINVAL", () => {
  tellLockStory(`
    req a CR -> AST a ok CR
    req a CR -> EINVAL
  `);
});

test("a full resource refuses with ENOMEM, and takes one again when one has gone", () => {
  let resource = EMPTY_RESOURCE;
  for (let id = 1; id <= LOCKS_MAX; id++)
    ({ resource } = operate(resource, { ...CALL, id, op: id, mode: 0, hasBast: false }));
  const more = { ...CALL, id: 999, op: 999, mode: 0, hasBast: false } as const;
  const full = operate(resource, more);
  assert.equal(full.result.type === "refused" && full.result.errno, "ENOMEM");
  assert.is(full.resource, resource);
  ({ resource } = operate(resource, { ...CALL, type: "unlock", op: 1000 }));
  assert.equal(operate(resource, more).result, { type: "accepted" });
});

test("an unlock is refused with EINVAL: another flag, CANCEL with FORCEUNLOCK", () => {
  tellLockStory(`
    req a CR -> AST a ok CR
    unl a NOQUEUE -> EINVAL
    unl a CONVERT -> EINVAL
    unl a CANCEL+FORCEUNLOCK -> EINVAL
    show -> G a CR
  `);
});

test("a normal unlock of what waits is refused with EBUSY", () => {
  tellLockStory(`
    req a PR -> AST a ok PR
    req b PR -> AST b ok PR
    cvt a EX -> BAST b(EX)
    unl a -> EBUSY
    req c CW -> -
    unl c -> EBUSY
  `);
});

test("an unlock of a finished lock is refused with ENOENT, forced or not", () => {
  tellLockStory(`
    req a CR -> AST a ok CR
    unl a -> AST a EUNLOCK
    unl a -> ENOENT
    unl a FORCEUNLOCK -> ENOENT
    can a -> ENOENT
  `);
});

test("a cancel with nothing to cancel is no error and completes nothing", () => {
  tellLockStory(`
    req a CR -> AST a ok CR
    can a -> -
    show -> G a CR
  `);
});

test("flags, BAST routine and value block are those of the last call", () => {
  tellLockStory(`
    req a EX VALBLK m1 -> AST a ok EX lvb=m1
    cvt a PW NOBAST -> AST a ok PW lvb=m1
    lvb -> none
    req b PW -> -
    cvt a PW VALBLK m2 -> AST a ok PW lvb=m2, BAST a(PW)
    lvb -> m2
  `);
});

test("AST 0: granted, the lock holds what it asked for", () => {
  tellLockStory(`
    req a PW -> AST a ok PW
    show -> G a PW
  `);
});

test("AST EAGAIN: a new request is gone, a conversion keeps its mode", () => {
  tellLockStory(`
    req a PR -> AST a ok PR
    req b EX NOQUEUE -> AST b EAGAIN
    show -> G a PR
    req c PR -> AST c ok PR
    cvt c EX NOQUEUE -> AST c EAGAIN
    show -> G c PR a PR
  `);
});

test("AST EDEADLK: the conversion keeps its mode", () => {
  tellLockStory(`
    req a PR -> AST a ok PR
    req b PR -> AST b ok PR
    cvt a EX -> BAST b(EX)
    cvt b EX -> AST b EDEADLK
    show -> G b PR | C a PR>EX
  `);
});

test("AST EUNLOCK: the lock is gone", () => {
  tellLockStory(`
    req a PR -> AST a ok PR
    unl a -> AST a EUNLOCK
    show -> -
  `);
});

test("AST ECANCEL: a conversion keeps its mode, a new request is gone", () => {
  tellLockStory(`
    req a PR -> AST a ok PR
    req b PR -> AST b ok PR
    cvt a EX -> BAST b(EX)
    req c PW -> -
    can c -> AST c ECANCEL
    can a -> AST a ECANCEL
    show -> G a PR b PR
  `);
});

test("FORCEUNLOCK ends a conversion and a new request, with one AST", () => {
  tellLockStory(`
    req a PR -> AST a ok PR
    req b PR -> AST b ok PR
    cvt a EX -> BAST b(EX)
    req c EX -> -
    unl c FORCEUNLOCK -> AST c EUNLOCK
    unl a FORCEUNLOCK -> AST a EUNLOCK
    show -> G b PR
  `);
});

test("a cancel that comes after the grant loses: the only AST is the grant", () => {
  tellLockStory(`
    req a EX -> AST a ok EX
    req b EX -> BAST a(EX)
    unl a -> AST a EUNLOCK, AST b ok EX
    can b -> -
  `);
});

test.run();
