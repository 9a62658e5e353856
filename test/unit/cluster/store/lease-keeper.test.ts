/** When a session's lease is renewed, while its store is away and afterwards. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { LeaseKeeper } from "../../../../src/cluster/store/lease-keeper-driver.ts";
import { ManualClock } from "../../../helpers/manual-clock.ts";

const test = suite("lease keeper");
const LEASE_MS = 10_000;

const world = () => {
  const clock = new ManualClock();
  const start = clock.now();
  const asked: number[] = [];
  const state = { isAway: false };
  const store = {
    leaseKeepAlive: async () => {
      asked.push(clock.now() - start);
      if (state.isAway) throw new Error("away");
    },
  };
  const keeper = new LeaseKeeper({ store, clock, lease: "1", leaseMs: LEASE_MS });
  return { clock, asked, state, keeper };
};

test("each quarter of the lease while the store answers", async () => {
  const { clock, asked, keeper } = world();
  for (let second = 1; second <= 10; second += 1) {
    await clock.pass(1000);
    keeper.answered();
  }
  assert.equal(asked, [2500, 5000, 7500, 10_000]);
  keeper.stop();
  await clock.pass(5000);
  assert.is(asked.length, 4, "and no more when the session is over");
});

test("at once when a store answers that did not", async () => {
  const { clock, asked, state, keeper } = world();
  state.isAway = true;
  await clock.pass(5600);
  keeper.missed();
  assert.equal(asked, [2500, 5000]);
  state.isAway = false;
  keeper.answered();
  await clock.pass(0);
  keeper.answered();
  assert.equal(asked, [2500, 5000, 5600], "once");
});

test("an outage that fell between two renewals counts as well", async () => {
  const { clock, asked, keeper } = world();
  await clock.pass(2600);
  keeper.missed();
  await clock.pass(1000);
  keeper.answered();
  assert.equal(asked, [2500, 3600]);
});

test("with the first answer when less than 3 s are left, as after a thread that stood still", async () => {
  for (const [passed, renewals] of [
    [6900, 0],
    [7100, 1],
  ] as const) {
    let now = 0;
    let asked = 0;
    const store = {
      leaseKeepAlive: async () => {
        asked += 1;
      },
    };
    // Its timers come late.
    const clock = { now: () => now, after: () => () => undefined };
    const keeper = new LeaseKeeper({ store, clock, lease: "1", leaseMs: LEASE_MS });
    now = passed;
    keeper.answered();
    assert.is(asked, renewals, `after ${passed} ms`);
  }
});

test.run();
