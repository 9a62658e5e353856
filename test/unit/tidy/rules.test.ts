/** Each rule of test/tidy fires on a bad sample and lets a good one pass. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { checkCitedTests, checkFailureModes, titlesOf } from "../../tidy/cited-tests-rule.ts";
import { checkErrorCodes } from "../../tidy/error-code-rules.ts";
import {
  checkCycles,
  checkImportDirections,
  checkImportExtensions,
} from "../../tidy/import-rules.ts";
import { checkPurity } from "../../tidy/purity-rules.ts";
import { type SourceFile, toSource, type Violation } from "../../tidy/repository.ts";
import {
  checkColumns,
  checkFileLengths,
  checkFileNames,
  checkFileSizes,
  checkFunctionLengths,
  checkSyntax,
} from "../../tidy/shape-rules.ts";
import { checkSleeps, checkSuites, checkTestNames } from "../../tidy/test-rules.ts";
import {
  checkLeftovers,
  checkOutsidePaths,
  checkWords,
  splitIdentifier,
} from "../../tidy/word-rules.ts";

type Rule = (files: readonly SourceFile[]) => readonly Violation[];

/** A path and the text of a file there. */
type Sample = readonly [path: string, text: string];

interface RuleSamples {
  readonly rule: Rule;
  readonly bad: readonly Sample[];
  readonly good: readonly Sample[];
}

const LONG_BODY = "  f();\n".repeat(60);

const RULES: Readonly<Record<string, RuleSamples>> = {
  checkImportDirections: {
    rule: checkImportDirections,
    bad: [
      ["src/common/a.ts", 'import { b } from "../raid/b.ts";'],
      ["src/common/a.ts", 'import "node:assert";'],
      ["src/raid/a.ts", 'import type { B } from "../nbd/b.ts";'],
      ["src/raid/a.ts", 'import { readFileSync } from "node:fs";'],
      ["src/raid/array-driver.ts", 'import { readFileSync } from "node:fs";'],
      ["src/raid/a.ts", 'import { B } from "../hal/linux/b.ts";'],
      ["src/nbd/a.ts", 'const b = await import("../raid/b.ts");'],
      ["src/cluster/dlm/a.ts", 'import { b } from "../../raid/bitmap.ts";'],
      ["src/cluster/dlm/a.ts", 'import { B } from "../b.ts";'],
      ["src/store/a.ts", 'import { f } from "fastify";'],
      ["src/control/a.ts", 'import Database from "better-sqlite3";'],
      ["src/control/a.ts", 'import { b } from "../raid/superblock.ts";'],
      ["src/api/a.ts", 'import { b } from "../store/b.ts";'],
      ["src/cli/a.ts", 'import { b } from "../store/b.ts";'],
      ["src/cli/a.ts", 'export { b } from "../../test/b.ts";'],
      ["src/new-area/a.ts", "f();"],
      ["web/a.tsx", 'import { b } from "../src/control/b.ts";'],
    ],
    good: [
      ["src/raid/a.ts", 'import { b } from "./b.ts";\nimport { c } from "../hal/c.ts";'],
      ["src/raid/array-driver.ts", 'import { Worker } from "node:worker_threads";'],
      ["src/cluster/a.ts", 'import { B } from "./dlm/b.ts";'],
      ["src/cluster/dlm/a.ts", 'import { B } from "../../common/b.ts";'],
      ["src/raid/a.ts", '// import "node:fs";\nconst text = "import x from \'node:fs\'";'],
      ["src/nbd/server-driver.ts", 'import { Socket } from "node:net";'],
      ["src/store/a.ts", 'import Database from "better-sqlite3";\nimport "../common/b.ts";'],
      ["src/control/a.ts", 'import type { ArrayStatus } from "../raid/array-status.ts";'],
      ["src/workers/a.ts", 'import type { StorageEngine } from "../control/engine.ts";'],
      ["src/daemon.ts", 'import { b } from "./api/b.ts";\nimport pino from "pino";'],
      ["web/a.tsx", 'import type { B } from "../src/api/schemas/b.ts";\nimport "preact";'],
    ],
  },
  checkImportExtensions: {
    rule: checkImportExtensions,
    bad: [["src/raid/a.ts", 'import { b } from "./b";\nimport { c } from "./c.js";']],
    good: [["src/raid/a.ts", 'import { b } from "./b.ts";\nimport { c } from "fastify";']],
  },
  checkPurity: {
    rule: checkPurity,
    bad: [
      ["src/raid/a.ts", "async function f() {}"],
      ["src/raid/a.ts", "const f = async () => undefined;"],
      ["src/raid/a.ts", "const now = Date.now();"],
      ["src/raid/a.ts", "const now = new Date();"],
      ["src/common/a.ts", "const now = performance.now();"],
      ["src/nbd/a.ts", "setTimeout(f, 1);"],
      ["src/nbd/a.ts", "const p: Promise<void> = g;"],
      ["src/nbd/a.ts", "const n = Math.random();"],
      ["src/cluster/a.ts", "const e = process.env;"],
      ["src/cluster/a.ts", "let count = 0;"],
      ["src/raid/a.ts", "console.error(1);"],
      ["src/raid/a.ts", "Buffer.alloc(1);"],
    ],
    good: [
      ["src/raid/a.ts", "// Date.now() and await are for drivers\nconst text = 'await Promise';"],
      ["src/raid/a.ts", "const text = new Date(ms).toISOString();"],
      ["src/raid/a.ts", "function f() {\n  let count = 0;\n}"],
      ["src/raid/superblock.ts", "Buffer.alloc(1);"],
      ["src/raid/array-driver.ts", "await Promise.all([]);"],
      ["src/raid/sync.worker.ts", "await f();"],
      ["src/hal/linux/a.ts", "await f();"],
    ],
  },
  checkFileLengths: {
    rule: checkFileLengths,
    bad: [["src/raid/a.ts", "f();\n".repeat(501)]],
    good: [["src/raid/a.ts", "f();\n".repeat(500)]],
  },
  checkFunctionLengths: {
    rule: checkFunctionLengths,
    bad: [
      ["src/raid/a.ts", `function f() {\n${LONG_BODY}}`],
      ["src/raid/a.ts", `const f = (a: { b: number }): { c: D } => {\n${LONG_BODY}};`],
      ["src/raid/a.ts", `const f = a => {\n${LONG_BODY}};`],
      ["src/raid/a.ts", `class A {\n  get(b: B): Map<string, { c: D }> {\n${LONG_BODY}  }\n}`],
      ["src/raid/a.ts", `class A {\n  is(b: B): b is C | undefined {\n${LONG_BODY}  }\n}`],
      ["src/raid/a.ts", `class A {\n  constructor() {\n${LONG_BODY}  }\n}`],
      ["src/raid/a.ts", `function f(\n  a = "{",\n): readonly A[] {\n${LONG_BODY}}`],
    ],
    good: [
      ["src/raid/a.ts", `function f() {\n${"  f();\n".repeat(58)}}`],
      ["src/raid/a.ts", `if (a) {\n${LONG_BODY}}`],
      ["src/raid/a.ts", `for (const a of b()) {\n${LONG_BODY}}`],
      ["src/raid/a.ts", `const table = {\n${"  a: 1,\n".repeat(60)}};`],
      ["src/raid/a.ts", `interface A {\n${"  a(): void;\n".repeat(60)}}`],
      ["src/raid/a.ts", `class A {\n${"  f() {\n    g();\n  }\n".repeat(30)}}`],
      ["test/a.test.ts", `function f() {\n${LONG_BODY}}`],
    ],
  },
  checkColumns: {
    rule: checkColumns,
    bad: [
      ["src/raid/a.ts", `f(${"a, ".repeat(40)});`],
      ["src/raid/a.ts", `// ${"word ".repeat(25)}`],
      ["src/raid/a.ts", `f("text"); // ${"word ".repeat(25)}`],
    ],
    good: [
      ["src/raid/a.ts", `f(${"a, ".repeat(30)});`],
      ["src/raid/a.ts", `f("${"word ".repeat(25)}");`],
      ["src/raid/a.ts", `// https://example.org/${"x".repeat(100)}`],
    ],
  },
  checkSyntax: {
    rule: checkSyntax,
    bad: [
      ["src/raid/a.ts", "export default f;"],
      ["src/raid/a.ts", 'export * from "./b.ts";'],
      ["src/raid/a.ts", 'export { b } from "./b.ts";'],
      ["src/raid/a.ts", 'export type { B } from "./b.ts";'],
      ["src/raid/a.ts", "export const enum A { B }"],
      ["src/raid/a.ts", "namespace A {}"],
      ["src/raid/a.ts", "class A {\n  constructor(private a: B) {}\n}"],
      ["src/raid/a.ts", "class A {\n  constructor(\n    a: B,\n    readonly c: D,\n  ) {}\n}"],
    ],
    good: [
      ["src/raid/a.ts", "export const a = 1;\nexport { a as b };"],
      ["src/raid/a.ts", "class A {\n  constructor(a: { readonly b: C }) {}\n}"],
      ["web/vite.config.ts", "export default defineConfig({});"],
    ],
  },
  checkWords: {
    rule: checkWords,
    bad: [
      ["src/raid/a.ts", "const replica = 1;"],
      ["src/cluster/a.ts", "electLeader();"],
      ["src/raid/a.ts", "const PRIMARY_LEG = 1;"],
      ["src/hal/a.ts", "masterClock();"],
      ["src/raid/a.ts", "const failedDisks = 1;"],
    ],
    good: [
      ["src/raid/a.ts", "// the leader\nconst text = 'PRIMARY KEY of a disk';"],
      ["src/raid/a.ts", "const raidDisks = MD_DISK_ROLE_SPARE;"],
      ["src/raid/superblock-090.ts", "const failedDisks = 1;"],
      ["src/hal/a.ts", "const disk = mastery;"],
    ],
  },
  checkLeftovers: {
    rule: checkLeftovers,
    bad: [
      ["src/raid/a.ts", "// FIXME: later"],
      ["src/raid/a.ts", "/** TODO */"],
      ["src/cli/a.ts", "console.log(1);"],
    ],
    good: [["src/raid/a.ts", "// console.log is not used here\nlog(1);"]],
  },
  checkSuites: {
    rule: checkSuites,
    bad: [
      ["test/unit/a.test.ts", 'const test = suite("a");\ntest("b", f);'],
      ["test/unit/a.test.ts", 'suite("a");\nsuite<Context>("b");\na.run();'],
      ["test/unit/a.test.ts", 'const test = suite("a");\ntest.only("b", f);\ntest.run();'],
      ["test/unit/a.test.ts", "// test.run();"],
    ],
    good: [["test/unit/a.test.ts", 'const test = suite<A>("a");\ntest("b", f);\ntest.run();']],
  },
  checkSleeps: {
    rule: checkSleeps,
    bad: [
      ["test/unit/a.test.ts", "await new Promise((done) => setTimeout(done, 10));"],
      ["test/unit/a.test.ts", 'import { setTimeout as sleep } from "node:timers/promises";'],
    ],
    good: [
      ["test/helpers/timeout.ts", "setTimeout(f, 10);"],
      ["test/unit/a.test.ts", "clock.setTimeout(1); const text = 'setTimeout(f)';"],
      ["test/unit/a.test.ts", "const text = 'import \"node:timers/promises\"';"],
    ],
  },
};

const test = suite("tidy/rules");

for (const [name, { rule, bad, good }] of Object.entries(RULES)) {
  test(`${name} fires on bad samples`, () => {
    for (const [path, text] of bad) {
      assert.not.equal(rule([toSource(path, text)]), [], `${path}: ${text.slice(0, 200)}`);
    }
  });

  test(`${name} lets good samples pass`, () => {
    for (const [path, text] of good) assert.equal(rule([toSource(path, text)]), [], text);
  });
}

test("checkCycles names the circle, type-only imports included", () => {
  const a = toSource("src/raid/a.ts", 'import type { B } from "./b.ts";');
  const b = toSource("src/raid/b.ts", 'import { C } from "../hal/c.ts";');
  const c = toSource("src/hal/c.ts", 'import { A } from "../raid/a.ts";');
  assert.equal(checkCycles([a, b, c]), [
    "src/raid/a.ts:1: cycle src/raid/a.ts -> src/raid/b.ts -> src/hal/c.ts -> src/raid/a.ts",
  ]);
  assert.equal(checkCycles([a, b]), []);
});

test("checkFileNames wants kebab-case nouns", () => {
  assert.equal(
    checkFileNames([
      "src/raid/writePath.ts",
      "src/raid/index.ts",
      "src/raid/disk-utils.ts",
      "src/control/array-manager.ts",
      "src/helpers/a.ts",
    ]).length,
    5,
  );
  assert.equal(
    checkFileNames(["src/raid/io-driver.ts", "test/helpers/seed.ts", "src/raid/a.worker.ts"]),
    [],
  );
});

test("checkFileSizes spares recorded data only", () => {
  const large = 2 * 1024 * 1024;
  assert.equal(checkFileSizes(new Map([["docs/panel.png", large]])).length, 1);
  assert.equal(checkFileSizes(new Map([["test/golden/md/a.bin", large]])), []);
});

test("checkOutsidePaths knows the folders that a clone lacks", () => {
  const check = (text: string): number => checkOutsidePaths(new Map([["README.md", text]])).length;
  assert.is(check(`see ../${"shared"}/design`), 1);
  assert.is(check(`cd /${"work"}/main`), 1);
  assert.is(check('import { a } from "../shared-state.ts";'), 0);
});

test("checkTestNames finds files that nobody runs", () => {
  assert.is(checkTestNames(["test/unit/raid/bitmap.ts"]).length, 1);
  assert.is(checkTestNames(["test/unit/raid/bitmap.test.ts", "test/helpers/seed.ts"]).length, 0);
});

test("checkErrorCodes compares sources and table both ways", () => {
  const row = (code: string): string => `| \`${code}\` | a thing happened | do a thing |`;
  const files = [
    toSource("src/raid/a.ts", 'throw new CodedError(\n  "RAID_A", "a");\nnew CodedError("RAID_B")'),
  ];
  assert.equal(checkErrorCodes(files, `${row("RAID_A")}\n${row("RAID_B")}`), []);
  assert.match(checkErrorCodes(files, row("RAID_A")).join(), /RAID_B/);
  assert.match(
    checkErrorCodes(files, `${row("RAID_A")}\n${row("RAID_B")}\n${row("RAID_C")}`).join(),
    /RAID_C is not in the sources/,
  );
  assert.match(
    checkErrorCodes(files, `${row("RAID_A")}\n${row("RAID_A")}\n${row("RAID_B")}`).join(),
    /RAID_A has two rows/,
  );
  const handedOn = [toSource("src/raid/a.ts", 'return { ok: false, code: "RAID_D" };')];
  assert.match(checkErrorCodes(handedOn, "").join(), /RAID_D/);
  const computed = [toSource("src/raid/a.ts", "new CodedError(choose())")];
  assert.match(checkErrorCodes(computed, "").join(), /as a literal/);
  const forwarded = [toSource("src/raid/a.ts", "new CodedError(outcome.code, outcome.message)")];
  assert.equal(checkErrorCodes(forwarded, ""), []);
  const misshapen = [toSource("src/raid/a.ts", 'new CodedError("oops")')];
  assert.match(checkErrorCodes(misshapen, "").join(), /not AREA_WHAT/);
});

test("checkCitedTests finds every test that the table names, and every chapter", () => {
  const files = [
    toSource(
      "test/unit/a.test.ts",
      `test("one", f);\netcdTest(\n  \`\${p}: two \\\`x\\\` (2)\`, f);`,
    ),
  ];
  const page = (...rows: string[]): string =>
    ["# MD Cluster", "## Sentence by sentence", "| § | | |", ...rows].join("\n");
  const one = "| 2.1 | it is so | `unit/a` one |";
  const two = "| B1 | it is so | `unit/a` two `x` (2) |";
  assert.equal(checkCitedTests(files, page(one, two), ["2.1", "B1"]), []);
  assert.match(checkCitedTests(files, page(one), ["2.1", "B1"]).join(), /no row for B1/);
  const other = "| 2.1 | it is so | `unit/a` three |";
  assert.match(
    checkCitedTests(files, page(other), []).join(),
    /:4: .*a\.test\.ts has no test "three"/,
  );
  const gone = "| 2.1 | it is so | `unit/b` one |";
  assert.match(
    checkCitedTests(files, page(gone), []).join(),
    /there is no test\/unit\/b\.test\.ts/,
  );
  assert.match(checkCitedTests(files, page("| 2.1 | it is so | one |"), []).join(), /:4: give/);
  assert.match(checkCitedTests(files, "# MD Cluster", []).join(), /is gone/);
  assert.equal([...titlesOf(`test(\`a "b" \${c}\`, f)`)], ['a "b"']);
});

test("checkFailureModes wants a number in order and a test of each failure", () => {
  const files = [toSource("test/unit/a.test.ts", `test("one", f);`)];
  const row = (number: number, cited: string): string =>
    `| ${number} | a board dies | so | a hold | because | ${cited} |`;
  const one = row(1, "`unit/a` one");
  assert.equal(checkFailureModes(files, `# Failures\n${one}\n${row(2, "`unit/a` one")}`), []);
  assert.match(checkFailureModes(files, row(1, "`unit/a` two")).join(), /:1: .*no test "two"/);
  assert.match(checkFailureModes(files, row(1, "`unit/b` one")).join(), /there is no test.unit.b/);
  assert.match(checkFailureModes(files, `${one}\n${row(3, "`unit/a` one")}`).join(), /row 2/);
  assert.match(checkFailureModes(files, row(1, "one")).join(), /:1: give/);
  assert.match(checkFailureModes(files, "| 1 | a board dies | `unit/a` one |").join(), /:1: give/);
  assert.match(checkFailureModes(files, "# Failures").join(), /no row/);
});

test("splitIdentifier knows the usual forms", () => {
  assert.equal(splitIdentifier("raidDisks"), ["raid", "disks"]);
  assert.equal(splitIdentifier("MD_DISK_ROLE"), ["md", "disk", "role"]);
  assert.equal(splitIdentifier("NBDLeader2Map"), ["nbd", "leader2", "map"]);
});

test.run();
