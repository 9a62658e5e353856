import { readFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { BENCHES } from "../../../bench/benches.ts";
import { fillDocument, placesOf } from "../../../bench/document.ts";

const test = suite("bench/document");

const PAGE = join(import.meta.dirname, "../../../docs/performance.md");
const DOCUMENT =
  "# A\n\n<!-- bench: one -->\nold\n<!-- /bench -->\n\n<!-- bench: two -->\n<!-- /bench -->\n";

test("a table goes in its place, and everything else stays", () => {
  const { document, homeless } = fillDocument(DOCUMENT, [{ id: "two", content: "| $& |\n" }]);
  assert.is(
    document,
    DOCUMENT.replace("two -->\n", () => "two -->\n| $& |\n"),
  );
  assert.equal(homeless, []);
  const again = fillDocument(document, [{ id: "two", content: "| b |" }]);
  assert.is(again.document, document.replace("| $& |", "| b |"));
});

test("a table without a place is told", () => {
  const { document, homeless } = fillDocument(DOCUMENT, [{ id: "three", content: "x" }]);
  assert.is(document, DOCUMENT);
  assert.equal(homeless, ["three"]);
});

test("docs/performance.md has one place for each table of each bench", () => {
  const places = placesOf(readFileSync(PAGE, "utf8"));
  const ids = ["machine", "soak", ...BENCHES.flatMap(({ tables }) => tables)];
  assert.equal(places.toSorted(), ids.toSorted());
});

test.run();
