/** Must be accepted, or the other canaries prove nothing. */
import { suite } from "uvu";
import * as assert from "uvu/assert";

const test = suite("canary/passing");

test("one and one make two", () => {
  assert.is(1 + 1, 2);
});

test.run();
