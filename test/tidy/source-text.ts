/**
 * TypeScript text with comments or string contents blanked out, for rules that look at code with
 * regular expressions. Every blanked character becomes a space and line feeds stay, so positions
 * and line numbers are those of the file.
 */

/** Two views of one file; both have the length of the text. */
export interface BlankedText {
  /** Comments, string and template contents, and regular expressions blanked. */
  readonly code: string;
  /** Comments blanked. */
  readonly strings: string;
}

type Mode = "code" | "line-comment" | "block-comment" | "'" | '"' | "template" | "regex";

/** After these a slash starts a regular expression; after anything else it divides. */
const BEFORE_REGEX =
  /(?:^|[([{},;=:!&|?+\-*%~^<>]|\b(?:return|typeof|case|in|of|delete|void|throw|new|else|do|await|yield))$/;

/** How far back the character or word before a slash is looked for. */
const LOOK_BACK_CHARS = 200;

export function blankText(text: string): BlankedText {
  const lexer = new Lexer(text);
  while (lexer.step());
  return { code: lexer.code, strings: lexer.strings };
}

class Lexer {
  code = "";
  strings = "";
  readonly #text: string;
  #at = 0;
  #mode: Mode = "code";
  #inClass = false;
  /** Depth of braces in each template substitution that is open. */
  readonly #substitutions: number[] = [];

  constructor(text: string) {
    this.#text = text;
  }

  /** Consumes one lexeme; false at the end. */
  step(): boolean {
    if (this.#at >= this.#text.length) return false;
    switch (this.#mode) {
      case "code":
        this.#stepCode();
        break;
      case "line-comment":
        this.#stepComment(this.#text[this.#at] === "\n");
        break;
      case "block-comment":
        this.#stepBlockComment();
        break;
      case "regex":
        this.#stepRegex();
        break;
      default:
        this.#stepString(this.#mode);
    }
    return true;
  }

  #stepCode(): void {
    const char = this.#text[this.#at] ?? "";
    const pair = this.#text.slice(this.#at, this.#at + 2);
    if (pair === "//" || pair === "/*") {
      this.#mode = pair === "//" ? "line-comment" : "block-comment";
      this.#emit(2, true, true);
    } else if (char === "'" || char === '"') {
      this.#mode = char;
      this.#emit(1, false, false);
    } else if (char === "`") {
      this.#mode = "template";
      this.#emit(1, false, false);
    } else if (char === "/" && this.#isRegexStart()) {
      this.#mode = "regex";
      this.#emit(1, true, false);
    } else {
      this.#trackSubstitution(char);
    }
  }

  /** Counts braces inside `${…}`, to know which `}` returns to the template. */
  #trackSubstitution(char: string): void {
    const last = this.#substitutions.length - 1;
    if (last >= 0 && char === "{") this.#substitutions[last] = (this.#substitutions[last] ?? 0) + 1;
    if (last >= 0 && char === "}") {
      const depth = this.#substitutions[last] ?? 0;
      if (depth === 0) {
        this.#substitutions.pop();
        this.#mode = "template";
      } else {
        this.#substitutions[last] = depth - 1;
      }
    }
    this.#emit(1, false, false);
  }

  #stepComment(isEnd: boolean): void {
    if (isEnd) this.#mode = "code";
    this.#emit(1, true, true);
  }

  #stepBlockComment(): void {
    const isEnd = this.#text.startsWith("*/", this.#at);
    if (isEnd) this.#mode = "code";
    this.#emit(isEnd ? 2 : 1, true, true);
  }

  #stepRegex(): void {
    const char = this.#text[this.#at];
    if (char === "\\") return this.#emit(2, true, false);
    if (char === "[") this.#inClass = true;
    if (char === "]") this.#inClass = false;
    if (char === "\n" || (char === "/" && !this.#inClass)) {
      this.#mode = "code";
      this.#inClass = false;
    }
    this.#emit(1, true, false);
  }

  #stepString(mode: "'" | '"' | "template"): void {
    const char = this.#text[this.#at] ?? "";
    if (char === "\\") return this.#emit(2, true, false);
    if (mode === "template" && this.#text.startsWith("${", this.#at)) {
      this.#substitutions.push(0);
      this.#mode = "code";
      return this.#emit(2, false, false);
    }
    const isEnd = mode === "template" ? char === "`" : char === mode || char === "\n";
    if (isEnd) this.#mode = "code";
    this.#emit(1, !isEnd, false);
  }

  #isRegexStart(): boolean {
    return BEFORE_REGEX.test(this.code.slice(-LOOK_BACK_CHARS).trimEnd());
  }

  #emit(length: number, blankInCode: boolean, blankInStrings: boolean): void {
    const piece = this.#text.slice(this.#at, this.#at + length);
    const blank = piece.replace(/[^\n]/g, " ");
    this.code += blankInCode ? blank : piece;
    this.strings += blankInStrings ? blank : piece;
    this.#at += length;
  }
}

/** The number of the line that position `at` is on, from 1. */
export function lineAt(text: string, at: number): number {
  let line = 1;
  for (
    let next = text.indexOf("\n");
    next !== -1 && next < at;
    next = text.indexOf("\n", next + 1)
  ) {
    line += 1;
  }
  return line;
}
