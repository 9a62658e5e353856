/** How often per second a pure, synchronous step can be taken. */

/** The step is taken this often between two looks at the clock. */
const BATCH = 64;

/**
 * Takes the step over and over for `seconds`, after a tenth of that to warm up. Returns units per
 * second, where one step does `units` of them. `nowMs`: a monotonic clock.
 */
export function measureRate(
  seconds: number,
  units: number,
  step: () => void,
  nowMs: () => number = () => performance.now(),
): number {
  takeSteps(seconds * 100, step, nowMs);
  const { steps, ms } = takeSteps(seconds * 1000, step, nowMs);
  return (steps * units * 1000) / ms;
}

function takeSteps(
  durationMs: number,
  step: () => void,
  nowMs: () => number,
): { readonly steps: number; readonly ms: number } {
  const began = nowMs();
  let steps = 0;
  let ms = 0;
  // A step that takes long is not taken 64 times beyond the end.
  for (let batch = 1; ms < durationMs; batch = Math.min(batch * 2, BATCH)) {
    for (let index = 0; index < batch; index++) step();
    steps += batch;
    ms = nowMs() - began;
  }
  return { steps, ms };
}
