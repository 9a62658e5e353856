/** Every flag of a call: what it does, against the same call without it. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as FLAGS from "../../../../src/cluster/dlm/lock-flags.ts";
import { tellLockStory } from "../../../helpers/lock-bench.ts";

const test = suite("cluster/dlm/lock-flags");

/** Two PR holders, of whom a waits for EX. */
const CONVERTING = `
  req a PR -> AST a ok PR
  req b PR -> AST b ok PR
  cvt a EX -> BAST b(EX)`;

const FLAG_STORIES: readonly (readonly [string, string])[] = [
  ["NOQUEUE", `${CONVERTING}\n req c EX NOQUEUE -> AST c EAGAIN\n req c EX -> -`],
  ["CANCEL", `${CONVERTING}\n unl a CANCEL -> AST a ECANCEL`],
  ["CONVERT", "req a PR -> AST a ok PR\n req a EX -> EINVAL\n req a EX CONVERT -> AST a ok EX"],
  ["VALBLK", "req a EX -> AST a ok EX\n cvt a EX VALBLK m -> AST a ok EX lvb=m\n lvb -> m"],
  [
    "IVVALBLK",
    `req a EX -> AST a ok EX
     cvt a EX VALBLK m -> AST a ok EX lvb=m
     cvt a EX IVVALBLK -> AST a ok EX lvb=m
     lvb -> m invalid`,
  ],
  [
    "QUECVT",
    `${CONVERTING}
     req c NL EXPEDITE -> AST c ok NL
     cvt c PR QUECVT -> -
     can c -> AST c ECANCEL
     cvt c PR -> AST c ok PR, BAST c(EX)`,
  ],
  ["CONVDEADLK", `${CONVERTING}\n cvt b EX CONVDEADLK -> AST a ok EX, BAST a(EX)`],
  ["NODLCKWT", `${CONVERTING}\n cvt b EX -> AST b EDEADLK\n cvt b EX NODLCKWT -> -`],
  ["NODLCKBLK, which does nothing", `${CONVERTING}\n cvt b EX NODLCKBLK -> AST b EDEADLK`],
  ["EXPEDITE", `${CONVERTING}\n req c NL -> -\n req d NL EXPEDITE -> AST d ok NL`],
  [
    "NOQUEUEBAST",
    `req a EX -> AST a ok EX
     req b PR NOQUEUE -> AST b EAGAIN
     req b PR NOQUEUE+NOQUEUEBAST -> AST b EAGAIN, BAST a(PR)`,
  ],
  [
    "HEADQUE",
    `req a EX -> AST a ok EX
     req b CR -> BAST a(CR)
     req c CR -> -
     req d CR HEADQUE -> -
     show -> G a EX | W d CR b CR c CR`,
  ],
  ["NOORDER", `${CONVERTING}\n req c PR -> -\n req d PR NOORDER -> AST d ok PR`],
  ["ALTPR", "req a PR -> AST a ok PR\n req b EX ALTPR -> AST b ok PR sb=4"],
  ["ALTCW", "req a CW -> AST a ok CW\n req b EX ALTCW -> AST b ok CW sb=4"],
  ["FORCEUNLOCK", `${CONVERTING}\n unl a -> EBUSY\n unl a FORCEUNLOCK -> AST a EUNLOCK`],
];

for (const [name, story] of FLAG_STORIES) test(name, () => void tellLockStory(story));

test("the values are the kernel's", () => {
  const values = Object.entries(FLAGS).filter(([name]) => /^DLM_(LKF|SBF)_/.test(name));
  const { DLM_LKF_NOQUEUE, DLM_LKF_CANCEL, DLM_LKF_CONVERT, DLM_LKF_VALBLK } = FLAGS;
  assert.equal([DLM_LKF_NOQUEUE, DLM_LKF_CANCEL, DLM_LKF_CONVERT, DLM_LKF_VALBLK], [1, 2, 4, 8]);
  const { DLM_LKF_QUECVT, DLM_LKF_IVVALBLK, DLM_LKF_CONVDEADLK } = FLAGS;
  assert.equal([DLM_LKF_QUECVT, DLM_LKF_IVVALBLK, DLM_LKF_CONVDEADLK], [0x10, 0x20, 0x40]);
  const { DLM_LKF_NODLCKWT, DLM_LKF_NODLCKBLK, DLM_LKF_EXPEDITE } = FLAGS;
  assert.equal([DLM_LKF_NODLCKWT, DLM_LKF_NODLCKBLK, DLM_LKF_EXPEDITE], [0x100, 0x200, 0x400]);
  const { DLM_LKF_NOQUEUEBAST, DLM_LKF_HEADQUE, DLM_LKF_NOORDER } = FLAGS;
  assert.equal([DLM_LKF_NOQUEUEBAST, DLM_LKF_HEADQUE, DLM_LKF_NOORDER], [0x800, 0x1000, 0x2000]);
  const { DLM_LKF_ALTPR, DLM_LKF_ALTCW, DLM_LKF_FORCEUNLOCK } = FLAGS;
  assert.equal([DLM_LKF_ALTPR, DLM_LKF_ALTCW, DLM_LKF_FORCEUNLOCK], [0x8000, 0x10000, 0x20000]);
  const { DLM_SBF_DEMOTED, DLM_SBF_VALNOTVALID, DLM_SBF_ALTMODE } = FLAGS;
  assert.equal([DLM_SBF_DEMOTED, DLM_SBF_VALNOTVALID, DLM_SBF_ALTMODE], [1, 2, 4]);
  assert.is(values.length, 19);
});

test.run();
