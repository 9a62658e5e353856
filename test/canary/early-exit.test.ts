/** Must be rejected: the code under test ends the process, with exit code 0. */
import { suite } from "uvu";

const test = suite("canary/early-exit");

test("ends the process", () => {
  process.exit(0);
});

test.run();
