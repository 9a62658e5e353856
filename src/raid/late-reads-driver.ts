/**
 * Reads of legs that are waited for: whoever waits for long is told once, to ask another leg. One
 * timer for all of them, and none while nobody waits.
 */

import type { IoClock } from "./io-gate-driver.ts";

/** A read that waits so long is late, milliseconds. Source: SILENT_MS of revocable-device.ts. */
const LATE_MS = 1000;
/** Between looks while something waits. Choice: a fraction of it, and no cost. */
const LOOK_MS = 250;

export interface AwaitedRead {
  /** When it began, milliseconds of the clock. */
  readonly since: number;
}

export class LateReads<Read extends AwaitedRead> {
  readonly #clock: IoClock;
  readonly #onLate: (read: Read) => void;
  /** In order of their beginning. */
  readonly #awaited = new Set<Read>();
  #isLooking = false;

  constructor(clock: IoClock, onLate: (read: Read) => void) {
    this.#clock = clock;
    this.#onLate = onLate;
  }

  get now(): number {
    return this.#clock.now();
  }

  add(read: Read): void {
    this.#awaited.add(read);
    this.#lookLater();
  }

  /** It is answered, or nobody waits for it any more. */
  delete(read: Read): void {
    this.#awaited.delete(read);
  }

  #lookLater(): void {
    if (this.#isLooking) return;
    this.#isLooking = true;
    this.#clock.after(LOOK_MS, () => {
      this.#isLooking = false;
      this.#look();
    });
  }

  #look(): void {
    const late = this.#clock.now() - LATE_MS;
    for (const read of this.#awaited) {
      if (read.since > late) break;
      this.#awaited.delete(read);
      this.#onLate(read);
    }
    if (this.#awaited.size > 0) this.#lookLater();
  }
}
