/** Must be rejected, and say why: errors with a code, and what is no error at all. */
import { suite } from "uvu";
import { CodedError } from "../../src/common/errors.ts";

const test = suite("canary/coded-error");

test("throws an error with code, remedy and details", () => {
  const options = { remedy: "do this", details: { path: "/x" } };
  throw new CodedError("CONTROL_SAMPLE", "it is refused", options);
});

test("throws a text", () => {
  const text: unknown = "a text";
  throw text;
});

test.run();
