/** What the parts of a story share: the media, the running array, what its client may find. */

import { assert } from "../../src/common/assert.ts";
import type { Prng } from "../../src/common/prng.ts";
import type { ContentModel } from "./content-model.ts";
import type { SimShape } from "./media.ts";
import type { Scheduler } from "./scheduler.ts";
import type { SimArray, SimLeg } from "./sim-array.ts";

export class World {
  readonly prng: Prng;
  readonly legs: readonly SimLeg[];
  readonly model: ContentModel;
  readonly shape: SimShape;
  scheduler: Scheduler;
  #array: SimArray | null = null;
  /** A leg was lost since all legs were last known equal. */
  lenient = false;
  /** A leg was lost in this life before the resync was done: reads may change once more. */
  shaky = false;
  /** Writes that were answered with an error. */
  failedWrites = 0;
  /** What happened, by name: shows what the seeds reach. */
  readonly counts = new Map<string, number>();

  constructor(
    prng: Prng,
    scheduler: Scheduler,
    legs: readonly SimLeg[],
    model: ContentModel,
    shape: SimShape,
  ) {
    this.prng = prng;
    this.scheduler = scheduler;
    this.legs = legs;
    this.model = model;
    this.shape = shape;
  }

  get array(): SimArray {
    assert(this.#array !== null, "the array runs");
    return this.#array;
  }

  set array(array: SimArray | null) {
    this.#array = array;
  }

  count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  /** A leg is lost, or may be from now on. */
  loseLeg(isSynced: boolean): void {
    this.lenient = true;
    if (!isSynced) this.shaky = true;
  }

  get media() {
    return this.legs.map((leg) => leg.medium);
  }
}
