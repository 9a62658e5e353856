/** Whatever a command throws is told with a code; a defect says that it is one. */
import { mkdtempSync, rmdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { asCodedError } from "../../../src/cli/output.ts";
import { CodedError } from "../../../src/common/errors.ts";
import { runCommand } from "../../helpers/command.ts";
import { SATSUMA_MAIN } from "../../helpers/satsuma-command.ts";
import { withTimeout } from "../../helpers/timeout.ts";

const thrownBy = (work: () => void): CodedError => {
  try {
    work();
  } catch (error) {
    return asCodedError(error);
  }
  throw new Error("nothing was thrown");
};

const test = suite("cli/output");

test("a full disk and a defect have codes, a coded error stays what it is", () => {
  assert.is(thrownBy(() => writeFileSync("/dev/full", "x")).code, "CLI_NO_SPACE");
  const defect = thrownBy(() => {
    throw new RangeError("stack");
  });
  assert.equal([defect.code, defect.message], ["CLI_INTERNAL", "stack"]);
  assert.match(defect.remedy, "report");
  const own = new CodedError("CLI_BAD_USAGE", "no");
  assert.is(asCodedError(own), own);
  assert.is(asCodedError(undefined).code, "CLI_INTERNAL");
});

test(
  "a command in a folder that was removed says so",
  withTimeout(60_000, async () => {
    const folder = mkdtempSync(join(tmpdir(), "gone-"));
    const script = `cd ${folder} && rmdir ${folder} && "$0" "$1" serve --data x 2>&1; true`;
    const { stdout } = await runCommand("sh", ["-c", script, process.execPath, SATSUMA_MAIN]);
    assert.is(
      stdout,
      "satsuma: CLI_FOLDER_GONE: the current folder has been removed; change to a folder that exists\n",
    );
    assert.throws(() => rmdirSync(folder), /ENOENT/);
  }),
);

test.run();
