/** When a request is granted, rule by rule, and after which operations the queues are scanned. */
import { suite } from "uvu";
import { tellLockStory } from "../../../helpers/lock-bench.ts";

const test = suite("cluster/dlm/grant-rule");

test("rule 1: EXPEDITE is granted whatever waits", () => {
  tellLockStory(`
    req a PR -> AST a ok PR
    req b PR -> AST b ok PR
    cvt a EX -> BAST b(EX)
    req c EX -> -
    req d NL EXPEDITE -> AST d ok NL
  `);
});

test("rule 2: not beside a granted lock that conflicts", () => {
  tellLockStory(`
    req a PW -> AST a ok PW
    req b PR NOQUEUE -> AST b EAGAIN
  `);
});

test("rule 3: not beside the granted mode of a converting lock, whatever it asks for", () => {
  tellLockStory(`
    req a PW -> AST a ok PW
    req b CR -> AST b ok CR
    cvt a EX -> BAST b(EX)
    show -> G b CR | C a PW>EX
    cvt b PR NOQUEUE -> AST b EAGAIN
    cvt b CW NOQUEUE -> AST b EAGAIN
  `);
});

test("rule 4: after a purge, conversions are granted in any order", () => {
  tellLockStory(`
    req a CR -> AST a ok CR
    req b NL -> AST b ok NL
    req z PW -> AST z ok PW
    req y CR -> AST y ok CR
    cvt a EX -> BAST y(EX), BAST z(EX)
    cvt b PR QUECVT -> -
    show -> G y CR z PW | C a CR>EX b NL>PR
    die z -> AST b ok PR, BAST b(EX)
    show -> G b PR y CR | C a CR>EX
  `);
});

test("rule 4 is of the purge alone: an unlock keeps the order", () => {
  tellLockStory(`
    req a CR -> AST a ok CR
    req b NL -> AST b ok NL
    req z PW -> AST z ok PW
    req y CR -> AST y ok CR
    cvt a EX -> BAST y(EX), BAST z(EX)
    cvt b PR QUECVT -> -
    unl z -> AST z EUNLOCK
    show -> G y CR | C a CR>EX b NL>PR
  `);
});

test("rule 5: a plain conversion is granted in place, before those that wait", () => {
  tellLockStory(`
    req a PR -> AST a ok PR
    req b PR -> AST b ok PR
    req c NL -> AST c ok NL
    cvt a EX -> BAST b(EX)
    req d EX -> -
    cvt c PR -> AST c ok PR, BAST c(EX)
  `);
});

test("rule 6: QUECVT is granted only when no conversion waits", () => {
  tellLockStory(`
    req c NL -> AST c ok NL
    req d EX NOQUEUE -> AST d ok EX
    unl d -> AST d EUNLOCK
    cvt c PR QUECVT -> AST c ok PR
    cvt c NL -> AST c ok NL
    req a PR -> AST a ok PR
    req b PR -> AST b ok PR
    cvt a EX -> BAST b(EX)
    cvt c PR QUECVT -> -
    show -> G b PR | C a PR>EX c NL>PR
  `);
});

test("rule 7: NOORDER is granted behind others", () => {
  tellLockStory(`
    req a PR -> AST a ok PR
    req b EX -> BAST a(EX)
    req c PR -> -
    req d PR NOORDER -> AST d ok PR
    show -> G d PR a PR | W b EX c PR
  `);
});

test("rule 8: of the queued conversions the first is granted first", () => {
  tellLockStory(`
    req a NL -> AST a ok NL
    req b NL -> AST b ok NL
    req z EX -> AST z ok EX
    cvt a EX -> BAST z(EX)
    cvt b EX -> -
    unl z -> AST z EUNLOCK, AST a ok EX, BAST a(EX)
    cvt a NL -> AST a ok NL, AST b ok EX
  `);
});

test("rule 9: a new request is granted at once only when nobody waits", () => {
  tellLockStory(`
    req a PR -> AST a ok PR
    req b PR -> AST b ok PR
    cvt a EX -> BAST b(EX)
    req c NL -> -
    can a -> AST a ECANCEL, AST c ok NL
    req d EX -> BAST a(EX)
    req e NL -> -
  `);
});

test("rule 10: of the waiting requests the first, and only when no conversion waits", () => {
  tellLockStory(`
    req a PR -> AST a ok PR
    req b PR -> AST b ok PR
    req c CW -> BAST b(CW), BAST a(CW)
    req d PR -> -
    cvt a EX -> BAST b(EX)
    unl b -> AST b EUNLOCK, AST a ok EX, BAST a(PR)
    cvt a NL -> AST a ok NL, AST c ok CW, BAST c(PR)
    unl c -> AST c EUNLOCK, AST d ok PR
  `);
});

test("rule 11: else it waits", () => {
  tellLockStory(`
    req a CR -> AST a ok CR
    req b EX -> BAST a(EX)
    req c CR -> -
    show -> G a CR | W b EX c CR
  `);
});

test("conversion deadlock: my granted mode blocks a conversion that is ahead", () => {
  tellLockStory(`
    req a NL -> AST a ok NL
    req b PR -> AST b ok PR
    req z CR -> AST z ok CR
    cvt a EX -> BAST z(EX), BAST b(EX)
    cvt b EX -> AST b EDEADLK
  `);
});

test("conversion deadlock: not when nobody ahead is blocked by me", () => {
  tellLockStory(`
    req a CR -> AST a ok CR
    req b CR -> AST b ok CR
    req z PR -> AST z ok PR
    cvt a PW -> BAST z(PW)
    cvt b PW -> -
    show -> G z PR | C a CR>PW b CR>PW
  `);
});

test("conversion deadlock: NOQUEUE fails with EAGAIN instead", () => {
  tellLockStory(`
    req a PR -> AST a ok PR
    req b PR -> AST b ok PR
    cvt a EX -> BAST b(EX)
    cvt b EX NOQUEUE -> AST b EAGAIN
  `);
});

test("conversion deadlock with CONVDEADLK: demoted, others first, then it once more", () => {
  tellLockStory(`
    req a PR -> AST a ok PR
    req b PR -> AST b ok PR
    cvt a PW -> BAST b(PW)
    cvt b CR CONVDEADLK -> AST b ok CR, AST a ok PW
    cvt a PR -> AST a ok PR
    cvt b PR -> AST b ok PR
    cvt a EX -> BAST b(EX)
    cvt b PW CONVDEADLK -> AST a ok EX, BAST a(PW)
    show -> G a EX | C b NL>PW
    unl a -> AST a EUNLOCK, AST b ok PW sb=1
  `);
});

test("conversion deadlock with CONVDEADLK: granted at once when the others leave room", () => {
  tellLockStory(`
    req a PR -> AST a ok PR
    req b PR -> AST b ok PR
    cvt a CW -> BAST b(CW)
    cvt b EX CONVDEADLK -> AST a ok CW, BAST a(EX)
    can b -> AST b ECANCEL
    cvt a CW -> AST a ok CW
    cvt b PR -> BAST a(PR)
    cvt a PR CONVDEADLK -> AST a ok PR, AST b ok PR
  `);
});

test("conversion deadlock with NODLCKWT: it waits, and a scan asks it to give way", () => {
  tellLockStory(`
    req a PR -> AST a ok PR
    req b PR NOBAST -> AST b ok PR
    req z NL -> AST z ok NL
    cvt a EX -> -
    cvt b EX NODLCKWT -> -
    show -> G z NL | C a PR>EX b PR>EX
    cvt z NL -> AST z ok NL, BAST b(EX)
    cvt z NL -> AST z ok NL
    can b -> AST b ECANCEL
  `);
});

test("conversion deadlock in a scan: who is behind counts only when both block each other", () => {
  tellLockStory(`
    req a PR -> AST a ok PR
    req b CR -> AST b ok CR
    req n NL -> AST n ok NL
    req z PR -> AST z ok PR
    cvt a PW CONVDEADLK -> BAST z(PW)
    cvt b CW -> BAST z(CW)
    cvt n NL -> AST n ok NL, BAST z(PW)
    show -> G z PR n NL | C a PR>PW b CR>CW
  `);
});

test("conversion deadlock in a scan: demoted then, and its holders are told in the same scan", () => {
  tellLockStory(`
    req e PR -> AST e ok PR
    req k PR -> AST k ok PR
    req m CR -> AST m ok CR
    cvt e EX CONVDEADLK -> BAST m(EX), BAST k(EX)
    cvt k EX NODLCKWT -> -
    cvt m CR -> AST m ok CR, BAST m(EX)
    show -> G m CR | C e NL>EX k PR>EX
  `);
});

test("a demoted conversion is tried again in place, before those that wait", () => {
  tellLockStory(`
    req a CW -> AST a ok CW
    req b CW -> AST b ok CW
    req x NL -> AST x ok NL
    cvt b PR -> BAST a(PR)
    cvt x EX -> BAST a(EX)
    cvt a PR CONVDEADLK -> AST b ok PR, AST a ok PR sb=1, BAST a(EX), BAST b(EX)
    show -> G a PR b PR | C x NL>EX
  `);
});

test("a demoted conversion with HEADQUE queues last: it would wait for those behind it", () => {
  tellLockStory(`
    req a CR -> AST a ok CR
    req b PR -> AST b ok PR
    req z PR -> AST z ok PR
    cvt a PW -> BAST z(PW), BAST b(PW)
    cvt b EX HEADQUE+CONVDEADLK -> BAST z(EX)
    show -> G z PR | C a CR>PW b NL>EX
    unl z -> AST z EUNLOCK, AST a ok PW, BAST a(EX)
  `);
});

test("a grant behind others lets those before it in", () => {
  tellLockStory(`
    req x NL -> AST x ok NL
    req y CW -> AST y ok CW
    req d CW -> AST d ok CW
    cvt x PR -> BAST d(PR), BAST y(PR)
    cvt y PR NODLCKWT -> BAST d(PR)
    die d -> AST y ok PR, AST x ok PR
  `);
});

test("the same mode again keeps its place among the granted, another goes first", () => {
  tellLockStory(`
    req a CR -> AST a ok CR
    req b CR -> AST b ok CR
    cvt a CR -> AST a ok CR
    show -> G b CR a CR
    cvt a NL -> AST a ok NL
    show -> G a NL b CR
  `);
});

test("HEADQUE into conversions: a deadlock with those behind is seen", () => {
  tellLockStory(`
    req a CR -> AST a ok CR
    req b CR -> AST b ok CR
    req z PR -> AST z ok PR
    cvt a PW -> BAST z(PW)
    cvt b EX HEADQUE -> AST b EDEADLK
    cvt b PW HEADQUE -> -
    show -> G z PR | C b CR>PW a CR>PW
  `);
});

test("ALTPR: PR when that can be had, else the requested mode waits", () => {
  tellLockStory(`
    req a PR -> AST a ok PR
    req b CW ALTPR -> AST b ok PR sb=4
    req c EX ALTPR -> AST c ok PR sb=4
    req d EX -> BAST c(EX), BAST b(EX), BAST a(EX)
    req e EX ALTPR -> -
    show -> G c PR b PR a PR | W d EX e EX
    can d -> AST d ECANCEL, AST e ok PR sb=4
  `);
});

test("ALTCW: CW when that can be had", () => {
  tellLockStory(`
    req a CW -> AST a ok CW
    req b PR ALTCW -> AST b ok CW sb=4
    req c CW ALTCW -> AST c ok CW
  `);
});

test("down-conversions never fail, though others wait", () => {
  tellLockStory(`
    req a EX -> AST a ok EX
    req b PR -> BAST a(PR)
    cvt a PW -> AST a ok PW, BAST a(PR)
    cvt a CR -> AST a ok CR, AST b ok PR
  `);
});

test("NOQUEUE fails with EAGAIN, else the lock waits last, with HEADQUE first", () => {
  tellLockStory(`
    req a EX -> AST a ok EX
    req b PR NOQUEUE -> AST b EAGAIN
    req c PR -> BAST a(PR)
    req d PR -> -
    req e EX HEADQUE -> BAST a(EX)
    show -> G a EX | W e EX c PR d PR
  `);
});

test("HEADQUE: who can be granted at the head of the queue is, at once", () => {
  tellLockStory(`
    req a PR -> AST a ok PR
    req b EX -> BAST a(EX)
    req c PR HEADQUE -> AST c ok PR, BAST c(EX)
    show -> G c PR a PR | W b EX
  `);
});

test("scanned after: a granted conversion, an unlock, a cancel, a purge", () => {
  for (const [operation, effect] of [
    ["cvt a CR", "AST a ok CR"],
    ["unl a", "AST a EUNLOCK"],
  ])
    tellLockStory(`
      req a EX -> AST a ok EX
      req b PR -> BAST a(PR)
      ${operation} -> ${effect}, AST b ok PR
    `);
  tellLockStory(`
    req a PR -> AST a ok PR
    req b EX -> BAST a(EX)
    req c PR -> -
    can b -> AST b ECANCEL, AST c ok PR
    req d EX -> BAST c(EX)
    die a -> -
    die c -> AST d ok EX
  `);
});

test("not scanned after a granted new request", () => {
  tellLockStory(`
    req a CR -> AST a ok CR
    req b EX -> BAST a(EX)
    req c PR NOORDER -> AST c ok PR
    cvt c PR -> AST c ok PR, BAST c(EX)
  `);
});

test("a scan begins again after each grant, then passes once over the waiting", () => {
  tellLockStory(`
    req a NL -> AST a ok NL
    req b NL -> AST b ok NL
    req z EX -> AST z ok EX
    cvt a PR -> BAST z(PR)
    cvt b CR -> -
    req c PR -> -
    req d CW -> -
    req e PR -> -
    unl z -> AST z EUNLOCK, AST a ok PR, AST b ok CR, AST c ok PR, BAST c(CW), BAST a(CW)
    show -> G c PR b CR a PR | W d CW e PR
  `);
});

test.run();
