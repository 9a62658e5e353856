/**
 * One I/O worker's own handles of an array's legs: opened before a leg may be used, closed once no
 * I/O uses it any more. Keeps the stall clock of each leg: since when its oldest call waits.
 */

import { assert } from "../common/assert.ts";
import type { BlockDevice } from "../hal/block-device.ts";
import { RevocableDevice } from "../hal/layers/revocable-device.ts";
import type { SharedArrayState } from "./shared-state.ts";

export class LegHandles {
  readonly #state: SharedArrayState;
  readonly #worker: number;
  readonly #seconds: () => number;
  readonly #devices: (RevocableDevice | null)[];
  readonly #dataOffsets: Float64Array;
  readonly #use: Int32Array;
  readonly #closing: (PromiseWithResolvers<undefined> | null)[];

  /** `seconds`: whole seconds since the epoch, never 0; for the stall clock. */
  constructor(state: SharedArrayState, worker: number, seconds: () => number) {
    const legs = state.legs;
    this.#state = state;
    this.#worker = worker;
    this.#seconds = seconds;
    this.#devices = new Array<RevocableDevice | null>(legs).fill(null);
    this.#dataOffsets = new Float64Array(legs);
    this.#use = new Int32Array(legs);
    this.#closing = new Array<null>(legs).fill(null);
  }

  /** Legs there are. */
  get legs(): number {
    return this.#devices.length;
  }

  /** The handle of a leg, or null. */
  device(leg: number): RevocableDevice | null {
    return this.#devices[leg] ?? null;
  }

  /** Position on the member of a position in the array. Source: raid1 geometry. */
  position(leg: number, offset: number): number {
    return (this.#dataOffsets[leg] ?? 0) + offset;
  }

  /** `dataOffset`: bytes from the start of the member to the array's content. */
  open(leg: number, device: BlockDevice, dataOffset: number): void {
    assert(this.#devices[leg] === null, "leg is open already");
    this.#devices[leg] = RevocableDevice.over(device, () => this.#seconds() * 1000);
    this.#dataOffsets[leg] = dataOffset;
  }

  /**
   * Closes the handle once no I/O uses it. `reason` to give it up: the calls under way end with
   * HAL_NO_ANSWER now, and the handle is closed whenever the device has answered.
   */
  async drop(leg: number, reason: string | null = null): Promise<void> {
    const device = this.device(leg);
    if (device === null) return;
    if (reason !== null) return this.#giveUp(leg, device, reason);
    if (this.#use[leg] !== 0) {
      this.#closing[leg] ??= Promise.withResolvers<undefined>();
      await this.#closing[leg]?.promise;
    }
    if (this.#devices[leg] !== device) return;
    this.#devices[leg] = null;
    this.#closing[leg] = null;
    await device.close();
  }

  #giveUp(leg: number, device: RevocableDevice, reason: string): void {
    this.#devices[leg] = null;
    this.#state.setStall(this.#worker, leg, 0);
    device.revoke(reason);
    // A close that fails has nothing left to lose: the member is recorded faulty.
    device.close().catch(() => undefined);
  }

  /** An asynchronous I/O begins on the leg. */
  use(leg: number): void {
    const use = (this.#use[leg] ?? 0) + 1;
    this.#use[leg] = use;
    if (use === 1) this.#state.setStall(this.#worker, leg, this.#seconds());
  }

  /** It ended. */
  free(leg: number): void {
    const use = (this.#use[leg] ?? 0) - 1;
    this.#use[leg] = use;
    const since = this.device(leg)?.owesSince ?? null;
    const seconds = since === null ? 0 : Math.max(1, Math.floor(since / 1000));
    this.#state.setStall(this.#worker, leg, seconds);
    if (use === 0) this.#closing[leg]?.resolve(undefined);
  }
}
