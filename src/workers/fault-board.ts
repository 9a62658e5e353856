/** The faults laid over members in lab mode: one switch per path, shared with every thread. */

import { CodedError } from "../common/errors.ts";
import type { MemberFault } from "../control/engine.ts";
import { FaultSwitch } from "../hal/layers/fault-device.ts";
import type { MemberTicket } from "./open-member.ts";
import type { StoreTicket } from "./open-store.ts";

export class FaultBoard {
  readonly #labMode: boolean;
  readonly #switches = new Map<string, FaultSwitch>();
  #faults: MemberFault[] = [];

  constructor(labMode: boolean) {
    this.#labMode = labMode;
  }

  /** What a thread needs to open the member; without lab mode there is no layer at all. */
  ticket(store: StoreTicket): MemberTicket {
    return { ...store, faults: this.#labMode ? this.#switch(store.path).buffer : null };
  }

  /** One fault of a kind per member: a new one replaces it. Errors: HAL_LAB_MODE_OFF. */
  set(fault: MemberFault): void {
    this.#needLabMode();
    this.#switch(fault.path).arm(fault);
    this.#faults = this.#faults.filter(
      (other) => other.path !== fault.path || other.kind !== fault.kind,
    );
    this.#faults.push(fault);
  }

  clear(path: string): void {
    this.#needLabMode();
    this.#switches.get(path)?.disarmAll();
    this.#faults = this.#faults.filter((fault) => fault.path !== path);
  }

  list(): readonly MemberFault[] {
    return this.#faults;
  }

  #switch(path: string): FaultSwitch {
    const existing = this.#switches.get(path) ?? new FaultSwitch();
    this.#switches.set(path, existing);
    return existing;
  }

  #needLabMode(): void {
    if (this.#labMode) return;
    throw new CodedError("HAL_LAB_MODE_OFF", "faults can be injected in lab mode only", {
      remedy: "start the board with lab mode on; never do so with data you need",
    });
  }
}
