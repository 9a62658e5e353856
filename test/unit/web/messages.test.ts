import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { EN } from "../../../web/src/messages/en.ts";
import { fill } from "../../../web/src/messages/message.ts";
import { t } from "../../../web/src/messages/translate.ts";

const SOURCES = join(import.meta.dirname, "..", "..", "..", "web", "src");

const test = suite("messages");

const sources = readdirSync(SOURCES, { recursive: true, encoding: "utf8" })
  .filter((path) => /\.tsx?$/.test(path) && !path.startsWith("messages"))
  .map((path) => ({ path, text: readFileSync(join(SOURCES, path), "utf8") }));

test("places are filled, numbers in the reader's way", () => {
  assert.is(fill("{a} of {b}", { a: 1234, b: "x" }, "en"), "1,234 of x");
  assert.is(fill("{a} and {missing}", { a: 1 }, "en"), "1 and {missing}");
});

test("the form follows the number", () => {
  assert.is(t("exports.clients", { count: 1 }), "1 client");
  assert.is(t("exports.clients", { count: 0 }), "0 clients");
});

test("every message is used", () => {
  const all = sources.map(({ text }) => text).join("\n");
  const prefixes = [...all.matchAll(/`([a-z.-]+\.)\$\{/g)].map((match) => match[1] ?? "");
  const unused = Object.keys(EN).filter(
    (key) => !all.includes(`"${key}"`) && !prefixes.some((prefix) => key.startsWith(prefix)),
  );
  assert.equal(unused, []);
});

test("components hold no sentences of their own", () => {
  const found = sources
    .filter(({ path }) => path.endsWith(".tsx"))
    .flatMap(({ path, text }) =>
      [...text.matchAll(/(?<![=)])>\s*([A-Za-z][\w ,.'’-]*)\s*<\//g)].map(
        (match) => `${path}: ${match[1]}`,
      ),
    );
  assert.equal(found, []);
});

test.run();
