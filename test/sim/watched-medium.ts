/**
 * A simulated medium that counts writes of metadata, so that power can go in the middle of them.
 */

import { SimMedium } from "../../src/hal/sim/crash-device.ts";

export class WatchedMedium extends SimMedium {
  readonly #dataAt: number;
  /** Writes that began below the data. */
  metadataWrites = 0;

  constructor(sizeBytes: number, dataAt: number) {
    super(sizeBytes);
    this.#dataAt = dataAt;
  }

  override begin(offset: number, data: Uint8Array) {
    if (offset < this.#dataAt) this.metadataWrites++;
    return super.begin(offset, data);
  }
}
