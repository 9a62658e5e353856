/**
 * Test vectors of the DLM, made with a prototype that was written from Linux 6.1 and read against
 * the rules in docs/dlm.md; see test/helpers/lock-bench.ts for the language.
 */
import { suite } from "uvu";
import { tellLockStory } from "../../../helpers/lock-bench.ts";

const test = suite("cluster/dlm vectors");

test("V1 LVB by down-convert", () => {
  tellLockStory(`
    req a EX VALBLK -> AST a ok EX
    cvt a CW VALBLK M1 -> AST a ok CW lvb=M1
    req b CR VALBLK -> AST b ok CR lvb=M1
    req c PR VALBLK -> BAST a(PR)
    cvt a NL VALBLK -> AST a ok NL lvb=M1, AST c ok PR lvb=M1
    unl c - -> AST c EUNLOCK lvb=M1
    cvt b NL VALBLK -> AST b ok NL lvb=M1
  `);
});

test("V2 plain convert overtakes, QUECVT does not", () => {
  tellLockStory(`
    req a PR - -> AST a ok PR
    req b PR - -> AST b ok PR
    req c NL - -> AST c ok NL
    cvt a EX - -> BAST b(EX)
    cvt c PR - -> AST c ok PR, BAST c(EX)
    cvt c NL - -> AST c ok NL
    cvt c PR QUECVT -> -
  `);
});

test("V3 new request waits behind a waiter", () => {
  tellLockStory(`
    req a PR - -> AST a ok PR
    req b EX - -> BAST a(EX)
    req c PR - -> -
    unl b FORCEUNLOCK -> AST b EUNLOCK, AST c ok PR
  `);
});

test("V4 conversion deadlock", () => {
  tellLockStory(`
    req a PR - -> AST a ok PR
    req b PR - -> AST b ok PR
    cvt a EX - -> BAST b(EX)
    cvt b EX - -> AST b EDEADLK
    cvt b EX CONVDEADLK -> AST a ok EX, BAST a(EX)
  `);
});

test("V5 one BAST per level", () => {
  tellLockStory(`
    req a CR - -> AST a ok CR
    req b EX - -> BAST a(EX)
    req c EX - -> -
    can b -> AST b ECANCEL
    unl a - -> AST a EUNLOCK, AST c ok EX
  `);
});

test("V6 rising level, second BAST", () => {
  tellLockStory(`
    req a PR - -> AST a ok PR
    req b CW - -> BAST a(CW)
    req c EX - -> BAST a(EX)
  `);
});

test("V7 NOQUEUE", () => {
  tellLockStory(`
    req a EX - -> AST a ok EX
    req b PR NOQUEUE -> AST b EAGAIN
    req b PR NOQUEUE+NOQUEUEBAST -> AST b EAGAIN, BAST a(PR)
  `);
});

test("V8 EXPEDITE", () => {
  tellLockStory(`
    req a PR - -> AST a ok PR
    req b EX - -> BAST a(EX)
    req c NL - -> -
    req d NL EXPEDITE -> AST d ok NL
  `);
});

test("V9 dead EX holder invalidates", () => {
  tellLockStory(`
    req a EX VALBLK -> AST a ok EX
    cvt a EX VALBLK x1 -> AST a ok EX lvb=x1
    req b CR VALBLK -> BAST a(CR)
    die a -> AST b ok CR sb=2 lvb=x1
    cvt b PW VALBLK -> AST b ok PW sb=2 lvb=x1
    cvt b PW VALBLK x2 -> AST b ok PW lvb=x2
    req c CR VALBLK -> AST c ok CR lvb=x2
  `);
});

test("V10 dead PR holder does not", () => {
  tellLockStory(`
    req a EX VALBLK x1 -> AST a ok EX lvb=x1
    cvt a PR VALBLK x1 -> AST a ok PR lvb=x1
    req b CR VALBLK -> AST b ok CR lvb=x1
    die a -> -
    cvt b PR VALBLK -> AST b ok PR lvb=x1
  `);
});

test("V11 PW->PW publishes", () => {
  tellLockStory(`
    req a PW VALBLK -> AST a ok PW
    cvt a PW VALBLK r1 -> AST a ok PW lvb=r1
    req b CR VALBLK -> AST b ok CR lvb=r1
    cvt a PW VALBLK r2 -> AST a ok PW lvb=r2
    cvt b CR VALBLK -> AST b ok CR lvb=r2
  `);
});

test("V12 never written LVB", () => {
  tellLockStory(`
    req a CR VALBLK mine -> AST a ok CR lvb=mine
    cvt a PR VALBLK mine -> AST a ok PR lvb=mine
  `);
});

test("V13 ALTPR", () => {
  tellLockStory(`
    req a PR - -> AST a ok PR
    req b CW ALTPR -> AST b ok PR sb=4
  `);
});

test("V14 cancel of convert", () => {
  tellLockStory(`
    req a PR - -> AST a ok PR
    req b PR - -> AST b ok PR
    cvt a EX - -> BAST b(EX)
    can a -> AST a ECANCEL
    can a -> -
  `);
});

test("V15 IVVALBLK", () => {
  tellLockStory(`
    req a EX VALBLK -> AST a ok EX
    cvt a EX VALBLK v1 -> AST a ok EX lvb=v1
    cvt a NL IVVALBLK -> AST a ok NL lvb=v1
    req b CR VALBLK -> AST b ok CR sb=2 lvb=v1
  `);
});

test("V16 md ack round", () => {
  tellLockStory(`
    req s CR - -> AST s ok CR
    req r1 CR - -> AST r1 ok CR
    req r2 CR - -> AST r2 ok CR
    cvt s EX - -> BAST r2(EX), BAST r1(EX)
    cvt r1 NL - -> AST r1 ok NL
    cvt r2 NL - -> AST r2 ok NL, AST s ok EX
    cvt r1 CR - -> BAST s(CR)
    cvt s CR - -> AST s ok CR, AST r1 ok CR
  `);
});

test.run();
