/**
 * The disk of a board that is to vote, judged by the best of several measurements: one that falls
 * into a loaded moment says nothing of the disk. While it is too slow it is measured again.
 */
import { CodedError } from "../common/errors.ts";
import { type EtcdTiming, timingFor } from "./fsync-test-driver.ts";

export interface DiskTrialOptions {
  readonly limitMs: number;
  /** One measurement, milliseconds. */
  readonly measure: () => Promise<number>;
  /** Monotonic, milliseconds. */
  readonly now: () => number;
}

/** What is known of the disk; `timing` null: it is too slow so far. `remark` is for people. */
export interface DiskVerdict {
  readonly timing: EtcdTiming | null;
  readonly remark: string | null;
}

/** Pauses between measurements that were too slow; the last one goes on. Choice. */
const PAUSES_MS = [3000, 10_000, 30_000, 60_000] as const;

export class DiskTrial {
  readonly #options: DiskTrialOptions;
  #bestMs: number | null = null;
  #tries = 0;
  #nextAt = 0;
  #running: Promise<void> | null = null;
  #problem: unknown = null;

  constructor(options: DiskTrialOptions) {
    this.#options = options;
  }

  /**
   * The first time after a measurement, later at once: another one that is due is begun and not
   * waited for. Never rejects.
   */
  async verdict(): Promise<DiskVerdict> {
    const { limitMs, now } = this.#options;
    const isSlow = this.#bestMs === null || this.#bestMs > limitMs;
    if (isSlow && this.#running === null && now() >= this.#nextAt) this.#begin();
    if (this.#bestMs === null) await this.#running;
    return this.#verdict();
  }

  /** Waits for a measurement under way. */
  async settled(): Promise<void> {
    await this.#running;
  }

  #begin(): void {
    this.#running = this.#measure().finally(() => {
      this.#running = null;
    });
  }

  async #measure(): Promise<void> {
    const { measure, now } = this.#options;
    try {
      this.#bestMs = Math.min(this.#bestMs ?? Number.POSITIVE_INFINITY, await measure());
      this.#problem = null;
    } catch (error) {
      this.#problem = error;
    }
    this.#nextAt = now() + (PAUSES_MS[this.#tries] ?? PAUSES_MS[PAUSES_MS.length - 1] ?? 0);
    this.#tries += 1;
  }

  #verdict(): DiskVerdict {
    const { limitMs } = this.#options;
    const best = this.#bestMs;
    if (best !== null && best <= limitMs) {
      const { warning, ...timing } = timingFor(best, limitMs);
      return { timing, remark: warning };
    }
    const again = this.#again();
    if (best === null) {
      const problem = this.#problem;
      const why = problem instanceof CodedError ? problem.advice : String(problem);
      return { timing: null, remark: `its disk could not be measured: ${why}; ${again}` };
    }
    const took = `its disk's flush took ${Math.round(best)} ms at best (99 of 100)`;
    return { timing: null, remark: `${took}, a vote needs ${limitMs} ms or less; ${again}` };
  }

  #again(): string {
    const seconds = Math.ceil((this.#nextAt - this.#options.now()) / 1000);
    return this.#running === null && seconds > 0
      ? `measured again in ${seconds} s`
      : "it is being measured again";
  }
}
