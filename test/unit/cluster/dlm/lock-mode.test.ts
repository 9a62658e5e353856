/** The three tables over two modes: compatibility, QUECVT pairs, value block. Cell by cell. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  areCompatible,
  isLockMode,
  LOCK_MODES,
  lvbAction,
  MODE_NAMES,
  mayQueueConversion,
} from "../../../../src/cluster/dlm/lock-mode.ts";
import { modeNamed, tellLockStory } from "../../../helpers/lock-bench.ts";

const test = suite("cluster/dlm/lock-mode");

/** Columns NL CR CW PR PW EX. */
const COMPATIBILITY = `
  NL y y y y y y
  CR y y y y y n
  CW y y y n n n
  PR y y n y n n
  PW y y n n n n
  EX y n n n n n`;

const QUECVT = `
  NL n y y y y y
  CR n n y y y y
  CW n n n y y y
  PR n n y n y y
  PW n n n n n y
  EX n n n n n n`;

/** R: to the caller, W: to the resource. */
const VALUE_BLOCK = `
  -- R R R R R R
  NL R R R R R R
  CR - R R R R R
  CW - - R R R R
  PR - - - R R R
  PW W W W W W R
  EX W W W W W W`;

const rowsOf = (table: string): [string, string[]][] =>
  table
    .trim()
    .split("\n")
    .map((line) => line.trim().split(" "))
    .map(([name = "", ...cells]) => [name, cells]);

for (const [name, cells] of rowsOf(COMPATIBILITY)) {
  test(`compatible with ${name}: ${cells.join(" ")}`, () => {
    const row = modeNamed(name);
    const found = LOCK_MODES.map((mode) => (areCompatible(row, mode) ? "y" : "n"));
    assert.equal(found, cells);
    assert.equal(
      LOCK_MODES.map((mode) => (areCompatible(mode, row) ? "y" : "n")),
      cells,
    );
    for (const mode of LOCK_MODES) {
      const isGranted = cells[mode] === "y";
      tellLockStory(`
        req a ${name} NOBAST -> AST a ok ${name}
        req b ${MODE_NAMES[mode]} NOQUEUE -> AST b ${isGranted ? `ok ${MODE_NAMES[mode]}` : "EAGAIN"}
      `);
    }
  });
}

for (const [name, cells] of rowsOf(QUECVT)) {
  test(`QUECVT from ${name}: ${cells.join(" ")}`, () => {
    const row = modeNamed(name);
    const found = LOCK_MODES.map((mode) => (mayQueueConversion(row, mode) ? "y" : "n"));
    assert.equal(found, cells);
    for (const mode of LOCK_MODES) {
      const effect = cells[mode] === "y" ? `AST a ok ${MODE_NAMES[mode]}` : "EINVAL";
      tellLockStory(`
        req a ${name} -> AST a ok ${name}
        cvt a ${MODE_NAMES[mode]} QUECVT -> ${effect}
      `);
    }
  });
}

for (const [name, cells] of rowsOf(VALUE_BLOCK)) {
  test(`value block from ${name === "--" ? "a new request" : name}: ${cells.join(" ")}`, () => {
    const row = name === "--" ? null : modeNamed(name);
    const words = { read: "R", write: "W", none: "-" };
    const found = LOCK_MODES.map((mode) => words[lvbAction(row, mode)]);
    assert.equal(found, cells);
    for (const mode of LOCK_MODES) tellMove(name, MODE_NAMES[mode] ?? "", cells[mode] ?? "");
  });
}

/** The cell as a grant: the resource holds `old`, the caller's buffer `mine`. */
function tellMove(from: string, to: string, cell: string): void {
  const before = from === "--" ? "" : `req a ${from} -> AST a ok ${from}`;
  const verb = from === "--" ? "req" : "cvt";
  tellLockStory(`
    req z EX VALBLK old -> AST z ok EX lvb=old
    cvt z NL VALBLK     -> AST z ok NL lvb=old
    ${before}
    ${verb} a ${to} VALBLK mine -> AST a ok ${to} lvb=${cell === "R" ? "old" : "mine"}
    lvb -> ${cell === "W" ? "mine" : "old"}
  `);
}

test("what is no mode", () => {
  for (const value of [-1, 6, 1.5, Number.NaN, "3", null, undefined])
    assert.is(isLockMode(value), false, String(value));
});

test.run();
