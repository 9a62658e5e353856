/** Rules over the shape of files: lengths, columns, and syntax that the project does not use. */
import { findFunctions } from "./function-spans.ts";
import type { SourceFile, Violation } from "./repository.ts";
import { lineAt } from "./source-text.ts";

const FILE_LINES_MAX = 500;
const FUNCTION_LINES_MAX = 60;
const COLUMNS_MAX = 100;
const FILE_BYTES_MAX = 1024 * 1024;
const KEBAB = /^\.?[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9-]+)*$/;

export function checkFileLengths(files: readonly SourceFile[]): Violation[] {
  return files
    .map((file) => ({ path: file.path, lines: file.text.trimEnd().split("\n").length }))
    .filter(({ lines }) => lines > FILE_LINES_MAX)
    .map(({ path, lines }) => `${path}:1: ${lines} lines, at most ${FILE_LINES_MAX}; split it`);
}

export function checkFunctionLengths(files: readonly SourceFile[]): Violation[] {
  return files
    .filter((file) => file.path.startsWith("src/"))
    .flatMap((file) =>
      findFunctions(file.code)
        .map((span) => ({ ...span, lines: span.lastLine - span.firstLine + 1 }))
        .filter(({ lines }) => lines > FUNCTION_LINES_MAX)
        .map(({ firstLine, lines }) => {
          return `${file.path}:${firstLine}: function of ${lines} lines, at most ${FUNCTION_LINES_MAX}`;
        }),
    );
}

/**
 * Lines too wide to read side by side. A string may stick out (messages are searched for whole),
 * and so may a URL and a regular expression.
 */
export function checkColumns(files: readonly SourceFile[]): Violation[] {
  return files.flatMap((file) => {
    const codeLines = file.code.split("\n");
    const stringLines = file.strings.split("\n");
    return file.text.split("\n").flatMap((text, index) => {
      const columns = [...text].length;
      if (columns <= COLUMNS_MAX || /https?:\/\//.test(text)) return [];
      const isComment = text.trimEnd() !== (stringLines[index] ?? "").trimEnd();
      const indentation = text.length - text.trimStart().length;
      const code = (codeLines[index] ?? "").trim().replace(/\s+/g, " ");
      const codeColumns = indentation + code.length;
      const isBlanked = (codeLines[index] ?? "").trimEnd() !== text.trimEnd();
      if (!isComment && isBlanked && codeColumns <= COLUMNS_MAX) return [];
      return [`${file.path}:${index + 1}: ${columns} columns, at most ${COLUMNS_MAX}`];
    });
  });
}

interface SyntaxBan {
  readonly pattern: RegExp;
  readonly why: string;
  readonly except?: RegExp;
}

const SYNTAX_BANS: readonly SyntaxBan[] = [
  {
    pattern: /^export default\b/gm,
    why: "no default exports",
    except: /^web\/vite\.config\.ts$/,
  },
  { pattern: /^export\s+(type\s+)?(\*|\{[^}]*\}\s*from\b)/gm, why: "no re-exports (barrels)" },
  { pattern: /^\s*(export\s+)?(declare\s+)?(const\s+)?enum\s+\w/gm, why: "no enums" },
  { pattern: /^\s*(export\s+)?(declare\s+)?namespace\s+\w/gm, why: "no namespaces" },
  {
    pattern: /\bconstructor\s*\((?:[^()]*,)?\s*(public|private|protected|readonly)\s/g,
    why: "no parameter properties",
  },
];

export function checkSyntax(files: readonly SourceFile[]): Violation[] {
  return files.flatMap((file) =>
    SYNTAX_BANS.filter((ban) => !ban.except?.test(file.path)).flatMap((ban) =>
      [...file.code.matchAll(ban.pattern)].map((match) => {
        return `${file.path}:${lineAt(file.text, match.index)}: ${ban.why}`;
      }),
    ),
  );
}

/** File names: kebab-case, no barrels, no names that say nothing. */
export function checkFileNames(paths: readonly string[]): Violation[] {
  const sources = paths.filter((path) => /^(src|test|web|scripts|bench|image)\//.test(path));
  return sources.filter(isOwnName).flatMap((path) => {
    const name = path.split("/").at(-1) ?? "";
    const violations: Violation[] = [];
    // Scenarios keep the names that mdadm's own tests have.
    const isScenario = /^test\/integration\/(scenarios|clustermd)\//.test(path);
    if (!isScenario && !KEBAB.test(name)) violations.push(`${path}:1: file names are kebab-case`);
    if (/^index\.(ts|tsx|mjs)$/.test(name)) violations.push(`${path}:1: no barrels (index files)`);
    if (path.startsWith("src/") && /\b(utils?|helpers?|misc|managers?)\b/.test(path)) {
      violations.push(`${path}:1: name it by the noun it defines`);
    }
    return violations;
  });
}

/** True for names that we choose: sources, not documents and recorded data. */
function isOwnName(path: string): boolean {
  return /\.(ts|tsx|mjs|css|json)$/.test(path) && !/^test\/(fixtures|golden)\//.test(path);
}

/** Files too large for a repository that people clone; recorded data may be larger. */
export function checkFileSizes(sizes: ReadonlyMap<string, number>): Violation[] {
  return [...sizes]
    .filter(([path, bytes]) => bytes > FILE_BYTES_MAX && !/^test\/(fixtures|golden)\//.test(path))
    .map(([path, bytes]) => `${path}:1: ${bytes} bytes, at most ${FILE_BYTES_MAX}`);
}
