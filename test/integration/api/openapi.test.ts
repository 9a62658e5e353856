/**
 * The committed OpenAPI document is the one the routes declare. After a change of the API write it
 * anew with `SATSUMA_UPDATE=1 node test/integration/api/openapi.test.ts`, then `npm run format`.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { openApiBench } from "../../helpers/api-bench.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const COMMITTED = join(import.meta.dirname, "../../../src/api/openapi.json");

interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly requestBody?: unknown;
}

interface Document {
  readonly openapi: string;
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: { readonly schemas: Record<string, unknown> };
}

const test = suite("api/openapi");

test(
  "the committed document is the one the routes declare",
  inFolder(async (folder) => {
    await using api = await openApiBench({ folder });
    const served = (await api.ask("GET", "/api/v1/openapi.json", { token: null })).body;
    // The version is the package's; the committed document does not change with it.
    const stable = { ...served, info: { ...served.info, version: "1" } };
    if (process.env["SATSUMA_UPDATE"] === "1") writeFileSync(COMMITTED, JSON.stringify(stable));
    assert.equal(JSON.parse(readFileSync(COMMITTED, "utf8")), stable);
  }),
);

test("every reference leads to a component, every component is used, every route is named", () => {
  const text = readFileSync(COMMITTED, "utf8");
  const document = JSON.parse(text) as Document;
  assert.is(document.openapi, "3.1.0");
  const names = Object.keys(document.components.schemas);
  const used = new Set(
    [...text.matchAll(/"#\/components\/schemas\/([^"]+)"/g)].map(([, name = ""]) => name),
  );
  assert.equal(
    [...used].filter((name) => !names.includes(name)),
    [],
  );
  assert.equal(
    names.filter((name) => !used.has(name) && name !== "Ready"),
    [],
  );
  const operations = Object.values(document.paths).flatMap((methods) => Object.values(methods));
  const ids = operations.map(({ operationId }) => operationId);
  assert.is(new Set(ids).size, operations.length);
  assert.ok(operations.every(({ summary }) => summary.length > 0));
});

/** Places below `schema` where an object may have any field; maps name what their values are. */
const openObjects = (schema: unknown, document: Document, place: string): string[] => {
  if (typeof schema !== "object" || schema === null) return [];
  const { $ref, type, additionalProperties, patternProperties } = schema as Record<string, unknown>;
  if (typeof $ref === "string") {
    const name = $ref.replace("#/components/schemas/", "");
    return openObjects(document.components.schemas[name], document, name);
  }
  const isMap = typeof additionalProperties === "object" || patternProperties !== undefined;
  const isOpen = type === "object" && additionalProperties !== false && !isMap;
  const within = Object.entries(schema).flatMap(([key, value]) =>
    openObjects(value, document, `${place}.${key}`),
  );
  return [...(isOpen ? [place] : []), ...within];
};

test("every object of every body names its fields, and takes no other", () => {
  const document = JSON.parse(readFileSync(COMMITTED, "utf8")) as Document;
  const operations = Object.values(document.paths).flatMap((methods) => Object.values(methods));
  const bodies = operations.filter(({ requestBody }) => requestBody !== undefined);
  assert.ok(bodies.length >= 10);
  for (const { operationId, requestBody } of bodies)
    assert.equal(openObjects(requestBody, document, operationId), []);
  assert.equal(openObjects({ type: "object", properties: {} }, document, "sample"), ["sample"]);
});

test.run();
