/** What is kept and what goes when members die. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { operate } from "../../../../src/cluster/dlm/lock-transition.ts";
import { tellLockStory } from "../../../helpers/lock-bench.ts";

const test = suite("cluster/dlm purge");

test("locks of live members stay: mode, request, order, value block", () => {
  tellLockStory(`
    req a PR VALBLK m1 -> AST a ok PR lvb=m1
    req b PR -> AST b ok PR
    req z CR -> AST z ok CR
    cvt a EX -> BAST z(EX), BAST b(EX)
    req c EX -> -
    req d CW -> -
    die z -> -
    show -> G b PR | C a PR>EX | W c EX d CW
  `);
});

test("locks of the dead go, granted, converting and waiting, without completions", () => {
  tellLockStory(`
    req a PR -> AST a ok PR
    req b PR -> AST b ok PR
    req c CR -> AST c ok CR
    cvt a EX -> BAST c(EX), BAST b(EX)
    req d EX -> -
    die a,b,d -> -
    show -> G c CR
  `);
});

test("what became free is granted", () => {
  tellLockStory(`
    req a EX -> AST a ok EX
    req b PR -> BAST a(PR)
    req c PR -> -
    die a -> AST b ok PR, AST c ok PR
  `);
});

test("of one node only the dead session's locks go", () => {
  const bench = tellLockStory("req a EX -> AST a ok EX");
  const { slot, epoch } = bench.lock("a").key;
  const other = operate(bench.resource, { type: "purge", owners: [{ slot, epoch: epoch + 1 }] });
  assert.is(other.resource, bench.resource);
  assert.equal(other.result, { type: "nothing" });
  tellLockStory("die nobody -> -");
});

test("a purge made twice changes nothing more", () => {
  tellLockStory(`
    req a CR -> AST a ok CR
    req b CR -> AST b ok CR
    die a -> -
    die a -> -
    show -> G b CR
  `);
});

test("the value block is invalid when a lock with PW or EX and VALBLK dies", () => {
  for (const mode of ["NL", "CR", "CW", "PR", "PW", "EX"]) {
    const isWriter = mode === "PW" || mode === "EX";
    tellLockStory(`
      req z EX VALBLK -> AST z ok EX
      cvt z NL VALBLK m1 -> AST z ok NL lvb=m1
      req a ${mode} VALBLK -> AST a ok ${mode} lvb=m1
      die a -> -
      lvb -> ${isWriter ? "m1 invalid" : "m1"}
      req b PW VALBLK -> AST b ok PW${isWriter ? " sb=2" : ""} lvb=m1
    `);
  }
});

test("the value block stays valid when the last call of the dead had no VALBLK", () => {
  tellLockStory(`
    req z NL -> AST z ok NL
    req a EX VALBLK -> AST a ok EX
    cvt a EX VALBLK m1 -> AST a ok EX lvb=m1
    cvt a EX -> AST a ok EX lvb=m1
    die a -> -
    lvb -> m1
  `);
});

test("a converting PW counts as a writer, a waiting EX does not", () => {
  tellLockStory(`
    req z CR VALBLK -> AST z ok CR
    req a PW VALBLK -> AST a ok PW
    cvt a PW VALBLK m1 -> AST a ok PW lvb=m1
    req b EX VALBLK -> BAST a(EX), BAST z(EX)
    die b -> -
    lvb -> m1
    cvt a EX VALBLK -> -
    die a -> -
    lvb -> m1 invalid
  `);
});

test("a resource without locks is forgotten, with its value block", () => {
  tellLockStory(`
    req a EX VALBLK -> AST a ok EX
    cvt a PW VALBLK m1 -> AST a ok PW lvb=m1
    die a -> -
    show -> -
    lvb -> none
  `);
});

test("BASTs are not sent again by themselves, but a scan may send new ones", () => {
  tellLockStory(`
    req a CR -> AST a ok CR
    req z CR -> AST z ok CR
    req b PW -> AST b ok PW
    req c PR -> BAST b(PR)
    req d EX -> BAST b(EX), BAST z(EX), BAST a(EX)
    die z -> -
    die b -> AST c ok PR, BAST c(EX)
  `);
});

test.run();
