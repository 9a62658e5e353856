/** What several threads tell of one peer's disk. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { PeerLink } from "../../../src/control/peer-boards.ts";
import { mergedLinks } from "../../../src/workers/merged-links.ts";

const test = suite("workers/merged-links");

const link = (over: Partial<PeerLink> = {}): PeerLink => ({
  board: "b",
  disk: "d",
  state: "up",
  latencyMs: 1,
  inFlight: 2,
  reconnects: 1,
  lastError: null,
  ...over,
});

test("one way for each disk: the slowest latency, the sums, the worst state", () => {
  const slow = link({ latencyMs: 5, state: "reconnecting", lastError: "reset" });
  const other = link({ disk: "c" });
  assert.equal(mergedLinks([link(), slow, other]), [
    other,
    { ...slow, inFlight: 4, reconnects: 2 },
  ]);
});

test("a way that one thread has given up is not told of while another has one", () => {
  const gone = link({ state: "gone", latencyMs: 900, lastError: "no answer" });
  assert.equal(mergedLinks([gone, link()]), [
    { ...link(), inFlight: 4, reconnects: 2, lastError: "no answer" },
  ]);
  assert.is(mergedLinks([gone, gone])[0]?.state, "gone");
});

test.run();
