/** The board's time, ticking, for ages and times left. */

import { signal } from "@preact/signals";
import { clockOffset } from "./board-store.ts";

const TICK_MS = 1000;

/** Milliseconds since the epoch by the board's clock; changes every second. */
export const now = signal(Date.now());

/** Starts the ticking. */
export function startClock(): void {
  window.setInterval(() => {
    now.value = Date.now() + clockOffset.value;
  }, TICK_MS);
}
