/**
 * The runner must reject each file of test/canary, and say why. A runner that passes one of them
 * would pass a broken product.
 */
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";

const ROOT = join(import.meta.dirname, "..", "..", "..");
const LIMIT_SECONDS = 15;

/** Each canary: what the output must say, and the last line it must end with. */
const REJECTED: Readonly<Record<string, readonly [RegExp, string]>> = {
  failing: [/one and one make three/, "1 passed, 1 failed"],
  "forgotten-run": [/is `\.run\(\)` missing/, "0 passed, 1 failed"],
  unsettled: [
    /ended before its tests finished .*in test\/canary\/unsettled\.test\.ts/,
    "0 passed, 1 failed",
  ],
  "leaked-handle": [/did not exit: left open .*Timeout/, "1 passed, 1 failed"],
  "leaked-process": [/left processes behind/, "1 passed, 1 failed"],
  "broken-hook": [/`before` hook threw[\s\S]*the hook is broken/, "0 passed, 1 failed"],
  "coded-error": [
    /CONTROL_SAMPLE: it is refused; do this[\s\S]*details: \{ path: '\/x' \}[\s\S]*threw 'a text'/,
    "0 passed, 2 failed",
  ],
  "early-exit": [/ended before its tests finished \(code 0\)/, "0 passed, 1 failed"],
  "bare-skip": [/skipped without a reason/, "1 passed, 1 failed"],
};

function runRunner(args: readonly string[]): { code: number | null; output: string } {
  const command = [join(ROOT, "test", "run.ts"), ...args];
  const result = spawnSync(process.execPath, command, { cwd: ROOT, encoding: "utf8" });
  return { code: result.status, output: result.stdout + result.stderr };
}

function runCanary(name: string, limitSeconds: number): { code: number | null; output: string } {
  return runRunner(["--canary", "--limit", String(limitSeconds), `canary/${name}.test.ts`]);
}

function lastLine(output: string): string {
  return output.trimEnd().split("\n").at(-1) ?? "";
}

const test = suite("runner/canary");

test("accepts the canary that passes", () => {
  const { code, output } = runCanary("passing", LIMIT_SECONDS);
  assert.is(code, 0, output);
  assert.is(lastLine(output), "1 passed, 0 failed");
});

for (const [name, [reason, closing]] of Object.entries(REJECTED)) {
  test(`rejects the canary ${name}`, () => {
    const { code, output } = runCanary(name, LIMIT_SECONDS);
    assert.is(code, 1, output);
    assert.match(output, reason);
    assert.is(lastLine(output), closing);
  });
}

test("kills a hanging test at the limit and names its file", () => {
  const { code, output } = runCanary("hanging", 2);
  assert.is(code, 1, output);
  assert.match(output, /killed after its limit of 2 s \(in test\/canary\/hanging\.test\.ts\)/);
  assert.is(lastLine(output), "0 passed, 1 failed");
});

test("sums up over several files", () => {
  const { code, output } = runRunner(["--canary", "canary/failing", "canary/passing"]);
  assert.is(code, 1, output);
  assert.is(lastLine(output), "2 passed, 1 failed");
});

test("fails when no file matches", () => {
  const { code, output } = runRunner(["no-such-file"]);
  assert.is(code, 1, output);
  assert.is(lastLine(output), "0 passed, 1 failed");
});

test("knows every canary there is", () => {
  const names = readdirSync(join(ROOT, "test", "canary")).map((file) => file.split(".")[0] ?? "");
  assert.equal(names.sort(), [...Object.keys(REJECTED), "hanging", "passing"].sort());
});

test.run();
