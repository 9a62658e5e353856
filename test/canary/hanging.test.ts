/** Must be rejected: a promise that never settles while a timer keeps the process alive. */
import { suite } from "uvu";

const test = suite("canary/hanging");

test("waits for ever", async () => {
  setInterval(() => undefined, 1000);
  await new Promise(() => undefined);
});

test.run();
