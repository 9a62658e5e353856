/** When this thread may begin I/O on a clustered array's members, from the time that it lasts. */

import { CodedError } from "../common/errors.ts";
import type { DeviceGate } from "../hal/layers/gated-device.ts";
import { GATE_EXPELLED } from "../raid/shared-state.ts";
import { afterMs, monotonicMs } from "./monotonic-clock.ts";

/** Between looks while something waits. */
const LOOK_MS = 20;

export class ThreadGate implements DeviceGate {
  readonly #until: () => number;
  #opened: Promise<void> | null = null;

  /** `until`: as SharedArrayState.gateUntil. */
  constructor(until: () => number) {
    this.#until = until;
  }

  get isOpen(): boolean {
    const until = this.#until();
    return until === 0 || monotonicMs() < until;
  }

  opened(): Promise<void> {
    this.#opened ??= this.#wait().finally(() => {
      this.#opened = null;
    });
    return this.#opened;
  }

  async #wait(): Promise<void> {
    while (!this.isOpen) {
      if (this.#until() === GATE_EXPELLED) {
        throw new CodedError("HAL_EXPELLED", "the cluster goes on without this board", {
          remedy: "nothing: the board joins again by itself",
        });
      }
      await new Promise<void>((resolve) => void afterMs(LOOK_MS, resolve));
    }
  }
}
