/** Must be rejected: a test that fails beside one that passes. */
import { suite } from "uvu";
import * as assert from "uvu/assert";

const test = suite("canary/failing");

test("one and one make two", () => {
  assert.is(1 + 1, 2);
});

test("one and one make three", () => {
  assert.is(1 + 1, 3);
});

test.run();
