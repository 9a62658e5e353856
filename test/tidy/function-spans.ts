/** Where functions with a body in braces begin and end, found without a parser. */
import { lineAt } from "./source-text.ts";

export interface FunctionSpan {
  /** Lines from the one with the parameter list's `(` to the one with the closing brace. */
  readonly firstLine: number;
  readonly lastLine: number;
}

const NOT_FUNCTIONS = new Set(["if", "for", "while", "switch", "catch", "with", "await"]);
const PAIRS: Readonly<Record<string, string>> = { "(": ")", "{": "}", "[": "]" };
const CLOSERS = new Set(Object.values(PAIRS));

/** Spans in the order of their bodies. `code` is blanked of comments and strings. */
export function findFunctions(code: string): FunctionSpan[] {
  const partners = matchBrackets(code);
  const spans: FunctionSpan[] = [];
  for (const [open, close] of partners) {
    const body = code[open] === "(" ? bodyAfterParameters(code, open, close, partners) : undefined;
    const arrow = code[open] === "{" && /(?<![)\s])\s*=>\s*$/.test(code.slice(0, open));
    const start = body ?? (arrow ? open : undefined);
    const end = start === undefined ? undefined : partners.get(start);
    if (start === undefined || end === undefined) continue;
    spans.push({ firstLine: lineAt(code, open), lastLine: lineAt(code, end) });
  }
  const unique = new Map(spans.map((span) => [`${span.firstLine}-${span.lastLine}`, span]));
  return [...unique.values()].sort((a, b) => a.firstLine - b.firstLine);
}

/** Position of each opening bracket to that of its partner. */
function matchBrackets(code: string): Map<number, number> {
  const partners = new Map<number, number>();
  const open: number[] = [];
  for (let at = 0; at < code.length; at += 1) {
    const char = code[at] ?? "";
    if (char in PAIRS) {
      open.push(at);
    } else if (CLOSERS.has(char)) {
      const start = open.pop();
      if (start !== undefined && PAIRS[code[start] ?? ""] === char) partners.set(start, at);
    }
  }
  return partners;
}

/** Position of the `{` of the function whose parameters are `[open, close]`, if it is one. */
function bodyAfterParameters(
  code: string,
  open: number,
  close: number,
  partners: ReadonlyMap<number, number>,
): number | undefined {
  const word = /([\w$]+)\s*$/.exec(code.slice(Math.max(0, open - 80), open))?.[1] ?? "";
  if (NOT_FUNCTIONS.has(word)) return undefined;
  let at = skipSpace(code, close + 1);
  if (code[at] === ":") at = skipType(code, skipSpace(code, at + 1), partners);
  if (code.startsWith("=>", at)) at = skipSpace(code, at + 2);
  return code[at] === "{" ? at : undefined;
}

/**
 * Position after the type that starts at `at`. A brace where an operand is due opens an object
 * type; one after an operand opens the body.
 */
function skipType(code: string, start: number, partners: ReadonlyMap<number, number>): number {
  let needsOperand = true;
  let at = start;
  while (at < code.length) {
    const char = code[at] ?? "";
    const close = partners.get(at);
    if (char === "{" && !needsOperand) return at;
    if (close !== undefined) {
      at = close + 1;
      needsOperand = false;
    } else if (/[\w$"'`#]/.test(char)) {
      const word = /^[\w$"'`# ]+?(?![\w$"'`#])/.exec(code.slice(at))?.[0] ?? char;
      at += word.length;
      needsOperand = /^(keyof|readonly|asserts|is|extends|typeof|infer|unique)$/.test(word);
    } else if (/[|&.]/.test(char)) {
      at += 1;
      needsOperand = true;
    } else if (char === "<") {
      at = skipAngles(code, at);
      needsOperand = false;
    } else {
      // `=>`, `;`, `,`, `)` or `=`: the type is over.
      return at;
    }
    at = skipSpace(code, at);
  }
  return at;
}

function skipAngles(code: string, start: number): number {
  let depth = 0;
  for (let at = start; at < code.length; at += 1) {
    if (code[at] === "<") depth += 1;
    if (code[at] === ">" && code[at - 1] !== "=") depth -= 1;
    if (depth === 0) return at + 1;
  }
  return code.length;
}

function skipSpace(code: string, start: number): number {
  let at = start;
  while (/\s/.test(code[at] ?? "")) at += 1;
  return at;
}
