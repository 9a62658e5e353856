/** Refusals of an exporter as they travel. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { refusalText, refusalWord } from "../../../src/peers/member-refusal.ts";

const test = suite("peers/member-refusal");

test("a word comes back out of the message, and out of no other", () => {
  assert.is(refusalWord(refusalText("fenced", "node 2: is gone")), "fenced");
  assert.is(refusalWord(refusalText("no-disk", "")), "no-disk");
  for (const text of ["", "fenced", ": fenced", "Fenced: so", "there is no such export", "x: y"])
    assert.is(refusalWord(text), null, text);
});

test.run();
