/**
 * One I/O worker's own handles of an array's legs: opened before a leg may be used, closed once no
 * I/O uses it any more. Keeps the stall clock of each leg.
 */

import { assert } from "../common/assert.ts";
import type { BlockDevice } from "../hal/block-device.ts";
import type { SharedArrayState } from "./shared-state.ts";

export class LegHandles {
  readonly #state: SharedArrayState;
  readonly #worker: number;
  readonly #seconds: () => number;
  readonly #devices: (BlockDevice | null)[];
  readonly #dataOffsets: Float64Array;
  readonly #use: Int32Array;
  readonly #closing: (PromiseWithResolvers<undefined> | null)[];

  /** `seconds`: whole seconds since the epoch, never 0; for the stall clock. */
  constructor(state: SharedArrayState, worker: number, seconds: () => number) {
    const slots = state.shape.raidSlots;
    this.#state = state;
    this.#worker = worker;
    this.#seconds = seconds;
    this.#devices = new Array<BlockDevice | null>(slots).fill(null);
    this.#dataOffsets = new Float64Array(slots);
    this.#use = new Int32Array(slots);
    this.#closing = new Array<null>(slots).fill(null);
  }

  /** Raid slots there are. */
  get slots(): number {
    return this.#devices.length;
  }

  /** The handle of a leg, or null. */
  device(slot: number): BlockDevice | null {
    return this.#devices[slot] ?? null;
  }

  /** Position on the member of a position in the array. Source: raid1 geometry. */
  position(slot: number, offset: number): number {
    return (this.#dataOffsets[slot] ?? 0) + offset;
  }

  /** `dataOffset`: bytes from the start of the member to the array's content. */
  open(slot: number, device: BlockDevice, dataOffset: number): void {
    assert(this.#devices[slot] === null, "leg is open already");
    this.#devices[slot] = device;
    this.#dataOffsets[slot] = dataOffset;
  }

  /** Closes the handle once no I/O uses it. */
  async drop(slot: number): Promise<void> {
    const device = this.device(slot);
    if (device === null) return;
    if (this.#use[slot] !== 0) {
      this.#closing[slot] ??= Promise.withResolvers<undefined>();
      await this.#closing[slot]?.promise;
    }
    if (this.#devices[slot] !== device) return;
    this.#devices[slot] = null;
    this.#closing[slot] = null;
    await device.close();
  }

  /** An asynchronous I/O begins on the leg. */
  use(slot: number): void {
    const use = (this.#use[slot] ?? 0) + 1;
    this.#use[slot] = use;
    if (use === 1) this.#state.setStall(this.#worker, slot, this.#seconds());
  }

  /** It ended. */
  free(slot: number): void {
    const use = (this.#use[slot] ?? 0) - 1;
    this.#use[slot] = use;
    if (use > 0) return;
    this.#state.setStall(this.#worker, slot, 0);
    this.#closing[slot]?.resolve(undefined);
  }
}
