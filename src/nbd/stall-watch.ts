/**
 * Decides when a peer has stalled: it stopped in the middle of a message, it takes not one byte of
 * its replies while others wait for their memory, or it does not end a connection that is closing.
 * A peer that owes nothing may rest for ever, and so may one whose replies are in nobody's way.
 */
import type { ServerLimits } from "./server-limits.ts";

/** What a peer owes: the rest of a message, the taking of replies, or the end of the connection. */
export interface PeerDebt {
  readonly type: "none" | "message" | "reading" | "closing";
  /** Length of the message, or of the replies not taken; 0 when progress shows every byte. */
  readonly bytes: number;
  /** Differs as soon as the peer has paid a part. */
  readonly progress: number;
}

export const NO_DEBT: PeerDebt = { type: "none", bytes: 0, progress: 0 };

const MS_PER_SECOND = 1_000;
/** Who takes replies slower than this loses them to others who wait, where bytes cannot be seen. */
const READING_BYTES_PER_SECOND = 1024 * 1024;

export class StallWatch {
  readonly #limits: ServerLimits;
  #seen: PeerDebt = NO_DEBT;
  #since = 0;

  constructor(limits: ServerLimits) {
    this.#limits = limits;
  }

  /** Looks at `debt` at `now` (milliseconds); the reason to end the connection, or null. */
  look(debt: PeerDebt, now: number, isContended: boolean): string | null {
    if (debt.type !== this.#seen.type || debt.progress !== this.#seen.progress) {
      this.#seen = debt;
      this.#since = now;
      return null;
    }
    const restedMs = now - this.#since;
    const { stallMs, slowestBytesPerSecond, closingMs, contendedMs } = this.#limits;
    const graceMs = stallMs + (debt.bytes / slowestBytesPerSecond) * MS_PER_SECOND;
    const takingMs = (debt.bytes / READING_BYTES_PER_SECOND) * MS_PER_SECOND;
    switch (debt.type) {
      case "none":
        return null;
      case "message":
        return restedMs > graceMs ? "stalled in the middle of a message" : null;
      case "reading":
        return isContended && restedMs > contendedMs + takingMs
          ? "does not take its replies"
          : null;
      case "closing":
        return restedMs > closingMs ? "did not end in time" : null;
    }
  }
}
