import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CodedError, fromPlainError, toPlainError } from "../../../src/common/errors.ts";

const test = suite("common/errors");

test("carries code, message, remedy, details and cause", () => {
  const cause = new Error("EIO");
  const error = new CodedError("HAL_READ_FAILED", "cannot read /dev/sda", {
    remedy: "check the cable",
    details: { path: "/dev/sda" },
    cause,
  });
  assert.instance(error, Error);
  assert.is(error.name, "CodedError");
  assert.is(error.code, "HAL_READ_FAILED");
  assert.is(error.advice, "cannot read /dev/sda; check the cable");
  assert.equal(error.details, { path: "/dev/sda" });
  assert.is(error.cause, cause);
});

test("needs neither remedy nor details nor cause", () => {
  const error = new CodedError("HAL_READ_FAILED", "cannot read /dev/sda");
  assert.is(error.advice, "cannot read /dev/sda");
  assert.equal(error.details, {});
  assert.not("cause" in error);
});

test("survives a structured clone between threads as a plain value", () => {
  const error = new CodedError("RAID_X", "no", { remedy: "yes", details: { slot: 1 } });
  const copy = fromPlainError(structuredClone(toPlainError(error)));
  assert.instance(copy, CodedError);
  assert.instance(copy, Error);
  assert.equal(toPlainError(copy), toPlainError(error));
  assert.is(copy.advice, "no; yes");
  assert.is(copy.name, "CodedError");
  assert.match(copy.stack ?? "", /errors\.test\.ts/);
});

test.run();
