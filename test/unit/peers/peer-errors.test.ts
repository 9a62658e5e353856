/** What a peer's disk fails with, for people. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { lost } from "../../../src/nbd/client-errors.ts";
import { peerError, peerGone, withoutName } from "../../../src/peers/peer-errors.ts";

const test = suite("peers/peer-errors");

test("a disk that was given up is named once", () => {
  const why = peerError("b.disk1", lost("b.disk1", "it does not answer any more"));
  assert.is(peerGone("b.disk1", why).message, "b.disk1: given up (it does not answer any more)");
  assert.is(withoutName("b.disk1", "b.disk10: away"), "b.disk10: away");
});

test.run();
