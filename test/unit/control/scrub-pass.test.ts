/** Mismatch ranges of the parts of a scrub, as one list. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { joinRanges, MISMATCHES_MAX } from "../../../src/control/scrub-pass.ts";

const range = (offset: number, length: number) => ({ offset, length });

const test = suite("control/scrub-pass");

test("ranges of two parts are one ascending list, touching and overlapping ones joined", () => {
  const { ranges, isTruncated } = joinRanges(
    [range(0, 10), range(100, 10)],
    [range(110, 5), range(50, 1), range(105, 20), range(0, 4)],
  );
  assert.equal(ranges, [range(0, 10), range(50, 1), range(100, 25)]);
  assert.is(isTruncated, false);
});

test("the first ranges are kept when there are too many, and that is told", () => {
  const many = Array.from({ length: MISMATCHES_MAX }, (_, index) => range(index * 10, 1));
  assert.is(joinRanges(many, []).isTruncated, false);
  const more = joinRanges(many, [range(5, 1)]);
  assert.equal(
    [more.ranges.length, more.ranges[1], more.isTruncated],
    [MISMATCHES_MAX, range(5, 1), true],
  );
});

test.run();
