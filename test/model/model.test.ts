// wall-limit: 300 s
/**
 * A share of the model in every test run: random operation sequences over every layout, with seeds
 * that once failed and fresh ones. `npm run model -- --sequences 100000` runs more.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { replayedSeed, seedsOf } from "../helpers/seed.ts";
import { withTimeout } from "../helpers/timeout.ts";
import { LAYOUTS } from "./array-shape.ts";
import { runSequence } from "./sequence.ts";
import { describeFailure, shrinkSequence } from "./shrink.ts";

const LIMIT_MS = 240_000;
/** The same ones in every run: what fails there is what was changed. Of each layout, and of any. */
const USUAL = 80;
const USUAL_OF_ANY = 500;
/** Drawn anew; `npm run model` looks for more. */
const FRESH = 10;
const FRESH_OF_ANY = 60;

/** Seeds that failed before a bug was fixed. */
const REGRESSIONS: readonly (readonly [layout: string | null, seed: number])[] = [
  // A member with old metadata decided who is large enough to join.
  ["raid1", 274],
  // An unaligned write over bad blocks made a part of a sector good.
  [null, 8113],
  // A change to plain cut short, and the one member that heard of it left out.
  [null, 2029726],
  // A re-add met a write-mostly spare that was just taking the raid slot.
  [null, 2072549],
  // A power cut in the change that adds a bitmap, to an array whose resync was half done.
  [null, 2077786],
  // The member left out was the only one that still trusted another.
  [null, 2081055],
  // Power cut while dirty was told: one member has heard of it, with the events of the other.
  [null, 2082445],
  // A member came into sync while a read was failing on the one that died.
  [null, 3065380],
  // A cluster's bitmap beside a replacement that was not done.
  [null, 3082158],
  // A sector was no longer noted as bad when what made it good was not durable yet.
  [null, 4009912],
  // A larger size that one member had heard of, and that nobody was told.
  [null, 4007730],
  // A leg failed when it was flushed ahead of a sweep; the spare was on its way, and nobody looked.
  [null, 5018092],
];

const test = suite("model");

const runFrom = async (layout: string | null, first: number, count: number): Promise<void> => {
  for (let seed = first; seed < first + count; seed++) {
    const result = await runSequence(seed, { layout });
    if (result.problem === null) continue;
    const least = await shrinkSequence(seed, layout, result);
    const of = layout === null ? "" : ` --layout ${layout}`;
    const again = `npm run model -- --sequences 1 --from ${seed}${of}`;
    assert.unreachable(`${describeFailure(seed, least)}\n    again: ${again}`);
  }
};

for (const layout of [null, ...LAYOUTS.keys()]) {
  test(
    `the array holds what the model says: ${layout ?? "any layout"}`,
    withTimeout(LIMIT_MS, async () => {
      const fresh = layout === null ? FRESH_OF_ANY : FRESH;
      const [first = 0] = seedsOf({ fixed: [], more: 1 });
      // The last seeds would not be integers of 32 bits.
      const from = Math.min(first, 2 ** 32 - fresh);
      process.stdout.write(
        `model: ${layout ?? "any layout"}, seeds ${from} to ${from + fresh - 1}\n`,
      );
      await runFrom(layout, from, fresh);
      if (replayedSeed() === null) await runFrom(layout, 1, layout === null ? USUAL_OF_ANY : USUAL);
    }),
  );
}

test("seeds that once failed pass", async () => {
  for (const [layout, seed] of REGRESSIONS) await runFrom(layout, seed, 1);
});

test("a sequence is the same each time its seed is run", async () => {
  const [one, two] = [await runSequence(7), await runSequence(7)];
  assert.is(one.problem, null);
  assert.ok(one.trace.length > 10);
  assert.equal(one.trace, two.trace);
});

test.run();
