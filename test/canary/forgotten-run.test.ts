/** Must be rejected: the suite is never run, which uvu itself passes with exit code 0. */
import { suite } from "uvu";
import * as assert from "uvu/assert";

const test = suite("canary/forgotten-run");

test("would fail if it ran", () => {
  assert.unreachable();
});
