/**
 * docs/md-cluster.md says of each sentence of the MD Cluster document which test proves it: every
 * test that the table names exists, and every chapter has a row. docs/failure-modes.md names a test
 * for each failure.
 */
import type { SourceFile, Violation } from "./repository.ts";

export const CITING_PAGE = "docs/md-cluster.md";
export const FAILURE_PAGE = "docs/failure-modes.md";

/** The chapters of the document that say what has to happen, and Linux's bugs. */
export const CHAPTERS: readonly string[] = [
  ...["2.1", "2.2", "2.3", "3", "3.1", "3.2", "4.1", "4.2", "5", "6"],
  ...["3.1.1", "3.1.2", "3.1.3", "3.1.4", "3.1.5", "3.1.6", "3.2.1", "3.2.2", "3.2.3"],
  ...["6.1", "6.2", "6.3", "6.4", "6.5", "6.6", "6.7", "6.8", "6.9", "6.10"],
  ...["B1", "B2", "B3", "B4", "B5", "B6"],
];

/** `| 2.1 | what has to be | `unit/raid/cluster-bitmap` the test's title |` */
const ROW = /^\| (B\d|\d+(?:\.\d+)*) \| ([^|]+) \| `([\w/-]+)` (.+) \|$/;
const ROW_BEGIN = /^\| (?:B\d|\d+(?:\.\d+)*) \|/;
const SECTION = /^## Sentence by sentence$/m;
const TITLE = /\b\w*[tT]est\(\s*(["'`])((?:\\[\s\S]|(?!\1)[\s\S])*)\1/g;

/** Titles of the tests of a file, without what is filled in when it runs. */
export function titlesOf(text: string): Set<string> {
  const titles = [...text.matchAll(TITLE)].map(([, , title = ""]) =>
    title
      .replace(/\\([\s\S])/g, "$1")
      .replace(/\s*\$\{[^}]*\}/g, "")
      .replace(/^: |:$/g, "")
      .trim(),
  );
  return new Set(titles);
}

/** The tests that there are, looked up by file and title. */
class CitedTests {
  readonly #files: readonly SourceFile[];
  readonly #titles = new Map<string, Set<string>>();

  constructor(files: readonly SourceFile[]) {
    this.#files = files;
  }

  /** `name`: path in test/, without its end. Null: there is such a test. */
  problem(name: string, title: string): string | null {
    const path = `test/${name}.test.ts`;
    const file = this.#files.find((one) => one.path === path);
    if (file === undefined) return `there is no ${path}`;
    const titles = this.#titles.get(path) ?? titlesOf(file.text);
    this.#titles.set(path, titles);
    return titles.has(title) ? null : `${path} has no test "${title}"`;
  }
}

/** `page`: the text of docs/md-cluster.md. */
export function checkCitedTests(
  files: readonly SourceFile[],
  page: string,
  chapters: readonly string[] = CHAPTERS,
): Violation[] {
  const violations: Violation[] = [];
  const begin = SECTION.exec(page)?.index;
  if (begin === undefined) return [`${CITING_PAGE}:1: the section "Sentence by sentence" is gone`];
  const first = page.slice(0, begin).split("\n").length;
  const seen = new Set<string>();
  const tests = new CitedTests(files);
  for (const [index, line] of page.slice(begin).split("\n").entries()) {
    const where = `${CITING_PAGE}:${first + index}`;
    const [, chapter = "", , name = "", title = ""] = ROW.exec(line) ?? [];
    if (chapter === "") {
      if (ROW_BEGIN.test(line))
        violations.push(`${where}: give | chapter | words | \`file\` title |`);
      continue;
    }
    seen.add(chapter);
    const problem = tests.problem(name, title);
    if (problem !== null) violations.push(`${where}: ${problem}`);
  }
  for (const chapter of chapters)
    if (!seen.has(chapter)) violations.push(`${CITING_PAGE}:${first}: no row for ${chapter}`);
  return violations;
}

/** `| 1 | event | then | clients see | because | `unit/cluster/node` the test's title |` */
const FAILURE_ROW = /^\| (\d+) \|(?: [^|]+ \|){4} `([\w/-]+)` ([^|]+) \|$/;
const FAILURE_BEGIN = /^\| \d+ \|/;

/** Each failure has its number, in order, and a test. `page`: the text of docs/failure-modes.md. */
export function checkFailureModes(files: readonly SourceFile[], page: string): Violation[] {
  const tests = new CitedTests(files);
  const violations: Violation[] = [];
  let last = 0;
  for (const [index, line] of page.split("\n").entries()) {
    if (!FAILURE_BEGIN.test(line)) continue;
    const where = `${FAILURE_PAGE}:${index + 1}`;
    const [, number, name = "", title = ""] = FAILURE_ROW.exec(line) ?? [];
    last += 1;
    if (number === undefined) {
      violations.push(`${where}: give | ${last} | event | then | clients | why | \`file\` title |`);
      continue;
    }
    if (Number(number) !== last) violations.push(`${where}: this is row ${last}`);
    const problem = tests.problem(name, title);
    if (problem !== null) violations.push(`${where}: ${problem}`);
  }
  if (last === 0) violations.push(`${FAILURE_PAGE}:1: there is no row`);
  return violations;
}
