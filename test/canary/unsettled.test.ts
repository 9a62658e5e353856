/** Must be rejected: a promise that never settles, and nothing keeps the process alive. */
import { suite } from "uvu";

const test = suite("canary/unsettled");

test("waits for ever", async () => {
  await new Promise(() => undefined);
});

test.run();
