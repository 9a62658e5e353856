/**
 * Properties of the repository itself. Each test applies one rule to every file and lists what
 * breaks it; the rules and their tables are in test/tidy, their own tests in test/unit/tidy.
 */
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import {
  CITING_PAGE,
  checkCitedTests,
  checkFailureModes,
  FAILURE_PAGE,
} from "./tidy/cited-tests-rule.ts";
import { checkErrorCodes, ERROR_TABLE } from "./tidy/error-code-rules.ts";
import { checkCycles, checkImportDirections, checkImportExtensions } from "./tidy/import-rules.ts";
import { checkPurity } from "./tidy/purity-rules.ts";
import { isRecorded, listPaths, readSources, type Violation } from "./tidy/repository.ts";
import {
  checkColumns,
  checkFileLengths,
  checkFileNames,
  checkFileSizes,
  checkFunctionLengths,
  checkSyntax,
} from "./tidy/shape-rules.ts";
import { checkSleeps, checkSuites, checkTestNames } from "./tidy/test-rules.ts";
import { checkLeftovers, checkOutsidePaths, checkWords } from "./tidy/word-rules.ts";

const ROOT = join(import.meta.dirname, "..");
const TEXT = /\.(ts|tsx|mjs|js|json|md|css|html|toml|yml|yaml|sh|c|txt)$|^bin\/|^\.ci\//;

const paths = listPaths(ROOT);
const sources = readSources(ROOT, paths);
const program = sources.filter(({ path }) => /^(src|web)\//.test(path));

function read(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

function readTexts(): Map<string, string> {
  const texts = paths.filter((path) => TEXT.test(path) && !isRecorded(path));
  return new Map(texts.map((path) => [path, read(path)]));
}

function readSizes(): Map<string, number> {
  return new Map(paths.map((path) => [path, statSync(join(ROOT, path)).size]));
}

const test = suite("tidy");

function rule(name: string, check: () => readonly Violation[]): void {
  test(name, () => {
    const violations = check();
    if (violations.length > 0) {
      const error = new Error(`${violations.length} violations\n${violations.join("\n")}`);
      error.stack = "";
      throw error;
    }
  });
}

rule("imports keep to the directions of the table", () => checkImportDirections(program));
rule("imports form no cycles", () => checkCycles(sources));
rule("relative imports name their extension", () => checkImportExtensions(sources));
rule("pure code is pure", () => checkPurity(program));
rule("no file is too long", () => checkFileLengths(sources));
rule("no function is too long", () => checkFunctionLengths(sources));
rule("no line is too wide", () => checkColumns(sources));
rule("no file is too large", () => checkFileSizes(readSizes()));
rule("only the syntax that the project uses", () => checkSyntax(sources));
rule("files are named by the noun they define", () => checkFileNames(paths));
rule("identifiers use md's words", () => checkWords(sources));
rule("no notes to oneself, no debugging output", () => checkLeftovers(sources));
rule("nothing outside the repository is named", () => checkOutsidePaths(readTexts()));
rule("every suite is run, none is run alone", () => checkSuites(sources));
rule("tests do not sleep", () => checkSleeps(sources));
rule("the runner finds every test", () => checkTestNames(paths));
rule("every error code is documented", () => checkErrorCodes(sources, read(ERROR_TABLE)));
rule("every test that a document cites exists", () => checkCitedTests(sources, read(CITING_PAGE)));
rule("every failure has a test", () => checkFailureModes(sources, read(FAILURE_PAGE)));

test.run();
