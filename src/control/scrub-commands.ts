/**
 * What a user may ask of sync actions: start, end, freeze; pause, resume and cancel the job of one.
 *
 * Pausing a check or repair keeps its position, over restarts and kills too. Pausing a resync or
 * recovery is sysfs' `frozen`, resuming it `idle`: the whole array is frozen, no spare takes a
 * place meanwhile, and a restart of the daemon ends the pause, as it does with md.
 */

import { CodedError } from "../common/errors.ts";
import type { ArrayService } from "./array-service.ts";
import type { RunningArray } from "./engine.ts";
import { isCancelable, isPausable, isScrubJob, type Job, withLogLine } from "./job.ts";
import type { JobService } from "./job-service.ts";
import { rangeToRun, type ScrubAction } from "./scrub-pass.ts";
import type { ScrubService } from "./scrub-service.ts";
import type { SyncJobs } from "./sync-jobs.ts";

/** What the commands need. */
export interface ScrubCommandsOptions {
  readonly arrays: ArrayService;
  readonly jobs: JobService;
  readonly syncJobs: SyncJobs;
  readonly scrubs: ScrubService;
  readonly now: () => number;
}

/** Where a check or repair begins and ends, bytes of the array; `to` null: at its end. */
export interface ScrubExtent {
  readonly from: number;
  readonly to: number | null;
}

/** Ranges are widened to whole pieces of this size: what one step of a scrub compares. */
const PIECE_BYTES = 1024 * 1024;

/** The verbs. */
export class ScrubCommands {
  readonly #options: ScrubCommandsOptions;

  constructor(options: ScrubCommandsOptions) {
    this.#options = options;
  }

  /** Sets sysfs' sync_action. Errors: CONTROL_RANGE_INVALID, the engine's. */
  async setAction(
    key: string,
    action: "idle" | "check" | "repair" | "frozen",
    extent: ScrubExtent,
    actor: string,
  ): Promise<void> {
    const { running } = this.#options.arrays.findRunning(key);
    switch (action) {
      case "idle":
        return await this.#idle(running);
      case "frozen":
        return await this.#freeze(running);
      case "check":
      case "repair":
        return await this.#start(running, action, widened(running, extent), actor);
    }
  }

  /** Pauses the sync action that a job follows. Errors: CONTROL_JOB_NOT_PAUSABLE. */
  async pauseJob(id: string): Promise<Job> {
    const { arrays, jobs, scrubs } = this.#options;
    const job = jobs.get(id);
    const uuid = arrayOf(job);
    const isHeldScrub = isScrubJob(job.kind) && scrubs.passes.open(uuid) !== null;
    const isFollowed = this.#options.syncJobs.jobOf(uuid) === id;
    if (!isPausable(job) || !(isHeldScrub || isFollowed)) {
      const message = `job ${id} (${job.kind}, ${job.state}) cannot be paused`;
      throw new CodedError("CONTROL_JOB_NOT_PAUSABLE", message, {
        remedy: "only a resync, recovery, check or repair that is under way can be paused",
      });
    }
    if (!isScrubJob(job.kind)) {
      const { running } = arrays.findRunning(uuid);
      jobs.move(id, "paused", "paused: the array's sync actions are frozen until it is resumed");
      await this.#freeze(running);
      return jobs.get(id);
    }
    // Stored first: a kill from here on leaves it paused.
    scrubs.passes.move(uuid, "paused", "paused by the user");
    jobs.move(id, "paused", "paused by the user; its position is kept");
    if (scrubs.passes.isUnderWay(uuid)) {
      await arrays.findRunning(uuid).running.setSyncAction("idle");
    }
    return jobs.get(id);
  }

  /**
   * Lets a paused job's action go on: at once, or when its window opens and nothing hinders it.
   * Errors: CONTROL_JOB_NOT_PAUSED.
   */
  async resumeJob(id: string): Promise<Job> {
    const { arrays, jobs, scrubs } = this.#options;
    const job = jobs.get(id);
    if (job.state !== "paused") {
      const message = `job ${id} (${job.kind}, ${job.state}) is not paused`;
      throw new CodedError("CONTROL_JOB_NOT_PAUSED", message, {
        remedy: "only a paused job can be resumed",
      });
    }
    const uuid = arrayOf(job);
    if (!isScrubJob(job.kind)) {
      await this.#idle(arrays.findRunning(uuid).running);
      return jobs.get(id);
    }
    if (scrubs.passes.open(uuid)?.state === "paused") {
      scrubs.passes.move(uuid, "waiting", null);
    }
    await scrubs.look(uuid);
    const wait = scrubs.waitOf(uuid);
    if (wait !== null && jobs.get(id).state === "paused") {
      return jobs.move(id, "paused", `goes on by itself, not yet: ${wait.message}`);
    }
    return jobs.get(id);
  }

  /** Cancels the check or repair that a job follows. Errors: CONTROL_JOB_NOT_CANCELABLE. */
  async cancelJob(id: string): Promise<Job> {
    const { arrays, jobs, scrubs, syncJobs } = this.#options;
    const job = jobs.get(id);
    if (!isCancelable(job)) {
      const message = `job ${id} (${job.kind}, ${job.state}) cannot be cancelled`;
      throw new CodedError("CONTROL_JOB_NOT_CANCELABLE", message, {
        remedy: "only a check or repair that has not ended can be cancelled",
      });
    }
    const uuid = arrayOf(job);
    scrubs.passes.end(uuid, "cancelled", "cancelled by the user");
    if (syncJobs.jobOf(uuid) === id) {
      const cancelling = jobs.move(id, "cancelling", "cancel asked for");
      await arrays.findRunning(uuid).running.setSyncAction("idle");
      return cancelling;
    }
    jobs.end(withLogLine(job, this.#options.now(), "cancelled by the user"), "cancelled", {});
    return jobs.get(id);
  }

  async #start(
    running: RunningArray,
    action: ScrubAction,
    extent: ScrubExtent,
    actor: string,
  ): Promise<void> {
    const { scrubs, syncJobs } = this.#options;
    const { uuid } = running;
    if (running.status.sync !== null) {
      // Refused by the engine, which says what runs; the scrub under way is left alone.
      await running.setSyncAction(action, rangeToRun(extent.from, extent.to));
      return;
    }
    refuseAlone(running);
    scrubs.dropJobs(uuid, `another ${action} was started instead`);
    scrubs.passes.begin({ uuid, action, isScheduled: false, createdBy: actor, ...extent });
    syncJobs.requestedBy(uuid, actor);
    try {
      await running.setSyncAction(action, rangeToRun(extent.from, extent.to));
      scrubs.setFrozen(uuid, false);
    } catch (error) {
      scrubs.passes.end(uuid, "cancelled", "the array refused");
      throw error;
    }
  }

  /** Ends a check or repair under way and lets frozen actions go on. */
  async #idle(running: RunningArray): Promise<void> {
    const { scrubs } = this.#options;
    await running.setSyncAction("idle");
    scrubs.setFrozen(running.uuid, false);
    // One that was asked for and had not begun has no end of its own.
    const isAsked = scrubs.passes.open(running.uuid)?.state === "running";
    if (isAsked && running.status.sync === null) {
      scrubs.passes.end(running.uuid, "cancelled", "cancelled");
    }
  }

  /** Freezes all sync actions of the array; what runs keeps its job and goes on afterwards. */
  async #freeze(running: RunningArray): Promise<void> {
    const { scrubs } = this.#options;
    const { uuid } = running;
    scrubs.setFrozen(uuid, true);
    if (scrubs.passes.open(uuid)?.state === "running") {
      scrubs.passes.move(uuid, "paused", "the array's sync actions were frozen");
    }
    try {
      await running.setSyncAction("frozen");
    } catch (error) {
      scrubs.setFrozen(uuid, false);
      throw error;
    }
  }
}

/** The uuid of the array that a job of a sync action works on. */
const arrayOf = (job: Job): string => job.subject.split("/").at(-1) ?? "";

/** Errors: CONTROL_NOTHING_TO_COMPARE, where md would end the action without having run it. */
const refuseAlone = ({ status }: RunningArray): void => {
  if (status.level === "raid1" && status.inSyncCopies < 2) {
    const message = `array ${status.name} has one copy in sync: there is nothing to compare it with`;
    throw new CodedError("CONTROL_NOTHING_TO_COMPARE", message, {
      remedy: "add a device and let it be rebuilt first",
    });
  }
};

/** The range, widened to whole pieces. Errors: CONTROL_RANGE_INVALID. */
const widened = (running: RunningArray, extent: ScrubExtent): ScrubExtent => {
  const size = running.status.sizeBytes;
  const to = extent.to ?? size;
  if (extent.from < 0 || extent.from >= to || to > size) {
    const message = `there is no range from ${extent.from} to ${to} in an array of ${size} bytes`;
    throw new CodedError("CONTROL_RANGE_INVALID", message, {
      remedy: "give `from` below `to`, and `to` not above the array's size",
    });
  }
  const from = Math.floor(extent.from / PIECE_BYTES) * PIECE_BYTES;
  const end = Math.ceil(to / PIECE_BYTES) * PIECE_BYTES;
  return end >= size ? { from, to: null } : { from, to: end };
};

/** All of the array, when a request names no range. */
export const wholeExtent = (from: number | undefined, to: number | undefined): ScrubExtent => ({
  from: from ?? 0,
  to: to ?? null,
});
