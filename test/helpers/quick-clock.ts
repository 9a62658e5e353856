/** A clock on which everything that waits does so 20 times shorter: for tests of long limits. */
import { MONOTONIC_CLOCK } from "../../src/cluster/store/monotonic-clock-driver.ts";
import type { StoreClock } from "../../src/cluster/store/store-clock.ts";

const TIMES = 20;

export const QUICK_CLOCK: StoreClock = {
  now: MONOTONIC_CLOCK.now,
  after: (ms, act) => MONOTONIC_CLOCK.after(ms / TIMES, act),
};
