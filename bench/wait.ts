/** Waits for what another process does: each says what for and how it goes, and has a limit. */

const SAY_EVERY_MS = 10_000;
const PAUSE_MS = 100;

/** True once it is so; else how it stands, in a few words. */
export type WaitProbe = () => Promise<true | string>;

export interface WaitOptions {
  readonly limitMs: number;
  /** Between two questions, at most. Default: 100. */
  readonly pauseMs?: number;
  /** Told every ten seconds. Default: standard error. */
  readonly say?: (text: string) => void;
}

/**
 * Asks until the answer is true. Errors: what the probe throws, at once; past the limit one that
 * names `what` and the last answer.
 */
export async function waitUntil(
  what: string,
  { limitMs, pauseMs = PAUSE_MS, say = sayOnStderr }: WaitOptions,
  probe: WaitProbe,
): Promise<void> {
  const began = performance.now();
  let saidAt = began;
  for (let pause = 2; ; pause = Math.min(pause * 2, pauseMs)) {
    const state = await probe();
    if (state === true) return;
    const now = performance.now();
    if (now - began > limitMs) {
      throw new Error(`waited ${limitMs / 1000} s until ${what}, in vain: ${state}`);
    }
    if (now - saidAt > SAY_EVERY_MS) {
      saidAt = now;
      const spent = ((now - began) / 1000).toFixed(0);
      say(`waiting until ${what}, ${spent} s of ${limitMs / 1000} s at most: ${state}`);
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

function sayOnStderr(text: string): void {
  process.stderr.write(`${text}\n`);
}
