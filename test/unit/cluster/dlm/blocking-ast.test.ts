/** To whom BASTs go, with which mode, and how often. */
import { suite } from "uvu";
import { tellLockStory } from "../../../helpers/lock-bench.ts";

const test = suite("cluster/dlm BASTs");

test("only to granted locks whose last call gave a routine", () => {
  tellLockStory(`
    req a PR NOBAST -> AST a ok PR
    req b PR -> AST b ok PR
    req c PR -> AST c ok PR
    cvt b PR NOBAST -> AST b ok PR
    req d EX -> BAST c(EX)
    cvt c PW -> -
    req e EX -> -
  `);
});

test("the argument is the requested mode that is blocked", () => {
  for (const [granted, requested] of [
    ["EX", "CR"],
    ["PW", "CW"],
    ["PR", "CW"],
    ["CW", "PR"],
    ["CR", "EX"],
  ])
    tellLockStory(`
      req a ${granted} -> AST a ok ${granted}
      req b ${requested} -> BAST a(${requested})
    `);
});

test("when a request is queued: to those it conflicts with, each above what it was told", () => {
  tellLockStory(`
    req a CR -> AST a ok CR
    req b PW -> AST b ok PW
    req c PR -> BAST b(PR)
    req d PR -> -
    req e EX -> BAST b(EX), BAST a(EX)
    req f EX -> -
  `);
});

test("when a request is queued: PR and CW tell each other below EX, again and again", () => {
  tellLockStory(`
    req a PR -> AST a ok PR
    req b PW -> BAST a(PW)
    req c CW -> BAST a(CW)
    req d CW -> BAST a(CW)
    req e EX -> BAST a(EX)
    req f CW -> -
  `);
  tellLockStory(`
    req a CW -> AST a ok CW
    req b PR -> BAST a(PR)
    req c PR -> BAST a(PR)
  `);
});

test("after a scan: the highest mode that is still blocked", () => {
  tellLockStory(`
    req a PR -> AST a ok PR
    req b PR -> AST b ok PR
    req c CW -> BAST b(CW), BAST a(CW)
    req d EX -> BAST b(EX), BAST a(EX)
    cvt a PR -> AST a ok PR, BAST a(EX)
  `);
});

test("after a scan: a PR holder under a blocked CW is told CW when the highest is PR", () => {
  tellLockStory(`
    req a PR -> AST a ok PR
    req z NL -> AST z ok NL
    req b CW -> BAST a(CW)
    req c PR -> -
    cvt a PR -> AST a ok PR, BAST a(CW)
    cvt z NL -> AST z ok NL, BAST a(CW)
    req d PW -> BAST a(PW)
    cvt z NL -> AST z ok NL, BAST a(PW)
  `);
});

test("one BAST per level and grant: a grant begins anew, a failed conversion does not", () => {
  tellLockStory(`
    req a CR -> AST a ok CR
    req b EX -> BAST a(EX)
    req c EX -> -
    cvt a EX NOQUEUE -> AST a ok EX, BAST a(EX)
    cvt a CR -> AST a ok CR, BAST a(EX)
    req d NL EXPEDITE -> AST d ok NL
    can c -> AST c ECANCEL
  `);
});

test("a failed NOQUEUE tells nobody", () => {
  tellLockStory(`
    req a EX -> AST a ok EX
    req b EX NOQUEUE -> AST b EAGAIN
  `);
});

test("a failed NOQUEUE with NOQUEUEBAST tells the granted and the converting", () => {
  tellLockStory(`
    req a PW -> AST a ok PW
    req b CR -> AST b ok CR
    cvt a EX -> BAST b(EX)
    req c PW NOQUEUE+NOQUEUEBAST -> AST c EAGAIN, BAST a(PW)
    req d PW NOQUEUE+NOQUEUEBAST -> AST d EAGAIN
  `);
});

test("a new holder is told at once by the scan after its conversion", () => {
  tellLockStory(`
    req a EX -> AST a ok EX
    req b NL EXPEDITE -> AST b ok NL
    req c EX -> BAST a(EX)
    cvt a NL -> AST a ok NL, AST c ok EX
    cvt a PR -> BAST c(PR)
    cvt b CR -> -
    cvt c CR -> AST c ok CR, AST a ok PR, AST b ok CR
  `);
});

test("a new request that is granted before those who wait gets no BAST from its own grant", () => {
  tellLockStory(`
    req a PR -> AST a ok PR
    req b EX -> BAST a(EX)
    req c PR NOORDER -> AST c ok PR
  `);
});

test("a BAST is a hint: who waited may be gone", () => {
  tellLockStory(`
    req a EX -> AST a ok EX
    req b CR -> BAST a(CR)
    can b -> AST b ECANCEL
    cvt a NL -> AST a ok NL
  `);
});

test.run();
