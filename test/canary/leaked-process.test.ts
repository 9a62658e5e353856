/** Must be rejected: the test passes, but leaves a process behind. */
import { spawn } from "node:child_process";
import { suite } from "uvu";

const test = suite("canary/leaked-process");

test("leaves a process behind", () => {
  spawn("sleep", ["60"], { stdio: "ignore" }).unref();
});

test.run();
