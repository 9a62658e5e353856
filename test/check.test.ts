/** The static checks that run no product code: types, lint and format. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { checkSteps } from "../scripts/check-steps.ts";

const ROOT = join(import.meta.dirname, "..");

const test = suite("check");

for (const { name, command } of checkSteps(ROOT)) {
  test(`${name} pass`, () => {
    const [file = "", ...args] = command;
    const result = spawnSync(file, args, { cwd: ROOT, encoding: "utf8" });
    assert.is(result.status, 0, `${result.error ?? ""}${result.stdout}${result.stderr}`);
  });
}

test.run();
