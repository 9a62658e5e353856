/** What control does every few seconds: looks after scrubs and spares. One round at a time. */

import type { Logger } from "../common/log.ts";

/** Time between rounds: how late a window may close at most. */
export const ROUND_MS = 2000;

/** One thing to look after; its name is for the log. */
export interface Chore {
  readonly name: string;
  readonly look: () => Promise<void>;
}

/** The rounds. */
export class Rounds {
  readonly #chores: readonly Chore[];
  readonly #logger: Logger;
  #timer: NodeJS.Timeout | null = null;
  #round: Promise<void> | null = null;

  constructor(chores: readonly Chore[], logger: Logger) {
    this.#chores = chores;
    this.#logger = logger;
  }

  /** Makes a round every `ROUND_MS` from now on; one that takes longer delays the next. */
  start(): void {
    this.#timer ??= setInterval(() => void this.round(), ROUND_MS);
    this.#timer.unref();
  }

  /** Ends the rounds; resolves when the one under way is over. */
  async stop(): Promise<void> {
    if (this.#timer !== null) {
      clearInterval(this.#timer);
      this.#timer = null;
    }
    await this.#round;
  }

  /** Makes one round. Calls made during it join it. Never rejects. */
  round(): Promise<void> {
    this.#round ??= this.#lookAtAll().finally(() => {
      this.#round = null;
    });
    return this.#round;
  }

  async #lookAtAll(): Promise<void> {
    for (const { name, look } of this.#chores) {
      try {
        await look();
      } catch (error) {
        this.#logger.error({ chore: name, error }, "round-failed");
      }
    }
  }
}
