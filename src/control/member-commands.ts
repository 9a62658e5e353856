/** The verbs on members: add, fail, remove, re-add, in mdadm's meaning. */

import { CodedError } from "../common/errors.ts";
import { refuseUnfit } from "./array-plan.ts";
import type { ArrayService } from "./array-service.ts";
import type { DeviceService, DeviceView } from "./device-service.ts";
import type { SyncSpeed } from "./engine.ts";
import type { Job } from "./job.ts";
import type { JobOutcome, JobService, NewJob } from "./job-service.ts";
import { subjectOf } from "./subject.ts";
import type { SyncJobs } from "./sync-jobs.ts";

/** What the commands need. */
export interface MemberCommandsOptions {
  readonly arrays: ArrayService;
  readonly devices: DeviceService;
  readonly jobs: JobService;
  readonly syncJobs: SyncJobs;
}

/** What to change of an array's sync; absent fields stay. Speeds are bytes per second. */
export interface SyncChange {
  readonly action?: "idle" | "check" | "repair" | "frozen";
  readonly speedMin?: number;
  readonly speedMax?: number;
}

/** Add, fail, remove, re-add, and the sync action. */
export class MemberCommands {
  readonly #options: MemberCommandsOptions;

  constructor(options: MemberCommandsOptions) {
    this.#options = options;
  }

  /** Adds a device, as a job. Errors: those of `refuseUnfit`; the job's: the engine's. */
  async add(arrayKey: string, deviceKey: string, force: boolean, actor: string): Promise<Job> {
    const { arrays, devices } = this.#options;
    const { view, running } = arrays.findRunning(arrayKey);
    const device = await devices.read(devices.find(deviceKey).record.path);
    // What an old member of this array holds is the array's own content.
    const isOwn = device.probe?.md?.arrayUuid === view.record.uuid;
    refuseUnfit(device, force || isOwn);
    return this.#job("member.add", view.record.uuid, actor, () =>
      running.add(device.record.path, { force }),
    );
  }

  /** Takes back a member that was here before, as a job. The job's errors: the engine's. */
  async reAdd(arrayKey: string, deviceKey: string, actor: string): Promise<Job> {
    const { arrays, devices } = this.#options;
    const { view, running } = arrays.findRunning(arrayKey);
    const device = devices.find(deviceKey);
    return this.#job("member.re-add", view.record.uuid, actor, () =>
      running.reAdd(device.record.path),
    );
  }

  /** Marks a member faulty. Errors: CONTROL_MEMBER_NOT_FOUND, RAID_LAST_IN_SYNC_MEMBER. */
  async fail(arrayKey: string, deviceKey: string): Promise<void> {
    const { view, running } = this.#options.arrays.findRunning(arrayKey);
    const device = this.#member(view.record.uuid, deviceKey);
    await this.#options.arrays.exclusively(view.record.uuid, "a fail", () =>
      running.fail(device.record.path),
    );
  }

  /** Takes a faulty member or spare out. Errors: CONTROL_MEMBER_NOT_FOUND, the engine's. */
  async remove(arrayKey: string, deviceKey: string): Promise<void> {
    const { view, running } = this.#options.arrays.findRunning(arrayKey);
    const device = this.#member(view.record.uuid, deviceKey);
    await this.#options.arrays.exclusively(view.record.uuid, "a remove", () =>
      running.remove(device.record.path),
    );
  }

  /** Sets speed limits, then the action. Errors: CONTROL_SPEED_ORDER, the engine's. */
  async setSync(arrayKey: string, change: SyncChange, actor: string): Promise<void> {
    const { arrays, syncJobs } = this.#options;
    const { view, running } = arrays.findRunning(arrayKey);
    if (change.speedMin !== undefined || change.speedMax !== undefined) {
      const speed: SyncSpeed = {
        min: change.speedMin ?? running.status.syncSpeedMin,
        max: change.speedMax ?? running.status.syncSpeedMax,
      };
      if (speed.min > speed.max) {
        const message = `sync_speed_min ${speed.min} is above sync_speed_max ${speed.max}`;
        throw new CodedError("CONTROL_SPEED_ORDER", message, {
          remedy: "set both, the smaller one as sync_speed_min",
        });
      }
      await arrays.setSyncSpeed(view.record.uuid, speed);
    }
    if (change.action !== undefined) {
      syncJobs.requestedBy(view.record.uuid, actor);
      await running.setSyncAction(change.action);
    }
  }

  /** Cancels the check or repair that a job follows. Errors: CONTROL_JOB_NOT_CANCELABLE. */
  async cancelJob(id: string): Promise<Job> {
    const { arrays, jobs, syncJobs } = this.#options;
    const job = jobs.get(id);
    const view = arrays
      .list()
      .find((candidate) => syncJobs.jobOf(candidate.record.uuid) === id && candidate.isRunning);
    const isUserAction = job.kind === "array.check" || job.kind === "array.repair";
    if (view === undefined || !isUserAction || job.state !== "running") {
      const message = `job ${id} (${job.kind}, ${job.state}) cannot be cancelled`;
      throw new CodedError("CONTROL_JOB_NOT_CANCELABLE", message, {
        remedy: "only a running check or repair can be cancelled",
      });
    }
    const cancelling = jobs.move(id, "cancelling", "cancel asked for");
    await arrays.findRunning(view.record.uuid).running.setSyncAction("idle");
    return cancelling;
  }

  #member(uuid: string, deviceKey: string): DeviceView {
    const { arrays, devices } = this.#options;
    const device = devices.find(deviceKey);
    if (arrays.membershipOf(device.record.path)?.uuid !== uuid) {
      const name = arrays.get(uuid)?.record.name;
      const message = `device ${device.record.id} is no member of array ${name}`;
      throw new CodedError("CONTROL_MEMBER_NOT_FOUND", message, {
        remedy: "list the members of the array",
      });
    }
    return device;
  }

  #job(kind: NewJob["kind"], uuid: string, createdBy: string, work: () => Promise<void>): Job {
    const { arrays, jobs } = this.#options;
    const subject = subjectOf("array", uuid);
    return jobs.run({ kind, subject, createdBy }, async (): Promise<JobOutcome> => {
      await arrays.exclusively(uuid, kind, work);
      return { result: { array_id: uuid } };
    });
  }
}
