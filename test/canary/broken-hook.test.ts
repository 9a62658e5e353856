/** Must be rejected: a `before` hook throws, which uvu itself passes with no test run. */
import { suite } from "uvu";

const test = suite("canary/broken-hook");

test.before(() => {
  throw new Error("the hook is broken");
});

test("never runs", () => undefined);

test.run();
