/** A join token comes from an argument, a file, or the input. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { tokenFrom } from "../../../src/cli/token-input.ts";
import type { CodedError } from "../../../src/common/errors.ts";

const test = suite("cli/token-input");

const from = (argument?: string, file?: string): string =>
  tokenFrom(argument, file, (source) => `token of ${source}\n`);

test("- and a file are read, anything else is the token", () => {
  assert.is(from("satsuma-join-x"), "satsuma-join-x");
  assert.is(from("-"), "token of 0");
  assert.is(from(undefined, "-"), "token of 0");
  assert.is(from(undefined, "/run/token"), "token of /run/token");
});

test("none, two, and one that cannot be read are refused", () => {
  const gone = (): string => {
    throw new Error("ENOENT");
  };
  for (const ask of [
    () => from(),
    () => from("-", "/run/token"),
    () => tokenFrom(undefined, "/run/token", gone),
  ]) {
    try {
      ask();
      assert.unreachable("it was taken");
    } catch (error) {
      assert.is((error as CodedError).code, "CLI_BAD_USAGE");
    }
  }
});

test.run();
