/** The sentence that says why reads and writes wait at the gate of a clustered array. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { GATE_CLOSED, GATE_EXPELLED } from "../../../src/raid/shared-state.ts";
import { gateSentence } from "../../../src/workers/gate-words.ts";

const test = suite("workers/gate-words");

const SENT_AT = 1_000_000;
/** A confirmation permits I/O for six seconds from when it was sent. */
const UNTIL = SENT_AT + 6000;

const said = (until: number, now: number, isShut = false) => gateSentence({ until, isShut, now });

test("nothing while the node is confirmed", () => {
  assert.is(said(UNTIL, SENT_AT + 5999), null);
});

test("for how long the store has not confirmed it, from the moment that I/O waits", () => {
  const words = "reads and writes wait: the store has not confirmed this node for";
  assert.is(said(UNTIL, UNTIL), `${words} 6.0 s`);
  assert.is(said(UNTIL, SENT_AT + 7240), `${words} 7.2 s`);
});

test("a node that was never confirmed, one that leaves, one that is out", () => {
  assert.match(said(GATE_CLOSED, SENT_AT) ?? "", "has not confirmed this node yet");
  assert.match(said(GATE_CLOSED, SENT_AT, true) ?? "", "broken here, and this node leaves");
  assert.match(said(GATE_EXPELLED, SENT_AT, true) ?? "", "goes on without this node");
});

test.run();
