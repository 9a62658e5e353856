/** Options of scripts: what they do not know prints their usage. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseOptions } from "../../../scripts/script-options.ts";

const test = suite("runner/script-options");

const USAGE = "npm run something -- [--runs N] [--keep]";
const parse = (...args: string[]) =>
  parseOptions(
    USAGE,
    { runs: { type: "string", default: "10" }, keep: { type: "boolean", default: false } },
    args,
  );

test("values, with their defaults", () => {
  const parsed = parse("--keep");
  assert.equal("values" in parsed && { ...parsed.values }, { runs: "10", keep: true });
});

test("--help ends well; an option, a value or a word that it does not know ends with 2", () => {
  assert.equal(parse("--help"), { code: 0, text: `${USAGE}\n` });
  for (const args of [["--rounds", "3"], ["--runs"], ["--keep=1"], ["extra"]]) {
    const parsed = parse(...args);
    assert.ok("code" in parsed && parsed.code === 2, args.join(" "));
    if ("code" in parsed) assert.match(parsed.text, /^[^\n]+\nnpm run something/);
  }
});

test.run();
