/**
 * Scrub schedules of the arrays, and what they lead to: looks at every array once per tick, starts
 * what is due, stops it when its window closes, lets it go on in the next one.
 */

import type { Logger } from "../common/log.ts";
import type { ScrubRecords } from "../store/scrub-records.ts";
import type { ArrayService } from "./array-service.ts";
import type { ArrayView } from "./array-view.ts";
import type { EventService } from "./event-service.ts";
import { isScrubJob, withLogLine } from "./job.ts";
import type { JobService } from "./job-service.ts";
import { rangeToRun } from "./scrub-pass.ts";
import { ScrubPasses } from "./scrub-passes.ts";
import {
  decideScrub,
  dueTime,
  type ScrubDecision,
  type ScrubQuestion,
  type ScrubSchedule,
  type ScrubTarget,
  type ScrubWait,
} from "./scrub-schedule.ts";
import { type ScheduleOrder, ScrubSchedules } from "./scrub-schedules.ts";
import { ScrubSpeeds } from "./scrub-speeds.ts";
import { subjectOf } from "./subject.ts";
import type { EndJudge, JobHold, SyncJobs } from "./sync-jobs.ts";

/** What the service needs. */
export interface ScrubServiceOptions {
  readonly records: ScrubRecords;
  readonly arrays: ArrayService;
  readonly jobs: JobService;
  readonly syncJobs: SyncJobs;
  readonly events: EventService;
  readonly now: () => number;
  readonly logger: Logger;
}

/** Who the jobs of due scrubs name as their creator. */
export const SCHEDULE_ACTOR = "schedule";

/** The schedules. */
export class ScrubService {
  readonly passes: ScrubPasses;
  readonly #options: ScrubServiceOptions;
  readonly #speeds: ScrubSpeeds;
  readonly #schedules: ScrubSchedules;
  /** Arrays whose sync actions the user froze; neither the engine nor this outlives a restart. */
  readonly #frozen = new Set<string>();
  /** Arrays with something under way between decision and outcome. */
  readonly #acting = new Set<string>();
  /** The due time and reason last announced of an array, to announce each once. */
  readonly #announced = new Map<string, string>();

  constructor(options: ScrubServiceOptions) {
    this.#options = options;
    const { records, now, logger } = options;
    this.passes = new ScrubPasses({ records, now, logger });
    this.#schedules = new ScrubSchedules({ records, now, logger });
    this.#speeds = new ScrubSpeeds(options.arrays);
  }

  /** Reads what the last run left and follows the arrays. AFTER the jobs and arrays are loaded. */
  load(): void {
    const { arrays, syncJobs, events } = this.#options;
    this.#schedules.load();
    this.passes.load();
    for (const { record } of arrays.list()) {
      this.#matchJobs(record.uuid);
    }
    syncJobs.onEnd((...end) => this.#judgeEnd(...end));
    events.onChange(({ kind, id, isDeleted }) => {
      if (kind === "array") {
        this.#arrayChanged(id, isDeleted);
      }
    });
  }

  /** The schedule of an array, or null: none is set unless somebody asks for it. */
  schedule(uuid: string): ScrubSchedule | null {
    return this.#schedules.get(uuid);
  }

  /** Sets a schedule. Errors: CONTROL_ARRAY_NOT_FOUND, CONTROL_SCHEDULE_INVALID. */
  async setSchedule(key: string, order: ScheduleOrder): Promise<void> {
    const { uuid, name } = this.#options.arrays.find(key).record;
    this.#schedules.set(uuid, order);
    this.#announce(uuid, "schedule.changed", `${name}: scrub schedule set`);
    const pass = this.passes.open(uuid);
    if (pass?.isScheduled && pass.action !== order.action) {
      await this.#drop(uuid, "its schedule asks for another action now");
    }
  }

  /** Removes the schedule; what it had started and not finished is cancelled. */
  async removeSchedule(key: string): Promise<void> {
    const { record } = this.#options.arrays.find(key);
    const { uuid } = record;
    if (this.schedule(uuid) === null) {
      return;
    }
    this.#schedules.remove(uuid);
    this.#announce(uuid, "schedule.changed", `${record.name}: scrub schedule removed`);
    if (this.passes.open(uuid)?.isScheduled) {
      await this.#drop(uuid, "its schedule was removed");
    }
  }

  /** Why nothing is started on the array now, or null. */
  waitOf(uuid: string): ScrubWait | null {
    const view = this.#options.arrays.get(uuid);
    const decision = view === null ? null : decideScrub(this.#question(view));
    return decision === null || !("wait" in decision) ? null : decision.wait;
  }

  /** Notes that the user froze the array's sync actions, or let them go again. */
  setFrozen(uuid: string, isFrozen: boolean): void {
    if (isFrozen) {
      this.#frozen.add(uuid);
    } else {
      this.#frozen.delete(uuid);
    }
  }

  /** Ends held jobs of a check or repair: what they followed will not go on. */
  dropJobs(uuid: string, why: string): void {
    const { jobs, now } = this.#options;
    for (const job of jobs.held(subjectOf("array", uuid)).filter(({ kind }) => isScrubJob(kind))) {
      jobs.end(withLogLine(job, now(), why), "cancelled", {});
    }
  }

  /** Decides for every array and does what is decided. */
  async tick(): Promise<void> {
    await Promise.all(this.#options.arrays.list().map((view) => this.look(view.record.uuid)));
  }

  /** Decides for one array; resolves when that is done. */
  async look(uuid: string): Promise<void> {
    const view = this.#options.arrays.get(uuid);
    if (view === null || this.#acting.has(uuid)) {
      return;
    }
    this.#acting.add(uuid);
    try {
      this.#dropFrozenJobs(view);
      await this.#speeds.restoreUnless(uuid, this.passes.isUnderWay(uuid));
      await this.#act(view, decideScrub(this.#question(view)));
    } catch (error) {
      this.#refused(uuid, error);
    } finally {
      this.#acting.delete(uuid);
    }
  }

  async #act(view: ArrayView, decision: ScrubDecision): Promise<void> {
    const { uuid } = view.record;
    switch (decision.act) {
      case "start":
        return await this.#start(uuid);
      case "resume":
        return await this.#resume(uuid);
      case "hold":
        return await this.#hold(uuid, decision.wait);
      case "lost":
        return this.passes.move(uuid, "waiting", decision.wait.message);
      case "nothing":
        return this.#tellWait(view, decision.wait);
    }
  }

  /** Begins the scrub that is due. The due times up to now have been served with it. */
  async #start(uuid: string): Promise<void> {
    const schedule = this.#schedules.get(uuid);
    if (schedule === null) {
      return;
    }
    this.dropJobs(uuid, "another scrub was started instead");
    const { action } = schedule;
    this.passes.begin({
      uuid,
      action,
      isScheduled: true,
      createdBy: SCHEDULE_ACTOR,
      from: 0,
      to: null,
    });
    this.#schedules.serve(uuid);
    await this.#run(uuid);
  }

  async #resume(uuid: string): Promise<void> {
    this.passes.move(uuid, "running", null);
    await this.#run(uuid);
  }

  /** Asks the engine to run the open pass from its position. */
  async #run(uuid: string): Promise<void> {
    const { arrays, syncJobs } = this.#options;
    const { running } = arrays.findRunning(uuid);
    const pass = this.passes.open(uuid);
    if (pass === null) {
      return;
    }
    if (pass.position >= Math.min(pass.to ?? Number.POSITIVE_INFINITY, running.status.sizeBytes)) {
      return this.#complete(uuid);
    }
    const schedule = pass.isScheduled ? this.schedule(uuid) : null;
    if (schedule !== null) {
      await this.#speeds.limit(uuid, schedule);
    }
    syncJobs.requestedBy(uuid, pass.createdBy);
    await running.setSyncAction(pass.action, rangeToRun(pass.position, pass.to));
  }

  /** All was compared when it was cut short: only the end had not been noted. */
  #complete(uuid: string): void {
    const { jobs } = this.#options;
    this.passes.end(uuid, "succeeded", null);
    for (const job of jobs.held(subjectOf("array", uuid)).filter(({ kind }) => isScrubJob(kind))) {
      jobs.end(job, "succeeded", { result: { array_id: uuid } });
    }
    this.#scrubEnded(uuid, null);
  }

  /** Its window has closed: stops the run, keeps the position. The intent is stored BEFORE. */
  async #hold(uuid: string, wait: ScrubWait): Promise<void> {
    this.passes.move(uuid, "waiting", wait.message);
    if (this.passes.isUnderWay(uuid)) {
      await this.#options.arrays.findRunning(uuid).running.setSyncAction("idle");
    }
  }

  /** The engine refused: the pass waits and is tried again at the next tick. */
  #refused(uuid: string, error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    const pass = this.passes.open(uuid);
    if (pass?.note !== message) {
      this.#options.logger.warn({ array: uuid, error }, "scrub-refused");
    }
    if (pass?.state === "running") {
      this.passes.move(uuid, "waiting", message);
    }
  }

  /** Says once per due time that a scrub is due and why it does not start. */
  #tellWait({ record, isRunning }: ArrayView, wait: ScrubWait | null): void {
    const { uuid, name } = record;
    const schedule = this.#schedules.get(uuid);
    const isTold = wait !== null && TOLD.includes(wait.code);
    if (schedule === null || !isTold || !isRunning || this.passes.open(uuid) !== null) {
      return;
    }
    const key = `${dueTime(schedule, this.#lastWholeAt(uuid))} ${wait.code}`;
    if (this.#announced.get(uuid) !== key) {
      this.#announced.set(uuid, key);
      const message = `${name}: the scheduled ${schedule.action} waits: ${wait.message}`;
      this.#announce(uuid, "scrub.waiting", message, "warning", { reason: wait.code });
    }
  }

  #question(view: ArrayView): ScrubQuestion {
    const { uuid } = view.record;
    return {
      schedule: this.schedule(uuid),
      pass: this.passes.open(uuid),
      target: this.#target(view),
      lastWholeAt: this.#lastWholeAt(uuid),
      now: this.#options.now(),
    };
  }

  #target({ record, isRunning, status }: ArrayView): ScrubTarget {
    return {
      isRunning: isRunning && status !== null,
      isReadOnly: record.readOnly || status?.arrayState === "readonly",
      isFailed: status?.health === "failed",
      isDegraded: (status?.degraded ?? 0) > 0,
      isFrozen: this.#frozen.has(record.uuid),
      syncAction: status?.sync?.action ?? null,
    };
  }

  #lastWholeAt(uuid: string): number | null {
    return this.passes.lastWhole(uuid)?.startedAt ?? null;
  }

  #judgeEnd(...[uuid, action, outcome, counts]: Parameters<EndJudge>): JobHold | null {
    if (action === "check" || action === "repair") {
      return this.#scrubEnded(uuid, this.passes.partEnded(uuid, action, outcome, counts));
    }
    const isPaused = outcome !== "done" && this.#frozen.has(uuid);
    return isPaused ? { state: "paused", line: "its sync actions are frozen" } : null;
  }

  /** Due times that passed while a scheduled scrub took long are not made up for. */
  #scrubEnded(uuid: string, hold: JobHold | null): JobHold | null {
    const schedule = this.#schedules.get(uuid);
    const isServed = schedule !== null && schedule.cron !== null && schedule.servedUntil !== null;
    if (hold === null && isServed) {
      this.#schedules.serve(uuid);
    }
    return hold;
  }

  /** A kill may have come between what is stored of a scrub and of its job: the scrub counts. */
  #matchJobs(uuid: string): void {
    const { jobs } = this.#options;
    const pass = this.passes.open(uuid);
    if (pass === null) {
      this.dropJobs(uuid, "its scrub has ended");
    } else if (pass.state === "paused") {
      for (const { id, kind } of jobs.held(subjectOf("array", uuid))) {
        if (isScrubJob(kind)) {
          jobs.move(id, "paused", pass.note ?? "paused");
        }
      }
    }
  }

  /** Ends paused jobs of a resync or recovery that has nothing left to do, or no array. */
  #dropFrozenJobs({ record, isRunning, status, health }: ArrayView): void {
    const { jobs, now } = this.#options;
    const isDone = !isRunning || (status?.sync === null && health === "optimal");
    if (isDone && !this.#frozen.has(record.uuid)) {
      for (const job of jobs.held(subjectOf("array", record.uuid))) {
        if (!isScrubJob(job.kind) && job.state === "paused") {
          jobs.end(withLogLine(job, now(), "nothing is left to do"), "cancelled", {});
        }
      }
    }
  }

  #arrayChanged(uuid: string, isDeleted: boolean): void {
    if (isDeleted) {
      this.dropJobs(uuid, "its array was forgotten");
      this.#schedules.forget(uuid);
      this.passes.forget(uuid);
      return;
    }
    const view = this.#options.arrays.get(uuid);
    if (view?.isRunning === false) {
      this.#frozen.delete(uuid);
      this.#dropFrozenJobs(view);
    } else if (view?.status) {
      this.passes.observe(uuid, view.status);
    }
  }

  /** Cancels the unfinished scrub and its job, and stops it when it is under way. */
  async #drop(uuid: string, why: string): Promise<void> {
    const isUnderWay = this.passes.isUnderWay(uuid);
    this.passes.end(uuid, "cancelled", why);
    this.dropJobs(uuid, why);
    if (isUnderWay) {
      await this.#options.arrays.findRunning(uuid).running.setSyncAction("idle");
    }
  }

  #announce(
    uuid: string,
    type: string,
    message: string,
    severity: "info" | "warning" = "info",
    details: Readonly<Record<string, unknown>> = {},
  ): void {
    const subject = subjectOf("array", uuid);
    this.#options.events.record({ type, severity, subject, message, details });
    this.#options.events.changed("array", uuid);
  }
}

/** Reasons that a person may have to do something about. */
const TOLD: readonly ScrubWait["code"][] = ["degraded", "failed", "read-only", "frozen"];
