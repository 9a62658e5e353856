/**
 * Looks for a device that another node adds to the array: control knows the board's devices, this
 * thread opens and reads it. A device to which one of this board's threads may still write late (a
 * member that failed here, was given up and has not answered) is not there: such a write would land
 * on what the other node copies, and no bit would tell.
 */

import { atMost } from "../common/at-most-driver.ts";
import { CodedError } from "../common/errors.ts";
import type { Newcomer } from "../raid/array-messages.ts";
import type { MemberTicket } from "./open-member.ts";

/** Who adds a device waits no longer for the others. Source: MD Cluster, NEW_DEV_TIMEOUT 5 s. */
const FIND_MS = 5000;

export interface DeviceFinderHost {
  /** Asks control; the answer is `onFound`. */
  ask(id: number, uuid: string): void;
  /** Null: no thread is owed an answer at this path; else what is. */
  owed(path: string): Promise<string | null>;
  /** Errors: of opening and reading it. */
  open(ticket: MemberTicket): Promise<Newcomer>;
  /** For people: why the device is not taken. */
  passedOver(path: string, reason: string): void;
}

export class DeviceFinder {
  readonly #host: DeviceFinderHost;
  readonly #waiting = new Map<number, (ticket: MemberTicket | null) => void>();
  #next = 1;

  constructor(host: DeviceFinderHost) {
    this.#host = host;
  }

  /** The device with this device_uuid (32 hexadecimal digits); null: this board does not see it. */
  async find(uuid: string): Promise<Newcomer | null> {
    const ticket = await this.#ask(uuid);
    if (ticket === null) return null;
    const { path } = ticket;
    try {
      const late = await this.#host.owed(path);
      if (late === null) return await this.#host.open(ticket);
      this.#host.passedOver(path, late);
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      this.#host.passedOver(path, error.message);
    }
    return null;
  }

  /** Null: control knows no such device. */
  onFound(id: number, ticket: MemberTicket | null): void {
    this.#waiting.get(id)?.(ticket);
    this.#waiting.delete(id);
  }

  async #ask(uuid: string): Promise<MemberTicket | null> {
    const id = this.#next++;
    const found = new Promise<MemberTicket | null>((resolve) => {
      this.#waiting.set(id, resolve);
      this.#host.ask(id, uuid);
    });
    const ticket = await atMost(found, FIND_MS, null);
    this.#waiting.delete(id);
    return ticket;
  }
}
