/** Rules over import specifiers: directions between areas, and no cycles. */
import { posix } from "node:path";
import { EDGE_FILE, IMPORT_TABLE, type ImportRow, PURE_FILES } from "./import-table.ts";
import type { SourceFile, Violation } from "./repository.ts";
import { lineAt } from "./source-text.ts";

export interface Import {
  readonly specifier: string;
  readonly line: number;
}

/** Static, side-effect, dynamic and re-exporting imports. */
const SPECIFIER =
  /\b(?:import|export)\s(?:[^"'`;]*?\sfrom\s*)?["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']/g;

export function importsOf(file: SourceFile): Import[] {
  const found: Import[] = [];
  for (const match of file.strings.matchAll(SPECIFIER)) {
    // A keyword that is blank in `code` stands inside a string.
    if (file.code[match.index] === " ") continue;
    const line = lineAt(file.text, match.index + match[0].length);
    found.push({ specifier: match[1] ?? match[2] ?? "", line });
  }
  return found;
}

/** The path that a relative specifier of `from` names. */
function resolveImport(from: string, specifier: string): string {
  return posix.normalize(posix.join(posix.dirname(from), specifier));
}

/** Imports that IMPORT_TABLE does not allow. */
export function checkImportDirections(files: readonly SourceFile[]): Violation[] {
  return files.flatMap((file) => {
    const row = IMPORT_TABLE.find((candidate) => candidate.files.test(file.path));
    if (row === undefined) return [`${file.path}:1: its folder has no row in IMPORT_TABLE`];
    return importsOf(file)
      .filter(({ specifier }) => !isAllowed(file.path, row, specifier))
      .map(({ specifier, line }) => {
        return `${file.path}:${line}: ${row.area} may not import ${specifier}`;
      });
  });
}

function isAllowed(path: string, row: ImportRow, specifier: string): boolean {
  if (specifier.startsWith("node:")) return isNodeAllowed(path, row, specifier.slice(5));
  if (!specifier.startsWith(".")) return row.packages.some((name) => name.test(specifier));
  const target = resolveImport(path, specifier);
  const targetRow = IMPORT_TABLE.find((candidate) => candidate.files.test(target));
  return targetRow === row || row.may.some((allowed) => allowed.test(target));
}

function isNodeAllowed(path: string, row: ImportRow, name: string): boolean {
  if (PURE_FILES.test(path) && !EDGE_FILE.test(path)) return false;
  return row.node === "all" || (row.node !== "none" && row.node.includes(name));
}

/** Circles of imports, type-only ones included; each circle is reported once. */
export function checkCycles(files: readonly SourceFile[]): Violation[] {
  const graph = new Map(
    files.map((file) => [
      file.path,
      importsOf(file)
        .filter(({ specifier }) => specifier.startsWith("."))
        .map(({ specifier }) => resolveImport(file.path, specifier)),
    ]),
  );
  const violations: Violation[] = [];
  const done = new Set<string>();
  const trail: string[] = [];
  const visit = (path: string): void => {
    const start = trail.indexOf(path);
    if (start !== -1) {
      violations.push(`${path}:1: cycle ${[...trail.slice(start), path].join(" -> ")}`);
      return;
    }
    if (done.has(path)) return;
    trail.push(path);
    for (const target of graph.get(path) ?? []) visit(target);
    trail.pop();
    done.add(path);
  };
  for (const path of graph.keys()) visit(path);
  return violations;
}

/** Relative imports without `.ts`, `.tsx` or `.json`, which Node does not resolve. */
export function checkImportExtensions(files: readonly SourceFile[]): Violation[] {
  return files
    .filter((file) => !file.path.endsWith(".mjs"))
    .flatMap((file) =>
      importsOf(file)
        .filter(({ specifier }) => /^\.\.?\//.test(specifier))
        .filter(({ specifier }) => !/\.(tsx?|json|css|mjs)$/.test(specifier))
        .map(({ specifier, line }) => `${file.path}:${line}: ${specifier} lacks its extension`),
    );
}
