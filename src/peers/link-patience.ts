/**
 * How long one connection of a peer's disk is waited for, counted in looks. PURE.
 *
 * A peer of which nothing at all comes is given up sooner than one that speaks and does not let us
 * in yet: that one is there, and perhaps finishes what the connection before has left at the disk.
 */

/** Its owner looks so often, while anything is in use. */
export const LOOK_MS = 500;
/** A connection that owes an answer and is silent for so many looks is asked if it is there … */
const PROBE_LOOKS = 2;
/** … and counts as broken after so many: 3 s. */
const SILENT_LOOKS = 6;
/** One that broke is made anew within this, or given up: 5 s, as long as an exporter may wait … */
const BROKEN_LOOKS = 10;
/** … and nothing may have come for so long in all: 6 s, so that it is over before a lease is. */
const MUTE_LOOKS = 12;

/** What is due: nothing, a question, the end of the connection, the end of the peer's disk. */
export type PatienceVerdict = "wait" | "ask" | "cut" | "give-up";

export class LinkPatience {
  /** Looks since the connection has answered or began, while it owed something. */
  #silent = 0;
  /** Looks since anything came at all, also of a handshake. */
  #mute = 0;
  /** Looks since it broke without an answer since; null: it did not. */
  #broken: number | null = null;

  /** Whether it broke, and has given no answer since. */
  get isBroken(): boolean {
    return this.#broken !== null;
  }

  /** Seconds in which nothing was answered. */
  get seconds(): number {
    return (Math.max(this.#mute, this.#broken ?? 0) * LOOK_MS) / 1000;
  }

  /** An answer has come, or none is owed: all is well. */
  heard(): void {
    this.#silent = 0;
    this.#mute = 0;
    this.#broken = null;
  }

  /** Something has come, of a handshake: the peer is there. */
  spoke(): void {
    this.#mute = 0;
  }

  /** A handshake has led to a connection; whether it answers is still to be seen. */
  began(): void {
    this.#silent = 0;
    this.#mute = 0;
  }

  /** The connection has ended; it may have before, and given no answer in between. */
  broke(): void {
    this.#broken ??= 0;
  }

  /** A look at which nothing had come of a connection that owes something, or is missing. */
  look(isConnected: boolean): PatienceVerdict {
    this.#mute += 1;
    if (this.#broken !== null) {
      this.#broken += 1;
      if (this.#broken >= BROKEN_LOOKS || this.#mute >= MUTE_LOOKS) return "give-up";
    }
    if (!isConnected) return "wait";
    this.#silent += 1;
    if (this.#silent >= SILENT_LOOKS) return "cut";
    return this.#silent === PROBE_LOOKS ? "ask" : "wait";
  }
}
