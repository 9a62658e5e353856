import { readFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { listPaths, readSources } from "../../tidy/repository.ts";
import { blankText, lineAt } from "../../tidy/source-text.ts";

const ROOT = join(import.meta.dirname, "..", "..", "..");

const test = suite("tidy/source-text");

/** `text` with comments and strings blanked, runs of spaces made one. */
function codeOf(text: string): string {
  return blankText(text).code.replace(/ +/g, " ");
}

test("blanks comments in both views and strings in one", () => {
  const { code, strings } = blankText('const a = "x"; // y\n/* z\n*/ f();');
  assert.is(code, 'const a = " ";     \n    \n   f();');
  assert.is(strings, 'const a = "x";     \n    \n   f();');
});

test("is not led astray by quotes and slashes inside each other", () => {
  assert.is(codeOf("f('it\\'s // not', \"/* nor */\"); g();"), "f(' ', \" \"); g();");
  assert.is(codeOf("a / b; c /* d */ / e;"), "a / b; c / e;");
  assert.is(codeOf("x = /[/\"']/g; y();"), "x = g; y();");
  assert.is(codeOf("return /\\//.test(s);"), "return .test(s);");
});

test("keeps the code inside template substitutions", () => {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the sample
  assert.is(codeOf("`a${f({ b: `c${d}` })}e` + g;"), "` ${f({ b: ` ${d}` })} ` + g;");
});

test("an unclosed quote ends with its line", () => {
  assert.is(codeOf("don't\nf();"), "don'\nf();".replace("'", "' "));
});

test("keeps length and lines of every file of the repository", () => {
  for (const file of readSources(ROOT, listPaths(ROOT))) {
    assert.is(file.code.length, file.text.length, file.path);
    assert.is(file.code.split("\n").length, file.text.split("\n").length, file.path);
  }
});

test("finds the end of its own source, so no quote was left open", () => {
  const path = join(ROOT, "test", "tidy", "source-text.ts");
  assert.match(blankText(readFileSync(path, "utf8")).code, /return line;\n\}\n$/);
});

test("lineAt counts from one", () => {
  assert.is(lineAt("a\nb\nc", 0), 1);
  assert.is(lineAt("a\nb\nc", 2), 2);
  assert.is(lineAt("a\nb\nc", 4), 3);
});

test.run();
