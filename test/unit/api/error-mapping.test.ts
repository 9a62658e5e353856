/** Every error code of the sources that a request may end in has its problem type. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { PROBLEM_KINDS, problemKind } from "../../../src/api/error-mapping.ts";

const SRC = join(import.meta.dirname, "../../../src");

const THROWN = /new CodedError\(\s*"([A-Z0-9_]+)"/g;
/** Engines post codes between threads before they are thrown. */
const NAMED = /"((?:RAID|HAL|NBD|ENGINE|CLUSTER|CONTROL|DLM|LIFE)_[A-Z0-9_]+)"/g;

/** Codes below a folder. */
function codesIn(folder: string, pattern = THROWN): string[] {
  const files = readdirSync(join(SRC, folder), { recursive: true, encoding: "utf8" });
  const codes = files
    .filter((file) => file.endsWith(".ts"))
    .flatMap((file) => [...readFileSync(join(SRC, folder, file), "utf8").matchAll(pattern)])
    .map(([, code = ""]) => code);
  return [...new Set(codes)];
}

/** Refusals of a start: nobody asks for them over HTTP. */
const START_ONLY = ["API_ADDRESS_IN_USE", "API_ADDRESS_UNUSABLE"];

const ENGINE = ["raid", "hal", "nbd", "workers", "cluster", "life"];

const test = suite("api/error-mapping");

test("every code of api, control and store has a row of its own", () => {
  const codes = ["api", "control", "store"].flatMap((folder) => codesIn(folder));
  assert.ok(codes.length > 30);
  const missing = codes.filter((code) => !START_ONLY.includes(code) && !(code in PROBLEM_KINDS));
  assert.equal(missing, []);
});

test("every row names a code of the sources", () => {
  const codes = new Set([
    ...["api", "control", "store"].flatMap((folder) => codesIn(folder)),
    ...[...ENGINE, "control"].flatMap((folder) => codesIn(folder, NAMED)),
  ]);
  assert.equal(
    Object.keys(PROBLEM_KINDS).filter((code) => !codes.has(code)),
    [],
  );
});

test("codes of the engine never show as a defect of the daemon", () => {
  const codes = ENGINE.flatMap((folder) => codesIn(folder, NAMED));
  assert.ok(codes.length > 20);
  assert.equal(
    codes.filter((code) => problemKind(code).status === 500),
    [],
  );
});

test("slugs are words with dashes, and one slug has one status and one title but for causes", () => {
  const bySlug = new Map<string, Set<number>>();
  for (const { slug, status } of Object.values(PROBLEM_KINDS)) {
    assert.match(slug, /^[a-z]+(-[a-z]+)*$/);
    bySlug.set(slug, (bySlug.get(slug) ?? new Set()).add(status));
  }
  assert.equal(
    [...bySlug].filter(([, statuses]) => statuses.size > 1),
    [],
  );
});

test("what does not pass by itself is no 503, whose Retry-After asks to try again", () => {
  const codes = ["STORE_REPLACED", "STORE_BAD_VERSION", "STORE_UNGUARDED", "BAD_CHANNEL"];
  codes.push("BITMAP_IN_USE", "DEVICE_NOT_SEEN");
  assert.equal(
    codes.map((code) => problemKind(`CLUSTER_${code}`).status),
    codes.map(() => 409),
  );
  assert.is(problemKind("CLUSTER_STORE_UNREACHABLE").status, 503);
});

test("an unknown code is a defect, one of a known area is that area's", () => {
  assert.equal(
    ["WHATEVER", "RAID_SOMETHING_NEW", "HAL_SOMETHING_NEW"].map((code) => problemKind(code).slug),
    ["internal", "array-refused", "device-io-error"],
  );
});

test.run();
