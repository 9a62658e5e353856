/** The fine print of the value block, line by line; the table itself is in lock-mode.test.ts. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { DLM_LKF_CONVERT } from "../../../../src/cluster/dlm/lock-flags.ts";
import { EX, NL, PW } from "../../../../src/cluster/dlm/lock-mode.ts";
import { EMPTY_RESOURCE } from "../../../../src/cluster/dlm/lock-resource.ts";
import { operate } from "../../../../src/cluster/dlm/lock-transition.ts";
import { decodeLvb, encodeLvb, isLvbText } from "../../../../src/cluster/dlm/lvb-text.ts";
import { lvbOf, tellLockStory } from "../../../helpers/lock-bench.ts";

const test = suite("cluster/dlm value block");

test("the block moves at the grant, not at the call", () => {
  tellLockStory(`
    req a EX VALBLK m1 -> AST a ok EX lvb=m1
    req b CR VALBLK -> BAST a(CR)
    cvt a EX VALBLK m2 -> AST a ok EX lvb=m2, BAST a(CR)
    cvt a NL VALBLK m3 -> AST a ok NL lvb=m3, AST b ok CR lvb=m3
  `);
});

test("without VALBLK in this call nothing is read or written", () => {
  tellLockStory(`
    req a EX VALBLK -> AST a ok EX
    cvt a PW VALBLK m1 -> AST a ok PW lvb=m1
    cvt a PW - m2 -> AST a ok PW lvb=m2
    lvb -> m1
    req b CR -> AST b ok CR
    unl a - m3 -> AST a EUNLOCK lvb=m3
    lvb -> m1
  `);
});

test("a buffer that comes without VALBLK is neither written nor read into", () => {
  const call = { slot: 1, epoch: 1, id: 1, flags: 0, lvb: lvbOf("x") };
  const lock = { type: "lock", ...call, mode: EX, hasBast: false } as const;
  const asked = operate(EMPTY_RESOURCE, { ...lock, op: 1 });
  const other = operate(asked.resource, { ...lock, id: 2, op: 2, mode: NL });
  const down = operate(other.resource, { ...lock, op: 3, mode: PW, flags: DLM_LKF_CONVERT });
  assert.is(down.resource.lvb, null);
  assert.is(operate(down.resource, { type: "unlock", ...call, op: 4 }).resource.lvb, null);
});

test("a block that was never written leaves the buffer and reports nothing", () => {
  tellLockStory(`
    req a EX VALBLK mine -> AST a ok EX lvb=mine
    req b CR -> BAST a(CR)
    cvt a NL IVVALBLK -> AST a ok NL lvb=mine, AST b ok CR
    lvb -> none invalid
    req c CR VALBLK other -> AST c ok CR lvb=other
  `);
});

test("a write counts, and clears VALNOTVALID", () => {
  const bench = tellLockStory(`
    req a EX VALBLK -> AST a ok EX
    cvt a EX VALBLK m1 -> AST a ok EX lvb=m1
    cvt a EX IVVALBLK -> AST a ok EX lvb=m1
    lvb -> m1 invalid
    cvt a PW VALBLK m2 -> AST a ok PW lvb=m2
    lvb -> m2
  `);
  assert.is(bench.resource.lvbSeq, 2);
  assert.is(bench.resource.granted[0]?.lvbSeq, 2);
});

test("IVVALBLK where a write were: the block stays, is invalid, and the caller is not told", () => {
  tellLockStory(`
    req a EX VALBLK -> AST a ok EX
    cvt a EX VALBLK m1 -> AST a ok EX lvb=m1
    cvt a NL IVVALBLK+VALBLK m2 -> AST a ok NL lvb=m2
    lvb -> m1 invalid
  `);
});

test("VALNOTVALID comes with a read that copied, and with a cell that does nothing", () => {
  tellLockStory(`
    req a EX VALBLK -> AST a ok EX
    cvt a EX VALBLK m1 -> AST a ok EX lvb=m1
    cvt a CR IVVALBLK -> AST a ok CR lvb=m1
    req b CR VALBLK -> AST b ok CR sb=2 lvb=m1
    cvt b NL -> AST b ok NL sb=2 lvb=m1
    cvt b PR -> AST b ok PR lvb=m1
    cvt b CW -> AST b ok CW sb=2 lvb=m1
    unl b -> AST b EUNLOCK lvb=m1
  `);
});

test("VALNOTVALID does not come with a write without VALBLK", () => {
  tellLockStory(`
    req a EX VALBLK -> AST a ok EX
    cvt a EX VALBLK m1 -> AST a ok EX lvb=m1
    cvt a EX IVVALBLK -> AST a ok EX lvb=m1
    cvt a PW -> AST a ok PW lvb=m1
    lvb -> m1 invalid
  `);
});

test("an invalid block is read with its old bytes, until the next write", () => {
  tellLockStory(`
    req a EX VALBLK -> AST a ok EX
    cvt a EX VALBLK m1 -> AST a ok EX lvb=m1
    cvt a NL IVVALBLK -> AST a ok NL lvb=m1
    req b CR VALBLK -> AST b ok CR sb=2 lvb=m1
    cvt b PW VALBLK -> AST b ok PW sb=2 lvb=m1
    cvt b CR VALBLK m2 -> AST b ok CR lvb=m2
    cvt a CR VALBLK -> AST a ok CR lvb=m2
  `);
});

test("an unlock writes from PW and EX only", () => {
  for (const mode of ["NL", "CR", "CW", "PR", "PW", "EX"]) {
    const isWriter = mode === "PW" || mode === "EX";
    tellLockStory(`
      req z EX VALBLK -> AST z ok EX
      cvt z NL VALBLK m1 -> AST z ok NL lvb=m1
      req a ${mode} -> AST a ok ${mode}
      unl a VALBLK m2 -> AST a EUNLOCK lvb=m2
      lvb -> ${isWriter ? "m2" : "m1"}
      req b ${mode} -> AST b ok ${mode}
      unl b IVVALBLK -> AST b EUNLOCK
      lvb -> ${isWriter ? "m2 invalid" : "m1"}
    `);
  }
});

test("a forced unlock of a converting PW writes, of a waiting request does not", () => {
  tellLockStory(`
    req a PW VALBLK -> AST a ok PW
    req b CR -> AST b ok CR
    cvt a EX -> BAST b(EX)
    req c EX VALBLK -> -
    unl c FORCEUNLOCK+VALBLK m9 -> AST c EUNLOCK lvb=m9
    lvb -> none
    unl a FORCEUNLOCK+VALBLK m1 -> AST a EUNLOCK lvb=m1
    lvb -> m1
  `);
});

test("EDEADLK, EAGAIN and cancelled conversions leave the block alone", () => {
  tellLockStory(`
    req a PW VALBLK -> AST a ok PW
    cvt a PW VALBLK m1 -> AST a ok PW lvb=m1
    req b CR VALBLK -> AST b ok CR lvb=m1
    cvt a EX VALBLK+NOQUEUE m2 -> AST a EAGAIN lvb=m2
    cvt a EX VALBLK m3 -> BAST b(EX)
    can a -> AST a ECANCEL lvb=m3
    lvb -> m1
  `);
});

test("a conversion from PW that waits and ends in its second choice writes what it brought", () => {
  tellLockStory(`
    req a PW VALBLK -> AST a ok PW
    req b CR -> AST b ok CR
    req c CR -> AST c ok CR
    cvt c EX -> BAST b(EX), BAST a(EX)
    cvt c NL -> EBUSY
    cvt a EX VALBLK+ALTPR+QUECVT+NODLCKWT m1 -> -
    lvb -> none
    can c -> AST c ECANCEL, AST a ok PR sb=4 lvb=m1
    lvb -> m1
  `);
});

test("the last lock takes the block along", () => {
  tellLockStory(`
    req a EX VALBLK -> AST a ok EX
    unl a VALBLK m1 -> AST a EUNLOCK lvb=m1
    lvb -> none
    req b CR VALBLK -> AST b ok CR
  `);
});

test("text of a block: every byte, one form only", () => {
  const bytes = Uint8Array.from({ length: 64 }, (_, index) => (index * 37) & 0xff);
  const text = encodeLvb(bytes);
  assert.equal([...decodeLvb(text)], [...bytes]);
  assert.ok(isLvbText(text, 64));
  const last = text.slice(0, -3);
  for (const other of ["", last, `${last}h==`, text.toLowerCase().replace("=", "*"), ` ${text}`])
    assert.not.ok(other !== text && isLvbText(other, 64), other);
  assert.not.ok(isLvbText(text, 56));
  // Bits behind the last byte: other text, same bytes.
  assert.ok(isLvbText(`${"A".repeat(86)}==`, 64));
  assert.not.ok(isLvbText(`${"A".repeat(85)}B==`, 64));
});

test.run();
