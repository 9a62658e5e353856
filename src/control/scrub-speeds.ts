/** Speed limits that hold while a scheduled scrub runs, and the array's own after it. */

import type { ArrayService } from "./array-service.ts";
import type { SyncSpeed } from "./engine.ts";

/** The limits of a schedule; null: the array's own. */
export interface ScrubLimits {
  readonly speedMin: number | null;
  readonly speedMax: number | null;
}

/** The limits in force. */
export class ScrubSpeeds {
  readonly #arrays: ArrayService;
  /** What an array's limits were before a schedule's took their place. */
  readonly #before = new Map<string, SyncSpeed>();

  constructor(arrays: ArrayService) {
    this.#arrays = arrays;
  }

  /** Puts a schedule's limits in force, in the engine only: the array's own stay stored. */
  async limit(uuid: string, limits: ScrubLimits): Promise<void> {
    if (limits.speedMin === null && limits.speedMax === null) {
      return;
    }
    const { running } = this.#arrays.findRunning(uuid);
    const { syncSpeedMin: min, syncSpeedMax: max } = running.status;
    const own = this.#before.get(uuid) ?? { min, max };
    const upper = limits.speedMax ?? Math.max(own.max, limits.speedMin ?? 0);
    await running.setSyncSpeed({ min: Math.min(limits.speedMin ?? own.min, upper), max: upper });
    this.#before.set(uuid, own);
  }

  /** Gives the array its own limits back, unless its scrub is under way. */
  async restoreUnless(uuid: string, isUnderWay: boolean): Promise<void> {
    const before = this.#before.get(uuid);
    const view = this.#arrays.get(uuid);
    if (before === undefined || isUnderWay) {
      return;
    }
    this.#before.delete(uuid);
    if (view?.isRunning) {
      const { syncSpeedMin, syncSpeedMax } = view.record;
      const own = { min: syncSpeedMin ?? before.min, max: syncSpeedMax ?? before.max };
      await this.#arrays.findRunning(uuid).running.setSyncSpeed(own);
    }
  }
}
