import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { findTestFiles, planGroups, selectFiles } from "../../runner/plan.ts";

interface Context {
  root: string;
}

const FILES: Readonly<Record<string, string>> = {
  "test/tidy.test.ts": "",
  "test/canary/failing.test.ts": "",
  "test/helpers/timeout.ts": "",
  "test/unit/raid/bitmap.test.ts": "",
  "test/unit/raid/deep/array.test.ts": "",
  "test/unit/nbd/codec.test.ts": "",
  "test/integration/crash.test.ts": "/** Slow. */\n// wall-limit: 900 s\n",
  "test/integration/scenarios/grow.test.ts": "",
  "test/integration/life/join.test.ts": "",
  "test/integration/serve.test.ts": "",
  "test/integration/clustermd/00r1_Create.test.ts": "",
  "test/integration/clustermd/01r1_Grow_add.test.ts": "// wall-limit: 700 s\n",
};

const test = suite<Context>("runner/plan", { root: "" });

test.before((context) => {
  context.root = mkdtempSync(join(tmpdir(), "plan-"));
  for (const [path, text] of Object.entries(FILES)) {
    mkdirSync(dirname(join(context.root, path)), { recursive: true });
    writeFileSync(join(context.root, path), text);
  }
});

test.after((context) => {
  rmSync(context.root, { recursive: true });
});

test("finds test files, not helpers and not canaries", ({ root }) => {
  assert.equal(findTestFiles(root, "test"), [
    "test/integration/clustermd/00r1_Create.test.ts",
    "test/integration/clustermd/01r1_Grow_add.test.ts",
    "test/integration/crash.test.ts",
    "test/integration/life/join.test.ts",
    "test/integration/scenarios/grow.test.ts",
    "test/integration/serve.test.ts",
    "test/tidy.test.ts",
    "test/unit/nbd/codec.test.ts",
    "test/unit/raid/bitmap.test.ts",
    "test/unit/raid/deep/array.test.ts",
  ]);
});

test("finds canaries when asked for them", ({ root }) => {
  assert.equal(findTestFiles(root, "test/canary"), ["test/canary/failing.test.ts"]);
});

test("selects files by a part of their path", ({ root }) => {
  const files = findTestFiles(root, "test");
  assert.equal(selectFiles(files, ["unit/nbd", "tidy"]), [
    "test/tidy.test.ts",
    "test/unit/nbd/codec.test.ts",
  ]);
});

test("groups unit tests and scenarios that share daemons by folder, gives others a process", ({
  root,
}) => {
  const groups = planGroups(root, findTestFiles(root, "test"));
  assert.equal(
    groups.map(({ name, lane, limitSeconds, files }) => [name, lane, limitSeconds, files.length]),
    [
      ["integration/clustermd", "integration", 700, 2],
      ["integration/crash", "integration", 900, 1],
      ["integration/scenarios/grow", "parallel", 600, 1],
      ["integration/serve", "integration", 600, 1],
      ["tidy", "parallel", 180, 1],
      ["unit/nbd", "parallel", 180, 1],
      ["unit/raid", "parallel", 180, 2],
      ["integration/life/join", "parallel", 600, 1],
    ],
  );
});

test.run();
