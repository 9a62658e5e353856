/** The panel as it is shipped: small, whole without a network, and right for a strict policy. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { build } from "vite";
import { inFolder } from "../../helpers/temporary-folder.ts";

const CONFIG = join(import.meta.dirname, "..", "..", "..", "web", "vite.config.ts");
const GZIP_BYTES_MAX = 120 * 1024;

const test = suite("panel bundle");

/** Addresses that name things and are never fetched. */
const NAMES = /https?:\/\/(www\.w3\.org\/)/g;

test(
  "the bundle keeps to its budget and needs nothing from outside",
  inFolder(async (folder) => {
    await build({ configFile: CONFIG, logLevel: "error", build: { outDir: folder } });
    const files = readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter((path) => /\.(js|css|html|svg)$/.test(path))
      .map((path) => ({ path, text: readFileSync(join(folder, path), "utf8") }));
    const bytes = files.reduce((sum, { text }) => sum + gzipSync(text).length, 0);
    assert.ok(bytes <= GZIP_BYTES_MAX, `${bytes} bytes`);
    assert.equal(files.map(({ path }) => path.replace(/-[\w-]{8}\./, ".")).sort(), [
      "assets/index.js",
      "assets/style.css",
      "icon.svg",
      "index.html",
    ]);
    for (const { path, text } of files) {
      assert.not.match(text.replaceAll(NAMES, ""), /https?:\/\/[a-z]/, path);
      assert.not.match(text, /@font-face|@import|\beval\(|new Function\(/, path);
    }
    const page = files.find(({ path }) => path === "index.html")?.text ?? "";
    assert.not.match(page, /<style|style=|<script(?![^>]*\bsrc=)|\son[a-z]+=/);
  }),
);

test.run();
