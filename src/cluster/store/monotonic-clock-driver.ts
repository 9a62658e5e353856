/** The machine's clock. A timer that waits keeps the process alive: close what you opened. */
import type { StoreClock } from "./store-clock.ts";

export const MONOTONIC_CLOCK: StoreClock = {
  now: () => performance.now(),
  after: (ms, act) => {
    const timer = setTimeout(act, ms);
    return () => clearTimeout(timer);
  },
};
