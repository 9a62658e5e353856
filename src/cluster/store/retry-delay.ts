/** How long to wait before the next attempt: random, so that those who collided do so no more. */

/** Longest pause after a lost race for a key. */
export const RACE_MS_MAX = 64;
/** Length of the first range, which doubles with each attempt. */
const STEP_MS = 2;

/** Uniform in [0, 2^attempt × 2 ms), at most `most`; `attempt` from 1, `random` in [0, 1). */
export const retryDelay = (attempt: number, most: number, random: number): number =>
  Math.min(STEP_MS * 2 ** Math.min(attempt, 20), most) * random;
