/**
 * Jobs: runs the verbs that take a while, keeps every job's record, lets requests wait for the end.
 * Jobs of sync actions are opened and closed by sync-jobs.ts, which watches the arrays.
 */

import { CodedError, toPlainError } from "../common/errors.ts";
import type { Logger } from "../common/log.ts";
import type { JobPage, JobRecords, JobRow } from "../store/job-records.ts";
import type { EventService } from "./event-service.ts";
import {
  isEnded,
  isScrubJob,
  isSyncJob,
  type Job,
  type JobKind,
  type JobProgress,
  withLogLine,
} from "./job.ts";
import { subjectOf } from "./subject.ts";

/** Verbs under way at once; more are refused, never queued without end. */
export const JOBS_RUNNING_MAX = 64;
const PROGRESS_STORED_EVERY_MS = 5000;
const UNSTORED_JOBS_MAX = 100;

/** What a new job is about. */
export interface NewJob {
  readonly kind: JobKind;
  readonly subject: string;
  readonly createdBy: string;
}

/** What a verb returns: the job's result and, if it changed, its subject. */
export interface JobOutcome {
  readonly result: Readonly<Record<string, unknown>>;
  readonly subject?: string;
}

/** What the service needs. `newId` gives ids that sort by time. */
export interface JobServiceOptions {
  readonly records: JobRecords;
  readonly events: EventService;
  readonly now: () => number;
  readonly newId: (now: number) => string;
  readonly logger: Logger;
}

const toRow = (job: Job): JobRow => ({
  id: job.id,
  state: job.state,
  subject: job.subject,
  createdAt: job.createdAt,
  document: JSON.stringify(job),
});

const fromRow = (row: JobRow): Job => JSON.parse(row.document) as Job;

/** The jobs of the board. */
export class JobService {
  readonly #records: JobRecords;
  readonly #events: EventService;
  readonly #now: () => number;
  readonly #newId: (now: number) => string;
  readonly #logger: Logger;
  /** Jobs that have not ended, and ended ones that could not be stored; `storedAt` is ms. */
  readonly #live = new Map<string, { job: Job; storedAt: number }>();
  readonly #waiters = new Map<string, Set<(job: Job) => void>>();
  readonly #verbs = new Set<Promise<void>>();

  constructor(options: JobServiceOptions) {
    this.#records = options.records;
    this.#events = options.events;
    this.#now = options.now;
    this.#newId = options.newId;
    this.#logger = options.logger;
  }

  /**
   * Takes over what the last run left: verbs cut short have failed, jobs of sync actions are
   * `interrupted` until the array takes the action up again. A paused check or repair stays paused.
   */
  takeOver(): void {
    for (const row of this.#records.unfinished()) {
      const job = fromRow(row);
      if (isScrubJob(job.kind) && job.state === "paused") {
        this.#put(job);
      } else if (isSyncJob(job.kind)) {
        const line = "interrupted: the daemon ended";
        this.#put(withLogLine({ ...job, state: "interrupted" }, this.#now(), line));
      } else {
        const error = new CodedError(
          "CONTROL_JOB_INTERRUPTED",
          `${job.kind} was cut short: the daemon ended while it ran`,
          { remedy: "look at the array and its devices, then ask again" },
        );
        this.end(job, "failed", { problem: error });
      }
    }
    this.#records.prune(this.#now());
  }

  /** The job, or CONTROL_JOB_NOT_FOUND. */
  get(id: string): Job {
    const live = this.#live.get(id)?.job;
    if (live !== undefined) {
      return live;
    }
    const row = this.#records.find(id);
    if (row === null) {
      throw new CodedError("CONTROL_JOB_NOT_FOUND", `there is no job ${id}`, {
        remedy: "list the jobs; ended ones are kept for 30 days",
      });
    }
    return fromRow(row);
  }

  /** Jobs, newest first. */
  page(query: JobPage): Job[] {
    return this.#records.page(query).map((row) => this.#live.get(row.id)?.job ?? fromRow(row));
  }

  /** Jobs that have not ended. */
  live(): Job[] {
    return [...this.#live.values()].map((entry) => entry.job).filter((job) => !isEnded(job));
  }

  /** Jobs of a subject that wait for their sync action to go on. */
  held(subject: string): Job[] {
    return this.live().filter(
      (job) => job.subject === subject && (job.state === "interrupted" || job.state === "paused"),
    );
  }

  /** Opens a job in state `running`. */
  open(fresh: NewJob): Job {
    const now = this.#now();
    const job: Job = {
      id: this.#newId(now),
      kind: fresh.kind,
      state: "running",
      subject: fresh.subject,
      progress: null,
      createdBy: fresh.createdBy,
      createdAt: now,
      startedAt: now,
      finishedAt: null,
      result: null,
      problem: null,
      log: [],
    };
    this.#put(job);
    this.#event(job, "job.started", `${job.kind} started`);
    return job;
  }

  /** Runs `work` as a job that has begun when this returns. Errors: CONTROL_JOBS_FULL. */
  run(fresh: NewJob, work: () => Promise<JobOutcome>): Job {
    if (this.#verbs.size >= JOBS_RUNNING_MAX) {
      throw new CodedError("CONTROL_JOBS_FULL", `${JOBS_RUNNING_MAX} jobs are under way`, {
        remedy: "wait for one to end, then ask again",
      });
    }
    const job = this.open(fresh);
    const verb = this.#carryOut(job, work).finally(() => this.#verbs.delete(verb));
    this.#verbs.add(verb);
    return this.get(job.id);
  }

  /** Replaces the progress of a running job; stored every few seconds, announced at once. */
  progress(id: string, progress: JobProgress): void {
    const entry = this.#live.get(id);
    if (entry === undefined) {
      return;
    }
    const job = { ...entry.job, progress };
    if (this.#now() - entry.storedAt >= PROGRESS_STORED_EVERY_MS) {
      this.#put(job);
    } else {
      entry.job = job;
      this.#events.changed("job", id);
    }
  }

  /** Moves a job that has not ended to another such state, with a line in its log. */
  move(id: string, state: "running" | "cancelling" | "paused" | "interrupted", line: string): Job {
    const job = withLogLine({ ...this.get(id), state }, this.#now(), line);
    this.#put(job);
    return job;
  }

  /** Ends a job and wakes those who wait for it. */
  end(
    job: Job,
    state: "succeeded" | "failed" | "cancelled",
    outcome: { readonly result?: Readonly<Record<string, unknown>>; readonly problem?: CodedError },
  ): void {
    const ended: Job = {
      ...job,
      state,
      finishedAt: this.#now(),
      result: outcome.result ?? null,
      problem: outcome.problem === undefined ? null : toPlainError(outcome.problem),
    };
    this.#put(ended);
    const reason = outcome.problem === undefined ? "" : `: ${outcome.problem.message}`;
    this.#event(ended, `job.${state}`, `${job.kind} ${state}${reason}`);
    for (const wake of this.#waiters.get(job.id) ?? []) {
      wake(ended);
    }
    this.#waiters.delete(job.id);
  }

  /** The job once it has ended, or as it is when `signal` aborts first. */
  async waitFor(id: string, signal: AbortSignal): Promise<Job> {
    const job = this.get(id);
    if (isEnded(job) || signal.aborted) {
      return job;
    }
    return await new Promise<Job>((resolve) => {
      const waiters = this.#waiters.get(id) ?? new Set();
      this.#waiters.set(id, waiters);
      const wake = (ended: Job): void => {
        signal.removeEventListener("abort", giveUp);
        resolve(ended);
      };
      const giveUp = (): void => {
        waiters.delete(wake);
        resolve(this.get(id));
      };
      waiters.add(wake);
      signal.addEventListener("abort", giveUp, { once: true });
    });
  }

  /** Resolves when no verb is under way any more. */
  async settle(): Promise<void> {
    await Promise.allSettled([...this.#verbs]);
  }

  async #carryOut(job: Job, work: () => Promise<JobOutcome>): Promise<void> {
    try {
      const outcome = await work();
      const done = { ...this.get(job.id), subject: outcome.subject ?? job.subject };
      this.end(done, "succeeded", { result: outcome.result });
    } catch (error) {
      const problem =
        error instanceof CodedError
          ? error
          : new CodedError("CONTROL_INTERNAL", `${job.kind} failed by a defect of the daemon`, {
              remedy: "report it with the daemon's log",
              cause: error,
            });
      if (problem !== error) {
        this.#logger.error({ job: job.id, error }, "job-crashed");
      }
      this.end(this.get(job.id), "failed", { problem });
    }
  }

  /** Keeps and stores the job. A database that refuses leaves it in memory only. */
  #put(job: Job): void {
    this.#live.set(job.id, { job, storedAt: this.#now() });
    try {
      this.#records.put(toRow(job));
      if (isEnded(job)) {
        this.#live.delete(job.id);
        this.#records.prune(this.#now());
      }
    } catch (error) {
      this.#logger.error({ job: job.id, error }, "job-write-failed");
      this.#dropUnstored();
    }
    this.#events.changed("job", job.id);
  }

  /** Ended jobs that could not be stored stay in memory, the oldest go when they are many. */
  #dropUnstored(): void {
    const ended = [...this.#live.values()].filter(({ job }) => isEnded(job));
    for (const { job } of ended.slice(0, Math.max(0, ended.length - UNSTORED_JOBS_MAX))) {
      this.#live.delete(job.id);
    }
  }

  #event(job: Job, type: string, message: string): void {
    this.#events.record({
      type,
      severity: job.state === "failed" ? "warning" : "info",
      subject: subjectOf("job", job.id),
      message,
      details: { kind: job.kind, state: job.state, subject: job.subject, problem: job.problem },
    });
  }
}
