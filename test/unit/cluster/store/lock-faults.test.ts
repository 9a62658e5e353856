/** Locks keep their promises over a store that does everything that a store may do wrong. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { NO_FAULTS } from "../../../helpers/fake-etcd.ts";
import { LockStory } from "../../../helpers/faulty-locks.ts";
import { withSeeds } from "../../../helpers/seed.ts";

const test = suite("locks over a faulty store");

const UNRELIABLE = {
  ...NO_FAULTS,
  lostTxn: 4,
  oldList: 3,
  brokenWatch: 5,
  coalesced: 2,
  repeated: 3,
  deadKeepAlive: 2,
};

test("one at a time is in, every turn counts once, whatever answers are lost", async () => {
  await withSeeds({ fixed: [1, 2, 3], more: 12 }, async (prng) => {
    const story = new LockStory(prng, { members: 3, rounds: 6, faults: UNRELIABLE });
    assert.is(await story.run(), 18);
    assert.is(story.completed, 18);
  });
});

test("nobody is let in beside a member whose lease ended until its end is proven", async () => {
  await withSeeds({ fixed: [1, 2, 3, 757574733], more: 12 }, async (prng) => {
    const faults = { ...UNRELIABLE, endedLease: 60 };
    const story = new LockStory(prng, { members: 3, rounds: 6, faults });
    await story.run();
    assert.is(story.completed, 18);
  });
});

test.run();
