/**
 * Flush rounds of one I/O worker: every leg in use is flushed at once; who asks meanwhile joins the
 * next round, which begins after the call. A leg that cannot be flushed is recorded faulty before
 * anybody is answered.
 */

import type { LegHandles } from "./leg-handles-driver.ts";
import type { LegReports } from "./leg-reports.ts";
import { LEG_IN_SYNC, LEG_NONE, RUN_BROKEN, type SharedArrayState } from "./shared-state.ts";
import { IO_EIO, IO_OK } from "./write-request.ts";

/** `hasFailed`: a leg could not be flushed, which is recorded when `errno` is IO_OK. */
export type FlushCompletion = (errno: number, hasFailed: boolean) => void;

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

export class LegFlushes {
  readonly #state: SharedArrayState;
  readonly #legs: LegHandles;
  readonly #reports: LegReports;
  #next: FlushCompletion[] = [];
  #isRunning = false;

  constructor(state: SharedArrayState, legs: LegHandles, reports: LegReports) {
    this.#state = state;
    this.#legs = legs;
    this.#reports = reports;
  }

  flush(complete: FlushCompletion): void {
    this.#next.push(complete);
    if (!this.#isRunning) this.#round();
  }

  #round(): void {
    const round = this.#next;
    this.#next = [];
    this.#isRunning = true;
    let pending = 1;
    let flushed = 0;
    const failures: { leg: number; message: string }[] = [];
    const settle = () => {
      pending--;
      if (pending > 0) return;
      this.#record(failures, (isRecorded) => {
        this.#isRunning = false;
        if (this.#next.length > 0) this.#round();
        const errno = flushed > 0 && isRecorded ? IO_OK : IO_EIO;
        for (const complete of round) complete(errno, failures.length > 0);
      });
    };
    for (let leg = 0; leg < this.#legs.legs; leg++) {
      const legState = this.#state.leg(leg);
      const device = this.#legs.device(leg);
      if (legState === LEG_NONE || device === null) continue;
      pending++;
      this.#legs.use(leg);
      device.flush().then(
        () => {
          if (legState === LEG_IN_SYNC) flushed++;
          this.#legs.free(leg);
          settle();
        },
        (error: unknown) => {
          failures.push({ leg, message: messageOf(error) });
          this.#legs.free(leg);
          settle();
        },
      );
    }
    settle();
  }

  #record(
    failures: readonly { readonly leg: number; readonly message: string }[],
    then: (isRecorded: boolean) => void,
  ): void {
    let open = failures.length;
    let all = true;
    if (open === 0) return then(true);
    for (const { leg, message } of failures) {
      this.#reports.send(leg, "flush", message, null, null, (isRecorded) => {
        if (!isRecorded || this.#state.run === RUN_BROKEN) all = false;
        open--;
        if (open === 0) then(all);
      });
    }
  }
}
