import { suite } from "uvu";
import * as assert from "uvu/assert";
import { missingText, requireTools } from "../../../bench/tools.ts";
import { CodedError } from "../../../src/common/errors.ts";

const test = suite("bench/tools");

test("a missing program is named with the Debian package that has it", () => {
  assert.is(
    missingText("qemu-storage-daemon"),
    "qemu-storage-daemon is not installed (Debian package qemu-system-common)",
  );
  assert.not.throws(() => requireTools(["fio", "nbdcopy"], () => true));
  try {
    requireTools(["fio", "nbdcopy"], (tool) => tool === "fio");
    assert.unreachable();
  } catch (error) {
    assert.ok(error instanceof CodedError);
    assert.is(error.code, "BENCH_TOOL_MISSING");
    assert.match(error.advice, "nbdcopy is not installed");
    assert.match(error.advice, "apt-get install libnbd-bin");
    assert.not.match(error.advice, "fio");
  }
});

test.run();
