import { suite } from "uvu";
import * as check from "uvu/assert";
import { AssertionError, assert, assertNever } from "../../../src/common/assert.ts";

const test = suite("common/assert");

test("a true condition passes and a false one throws with its message", () => {
  assert(true, "never seen");
  check.throws(
    () => assert(false, "3 members exceed 2 raid slots"),
    (error: unknown) =>
      error instanceof AssertionError &&
      error.name === "AssertionError" &&
      error.message === "3 members exceed 2 raid slots",
  );
});

test("every falsy value is false", () => {
  for (const value of [0, "", null, undefined, Number.NaN, 0n]) {
    check.throws(() => assert(value, "falsy"), /falsy/);
  }
});

test("assertNever names the variant it got", () => {
  const variant = { type: "member-exploded", secret: "x" } as unknown as never;
  check.throws(() => assertNever(variant, "event"), /^unhandled event: type member-exploded$/);
  check.throws(() => assertNever("odd" as never), /^unhandled variant: odd$/);
  check.throws(() => assertNever(null as never), /^unhandled variant: null$/);
});

test.run();
