/**
 * docs/md-cluster.md says of each sentence of the MD Cluster document which test proves it: every
 * test that the table names exists, and every chapter has a row.
 */
import type { SourceFile, Violation } from "./repository.ts";

export const CITING_PAGE = "docs/md-cluster.md";

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
  const titles = new Map<string, Set<string>>();
  for (const [index, line] of page.slice(begin).split("\n").entries()) {
    const where = `${CITING_PAGE}:${first + index}`;
    const [, chapter = "", , name = "", title = ""] = ROW.exec(line) ?? [];
    if (chapter === "") {
      if (ROW_BEGIN.test(line))
        violations.push(`${where}: give | chapter | words | \`file\` title |`);
      continue;
    }
    seen.add(chapter);
    const path = `test/${name}.test.ts`;
    const file = files.find((one) => one.path === path);
    if (file === undefined) {
      violations.push(`${where}: there is no ${path}`);
      continue;
    }
    const own = titles.get(path) ?? titlesOf(file.text);
    titles.set(path, own);
    if (!own.has(title)) violations.push(`${where}: ${path} has no test "${title}"`);
  }
  for (const chapter of chapters)
    if (!seen.has(chapter)) violations.push(`${CITING_PAGE}:${first}: no row for ${chapter}`);
  return violations;
}
