/** What differs between copies, where, how much it counts, and which content stands. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CopyComparison } from "../../../src/raid/copy-compare.ts";

const PAGE = 4096;
const UNIT = 64 * 1024;

/** Pages of these values. */
const copy = (...pages: readonly number[]): Uint8Array => {
  const bytes = new Uint8Array(pages.length * PAGE);
  for (const [page, value] of pages.entries()) bytes.fill(value, page * PAGE, (page + 1) * PAGE);
  return bytes;
};

/** The value of each page; -1 when it is not one value. */
const pagesOf = (bytes: Uint8Array): number[] =>
  Array.from({ length: bytes.length / PAGE }, (_, page) => {
    const value = bytes[page * PAGE] ?? -1;
    return bytes.subarray(page * PAGE, (page + 1) * PAGE).every((byte) => byte === value)
      ? value
      : -1;
  });

const compare = (...copies: readonly Uint8Array[]): CopyComparison =>
  new CopyComparison(copies, (a, b) => Buffer.compare(a, b) === 0);

const test = suite("raid/copy-compare");

for (const [what, copies, expected] of [
  ["two that differ: the first", [[1], [2]], [1]],
  ["two against one: the two", [[1], [2], [2]], [2]],
  ["the first with another against one", [[1], [2], [1]], [1]],
  ["three opinions: the first", [[1], [2], [3]], [1]],
  ["two pairs: the earlier pair", [[3], [1], [1], [3]], [3]],
  ["two pairs and one alone: the earlier pair", [[5], [2], [1], [1], [2]], [2]],
  [
    "page by page",
    [
      [1, 1, 1, 9],
      [1, 2, 1, 8],
      [3, 2, 1, 7],
    ],
    [1, 2, 1, 9],
  ],
  ["one copy alone", [[4, 5]], [4, 5]],
] as const) {
  test(`what most copies hold stands: ${what}`, () => {
    const contents = copies.map((pages) => copy(...pages));
    assert.equal(pagesOf(compare(...contents).majority()), expected);
  });
}

test("a vote changes no copy, and is the first itself when that wins everywhere", () => {
  const contents = [copy(1, 2), copy(3, 2), copy(3, 2)];
  compare(...contents).majority();
  assert.equal(contents.map(pagesOf), [
    [1, 2],
    [3, 2],
    [3, 2],
  ]);
  const agreeing = [copy(1), copy(1), copy(1)];
  assert.is(compare(...agreeing).majority(), agreeing[0]);
  const two = [copy(1), copy(2)];
  assert.is(compare(...two).majority(), two[0]);
});

test("one byte makes its whole page differ, and the vote is by page", () => {
  const other = copy(1, 1);
  other[PAGE + 7] = 9;
  const another = copy(1, 1);
  another[PAGE + 9] = 9;
  assert.equal(compare(copy(1, 1), other).differingRanges, [{ offset: PAGE, length: PAGE }]);
  assert.is(compare(other, another, other.slice()).majority()[PAGE + 7], 9);
});

test("differing pages beside each other are one range, others are apart; the last may be short", () => {
  const first = copy(1, 1, 1, 1, 1).subarray(0, 5 * PAGE - 512);
  const second = copy(1, 2, 1, 1, 1).subarray(0, 5 * PAGE - 512);
  const third = copy(1, 1, 2, 1, 2).subarray(0, 5 * PAGE - 512);
  assert.equal(compare(first, second, third).differingRanges, [
    { offset: PAGE, length: 2 * PAGE },
    { offset: 4 * PAGE, length: PAGE - 512 },
  ]);
  const equal = compare(first, first.slice(), first.slice());
  assert.equal([equal.isDiffering, equal.differingRanges], [false, []]);
  assert.equal(compare(first).isDiffering, false);
});

test("differences are counted in units of 64 KiB, the last one as it is", () => {
  const first = new Uint8Array(2 * UNIT + 512);
  const second = first.slice();
  assert.is(compare(first, second).differingBytes, 0);
  second[UNIT] = 1;
  assert.is(compare(first, second).differingBytes, UNIT);
  second[2 * UNIT - 1] = 1;
  assert.is(compare(first, second).differingBytes, UNIT);
  second[2 * UNIT] = 1;
  assert.is(compare(first, second).differingBytes, UNIT + 512);
  assert.is(compare(first, second, second).differingBytes, 2 * (UNIT + 512), "for each copy");
});

test.run();
