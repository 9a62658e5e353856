/** Every error code of the sources has a row in docs/errors.md, and every row has a code. */
import type { SourceFile, Violation } from "./repository.ts";
import { lineAt } from "./source-text.ts";

export const ERROR_TABLE = "docs/errors.md";

/** First words of codes: the part of the program that refuses. */
const AREAS = "RAID|NBD|CLUSTER|DLM|LIFE|HAL|STORE|CONTROL|ENGINE|API|CLI|CONFIG|DAEMON|DEMO";
/**
 * A code handed on as a value (`{ ok: false, code: "RAID_…" }`); NBD_… are the protocol's names.
 */
const HANDED_ON = new RegExp(`"((?!NBD_)(?:${AREAS})(?:_[A-Z0-9]+)+)"`, "g");
const CREATION = /\bnew CodedError\(\s*/g;
const LITERAL = /^"([^"]*)"/;
/** The code of another value, whose own literal counts: `outcome.code`. */
const FORWARDED = /^(\w+\.)*code\b/;
const SHAPE = new RegExp(`^(?:${AREAS})(?:_[A-Z0-9]+)+$`);
const ROW = /^\| `([^`]+)` \|([^|]*)\|([^|]*)\|$/;

interface FoundCode {
  readonly code: string;
  readonly where: string;
}

/** The codes in `src/`, each with its first place, and errors created with anything else. */
export function findCodes(files: readonly SourceFile[]): {
  readonly codes: readonly FoundCode[];
  readonly violations: readonly Violation[];
} {
  const codes = new Map<string, FoundCode>();
  const violations: Violation[] = [];
  const add = (code: string, where: string): void => {
    if (!codes.has(code)) codes.set(code, { code, where });
  };
  for (const file of files) {
    if (!file.path.startsWith("src/")) continue;
    for (const match of file.strings.matchAll(CREATION)) {
      const where = `${file.path}:${lineAt(file.text, match.index)}`;
      const argument = file.strings.slice(match.index + match[0].length);
      const code = LITERAL.exec(argument)?.[1];
      if (code !== undefined && SHAPE.test(code)) add(code, where);
      else if (code !== undefined) violations.push(`${where}: ${code} is not AREA_WHAT (${AREAS})`);
      else if (!FORWARDED.test(argument)) violations.push(`${where}: give the code as a literal`);
    }
    for (const match of file.strings.matchAll(HANDED_ON)) {
      add(match[1] ?? "", `${file.path}:${lineAt(file.text, match.index)}`);
    }
  }
  return { codes: [...codes.values()], violations };
}

/** Compares the sources with the table; `table` is the text of docs/errors.md. */
export function checkErrorCodes(files: readonly SourceFile[], table: string): Violation[] {
  const { codes, violations } = findCodes(files);
  const rows = new Map<string, number>();
  const problems: Violation[] = [...violations];
  for (const [index, text] of table.split("\n").entries()) {
    const row = ROW.exec(text);
    if (row === null) continue;
    const [, code = "", meaning = "", remedy = ""] = row;
    const where = `${ERROR_TABLE}:${index + 1}`;
    if (rows.has(code)) problems.push(`${where}: ${code} has two rows`);
    if (meaning.trim() === "" || remedy.trim() === "")
      problems.push(`${where}: ${code} is not told`);
    rows.set(code, index + 1);
  }
  for (const { code, where } of codes) {
    if (!rows.has(code)) {
      problems.push(`${where}: add to ${ERROR_TABLE}: | \`${code}\` | meaning | remedy |`);
    }
  }
  const known = new Set(codes.map(({ code }) => code));
  for (const [code, line] of rows) {
    if (!known.has(code)) problems.push(`${ERROR_TABLE}:${line}: ${code} is not in the sources`);
  }
  return problems;
}
