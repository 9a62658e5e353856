/** Must be rejected: the test passes, but a timer of it keeps the process alive. */
import { suite } from "uvu";

const test = suite("canary/leaked-handle");

test("leaves a timer behind", () => {
  setInterval(() => undefined, 1000);
});

test.run();
