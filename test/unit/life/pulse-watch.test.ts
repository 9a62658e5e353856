/** For how long a board is not heard of, by what etcd shows of its pulse. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { PulseWatch } from "../../../src/life/pulse-watch.ts";

const test = suite("life/pulse-watch");

test("a pulse that is there, and is written no more, tells for how long", () => {
  const watch = new PulseWatch();
  watch.see(new Map([["a", "7"]]), 1000);
  watch.see(new Map([["a", "9"]]), 3000);
  assert.is(watch.silentMs("a", 3500), 500);
  watch.see(new Map([["a", "9"]]), 5000);
  watch.see(new Map([["a", "9"]]), 7000);
  assert.is(watch.silentMs("a", 8000), 5000);
  assert.is(watch.silentMs("b", 8000), null, "it has none");
  assert.equal(
    [watch.stateOf("a", 8000), watch.stateOf("a", 8001), watch.stateOf("b", 8000)],
    ["online", "silent", "offline"],
  );
  watch.see(new Map(), 9000);
  assert.is(watch.silentMs("a", 9000), null, "its lease is over");
});

test("while the store does not answer, nothing is known of anybody", () => {
  const watch = new PulseWatch();
  assert.is(watch.stateOf("a", 0), "unknown");
  watch.see(new Map([["a", "7"]]), 1000);
  assert.is(watch.stateOf("a", 6000), "online");
  assert.is(watch.stateOf("a", 6001), "unknown");
  assert.is(watch.silentMs("a", 6001), null);
});

test.run();
