/**
 * Arrays of which a working member is not there when the board starts: disks come up one by one, so
 * they are waited for, and only then is the array started without them. Source: mdadm's
 * mdadm-last-resort timer, which waits 30 s.
 */

export interface LateStartsOptions {
  /** Milliseconds to wait for members. */
  readonly waitMs: number;
  readonly now: () => number;
  /** Starts it from what is there, if it still waits. Never rejects. */
  readonly start: (uuid: string) => Promise<void>;
}

export class LateStarts {
  readonly #options: LateStartsOptions;
  readonly #deadlines = new Map<string, number>();

  constructor(options: LateStartsOptions) {
    this.#options = options;
  }

  /** The array waits for members from now on, if it does not already. */
  wait(uuid: string): void {
    if (this.#deadlines.has(uuid)) return;
    this.#deadlines.set(uuid, this.#options.now() + this.#options.waitMs);
  }

  /** Starts those that have waited long enough. */
  async look(): Promise<void> {
    const now = this.#options.now();
    for (const [uuid, deadline] of [...this.#deadlines]) {
      if (now < deadline) continue;
      this.#deadlines.delete(uuid);
      await this.#options.start(uuid);
    }
  }
}
