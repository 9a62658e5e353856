/** Waiting for a region that another thread holds, without blocking this one. */

/** Resolves when the slot's word may have changed; the caller tries again. */
export type WaitForRegion = (words: Int32Array, slot: number) => Promise<void>;

/**
 * Resolves when the holder lets go, or at once when the word is free already. The wait is bounded:
 * a holder that left between the look and the wait is noticed by the next look.
 */
export const waitForRegion: WaitForRegion = async (words, slot) => {
  const word = Atomics.load(words, slot);
  if (word === 0) return;
  const wait = Atomics.waitAsync(words as Int32Array<SharedArrayBuffer>, slot, word, WAIT_MS);
  if (wait.async) await wait.value;
};

/** Longest single wait, milliseconds. Choice: short enough that a lost wake-up never shows. */
const WAIT_MS = 100;
