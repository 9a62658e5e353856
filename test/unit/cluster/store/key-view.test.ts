/** A view never goes back, whatever order hints and listings come in. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { KeyChange, KeyValue } from "../../../../src/cluster/store/cluster-store.ts";
import { KeyView } from "../../../../src/cluster/store/key-view.ts";

const test = suite("key view");

const at = (key: string, modRevision: number): KeyValue => ({
  key,
  value: `${modRevision}`,
  createRevision: 1,
  modRevision,
  version: 1,
  lease: null,
});
const put = (key: string, revision: number): KeyChange => ({ type: "put", now: at(key, revision) });
const gone = (key: string, revision: number): KeyChange => ({ type: "delete", key, revision });
const shown = (view: KeyView): string[] =>
  [...view.keys.values()].map(({ key, value }) => key + value).sort();

test("takes each change once, and none that is older than what it has", () => {
  const view = new KeyView();
  assert.equal(view.change([put("a", 5), put("b", 6)]).length, 2);
  assert.equal(view.change([put("a", 5), put("a", 4), put("b", 6)]), []);
  assert.equal(view.change([gone("b", 7), put("b", 6)]), [gone("b", 7)]);
  assert.equal(shown(view), ["a5"]);
  assert.is(view.revision, 7);
});

test("learns from a listing what hints did not tell, deletions too", () => {
  const view = new KeyView();
  view.change([put("a", 5), put("b", 6)]);
  const news = view.list({ revision: 9, found: [at("b", 6), at("c", 8)] });
  assert.equal(news, [gone("a", 9), put("c", 8)]);
  assert.equal(shown(view), ["b6", "c8"]);
});

test("ignores a listing that is older than what it knows, and hints from before one", () => {
  const view = new KeyView();
  view.list({ revision: 9, found: [at("a", 9)] });
  assert.equal(view.list({ revision: 8, found: [at("a", 3), at("b", 8)] }), []);
  assert.equal(view.change([put("b", 8), gone("a", 7)]), []);
  view.change([gone("a", 10)]);
  assert.equal(view.list({ revision: 9, found: [at("a", 9)] }), []);
  assert.equal(shown(view), []);
});

test("remembers so many deletions and not more", () => {
  const view = new KeyView();
  for (let key = 1; key <= 5000; key += 1) view.change([put(`${key}`, key), gone(`${key}`, 5001)]);
  assert.equal(view.change([put("5000", 5000)]), []);
  assert.is(view.change([put("1", 1)]).length, 1, "the first was forgotten");
});

test("learns all keys with some prefixes from an answer, and takes no older hints about them", () => {
  const view = new KeyView();
  view.change([put("m/1", 5), put("m/2", 6), put("x/1", 6)]);
  const news = view.learn(["m/"], { revision: 9, found: [at("m/1", 5), at("m/3", 8)] });
  assert.equal(news, [gone("m/2", 9), put("m/3", 8)]);
  assert.equal(view.change([put("m/4", 7), put("m/2", 8), put("x/2", 8)]), [put("x/2", 8)]);
  assert.equal(shown(view), ["m/15", "m/38", "x/16", "x/28"]);
  assert.is(view.revision, 9);
});

test("an answer about some keys makes no listing of all keys too old", () => {
  const view = new KeyView();
  view.change([put("m/1", 5), put("x/1", 5)]);
  view.learn(["m/"], { revision: 9, found: [at("m/1", 9)] });
  // The watch broke before it told of x/2 and of the end of x/1.
  const news = view.list({ revision: 8, found: [at("m/1", 5), at("m/0", 6), at("x/2", 7)] });
  assert.equal(news, [gone("x/1", 8), put("x/2", 7)]);
  assert.equal(shown(view), ["m/19", "x/27"]);
  assert.is(view.revision, 9);
  assert.equal(view.change([put("m/0", 6)]), [], "still older than the answer");
});

test.run();
