/** For how long a board's pulse has not been seen to change. Pure. */

interface Beat {
  readonly revision: string;
  readonly at: number;
}

/** A pulse comes every 2 s, and is looked for every 2 s. Choice. */
const LATE_PULSE_MS = 5000;

export type PulseState = "online" | "silent" | "unknown" | "offline";

/** Pulses as they were seen; times are monotonic. */
export class PulseWatch {
  readonly #beats = new Map<string, Beat>();
  #seenAt = Number.NEGATIVE_INFINITY;

  /** `beats`: of a listing that is not old. */
  see(beats: ReadonlyMap<string, string>, now: number): void {
    this.#seenAt = now;
    for (const id of this.#beats.keys()) if (!beats.has(id)) this.#beats.delete(id);
    for (const [id, revision] of beats)
      if (this.#beats.get(id)?.revision !== revision) this.#beats.set(id, { revision, at: now });
  }

  /** Milliseconds; null where that cannot be known: nothing was listed lately, or it has none. */
  silentMs(id: string, now: number): number | null {
    const beat = this.#beats.get(id);
    return beat === undefined || now - this.#seenAt > LATE_PULSE_MS ? null : now - beat.at;
  }

  /** `unknown`: the store does not answer; `offline`: it has said nothing for its whole lease. */
  stateOf(id: string, now: number): PulseState {
    if (now - this.#seenAt > LATE_PULSE_MS) return "unknown";
    const silentMs = this.silentMs(id, now);
    if (silentMs === null) return "offline";
    return silentMs > LATE_PULSE_MS ? "silent" : "online";
  }
}
