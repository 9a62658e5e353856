/**
 * A change of the array as a whole needs every node at rest, which none has while it runs a sync
 * action or owes a pass, as each does for a moment after the last change. So it asks again for a
 * while before it tells the user who has no rest.
 */

import type { CommandOutcome } from "../raid/array-messages.ts";

/** How long it asks. Choice: an empty pass takes less than a second, a resync more than this. */
const PATIENCE_MS = 30_000;
/** Between attempts: those who came to rest for one in vain start anew. Choice. */
const PAUSE_MS_MIN = 250;
const PAUSE_MS_MAX = 4000;

export interface PatientClock {
  now(): number;
  pause(ms: number): Promise<void>;
}

/** The outcome of the first attempt that is not refused with `code`, or of the last. */
export const askPatiently = async (
  ask: () => Promise<CommandOutcome>,
  clock: PatientClock,
  code = "CLUSTER_NODE_BUSY",
): Promise<CommandOutcome> => {
  const began = clock.now();
  for (let pause = PAUSE_MS_MIN; ; pause = Math.min(2 * pause, PAUSE_MS_MAX)) {
    const outcome = await ask();
    if (outcome.ok || outcome.code !== code) return outcome;
    const waited = clock.now() - began;
    if (waited + pause > PATIENCE_MS) {
      const message = `${outcome.message} (waited ${Math.round(waited / 1000)} s)`;
      return { ...outcome, message };
    }
    await clock.pause(pause);
  }
};
